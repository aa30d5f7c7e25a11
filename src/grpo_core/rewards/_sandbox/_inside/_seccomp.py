"""Which system calls a program may make, as a filter that the kernel runs (seccomp).

Assembled here and not by a library: pyseccomp is a binding that needs the system's libseccomp,
which is not there on every machine, and all that is needed is two shapes of rule.

A call that nobody makes by accident ends the process, which is then `forbidden`. A call that honest
libraries try, sockets above all, fails with an error that they live with.
"""

import ctypes
import errno
import functools
import struct

from . import _system
from ._numbers import numbers_of

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _KILL_PROCESS, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_X32_BIT = 0x40000000
_AF_UNIX, _STREAM, _SEQUENCED = 1, 1, 5
_SECCOMP_SET_MODE_FILTER = 1

# user, pid, net, ipc, uts, cgroup and mount namespaces
_NAMESPACE_FLAGS = 0x10000000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02020000

_ENDS_THE_PROCESS = (
    "ptrace", "process_vm_readv", "process_vm_writev", "unshare", "setns", "mount", "umount2",
    "pivot_root", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "open_by_handle_at", "bpf", "kexec_load", "kexec_file_load", "init_module",
    "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "quotactl",
    "quotactl_fd", "settimeofday", "clock_settime", "iopl", "ioperm",
)  # fmt: skip
_NOT_PERMITTED = (
    "socket", "connect", "accept", "accept4", "bind", "listen", "chroot", "name_to_handle_at",
    "fanotify_init", "fanotify_mark", "keyctl", "add_key", "request_key", "perf_event_open",
    "userfaultfd", "kcmp", "get_robust_list", "pidfd_getfd", "process_madvise", "process_mrelease",
    "syslog", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "vhangup",
    "lookup_dcookie", "modify_ldt", "uselib", "personality", "shmget", "shmat", "shmctl", "shmdt",
    "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open",
    "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr", "memfd_secret",
    "migrate_pages", "move_pages",
)  # fmt: skip
_DOES_NOT_EXIST = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")
_LIMITS_ITSELF = ("prlimit64", "sched_setaffinity")
_LIMITS_OTHERS = (
    "setpriority", "sched_setparam", "sched_setscheduler", "sched_setattr", "ioprio_set",
)  # fmt: skip
_SIGNALS_ITSELF = ("kill", "tgkill")
_SIGNALS_OTHERS = (
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "pidfd_send_signal",
)
_CHANGES_WITHOUT_OPENING = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime",
    "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
    "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
)  # fmt: skip
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_SIGNAL_OWNER = (8, 15)  # F_SETOWN, F_SETOWN_EX

Line = tuple[int, int, int, int]


def _load_argument(index: int) -> Line:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _give(action: int) -> Line:
    return (_RETURN, 0, 0, action)


def _unless_one_of(values: tuple[int, ...], then: Line, otherwise: Line) -> list[Line]:
    """`otherwise` where the word loaded is one of `values`, `then` where it is none."""
    tests = [(_IF_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [*tests, then, otherwise]


@functools.cache
def assemble(
    machine: str, *, own_pids: bool, own_signals: bool, own_files: bool, memfd: bool, pid: int
) -> bytes | None:
    """The filter, or None for an architecture whose numbers are not known.

    Args:
        machine: As `os.uname` has it.
        own_pids: Whether the program can name no process but its own (a pid namespace). Where it
            can, it may limit none but itself: others have its user.
        own_signals: Whether something else keeps its signals from others. If not, it may signal
            none but itself.
        own_files: Whether it owns no file but its own. Where it does, it may change no file's mode,
            owner, times or attributes, which Landlock does not cover.
        memfd: Whether files in memory may be made: not where nothing counts them.
        pid: The process id of the program.
    """
    known = numbers_of(machine)
    if known is None:
        return None
    architecture, numbers = known
    refuse, allow = _give(_ERROR | errno.EPERM), _give(_ALLOW)
    absent, end = _give(_ERROR | errno.ENOSYS), _give(_KILL_PROCESS)
    program: list[Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_IF_EQUAL, 1, 0, architecture), end,
        (_LOAD, 0, 0, _NUMBER), (_IF_AT_LEAST, 0, 1, _X32_BIT), end,
    ]  # fmt: skip

    def rule(name: str, body: list[Line]) -> None:
        if name in numbers:
            program.append((_IF_EQUAL, 0, len(body), numbers[name]))
            program.extend(body)

    rule("clone", [_load_argument(0), (_IF_ANY_BIT, 0, 1, _NAMESPACE_FLAGS), end, allow])
    unix_pair = [
        _load_argument(0), (_IF_EQUAL, 0, 4, _AF_UNIX), _load_argument(1), (_AND, 0, 0, 0xF),
        (_IF_EQUAL, 2, 0, _STREAM), (_IF_EQUAL, 1, 0, _SEQUENCED), refuse, allow,
    ]  # fmt: skip
    rule("socketpair", unix_pair)  # asyncio's own, and how Rust starts a process; reaches nobody
    rule("ioctl", [_load_argument(1), *_unless_one_of(_TERMINAL_INPUT, allow, refuse)])
    rule("fcntl", [_load_argument(1), *_unless_one_of(_SIGNAL_OWNER, allow, refuse)])
    itself = () if own_pids else _LIMITS_ITSELF
    others = () if own_pids else _LIMITS_OTHERS
    if not own_signals:
        itself, others = itself + _SIGNALS_ITSELF, others + _SIGNALS_OTHERS
    for name in itself:
        rule(name, [_load_argument(0), *_unless_one_of((0, pid), refuse, allow)])
    if not own_files:
        others += _CHANGES_WITHOUT_OPENING
    for name in others:
        rule(name, [refuse])
    if not memfd:
        rule("memfd_create", [absent])
    for names, answer in (
        (_NOT_PERMITTED, refuse),
        (_DOES_NOT_EXIST, absent),
        (_ENDS_THE_PROCESS, end),
    ):
        for name in names:
            rule(name, [answer])
    program.append(allow)
    return b"".join(struct.pack("=HBBI", *line) for line in program)


def install(program: bytes) -> None:
    """Put this process and all that come from it under the filter, for good."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _system.system_call("seccomp", _SECCOMP_SET_MODE_FILTER, 0, ctypes.c_char_p(header))
