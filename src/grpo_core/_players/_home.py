"""The caller's side of a keeper."""

import multiprocessing
import multiprocessing.spawn
import os
import pickle
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from grpo_core._players._calls import Function
from grpo_core._players._keeper import keep, silence

GRACE = 0.3  # seconds beyond a deadline: a call that is just late is measured, not killed
_PATIENCE = 20.0  # seconds for the keeper itself, beyond those that it gives a player
_START = 120.0  # seconds for it to import what the function needs
_INSIDE = "GRPO_CORE_PLAYERS"
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]\n"
    "from grpo_core._players._keeper import main; main(int(sys.argv[1]))"
)


class NoHomeError(RuntimeError):
    """The function cannot be had in another process; the message says why."""


class Home:
    """A function in a process of its own.

    Args:
        function: What to call.
        seed: Of the hashes of texts there (`PYTHONHASHSEED`); None forks this process, for a
            function that cannot be sent to another one.
        memory_mb: What a player may take, resident, in units of 10**6 bytes.
        environment: Variables that are other ones there; not where this process is forked.

    Raises:
        NoHomeError: If the function cannot be sent, or not be imported there.
    """

    def __init__(
        self,
        function: Function,
        seed: int | None = 0,
        *,
        memory_mb: float = 4_000,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not hasattr(os, "fork"):
            raise NoHomeError("this needs os.fork: Linux or macOS")
        if _INSIDE in os.environ:
            raise NoHomeError(
                'the main module calls this as it is imported: `if __name__ == "__main__":`'
            )
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._memory_mb = memory_mb
        ours, theirs = socket.socketpair()
        self._pipe = Connection(ours.detach())
        if seed is None:
            self._fork(function, theirs)
        else:
            self._start(function, theirs, {"PYTHONHASHSEED": str(seed), **(environment or {})})

    def _fork(self, function: Function, theirs: socket.socket) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            self._pid = os.fork()
        if not self._pid:
            try:
                self._pipe.close()
                silence()
                keep(Connection(theirs.detach()), function, self._memory_mb)
            finally:
                os._exit(0)
        theirs.close()

    def _start(
        self, function: Function, theirs: socket.socket, environment: Mapping[str, str]
    ) -> None:
        try:
            message = pickle.dumps(function)
        except Exception as error:  # noqa: BLE001 - whatever a reducer may raise
            theirs.close()
            self._pipe.close()
            raise NoHomeError(f"it cannot be pickled: {error}"[:300]) from None
        main = None
        if b"__main__" in message:
            main = multiprocessing.spawn.get_preparation_data("player")
            main["authkey"] = bytes(multiprocessing.current_process().authkey)  # it does not pickle
        setup = {
            "function": message,
            "argv": sys.argv,
            "memory_mb": self._memory_mb,
            "main": main,
        }
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *sys.path],
            env=os.environ | {**environment, _INSIDE: "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            self._pipe.send(setup)
            status, text = self._received(_START)
        except (EOFError, OSError):
            status, text = "failed", "the process ended as it was started"
        if status != "done":
            self.close()
            raise NoHomeError(f"it cannot be imported in another process: {text}")

    def ask(
        self, job: str, *arguments: Any, seconds: float, fresh: bool = False
    ) -> tuple[str, Any]:
        """`done` and the result, or `timeout`, `memory` or `died` and a text.

        Args:
            job: A name of `_calls.JOBS`.
            arguments: Those after the function.
            seconds: After which the player is killed.
            fresh: Whether in a new player, which has made no call before.
        """
        message = pickle.dumps((job, *arguments))
        return self._asked(("ask", fresh, seconds + GRACE, message), seconds + _PATIENCE)

    def preload(self, names: list[str]) -> None:
        """Have modules imported once, and not in each player."""
        self._asked(("preload", names), _START)

    def close(self) -> None:
        """End the keeper and its player."""
        self._pipe.close()
        if self._process:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        elif self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _asked(self, request: tuple[Any, ...], seconds: float) -> tuple[str, Any]:
        try:
            self._pipe.send(request)
            return self._received(seconds)
        except (EOFError, OSError) as error:
            raise NoHomeError(f"its process has ended: {error!r}") from None

    def _received(self, seconds: float) -> tuple[str, Any]:
        if not self._pipe.poll(seconds):
            raise NoHomeError("its process does not answer")
        return self._pipe.recv()
