"""Calls of a verifier in processes of their own, each answer remembered."""

import inspect
import pickle
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any

from grpo_core._players import Home, NoHomeError, Plain
from grpo_core.testing._checks_cases import Args, Outcome

Verifier = Callable[..., Any]

_WARM_SECONDS = 30.0  # the first call may load a model
_LOST = 5  # deadlines that may be lost to calls that do not end; after that, none is begun


class Caller:
    """A verifier that can be asked anything, and cannot hang or end the process that asks.

    Args:
        verifier: Any function.
        deadline_seconds: For one call.
        ordinary: Arguments for the first call of a process, which may load what it needs and is
            not timed.

    Raises:
        NoHomeError: If no process can be started for it.
    """

    def __init__(self, verifier: Verifier, deadline_seconds: float, ordinary: Args) -> None:
        self.verifier, self.deadline_seconds = verifier, deadline_seconds
        self.fault = ""
        try:
            self.home = Home(verifier)
        except NoHomeError as error:
            self.fault = str(error)
            self.home = Home(verifier, None)
        self._ordinary = ordinary
        self._is_warm = False
        self._memory: dict[bytes, Outcome] = {}
        self.calls, self.losses, self._allowed = 0, 0, _LOST
        self.seen: list[tuple[Args, Outcome]] = []
        """Calls of `outcome` and what became of them, in their order."""
        self._warm_seconds = _WARM_SECONDS
        status, names = self.home.ask("modules", ordinary, seconds=_WARM_SECONDS, fresh=True)
        if status == "timeout":  # even the first call does not end: it is not waited for again
            self._warm_seconds = deadline_seconds
        self.loaded: list[str] = names if status == "done" else []
        self.home.preload(self.loaded)

    def outcome(self, args: Args) -> Outcome:
        """What becomes of one call; the same arguments are asked once."""
        key = blake2b(pickle.dumps(args)).digest()
        if key not in self._memory:
            if self.losses >= self._allowed:
                return Outcome("skipped")
            if not self._is_warm:
                self._is_warm = True
                self.home.ask("call", self._ordinary, seconds=self._warm_seconds, fresh=True)
            self.calls += 1
            status, result = self.home.ask("call", args, seconds=self.deadline_seconds)
            self._memory[key] = self._read(status, result)
            self.seen.append((args, self._memory[key]))
        return self._memory[key]

    def allow(self, losses: int) -> None:
        """How many calls from here on may fail to end, before the next ones are skipped."""
        self._allowed = min(_LOST, self.losses + losses)

    @property
    def is_tired(self) -> bool:
        """Whether calls were skipped, or will be."""
        return self.losses >= _LOST

    def row(self, many: Sequence[Args], job: str = "calls") -> list[Outcome]:
        """The calls one after the other in a process that made none before."""
        self._is_warm = False
        self.calls += len(many)
        seconds = self._warm_seconds + self.deadline_seconds * len(many)
        status, results = self.home.ask(job, list(many), seconds=seconds, fresh=True)
        if status != "done":
            return [self._read(status, results)] * len(many)
        return [Outcome(*plain) for plain in results]

    def again(
        self, args: Args, count: int, seconds: float
    ) -> tuple[list[tuple[int, Outcome]], list[float], dict[str, int]]:
        """One call many times in a new process: see `many_times`; empty if it did not end."""
        self._is_warm = False
        limit = self._warm_seconds + self.deadline_seconds + seconds
        status, result = self.home.ask(
            "many_times", args, count, seconds, seconds=limit, fresh=True
        )
        if status != "done":
            return [], [], {}
        answers, times, grown = result
        self.calls += len(times)
        return [(turn, Outcome(*plain)) for turn, plain in answers], times, grown

    def in_threads(
        self, many: Sequence[Args], threads: int, seconds: float
    ) -> list[tuple[int, Outcome]]:
        """The answers that threads at once gave to each call, by its index."""
        self._is_warm = False
        limit = self._warm_seconds + seconds
        status, results = self.home.ask(
            "in_threads", list(many), threads, seconds, folder_of(self.verifier), seconds=limit,
            fresh=True,
        )  # fmt: skip
        if status != "done":
            return [(0, self._read(status, results))]
        return [(at, Outcome(*plain)) for at, plain in results]

    def close(self) -> None:
        """End its processes."""
        self.home.close()

    def _read(self, status: str, result: Any) -> Outcome:
        if status == "done":
            plain: Plain = result
            return Outcome(*plain)
        self._is_warm = False
        self.losses += status != "died"
        return Outcome(status, text=result)


def folder_of(verifier: Verifier) -> str:
    """The folder of the verifier's own code, or an empty text if it is not known."""
    function = getattr(verifier, "func", verifier)
    try:
        return str(Path(inspect.getfile(inspect.unwrap(function))).parent)
    except TypeError:  # a callable object: where its class is
        try:
            return str(Path(inspect.getfile(type(function))).parent)
        except TypeError:
            return ""


class Clock:
    """The time that is left for all checks together."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self._end - monotonic())
