"""A control group of our own: the memory and the number of processes of a program, all together.

The launcher itself lives in the group, so that a program is born there: to move a process costs
half a millisecond for each hierarchy, which is as much as to fork it. A program has the worst score
when the kernel chooses whom to kill for memory, the launcher the best.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

_MIB = 1 << 20
_OWN = 1  # the launcher counts as a process


class Group:
    """One group in one or two hierarchies (of version 1, or the one of version 2)."""

    def __init__(self) -> None:
        self._name = f"grpo_core-{os.getpid()}-{secrets.token_hex(4)}"
        self._parents: list[int] = []
        self._files: dict[str, int] = {}
        self._set: dict[str, int] = {}
        self.layers: list[str] = []
        self.paths: list[str] = []
        self.problems: list[str] = []

    @classmethod
    def create(cls) -> "Group":
        """Make the group wherever this process may; `layers` says what it came to."""
        group = cls()
        for controller, files in _FILES.items():
            for version, parent in _parents_of(controller):
                try:
                    group._open(controller, parent, files[version])
                except OSError as error:
                    group.problems.append(f"cgroup_{controller}: {error.strerror}")
                    continue
                group.layers.append(f"cgroup_{controller}")
                break
        return group

    def _open(self, controller: str, parent: str, files: dict[str, str]) -> None:
        leaf = Path(parent, self._name)
        leaf.mkdir(exist_ok=True)
        opened: dict[str, int] = {}
        try:
            for use, file in files.items():
                with suppress(FileNotFoundError):
                    opened[use] = os.open(leaf / file, os.O_RDWR | os.O_CLOEXEC)
            if f"{controller}.limit" not in opened:
                raise OSError(95, "controller not enabled here")
            opened[f"{controller}.procs"] = os.open(
                leaf / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC
            )
            self._parents.append(os.open(parent, os.O_PATH | os.O_CLOEXEC))
        except OSError:
            for descriptor in opened.values():
                os.close(descriptor)
            with suppress(OSError):
                leaf.rmdir()
            raise
        self._files |= opened
        self.paths.append(str(leaf))

    def join(self) -> None:
        """Put this process into the group, exempt from being killed for memory where we may."""
        for use, descriptor in self._files.items():
            if use.endswith(".procs"):
                os.write(descriptor, b"0")
        with suppress(OSError):  # without CAP_SYS_RESOURCE a program's own worst score has to do
            Path("/proc/self/oom_score_adj").write_text("-1000")

    def limit(self, memory_mb: float, processes: int) -> None:
        """Set the limits and start to measure anew."""
        wanted = {"pids.limit": processes + _OWN, "memory.limit": int(memory_mb * _MIB)}
        for use, value in wanted.items():
            if use in self._files and self._set.get(use) != value:
                os.pwrite(self._files[use], str(value).encode(), 0)
                self._set[use] = value
        if "memory.swap" in self._files and "memory.swap" not in self._set:
            with suppress(OSError):
                os.pwrite(self._files["memory.swap"], b"0", 0)
            self._set["memory.swap"] = 0
        with suppress(OSError):  # before Linux 6.12 the peak of version 2 is there to read only
            if "memory.peak" in self._files:
                os.pwrite(self._files["memory.peak"], b"0", 0)

    def _number(self, use: str) -> int:
        return int(os.pread(self._files[use], 64, 0)) if use in self._files else 0

    def peak_mb(self) -> float:
        """The most memory that the group had, in MiB."""
        return self._number("memory.peak") / _MIB

    def usage_mb(self) -> float:
        """The memory that the group has, in MiB."""
        return self._number("memory.usage") / _MIB

    def kills(self) -> int:
        """How many processes the kernel has killed here for memory, ever."""
        if "memory.events" not in self._files:
            return 0
        words = os.pread(self._files["memory.events"], 4096, 0).split()
        return int(words[words.index(b"oom_kill") + 1]) if b"oom_kill" in words else 0

    def close(self) -> None:
        """Remove the group; its processes are gone."""
        for parent in self._parents:
            with suppress(OSError):
                os.rmdir(self._name, dir_fd=parent)


_FILES: dict[str, dict[int, dict[str, str]]] = {
    "memory": {
        1: {
            "memory.limit": "memory.limit_in_bytes", "memory.swap": "memory.swappiness",
            "memory.peak": "memory.max_usage_in_bytes", "memory.usage": "memory.usage_in_bytes",
            "memory.events": "memory.oom_control",
        },
        2: {
            "memory.limit": "memory.max", "memory.swap": "memory.swap.max",
            "memory.peak": "memory.peak", "memory.usage": "memory.current",
            "memory.events": "memory.events",
        },
    },
    "pids": {1: {"pids.limit": "pids.max"}, 2: {"pids.limit": "pids.max"}},
}  # fmt: skip


def _parents_of(controller: str) -> list[tuple[int, str]]:
    """Directories under which a group may be made: this process's own, its parent, the top."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return []
    found: list[tuple[int, str]] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version = 1 if controllers else 2
        if controllers and controller not in controllers.split(","):
            continue
        for _, place, kind, options, *_ in mounts:
            if version == 1 and (kind != "cgroup" or controller not in options.split(",")):
                continue
            if version == 2 and kind != "cgroup2":
                continue
            own = os.path.normpath(place + path)
            parents = dict.fromkeys((own, os.path.dirname(own), place))  # noqa: PTH120
            inside = [p for p in parents if p.startswith(place) and os.path.isdir(p)]  # noqa: PTH112
            found += [(version, parent) for parent in inside]
    return found
