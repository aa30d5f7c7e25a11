"""What of this machine every program may read: interpreters, compilers and their libraries."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_SYSTEM = (
    "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
    "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/libexec",
    "/usr/include", "/usr/share", "/usr/local/bin", "/usr/local/lib", "/usr/local/lib64",
    "/usr/local/include", "/usr/local/go", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
_SHARED_PREFIXES = {"/", "/usr", "/usr/local"}  # the parts of these that count are above
_ETC_OF_LANGUAGES = "java"  # its settings are links from /usr/lib/jvm


def interpreter() -> str:
    """The Python under any virtual environment, whose packages programs do not see."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def readable_paths(more: Sequence[Path]) -> tuple[str, ...]:
    """The system's own paths, Python's, and `more`."""
    settings = (str(p) for p in Path("/etc").glob(f"{_ETC_OF_LANGUAGES}*"))
    prefixes = {sys.base_prefix, sys.base_exec_prefix} - _SHARED_PREFIXES
    python = (*sorted(prefixes), interpreter())
    given = (str(path.absolute()) for path in more)
    return tuple(dict.fromkeys((*_SYSTEM, *settings, *python, *given)))
