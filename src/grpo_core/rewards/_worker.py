"""One worker process, seen from the caller's: started, asked, killed."""

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from grpo_core.rewards import _worker_main
from grpo_core.rewards._worker_main import Limits

START_SECONDS = 60.0
_LONGEST = 1e6  # seconds that a socket waits at once
_NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)  # a caller may have SIGPIPE end it
# Variables that find the interpreter's own library; the others of Python change how it behaves.
_KEPT = frozenset(("PYTHONHOME", "PYTHONPLATLIBDIR"))


class NoWorker(Exception):  # noqa: N818 - the caller's answer says it
    """A process could not be started, or could not import what it needs."""


class Reply(NamedTuple):
    """What came back.

    `status` is `ready`, `answered`, `failed` (the function raised; `value` says what), `timeout`
    or `too_large` (out of memory, or the process crashed). After a `last` reply there is no other.
    """

    status: str
    value: Any
    last: bool


class Worker:
    """A process that answers one request at a time."""

    def __init__(self, modules: Sequence[str], limits: Limits) -> None:
        if os.name != "posix" or not sys.executable or getattr(sys, "frozen", False):
            raise NoWorker("no Python to run here")
        try:
            self._channel, theirs = socket.socketpair()
            try:
                self.process = self._start(theirs)
            except BaseException:
                self._channel.close()
                raise
            finally:
                theirs.close()
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            raise NoWorker(str(error)) from error
        path = [each for each in sys.path if isinstance(each, str)]  # pyright: ignore[reportUnnecessaryIsInstance]
        self._setup: bytes | None = pickle.dumps((path, tuple(modules), tuple(limits)))

    def _start(self, channel: socket.socket) -> "subprocess.Popen[bytes]":
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTHON") or name in _KEPT
        }
        # What SymPy finds may depend on the order of sets.
        environment["PYTHONHASHSEED"] = "0"
        script = str(Path(_worker_main.__file__).absolute())
        return subprocess.Popen(  # noqa: S603 - the interpreter itself, and a file of this package
            [sys.executable, "-P", "-s", script],
            stdin=channel.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def is_ended(self) -> bool:
        """Whether the process is there no longer."""
        return self.process.poll() is not None

    def make_ready(self) -> None:
        """Wait until the process has imported what it needs, or `NoWorker`."""
        if self._setup is None:
            return
        reply = self._exchange(self._setup, START_SECONDS)
        if reply.status != "ready":
            raise NoWorker(f"{reply.status}: {reply.value}")
        self._setup = None

    def ask(self, module: str, name: str, arguments: tuple[Any, ...], seconds: float) -> Reply:
        """What `module.name(*arguments)` returns there. The clock starts now."""
        return self._exchange(pickle.dumps((module, name, arguments, seconds)), seconds)

    def _exchange(self, request: bytes, seconds: float) -> Reply:
        deadline = monotonic() + seconds
        try:
            self._wait_until(deadline)
            self._channel.sendall(struct.pack("<Q", len(request)) + request, _NO_SIGNAL)
            (size,) = struct.unpack("<Q", self._received(8, deadline))
            return Reply(*pickle.loads(self._received(size, deadline)))  # noqa: S301 - our process
        except TimeoutError:
            return Reply("timeout", None, last=True)
        except (OSError, EOFError):
            return Reply(self._cause(), None, last=True)

    def _wait_until(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._channel.settimeout(min(left, _LONGEST))

    def _received(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait_until(deadline)
            piece = self._channel.recv(min(size - len(data), 1 << 20))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _cause(self) -> str:
        """Why the process ended by itself: its own alarm, or else it ran out of something."""
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        return "timeout" if code == -signal.SIGALRM else "too_large"

    def end(self) -> None:
        """Kill the process, and take note that it is gone."""
        self._channel.close()
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """In a forked child: let go of a process that is the parent's."""
        self._channel.close()
        self.process.returncode = 0  # or Popen would wait for it, and warn
