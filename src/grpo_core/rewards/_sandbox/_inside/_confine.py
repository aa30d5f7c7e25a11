"""What a child does to itself between its birth and the program: every step can only take away."""

import errno
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from . import _landlock, _seccomp, _system
from ._namespaces import ABOVE_BOX

_MIB = 1 << 20
_DATA_SLACK = 8 << 30  # thread stacks and arenas are reserved, not used; what is used is polled
_PYTHON_HANDLES = (2, 13, 25)  # SIGINT, SIGPIPE, SIGXFSZ: a program inherits what is ignored
_KILL = 9
_MACHINE = os.uname().machine
_NOTHING_OF = (resource.RLIMIT_CORE, resource.RLIMIT_MSGQUEUE, resource.RLIMIT_RTPRIO)
_HARMLESS = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
)  # fmt: skip
_OWN_TASKS = 2  # the launcher and its parent, where they count as the program's user


@dataclass(frozen=True)
class Limits:
    """The bounds of one run that the kernel keeps for each process."""

    cpu_seconds: float
    memory_mb: float
    file_bytes: int
    processes: int
    open_files: int
    address_space_mb: float | None


@dataclass(frozen=True)
class Cell:
    """The layers that this launcher puts around each program."""

    user: int | None  # to become; None to stay who we are
    namespaces: bool
    memory_counted: bool  # by a control group
    landlock: int  # the version of its interface, 0 for none
    seccomp: bool
    read: tuple[str, ...]
    outer: bool = False  # the command is another sandbox, which needs its rights to drop them

    def filter_for(self, pid: int) -> bytes:
        """The system-call filter; it names the process only where others could be reached."""
        assembled = _seccomp.assemble(
            _MACHINE, own_pids=self.namespaces,
            own_signals=self.namespaces or self.landlock >= _landlock.SCOPES_SIGNALS,
            own_files=self.namespaces or self.user is not None, memfd=self.memory_counted,
            pid=0 if self.namespaces else pid,
        )  # fmt: skip
        if assembled is None:
            raise OSError(errno.ENOSYS, "no numbers known for this architecture")
        return assembled

    def rules(self, write: str, more: tuple[str, ...] = ()) -> int:
        """The rules on paths: all that it may read, and the one directory where it may do all."""
        return _landlock.create(self.landlock, read=(*self.read, *more), write=(write,))

    def confine(self, limits: Limits, box: str, ruleset: int = -1) -> None:
        """Apply every layer to this process; the order is that of the rights each step needs.

        Every page that is touched here is copied, and that is most of what a fork costs: what the
        launcher can do to itself once is done in `prepare`.
        """
        if self.memory_counted:
            score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
            os.write(score, b"1000")
            os.close(score)
        for number in _PYTHON_HANDLES:
            _system.handle(number, _system.BY_DEFAULT)
        os.setsid()
        set_limits(self, limits)
        if self.user is not None:
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        elif not self.outer:
            _system.drop_capabilities()
        if not self.namespaces:
            _system.prctl(_system.PR_SET_PDEATHSIG, _KILL)
        _system.prctl(_system.PR_SET_DUMPABLE, 1)  # or its own /proc/self would be closed to it
        if self.landlock:
            if ruleset < 0:  # without a /proc of its own a program may read its own part of it
                ruleset = self.rules(box, (f"/proc/{os.getpid()}", *_HARMLESS))
            _landlock.restrict(ruleset, self.landlock)
        if self.seccomp:
            _seccomp.install(self.filter_for(os.getpid()))

    def prepare(self) -> int:
        """What the launcher does to itself, for all of its children.

        Returns:
            The rules on paths where they are the same for all, else -1.
        """
        if not self.outer:
            _system.prctl(_system.PR_SET_NO_NEW_PRIVS, 1)
            _system.drop_bounding_set()
        if self.user is not None:
            os.setgroups([])
        os.umask(0o022)
        for which in _NOTHING_OF:
            resource.setrlimit(which, (0, 0))
        if self.seccomp:
            self.filter_for(0)  # assembled once: children inherit it
        return self.rules(ABOVE_BOX) if self.landlock and self.namespaces else -1


def set_limits(cell: Cell, limits: Limits) -> None:
    """Every resource limit that bounds a program, hard and soft alike."""
    cpu = ceil(limits.cpu_seconds)
    stack = int(limits.memory_mb * _MIB)
    processes = limits.processes
    if cell.user is None:
        processes += _OWN_TASKS if cell.namespaces else _tasks_of(os.getuid())
    bounds = [
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_NPROC, processes, processes),
        (resource.RLIMIT_STACK, stack, stack),
    ]
    if not cell.memory_counted:
        data = int(limits.memory_mb * _MIB) + _DATA_SLACK
        bounds.append((resource.RLIMIT_DATA, data, data))
    if limits.address_space_mb is not None:
        space = int(limits.address_space_mb * _MIB)
        bounds.append((resource.RLIMIT_AS, space, space))
    for which, soft, hard in bounds:
        try:
            resource.setrlimit(which, (soft, hard))
        except (OSError, ValueError):  # a hard limit of ours that is lower stays
            allowed = resource.getrlimit(which)[1]
            resource.setrlimit(which, (min(soft, allowed), min(hard, allowed)))


def _tasks_of(user: int) -> int:
    """How many threads this user runs already: the limit counts them all."""
    total = 0
    for name in os.listdir("/proc"):  # noqa: PTH208
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:  # noqa: PTH116
                total += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    return total
