"""System calls that Python has no name for."""

import _signal  # pyright: ignore[reportMissingImports]
import ctypes
import os
from collections.abc import Sequence
from contextlib import suppress

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC = 1, 2, 4, 4096, 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
BY_DEFAULT, IGNORED = 0, 1
PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 38, 36
_MACHINE = os.uname().machine if hasattr(os, "uname") else ""
_NUMBERS = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277},
}
_SAME_NUMBER_EVERYWHERE = {
    "close_range": 436, "mount_setattr": 442,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
}  # fmt: skip


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def system_call(name: str, *arguments: object) -> int:
    """Make a call by number: integers as C longs, everything else as ctypes has it."""
    number = _SAME_NUMBER_EVERYWHERE.get(name) or _NUMBERS.get(_MACHINE, {}).get(name)
    if number is None:
        raise OSError(38, f"{name}: no number known on {_MACHINE}")
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *passed), name)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`."""
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _checked(result, f"mount {kind or 'bind'} on {target}")


def unmount(target: str) -> None:
    """Detach what is mounted on `target`; it goes when its last user goes."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def set_mount_attributes(target: str, *, recursive: bool, nodev: bool = True) -> None:
    """Make a mount read-only, without set-user-id programs and devices (mount_setattr)."""
    read_only, nosuid, nodev_bit = 1, 2, 4
    wanted = (ctypes.c_uint64 * 4)(read_only | nosuid | (nodev_bit if nodev else 0), 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    system_call(
        "mount_setattr", at_fdcwd, ctypes.c_char_p(os.fsencode(target)),
        at_recursive if recursive else 0, ctypes.byref(wanted), ctypes.sizeof(wanted),
    )  # fmt: skip


def pivot_root_here() -> None:
    """Make the working directory the root, and let go of the old one."""
    system_call("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    _checked(_libc.umount2(b".", MNT_DETACH), "unmount the old root")
    os.chdir("/")


def prctl(option: int, argument: int = 0) -> None:
    """Set one property of this process, with one argument."""
    zero = ctypes.c_ulong(0)
    result = _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero)
    _checked(result, f"prctl {option}")


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    try:
        system_call("close_range", first, 0xFFFFFFFF, 0)
    except OSError:  # before Linux 5.9
        os.closerange(first, 65536)


def close_on_exec_from(first: int) -> None:
    """Let no descriptor from `first` on reach a program that this process turns into."""
    close_range_cloexec = 4
    with suppress(OSError):  # before Linux 5.11; each was opened so anyway
        system_call("close_range", first, 0xFFFFFFFF, close_range_cloexec)


def drop_bounding_set() -> None:
    """Let no program that is executed from here on gain a capability, not even as root."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # beyond the last, or no right to
            return


def drop_capabilities() -> None:
    """Give up every capability that this process has."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    system_call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def handle(number: int, handler: object) -> None:
    """Set what a signal does, without the enumerations of `signal`: they touch many pages."""
    _signal.signal(number, handler)  # pyright: ignore[reportUnknownMemberType]


def array_of(values: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
    """64-bit words, as most structures of the kernel's newer calls are made of."""
    return (ctypes.c_uint64 * len(values))(*values)
