"""What a program may open, by Landlock: a list of paths that holds even for a user's own files.

Three system calls by ctypes: there is no maintained binding, and the structures are a few words.
Landlock also keeps a program from tracing, and from reading the memory of, processes outside.
"""

import ctypes
import os
from collections.abc import Iterable

from . import _system

_READ_FILE, _READ_DIR, _EXECUTE, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_FIRST_VERSION = (1 << 13) - 1
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_NO_DEVICES = ~((1 << 6) | (1 << 11))  # making character and block devices
_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11
_QUIET_FROM_VERSION, _QUIET = 7, 1  # no line in the kernel's log for what is refused
_RULE_PATH_BENEATH = 1
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SCOPES_SIGNALS = 6  # the version from which on signals to processes outside are refused


def version() -> int:
    """The version of Landlock's interface; raises OSError where there is none."""
    return _system.system_call("landlock_create_ruleset", 0, 0, 1)


def _rights(abi: int) -> int:
    newer = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))
    return _ALL_OF_FIRST_VERSION | sum(right for since, right in newer if abi >= since)


def create(abi: int, *, read: Iterable[str], write: Iterable[str]) -> int:
    """A ruleset: all of `read` may be read and executed, in `write` all may be done.

    Paths that do not exist are left out.
    """
    rights = _rights(abi)
    words = [
        rights,
        *([_TCP] if abi >= 4 else []),
        *([_ABSTRACT_SOCKETS_AND_SIGNALS] if abi >= SCOPES_SIGNALS else []),
    ]
    attributes = _system.array_of(words)
    ruleset = _system.system_call(
        "landlock_create_ruleset", ctypes.byref(attributes), ctypes.sizeof(attributes), 0
    )
    for path in read:
        _allow(ruleset, path, _READ_FILE | _READ_DIR | _EXECUTE)
    for path in _DEVICES:
        _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & rights)
    for path in write:
        _allow(ruleset, path, rights & _NO_DEVICES)
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            rights &= _ON_FILES
        rule = rights.to_bytes(8, "little") + at.to_bytes(4, "little")
        _system.system_call(
            "landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0
        )
    finally:
        os.close(at)


def restrict(ruleset: int, abi: int) -> None:
    """Put this process and all that come from it under the rules, for good."""
    _system.system_call(
        "landlock_restrict_self", ruleset, _QUIET if abi >= _QUIET_FROM_VERSION else 0
    )
