"""Other people's sandboxes around the program: bubblewrap and gVisor, where they are installed.

They isolate; our launcher, which stays outside, limits, measures and ends.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from grpo_core.rewards._sandbox._readable import readable_paths
from grpo_core.rewards._sandbox._types import Outcome, Request, SandboxError

_BOX = "/box"
_NOBODY = 65534
_GVISOR_TASKS, _GVISOR_FILES, _GVISOR_MB, _GVISOR_SECONDS = 256, 4096, 256, 1.0


@dataclass(frozen=True, slots=True)
class Outer:
    """A request for the launcher that runs the sandbox, and how to read what comes of it."""

    request: Request
    judge: Callable[[Outcome], Outcome]


def outer_command(backend: Literal["bubblewrap", "gvisor"], request: Request) -> Outer:
    """The request that runs `request` inside the sandbox; raises SandboxError if it is not here."""
    if backend not in {"bubblewrap", "gvisor"}:
        raise ValueError(f"backend must be auto, bubblewrap, gvisor or a function, got {backend!r}")
    name = "bwrap" if backend == "bubblewrap" else "runsc"
    program = shutil.which(name)
    if program is None:
        raise SandboxError(f"{name} is not on PATH")
    if backend == "bubblewrap":
        return Outer(replace(request, command=bubblewrap_command(program, request)), _with_signals)
    return gvisor_request(program, request)


def bubblewrap_command(program: str, request: Request) -> tuple[str, ...]:
    """`request.command` in namespaces of its own, with the directory of the run at /box.

    `{box}` is what the launcher replaces by that directory.
    """
    command = [program, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    command += ["--uid", str(_NOBODY), "--gid", str(_NOBODY), "--cap-drop", "ALL", "--clearenv"]
    for path in readable_paths(request.readable):
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--bind", "{box}", _BOX, "--chdir", _BOX]
    for name, value in {"HOME": _BOX, "TMPDIR": _BOX, **request.environment}.items():
        command += ["--setenv", name, value]
    return (*command, "--", *request.command)


def gvisor_request(program: str, request: Request) -> Outer:
    """`request` as a bundle of the Open Container Initiative, its directory inside the bundle's."""
    command = [program, "--root", "{box}/state", "--network=none", "--ignore-cgroups"]
    command += [] if os.geteuid() == 0 else ["--rootless"]
    command += ["run", "--bundle", "{box}", "program"]
    inside = {f"box/{name}": content for name, content in request.files.items()}
    bundle = {
        "config.json": json.dumps(gvisor_config(request)).encode(),
        "rootfs/.empty": b"",
        **inside,
    }
    limits = replace(
        request.limits,
        processes=request.limits.processes + _GVISOR_TASKS,
        open_files=max(request.limits.open_files, _GVISOR_FILES),
        memory_mb=request.limits.memory_mb + _GVISOR_MB,
        wall_seconds=request.limits.wall_seconds + _GVISOR_SECONDS,
        address_space_mb=None,
    )
    outer = replace(
        request, command=tuple(command), files=bundle, limits=limits,
        executable=frozenset(f"box/{name}" for name in request.executable),
    )  # fmt: skip
    return Outer(outer, _with_signals)


def gvisor_config(request: Request) -> Mapping[str, Any]:
    """config.json of the bundle (OCI runtime specification 1.0)."""
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
    ]
    readable = [path for path in readable_paths(request.readable) if Path(path).exists()]
    mounts += [_bind(path, os.path.realpath(path), "ro") for path in readable]
    mounts.append(_bind(_BOX, "box", "rw"))
    environment = {"HOME": _BOX, "TMPDIR": _BOX, **request.environment}
    bounds: Sequence[tuple[str, int]] = (
        ("RLIMIT_FSIZE", request.limits.file_bytes), ("RLIMIT_NOFILE", request.limits.open_files),
        ("RLIMIT_CORE", 0),
    )  # fmt: skip
    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0},  # of the sandbox's own kernel, without capabilities
            "args": list(request.command),
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": _BOX,
            "noNewPrivileges": True,
            "rlimits": [{"type": kind, "hard": bound, "soft": bound} for kind, bound in bounds],
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        },
    }


def _bind(destination: str, source: str, mode: str) -> dict[str, Any]:
    options = ["rbind", mode]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


def _with_signals(outcome: Outcome) -> Outcome:
    """Both report a program that a signal ended as 128 and its number, as shells do."""
    if outcome.status == "exited" and outcome.code > 128:
        return replace(outcome, status="signalled", code=outcome.code - 128)
    return outcome
