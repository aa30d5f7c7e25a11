"""One program from the trainer's side: what goes in, what comes out, how it ended."""

import contextlib
import os
import select
import time
from math import ceil
from types import TracebackType
from typing import Any, Self

from grpo_core.rewards._sandbox._job import Job, file_of
from grpo_core.rewards._sandbox._launcher import Launcher, pool
from grpo_core.rewards._sandbox._types import Outcome

_CHUNK = 1 << 16
_SPARE_SECONDS = 30.0  # beyond the program's own time, before the launcher itself is given up
_WAIT_SECONDS = 1.0


class Conversation:
    """A program that runs, with its standard input and output in hand.

    The time of `Limits.wall_seconds` is that of the whole conversation. Use it in a `with`
    statement, or call `close`. Not for several threads at a time.
    """

    def __init__(self, launcher: Launcher, job: Job, stdin: bytes | None) -> None:
        """Begin; `stdin` is all of the input, or None to `send` it."""
        self._launcher, self._job = launcher, job
        self._deadline = time.monotonic() + job.limits.wall_seconds + _SPARE_SECONDS
        self._unread, self._received = bytearray(), 0
        self._ended = self._over = False
        self._reply: dict[str, Any] | None = None
        self._collected: list[int] = []
        self._outcome: Outcome | None = None
        self._input = -1
        theirs: list[int] = []
        self._output, output = os.pipe2(os.O_CLOEXEC)
        theirs.append(output)
        try:
            os.set_blocking(self._output, False)
            if stdin is None:
                source, self._input = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(self._input, False)
            else:
                source = file_of(stdin)
            theirs.insert(0, source)
            for content in job.files.values():
                theirs.append(file_of(content))  # noqa: PERF401 - those before are closed on error
            launcher.send(job.message(), theirs)
        except BaseException:
            self._close_streams()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close(wait_seconds=0)

    def send(self, data: bytes, *, timeout_seconds: float = 10.0) -> bool:
        """Write to the program's input; False if it has ended or did not read in time."""
        until = time.monotonic() + timeout_seconds
        left = memoryview(data)
        while left:
            if self._input < 0 or not self._pump(until, writing=True):
                return False
            try:
                left = left[os.write(self._input, left[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
        return True

    def receive(self, *, timeout_seconds: float) -> bytes | None:
        """What the program has written since: b"" if no more will come, None if not in time."""
        until = time.monotonic() + timeout_seconds
        while not self._unread and not self._ended:
            if not self._pump(until):
                return None if not self._ended else b""
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def close(self, *, wait_seconds: float = _WAIT_SECONDS) -> Outcome:
        """End the input, give the program `wait_seconds` to end by itself, then end it.

        Returns:
            The outcome, with the output that was not received; the same one when called again.
        """
        if self._outcome is None:
            self._outcome = self._finish(wait_seconds)
        return self._outcome

    def _finish(self, wait_seconds: float) -> Outcome:
        healthy = False
        try:
            self._close_input()
            until = time.monotonic() + wait_seconds
            while self._reply is None and self._pump(until):
                pass
            if self._reply is None:
                self._launcher.stop_program()
                while self._reply is None:
                    if not self._pump(self._deadline) and time.monotonic() > self._deadline:
                        raise OSError("the launcher does not answer")
            self._drain()
            outcome = self._outcome_of(self._reply)
            healthy = True
        except OSError as error:
            outcome = Outcome("infrastructure", detail=str(error))
        finally:
            self._close_streams()
            if healthy and self._launcher.alive():
                pool.give(self._launcher)
            else:
                pool.discard(self._launcher)
        return outcome

    def _pump(self, until: float, *, writing: bool = False) -> bool:
        """Wait for one event and take it in; False if none came `until` then."""
        poller = select.poll()
        if not self._ended:
            poller.register(self._output, select.POLLIN)
        if self._reply is None:
            poller.register(self._launcher.control, select.POLLIN)
        elif self._ended:
            return False
        if writing:
            poller.register(self._input, select.POLLOUT)
        wait = max(0.0, min(until, self._deadline) - time.monotonic())
        ready = [descriptor for descriptor, _ in poller.poll(ceil(wait * 1000))]
        if self._output in ready:
            self._read()
        elif self._reply is None and self._launcher.control.fileno() in ready:
            self._reply, self._collected = self._launcher.receive()
            self._drain()
        return bool(ready)

    def _read(self) -> bool:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        self._ended = self._ended or not data
        room = self._job.limits.output_bytes - self._received
        self._received += len(data)
        self._unread += data[: max(0, room)]
        if self._received > self._job.limits.output_bytes and not self._over:
            self._over = True
            if self._reply is None:
                self._launcher.stop_program()
        return bool(data)

    def _drain(self) -> None:
        """Take in what is left in the pipe: all that wrote to it have ended."""
        while not self._ended and self._read():
            pass
        self._ended = True

    def _outcome_of(self, reply: dict[str, Any]) -> Outcome:
        files: dict[str, bytes] = {}
        for name, descriptor in zip(reply["collected"], self._collected, strict=True):
            with os.fdopen(descriptor, "rb") as file:
                files[name] = file.read(self._job.limits.file_bytes)
        self._collected = []
        status = reply["status"]
        if self._over and status != "infrastructure":
            status = "output_limit"
        return Outcome(
            status=status, code=reply["code"], stdout=bytes(self._unread), files=files,
            wall_seconds=reply["wall"], cpu_seconds=reply["cpu"], memory_mb=reply["memory"],
            detail=reply["detail"],
        )  # fmt: skip

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def _close_streams(self) -> None:
        self._close_input()
        for descriptor in (self._output, *self._collected):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._output, self._collected = -1, []


def begin(launcher: Launcher, job: Job, stdin: bytes | None) -> Conversation:
    """Start `job`; a launcher that cannot be asked is dropped."""
    try:
        return Conversation(launcher, job, stdin)
    except BaseException:
        pool.discard(launcher)
        raise
