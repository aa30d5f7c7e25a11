"""What goes into a run and what comes out of it: small, picklable, without expected outputs."""

import builtins
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpo_core.rewards._sandbox import Backend, Level, Limits, Outcome, sandbox_report

_MOST_LINES = 1_000_000
_UNREADABLE = ("SyntaxError", "IndentationError", "TabError")


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of a test, and the isolation that is asked for."""

    timeout_seconds: float
    memory_mb: float
    compile_seconds: float
    minimum: Level
    allow_weak: bool
    backend: Backend
    packages: tuple[Path, ...] = ()

    @property
    def sandbox(self) -> dict[str, Any]:
        """What every call of the sandbox takes."""
        return {
            "minimum": self.minimum, "allow_weak": self.allow_weak, "backend": self.backend,
        }  # fmt: skip

    @property
    def isolation(self) -> str:
        """The level reached here, or whose isolation it is."""
        if callable(self.backend):
            return "remote"
        return sandbox_report().level if self.backend == "auto" else self.backend

    def limits(
        self, address_space_mb: float | None, processes: int, output_bytes: int = 1_000_000
    ) -> Limits:
        """Those of one test."""
        return Limits(
            output_bytes=output_bytes,
            wall_seconds=self.timeout_seconds,
            memory_mb=self.memory_mb,
            address_space_mb=address_space_mb,
            processes=processes,
        )


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program did on one test.

    `reason` is a verdict's, or empty where the program ended well and its `output` decides.
    """

    reason: str
    output: bytes = b""
    note: Mapping[str, str] = field(default_factory=dict[str, str])


def ran(outcome: Outcome) -> Ran:
    """What became of a process."""
    if outcome.status == "exited":
        if outcome.code == 0:
            return Ran("", outcome.stdout)
        return Ran("runtime_error", note={"error": f"exit status {outcome.code}"})
    if outcome.status == "syntax_error":
        return unreadable("syntax", outcome.code)
    if outcome.status == "signalled":
        try:
            name = signal.Signals(outcome.code).name
        except ValueError:
            name = f"signal {outcome.code}"
        return Ran("runtime_error", note={"error": name})
    note = {"error": outcome.detail} if outcome.detail else {}
    return Ran(outcome.status, note=note)


def raised(name: str, arguments: Any = ()) -> Ran:
    """What an error of the candidate's makes of a test; only Python's own names are repeated.

    Of the arguments, which are whatever it says, a line number is taken and nothing else.
    """
    if name == "MemoryError":
        return Ran("memory")
    if name in _UNREADABLE:
        match arguments:
            case [_, [_, int(line), *_]]:
                return unreadable("syntax", line)
            case _:
                return unreadable("syntax", 0)
    return Ran(
        "runtime_error", note={"error": name if hasattr(builtins, name) else "an error of its own"}
    )


def unreadable(category: str, line: int) -> Ran:
    """A program that does not compile: what kind of error, and where if that is known."""
    at = {"line": str(line)} if 0 < line <= _MOST_LINES else {}
    return Ran("compile_error", note={"error": category, **at})
