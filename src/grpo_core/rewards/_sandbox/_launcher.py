"""The trainer's end of a launcher process, and the pool in which idle launchers wait."""

import atexit
import contextlib
import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grpo_core.rewards._sandbox._readable import interpreter, readable_paths
from grpo_core.rewards._sandbox._report import report_of
from grpo_core.rewards._sandbox._types import SandboxReport

_START_SECONDS = 60.0
_END_SECONDS = 15.0
_MESSAGE_BYTES = 100_000
_LAST_STREAM = 2
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}


_UNIX, _MESSAGES = socket.AF_UNIX, socket.SOCK_SEQPACKET


def _above_streams(end: socket.socket) -> socket.socket:
    """The same socket, with none of the numbers 0 to 2: a daemon may have closed its streams."""
    if end.fileno() > _LAST_STREAM:
        return end
    with end:
        return socket.socket(fileno=fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LAST_STREAM + 1))


class Kind(NamedTuple):
    """What a launcher is started for; it serves only programs of the same kind."""

    layers: tuple[str, ...]
    readable: tuple[Path, ...]
    packages: tuple[Path, ...] | None  # of Python programs run in a fork; None for commands


class Launcher:
    """One launcher: a process beside the trainer that runs one program at a time."""

    def __init__(self, kind: Kind) -> None:
        """Start it, and hear which layers it reached; raises OSError where that fails."""
        self.kind = kind
        self._places: list[str] = []
        settings: dict[str, Any] = {
            "layers": kind.layers,
            "readable": readable_paths([*kind.readable, *(kind.packages or ())]),
            "python": kind.packages is not None,
            "packages": [str(path.absolute()) for path in kind.packages or ()],
            "temporary": tempfile.gettempdir(),
        }
        python = (interpreter(), "-s", "-S", "-P")
        program = str(Path(__file__).with_name("_launch.py"))
        environment = dict(_ENVIRONMENT)
        if "LD_LIBRARY_PATH" in os.environ:  # some builds of Python find themselves by it
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self.control, other = map(_above_streams, socket.socketpair(_UNIX, _MESSAGES))
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own file, by its absolute path
                [*python, program, str(other.fileno()), json.dumps(settings)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment, cwd="/", start_new_session=True, pass_fds=(other.fileno(),),
            )  # fmt: skip
        except BaseException:
            self.control.close()
            raise
        finally:
            other.close()
        try:
            self.report = self._hello()
        except BaseException:
            self.close()
            raise

    def _hello(self) -> SandboxReport:
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        if not poller.poll(_START_SECONDS * 1000):
            raise OSError("the launcher did not start in time")
        message = self.control.recv(_MESSAGE_BYTES)
        said: dict[str, Any] = {"failed": "it ended at once"}
        if message:
            said = json.loads(message)
        if "failed" in said:
            raise OSError(f"the launcher failed: {said['failed']}")
        self._places = said["places"]
        return report_of(said["layers"], said["missing"])

    def alive(self) -> bool:
        """Whether it waits for work: a launcher says nothing unasked, but for its end."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        return not poller.poll(0)

    def send(self, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Ask for one run."""
        encoded = json.dumps(message).encode()
        if len(encoded) >= _MESSAGE_BYTES:
            raise ValueError(f"command, environment and names take {len(encoded)} bytes, too many")
        socket.send_fds(self.control, [encoded], descriptors)

    def stop_program(self) -> None:
        """End the program that runs now."""
        with contextlib.suppress(OSError):
            self.control.send(b"kill")

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The answer, and the files collected; raises OSError if the launcher has ended."""
        message, descriptors, _, _ = socket.recv_fds(
            self.control, _MESSAGE_BYTES, 253, socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            raise OSError("the launcher ended")
        return json.loads(message), descriptors

    def close(self) -> None:
        """End it, the program if one runs, and wait for both."""
        self.control.close()  # the launcher reads that as its end
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for place in self._places:  # gone already, unless it was killed
            with contextlib.suppress(OSError, RecursionError):
                if place.startswith("/sys/"):
                    Path(place).rmdir()
                else:
                    shutil.rmtree(place)

    def forget(self) -> None:
        """In a fork of the trainer: it belongs to the parent, who may go on using it."""
        self.control.close()
        self._process.returncode = 0  # or its destructor would warn of a child that is not ours


class _Pool:
    """Idle launchers by kind. As many exist as programs ever ran at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Kind, list[Launcher]] = {}
        self._all: set[Launcher] = set()

    def take(self, kind: Kind) -> Launcher:
        """An idle launcher, else a new one."""
        while True:
            with self._lock:
                idle = self._idle.get(kind)
                launcher = idle.pop() if idle else None
            if launcher is None:
                break
            if launcher.alive():
                return launcher
            self.discard(launcher)
        launcher = Launcher(kind)
        with self._lock:
            self._all.add(launcher)
        return launcher

    def give(self, launcher: Launcher) -> None:
        """Put it back for the next run."""
        with self._lock:
            if launcher in self._all:
                self._idle.setdefault(launcher.kind, []).append(launcher)
                return
        launcher.close()  # the pool was closed in the meantime

    def discard(self, launcher: Launcher) -> None:
        """Drop one whose state is not known."""
        with self._lock:
            self._all.discard(launcher)
        launcher.close()

    def close(self) -> None:
        """End all idle launchers; those at work end when they are given back."""
        with self._lock:
            idle = [launcher for waiting in self._idle.values() for launcher in waiting]
            self._idle.clear()
            self._all.clear()
        for launcher in idle:
            launcher.control.close()  # all at once, then wait for each
        for launcher in idle:
            launcher.close()

    def forget(self) -> None:
        """In a fork: begin anew."""
        for launcher in self._all:
            launcher.forget()
        self.__init__()


pool = _Pool()
atexit.register(pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)
