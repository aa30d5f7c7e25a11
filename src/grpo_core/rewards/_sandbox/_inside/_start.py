"""From a bare process to a launcher: every layer is tried, and what came of it is said.

    trainer ─ outer process ─ launcher ─ program, and all that it starts

The outer process only waits, and removes what the launcher cannot remove itself: the group that it
lives in. In namespaces the launcher is the first process: when it ends, the kernel ends the rest.
"""

import json
import os
import pwd
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

from . import _box, _landlock, _namespaces, _serve, _system, _tree
from ._cgroups import Group
from ._confine import Cell, Limits

_SWEEP_SECONDS = 0.5
_PYTHON_IGNORES = {signal.SIGPIPE, signal.SIGXFSZ}  # and has to
_PROBE = Limits(
    cpu_seconds=10, memory_mb=300, file_bytes=1 << 20, processes=16, open_files=64,
    address_space_mb=None,
)  # fmt: skip


def main(
    descriptor: int,
    settings: dict[str, Any],
    run_main: Callable[[str, bytes, int], NoReturn] | None,
) -> None:
    """Set up as many of `settings["layers"]` as this machine gives, then serve."""
    _begin_anew()
    control, outer = socket.socket(fileno=descriptor), os.getpid()
    layers, readable = set(settings["layers"]), list(settings["readable"])
    missing: list[str] = []
    with suppress(OSError):
        _system.prctl(_system.PR_SET_CHILD_SUBREAPER, 1)
    group = Group.create() if "cgroup" in layers else None
    base, launcher = None, 0
    try:
        plan: tuple[str, ...] = ()
        if "namespaces" in layers:
            allow_user = "userns" in layers
            plan = _namespaces.choose(allow_user=allow_user, readable=readable, problems=missing)
        user = _choose_user() if "uid" in layers and "user" not in plan else None
        base = None if plan else _make_base(settings["temporary"])
        if plan:
            _namespaces.leave(plan)
        launcher = os.fork()
        if launcher == 0:
            _launch(control, settings, run_main, (group, plan, user, base, missing))
    except BaseException as error:  # noqa: BLE001 - there is nobody above to raise to
        with suppress(OSError):
            control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
    finally:
        if launcher == 0 and os.getpid() != outer:
            os._exit(0)
    control.close()
    try:
        _wait_for(launcher, base)
    finally:
        _tidy(group, base)


def _begin_anew() -> None:
    """Let go of what is inherited from whoever started the trainer, or from the trainer."""
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - _PYTHON_IGNORES - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _wait_for(launcher: int, base: str | None) -> None:
    ended = 0
    with suppress(ChildProcessError):
        while not launcher or ended != launcher:
            ended, _ = os.waitpid(-1, os.WNOHANG if base is not None else 0)
            if base is not None and ended == 0:
                _box.sweep(base)
                time.sleep(_SWEEP_SECONDS)


def _tidy(group: Group | None, base: str | None) -> None:
    with suppress(Exception):
        _tree.end(first_of_namespace=False, user=None)
    if group is not None:
        group.close()
    if base is not None:
        with suppress(OSError):
            _box.DirectoryBox(base, None).close()
        _box.sweep(base)


def _launch(
    control: socket.socket,
    settings: dict[str, Any],
    run_main: Callable[[str, bytes, int], NoReturn] | None,
    reached: tuple[Group | None, tuple[str, ...], int | None, str | None, list[str]],
) -> None:
    group, plan, user, base, missing = reached
    _system.prctl(_system.PR_SET_PDEATHSIG, signal.SIGKILL)
    _system.prctl(_system.PR_SET_CHILD_SUBREAPER, 1)
    layers, readable = set(settings["layers"]), list(settings["readable"])
    got: list[str] = []
    if group is not None:
        missing += group.problems
        if group.layers:
            try:
                group.join()
                got += group.layers
            except OSError as error:
                missing.append(f"cgroup: {error.strerror}")
                group = None
        else:
            group = None
    counted = group is not None and "cgroup_memory" in group.layers
    inside = user if user is not None else _namespaces.INSIDE_ID if "user" in plan else os.getuid()
    read = readable
    if plan:
        got += plan
        if not _namespaces.build_root(readable, inside):
            missing.append("proc: a new /proc may not be mounted")
        read = ["/"]
    wanted = Cell(
        user, bool(plan), counted, _landlock_version(layers, missing), "seccomp" in layers,
        tuple(read), "outer" in layers,
    )  # fmt: skip
    cell = _tried(wanted, missing)
    got += [name for name, there in (("uid", cell.user), ("seccomp", cell.seccomp)) if there]
    got += [f"landlock {cell.landlock}"] if cell.landlock else []
    box: _box.MountedBox | _box.DirectoryBox
    box = _box.MountedBox(inside) if base is None else _box.DirectoryBox(base, cell.user)
    ruleset = cell.prepare()
    _system.prctl(_system.PR_SET_DUMPABLE, 0)
    places = [*(group.paths if group else ()), *([base] if base else ())]
    hello = {"layers": sorted(set(got)), "missing": missing, "places": places}
    control.send(json.dumps(hello).encode())
    launcher = _serve.Launcher(cell, ruleset, box, group, run_main)
    try:
        launcher.serve(control)
    finally:
        _tree.end(first_of_namespace=bool(plan), user=cell.user)
        box.close()


def _landlock_version(layers: set[str], missing: list[str]) -> int:
    if "landlock" not in layers:
        return 0
    try:
        return _landlock.version()
    except OSError as error:
        missing.append(f"landlock: {error.strerror}")
        return 0


def _tried(wanted: Cell, missing: list[str]) -> Cell:
    """`wanted` if a throwaway child can do all of it, else what of it each works by itself."""

    def problem(cell: Cell) -> str:
        return _namespaces.in_child(lambda: _try(cell))

    if not problem(wanted):
        return wanted
    bare = replace(wanted, user=None, landlock=0, seccomp=False)
    cell = bare
    for name, value in (
        ("user", wanted.user),
        ("landlock", wanted.landlock),
        ("seccomp", wanted.seccomp),
    ):
        if not value:
            continue
        failed = problem(replace(cell, **{name: value}))
        if failed:
            missing.append(f"{'uid' if name == 'user' else name}: {failed}")
        else:
            cell = replace(cell, **{name: value})
    failed = problem(cell)
    if failed:
        raise OSError(failed)
    return cell


def _try(cell: Cell) -> None:
    ruleset = cell.prepare()
    cell.confine(_PROBE, os.devnull, ruleset)
    if not os.access(sys.executable, os.X_OK):
        raise OSError("the interpreter is out of reach of another user")
    if cell.seccomp:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        except PermissionError:
            return
        raise OSError("the filter lets a socket through")


def _make_base(temporary: str) -> str:
    base = os.path.join(temporary, f"grpo_core-{os.getpid()}-{secrets.token_hex(8)}")  # noqa: PTH118
    os.mkdir(base, 0o711)  # noqa: PTH102
    return base


def _choose_user() -> int | None:
    """A user id that nobody has, of a range that nobody hands out; None where we may not."""
    if os.geteuid() != 0:
        return None
    with open("/proc/self/uid_map") as file:  # noqa: PTH123
        highest = max(int(first) + int(length) for first, _, length in map(str.split, file))
    low, high = (0x70000000, 0x7FFFFFF0) if highest > 0x7FFFFFFF else (61184, min(65520, highest))
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    while True:
        user = low + secrets.randbelow(high - low)
        if user not in taken:
            return user
