"""Namespaces, and a root of its own in which nothing lies that a program need not see."""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from . import _system

NAMES = ("pid", "mount", "net", "ipc", "uts")
ABOVE_BOX, BOX = "/box", "/box/run"  # Landlock looks past the very directory that is mounted on
INSIDE_ID = 1000  # a user namespace maps the caller's id to this: not 0, which exec would empower

_FLAGS = (
    _system.CLONE_NEWPID | _system.CLONE_NEWNS | _system.CLONE_NEWNET
    | _system.CLONE_NEWIPC | _system.CLONE_NEWUTS
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom")
_STAGING = ("/tmp", "/var/tmp", "/mnt", "/run", "/media", "/srv", "/dev/shm")  # noqa: S108


def choose(*, allow_user: bool, readable: Sequence[str], problems: list[str]) -> tuple[str, ...]:
    """The first set of namespaces that works when all of it is tried in a throwaway child.

    What failed is added to `problems`.
    """
    plans: list[tuple[str, ...]] = [NAMES] if os.geteuid() == 0 else []
    if allow_user:
        plans.append(("user", *NAMES))

    def attempt(plan: Sequence[str]) -> None:
        leave(plan)
        problem = in_child(lambda: build_root(readable, 0))
        if problem:
            raise OSError(problem)

    for plan in plans:
        problem = in_child(lambda plan=plan: attempt(plan))
        if not problem:
            return plan
        problems.append(f"{'user namespace' if 'user' in plan else 'namespaces'}: {problem}")
    return ()


def leave(plan: Sequence[str]) -> None:
    """Enter new namespaces; that of process ids begins with the next fork."""
    if "user" in plan:
        user, group = os.geteuid(), os.getegid()
        _system.unshare(_system.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {group} 1")
    _system.unshare(_FLAGS)


def in_child(act: Callable[[], object]) -> str:
    """What `act` raises in a child that is thrown away; nothing if it works there."""
    said, says = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it did not work
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            os.write(says, text.encode()[:1000])
            os._exit(1)
        os._exit(0)
    os.close(says)
    with os.fdopen(said, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return problem or ("" if status == 0 else f"ended with status {status}")


def build_root(readable: Iterable[str], user: int) -> bool:
    """Make and enter the root: `readable` read-only at its own paths, /dev, /proc and /box/run.

    Returns:
        Whether /proc is there: in some containers no new one may be mounted.
    """
    _system.mount("none", "/", flags=_system.MS_REC | _system.MS_PRIVATE)
    readable = tuple(readable)
    staging = _staging(readable)
    plain = _system.MS_NOSUID | _system.MS_NODEV
    _system.mount("tmpfs", staging, "tmpfs", plain, "size=1m,mode=0755")
    root = Path(staging, "new")
    root.mkdir()
    _system.mount("tmpfs", str(root), "tmpfs", plain, "size=4m,mode=0755")
    _bind_all(readable, root)
    for name in _DEVICES:
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / name).touch()
        _system.mount(f"/dev/{name}", f"{root}/dev/{name}", flags=_system.MS_BIND)
    for link, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ):
        (root / "dev" / link).symlink_to(target)
    (root / "dev" / "shm").symlink_to(BOX)  # semaphores of an honest program go to its directory
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text(f"program:x:{user}:{user}::{BOX}:/bin/sh\n")
    (root / "etc" / "group").write_text(f"program:x:{user}:\n")
    (root / "proc").mkdir()
    (root / BOX[1:]).mkdir(parents=True)
    has_proc = False
    with suppress(OSError):
        _system.mount("proc", f"{root}/proc", "proc", plain | 8, "hidepid=2")  # 8: no execution
        has_proc = True
    os.chdir(root)
    _system.pivot_root_here()
    _system.set_mount_attributes("/", recursive=False)
    return has_proc


def _staging(readable: Sequence[str]) -> str:
    """A directory to build the root in: what lies below it is out of sight meanwhile."""
    needed = [f"{real}/" for path in readable for real in (path, os.path.realpath(path))]
    for place in _STAGING:
        if os.path.isdir(place) and not any(path.startswith(f"{place}/") for path in needed):  # noqa: PTH112
            return place
    raise OSError(errno.ENOENT, f"each of {', '.join(_STAGING)} holds a path to read")


def _bind_all(readable: Iterable[str], root: Path) -> None:
    """Show each path, and what it links to, at the same place under `root`, read-only."""
    places = {
        place: real
        for path in readable
        for real in [os.path.realpath(path)]
        for place in (path, real)
    }
    done: set[str] = set()
    for place in sorted(places, key=len):
        real = places[place]
        within = any(place == d or place.startswith(f"{d}/") for d in done)
        if within or not os.path.exists(real):  # noqa: PTH110
            continue
        target = root / place[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(real):  # noqa: PTH112
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        _system.mount(real, str(target), flags=_system.MS_BIND | _system.MS_REC)
        _system.set_mount_attributes(str(target), recursive=True)
        done.add(place)
