"""What a sandbox is asked, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["none", "weak", "strong", "full"]
Status = Literal[
    "exited", "signalled", "timeout", "memory", "output_limit", "forbidden", "syntax_error",
    "infrastructure",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run of a program may use, all of its processes together where not said otherwise.

    Args:
        wall_seconds: From the start of the program, never of a queue.
        cpu_seconds: CPU time; None for as much as `wall_seconds`.
        memory_mb: Resident memory, in MiB.
        output_bytes: Of standard output; what exceeds it ends the program.
        file_bytes: Of one file and, where the directory is a file system of its own, of all.
        processes: Processes and threads at a time.
        open_files: Descriptors of one process.
        address_space_mb: Of one process, a looser backstop; None for no bound. Runtimes reserve
            far more than they use: Go, Java and JavaScript do not start under a tight one.
    """

    wall_seconds: float = 4.0
    cpu_seconds: float | None = None
    memory_mb: float = 300
    output_bytes: int = 1_000_000
    file_bytes: int = 64_000_000
    processes: int = 64
    open_files: int = 256
    address_space_mb: float | None = None

    def __post_init__(self) -> None:
        for name in ("wall_seconds", "cpu_seconds", "memory_mb", "address_space_mb"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in ("output_bytes", "file_bytes", "processes", "open_files"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Args:
        status: `infrastructure` where the sandbox failed, which says nothing about the program;
            `syntax_error` where `run_python` found a source that is no Python.
        code: The exit status if `exited`, the line if `syntax_error` (0 if it is not known), else
            the number of the signal that ended it.
        stdout: At most `output_bytes` of it.
        wall_seconds: From the start of the program to its end.
        cpu_seconds: Of all its processes.
        memory_mb: The most that they held together, as far as it was seen.
        detail: For people and logs: what failed. Holds no text of the program or of the machine.
        files: What the program left of the files to collect.
    """

    status: Status
    code: int = 0
    stdout: bytes = b""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0
    detail: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes], hash=False)


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """The isolation that was reached when each layer was tried: `level`, and why it is no higher.

    `full`: nothing is missing: own user, namespaces, cgroup, Landlock, seccomp.
    `strong`: no file outside, no network, no other process can be reached, and nothing outlives a
    run; the memory of a group of processes is polled, or names of other processes are visible.
    `weak`: the program is bounded in time and memory but could reach out. `none`: nothing at all.
    """

    level: Level
    layers: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One run as a remote sandbox gets it: everything but the expected output, which stays here."""

    command: tuple[str, ...]
    stdin: bytes
    limits: Limits
    files: Mapping[str, bytes]
    executable: frozenset[str]
    collect: tuple[str, ...]
    readable: tuple[Path, ...]
    environment: Mapping[str, str]


Backend = Literal["auto", "bubblewrap", "gvisor"] | Callable[[Request], Outcome]


class SandboxError(RuntimeError):
    """This machine does not give the isolation that was asked for."""
