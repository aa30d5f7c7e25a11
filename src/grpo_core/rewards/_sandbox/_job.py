"""A run as a launcher is asked for it."""

import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from grpo_core.rewards._sandbox._types import Limits

_ADD_SEALS = 1033  # F_ADD_SEALS: Python's fcntl has the name on Linux alone
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # no more seals, no shrinking, no growing, no writing


@dataclass(frozen=True, slots=True)
class Job:
    """A run as the launcher is asked for it."""

    command: tuple[str, ...] | None
    limits: Limits
    files: Mapping[str, bytes]
    executable: frozenset[str]
    collect: tuple[str, ...]
    environment: Mapping[str, str]

    def message(self) -> dict[str, Any]:
        """The part that is no content of files."""
        limits = self.limits
        return {
            "command": self.command,
            "environment": dict(self.environment),
            "files": [(name, 0o755 if name in self.executable else 0o644) for name in self.files],
            "collect": self.collect,
            "wall_seconds": limits.wall_seconds,
            "limits": {
                "cpu_seconds": limits.cpu_seconds or limits.wall_seconds,
                "memory_mb": limits.memory_mb,
                "file_bytes": limits.file_bytes,
                "processes": limits.processes,
                "open_files": limits.open_files,
                "address_space_mb": limits.address_space_mb,
            },
        }


def file_of(content: bytes) -> int:
    """A file in memory that holds `content`, at its beginning, sealed."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_names(files: Iterable[str]) -> None:
    """Raise ValueError for a name that would lie outside the directory of the run."""
    for name in files:
        if (
            not name
            or name.startswith("/")
            or "\0" in name
            or {"", ".", ".."} & set(name.split("/"))
        ):
            raise ValueError(f"a file must have a plain relative name, got {name!r}")
