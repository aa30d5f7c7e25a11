"""Frames over the pipes of a confined process: four bytes of length, then so many bytes."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, Self

from grpo_core.rewards._code._languages import PYTHON
from grpo_core.rewards._code._results import Ran, Settings, ran
from grpo_core.rewards._code._shipped import START, shipped
from grpo_core.rewards._code._wire import encode
from grpo_core.rewards._sandbox import converse_python

MAX_TALK_BYTES = 16_000_000  # of all that one side of a conversation says


class Ended(Exception):  # noqa: N818 - an end, not an error
    """A process is gone, or out of its limits."""

    def __init__(self, done: Ran) -> None:
        super().__init__(done.reason)
        self.done = done


def frame(value: object) -> bytes:
    """A value as it goes over a pipe."""
    return framed(encode(value))


def framed(content: bytes) -> bytes:
    """Bytes with their length before them."""
    return len(content).to_bytes(4, "big") + content


@contextmanager
def _faults_of_ours() -> Generator[None, None, None]:
    """What the sandbox could not do says nothing of the program."""
    try:
        yield
    except OSError as error:
        raise Ended(Ran("infrastructure", note={"error": str(error)})) from None


class Line:
    """A confined Python process that is spoken with."""

    def __init__(self, main: Literal["_candidate", "_tester"], settings: Settings) -> None:
        """Starts it."""
        limits = settings.limits(PYTHON.address_space_mb, PYTHON.processes, MAX_TALK_BYTES)
        self._patience = 2 * settings.timeout_seconds + 10  # the sandbox keeps the time
        with _faults_of_ours():
            self._talk = converse_python(
                START,
                files=shipped(main),
                limits=limits,
                packages=settings.packages,
                minimum=settings.minimum,
                allow_weak=settings.allow_weak,
            )
        self._got = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._talk.close(wait_seconds=0)

    def send(self, content: bytes) -> None:
        """One frame; that nobody reads it shows when an answer is waited for."""
        with _faults_of_ours():
            self._talk.send(framed(content), timeout_seconds=self._patience)

    def receive(self) -> bytes:
        """The next frame, or `Ended`."""
        size = int.from_bytes(self._take(4), "big")
        if size > MAX_TALK_BYTES:
            raise Ended(Ran("output_limit"))
        return self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._got) < size:
            with _faults_of_ours():
                some = self._talk.receive(timeout_seconds=self._patience)
            if not some:
                done = ran(self._talk.close())
                early = Ran("runtime_error", note={"error": "ended before the script did"})
                raise Ended(done if done.reason else early)
            self._got += some
        taken = bytes(self._got[:size])
        del self._got[:size]
        return taken
