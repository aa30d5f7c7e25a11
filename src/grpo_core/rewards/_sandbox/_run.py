"""Run one untrusted program once."""

import functools
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from grpo_core.rewards._sandbox._conversation import Conversation, begin
from grpo_core.rewards._sandbox._external import outer_command
from grpo_core.rewards._sandbox._job import Job, check_names
from grpo_core.rewards._sandbox._launcher import Kind, Launcher, pool
from grpo_core.rewards._sandbox._readable import interpreter
from grpo_core.rewards._sandbox._report import LAYERS, LEVELS
from grpo_core.rewards._sandbox._types import (
    Backend,
    Level,
    Limits,
    Outcome,
    Request,
    SandboxError,
    SandboxReport,
)  # fmt: skip

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
_MAIN = "main.py"
DEFAULT_LIMITS = Limits()


def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    limits: Limits = DEFAULT_LIMITS,
    files: Mapping[str, bytes] = {},
    executable: Collection[str] = (),
    collect: Sequence[str] = (),
    readable: Sequence[Path] = (),
    environment: Mapping[str, str] = {},
    minimum: Level = "strong",
    allow_weak: bool = False,
    backend: Backend = "auto",
    layers: Sequence[str] = LAYERS,
) -> Outcome:
    """Run `command` once in a fresh directory that holds `files`, and say how it ended.

    The working directory is that directory, and it is gone afterwards. Standard input is a file
    with `stdin`, standard error is dropped. Whatever the program started has ended on return.

    Args:
        command: Program and arguments; a bare name is looked for on the system's PATH.
        stdin: All of the input.
        limits: What the program may use.
        files: Contents by name; a name may have directories.
        executable: The names of `files` that are programs.
        collect: Names of plain files of the directory to bring back, each up to `file_bytes`.
        readable: Paths of this machine that the program may read, besides the system's own.
        environment: Variables besides PATH, HOME, TMPDIR, LANG and the like.
        minimum: The isolation without which nothing runs.
        allow_weak: Whether to run with whatever isolation there is.
        backend: `bubblewrap` or `gvisor` where they are installed, or a function that runs a
            `Request` somewhere else, whose isolation is then its own affair.
        layers: The layers to try; fewer are for tests.

    Raises:
        SandboxError: If this machine does not reach `minimum`, or the backend is not here.
        ValueError: If a name leads out of the directory.
    """
    request = _request(command, stdin, limits, files, executable, collect, readable, environment)
    if callable(backend):
        return backend(request)
    if backend == "auto":
        job = _job(request, tuple(command))
        kind = Kind(tuple(layers), tuple(readable), None)
        return _finish(kind, job, stdin, minimum, allow_weak=allow_weak)
    outer = outer_command(backend, request)
    job = _job(outer.request, outer.request.command)
    kind = Kind(("cgroup", "outer"), (), None)
    outcome = _finish(kind, job, stdin, "none", allow_weak=True)
    return outer.judge(outcome)


def run_python(
    source: bytes,
    *,
    stdin: bytes = b"",
    limits: Limits = DEFAULT_LIMITS,
    files: Mapping[str, bytes] = {},
    packages: Sequence[Path] = (),
    environment: Mapping[str, str] = {},
    minimum: Level = "strong",
    allow_weak: bool = False,
    backend: Backend = "auto",
    layers: Sequence[str] = LAYERS,
) -> Outcome:
    """Run a Python program as `run` would, several times faster: in a fork of a warm interpreter.

    The interpreter is the one under any virtual environment, with the standard library alone.

    Args:
        source: The program; it lies beside `files` as main.py.
        packages: Directories from which it may import besides.
        stdin: See `run`, as for all other arguments.
        limits: See `run`.
        files: See `run`.
        environment: See `run`.
        minimum: See `run`.
        allow_weak: See `run`.
        backend: See `run`; other than "auto" it is asked for `python main.py`.
        layers: See `run`.

    Raises:
        SandboxError: See `run`.
        ValueError: See `run`.
    """
    files = {**files, _MAIN: source}
    if backend != "auto":
        paths = (
            {"PYTHONPATH": ":".join(str(path.absolute()) for path in packages)} if packages else {}
        )
        return run(
            [interpreter(), "-s", _MAIN], stdin=stdin, limits=limits, files=files,
            readable=packages, environment={**paths, **environment}, minimum=minimum,
            allow_weak=allow_weak, backend=backend,
        )  # fmt: skip
    request = _request((), stdin, limits, files, (), (), (), environment)
    kind = Kind(tuple(layers), (), tuple(packages))
    return _finish(kind, _job(request, None), stdin, minimum, allow_weak=allow_weak)


def converse(
    command: Sequence[str],
    *,
    limits: Limits = DEFAULT_LIMITS,
    files: Mapping[str, bytes] = {},
    executable: Collection[str] = (),
    readable: Sequence[Path] = (),
    environment: Mapping[str, str] = {},
    minimum: Level = "strong",
    allow_weak: bool = False,
    layers: Sequence[str] = LAYERS,
) -> Conversation:
    """Start `command` as `run` would, and talk with it.

    Raises:
        OSError: If the program cannot be started: the infrastructure's fault.
        SandboxError: See `run`.
        ValueError: See `run`.
    """
    request = _request(command, b"", limits, files, executable, (), readable, environment)
    kind = Kind(tuple(layers), tuple(readable), None)
    return _begin(kind, _job(request, tuple(command)), None, minimum, allow_weak=allow_weak)


def converse_python(
    source: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    files: Mapping[str, bytes] = {},
    packages: Sequence[Path] = (),
    environment: Mapping[str, str] = {},
    minimum: Level = "strong",
    allow_weak: bool = False,
    layers: Sequence[str] = LAYERS,
) -> Conversation:
    """Start a Python program as `run_python` would, and talk with it.

    Raises:
        OSError: If the program cannot be started: the infrastructure's fault.
        SandboxError: See `run`.
        ValueError: See `run`.
    """
    request = _request((), b"", limits, {**files, _MAIN: source}, (), (), (), environment)
    kind = Kind(tuple(layers), (), tuple(packages))
    return _begin(kind, _job(request, None), None, minimum, allow_weak=allow_weak)


@functools.cache
def sandbox_report() -> SandboxReport:
    """The isolation that this machine gives, tried once in a process: see `SandboxReport`."""
    if sys.platform != "linux":
        return SandboxReport("none", (), (f"{sys.platform}: only Linux has what this needs",))
    try:
        launcher = pool.take(Kind(LAYERS, (), ()))
    except OSError as error:
        return SandboxReport("none", (), (str(error),))
    pool.give(launcher)
    return launcher.report


def _request(
    command: Sequence[str],
    stdin: bytes,
    limits: Limits,
    files: Mapping[str, bytes],
    executable: Collection[str],
    collect: Sequence[str],
    readable: Sequence[Path],
    environment: Mapping[str, str],
) -> Request:
    check_names((*files, *collect))
    return Request(
        tuple(command), stdin, limits, dict(files), frozenset(executable), tuple(collect),
        tuple(readable), {**_ENVIRONMENT, **environment},
    )  # fmt: skip


def _job(request: Request, command: tuple[str, ...] | None) -> Job:
    return Job(
        command, request.limits, request.files, request.executable, request.collect,
        request.environment,
    )  # fmt: skip


def _begin(
    kind: Kind, job: Job, stdin: bytes | None, minimum: Level, *, allow_weak: bool
) -> Conversation:
    if sys.platform != "linux":
        raise SandboxError(f"programs are confined on Linux alone, and this is {sys.platform}")
    try:
        return begin(_launcher(kind, minimum, allow_weak=allow_weak), job, stdin)
    except ConnectionError:  # it had ended while it was idle
        return begin(_launcher(kind, minimum, allow_weak=allow_weak), job, stdin)


def _launcher(kind: Kind, minimum: Level, *, allow_weak: bool) -> Launcher:
    launcher = pool.take(kind)
    level = launcher.report.level
    if not allow_weak and LEVELS.index(level) < LEVELS.index(minimum):
        pool.give(launcher)
        missing = "; ".join(launcher.report.missing)
        raise SandboxError(
            f"isolation is {level} and must be {minimum} (allow_weak=True goes on): {missing}"
        )
    return launcher


def _finish(kind: Kind, job: Job, stdin: bytes, minimum: Level, *, allow_weak: bool) -> Outcome:
    try:
        conversation = _begin(kind, job, stdin, minimum, allow_weak=allow_weak)
    except OSError as error:
        return Outcome("infrastructure", detail=str(error))
    try:
        return conversation.close(wait_seconds=float("inf"))
    except BaseException:
        conversation.close(wait_seconds=0)
        raise
