"""The keeper: forks players, gives them their tasks, and ends those that are late."""

import os
import pickle
import random
import signal
import sys
import warnings
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from grpo_core._players._calls import JOBS, Function

_POLL = 0.05  # seconds between looks at the memory of a player


def keep(pipe: Connection, function: Function, memory_mb: float) -> None:
    """Serve requests until the pipe is closed."""
    player: _Player | None = None
    while True:
        try:
            command, *rest = pipe.recv()
        except (EOFError, OSError):
            break
        if command == "preload":
            for name in rest[0]:
                _import(name)
            reply: tuple[str, Any] = ("done", None)
        else:
            is_fresh, seconds, message = rest
            if player and is_fresh:
                player.end()
                player = None
            player = player or _Player(function, pipe, memory_mb)
            reply = player.ask(message, seconds)
            if reply[0] != "done":
                player.end()
                player = None
        try:
            pipe.send(reply)
        except OSError:
            break
    if player:
        player.end()


class _Player:
    """A forked child that calls the function, in a process group of its own."""

    def __init__(self, function: Function, upward: Connection, memory_mb: float) -> None:
        self._memory_mb = memory_mb
        tasks, replies = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            self.pid = os.fork()
        if not self.pid:
            os.setpgid(0, 0)
            upward.close()
            os.close(tasks[1])
            os.close(replies[0])
            _play(Connection(tasks[0], writable=False), Connection(replies[1]), function)
        os.close(tasks[0])
        os.close(replies[1])
        self._tasks = Connection(tasks[1], readable=False)
        self._replies = Connection(replies[0], writable=False)

    def ask(self, message: bytes, seconds: float) -> tuple[str, Any]:
        """What became of it: `done` and the result, or `timeout`, `memory` or `died`."""
        deadline = monotonic() + seconds
        try:
            self._tasks.send_bytes(message)
            while not self._replies.poll(max(0.0, min(_POLL, deadline - monotonic()))):
                if monotonic() >= deadline:
                    return "timeout", "no answer in time; the process was killed"
                if _resident_mb(self.pid) > self._memory_mb:
                    return "memory", f"over {self._memory_mb:g} MB; the process was killed"
            return "done", self._replies.recv()
        except (EOFError, OSError):
            return "died", self._epitaph()

    def end(self) -> None:
        """Kill it, with all that it started."""
        self._tasks.close()
        self._replies.close()
        if self.pid:
            for kill in (os.killpg, os.kill):  # it may not have come as far as its own group
                try:
                    kill(self.pid, signal.SIGKILL)
                except OSError:
                    continue
            os.waitpid(self.pid, 0)
            self.pid = 0

    def _epitaph(self) -> str:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return f"the process was ended by signal {-status}" if status < 0 else f"exit({status})"


def _play(tasks: Connection, replies: Connection, function: Function) -> NoReturn:
    """The life of a player."""
    status = 1
    try:
        silence()
        random.seed(0)
        while True:
            job, *arguments = pickle.loads(tasks.recv_bytes())  # noqa: S301 - the parent's own
            replies.send(JOBS[job](function, *arguments))
    except (EOFError, OSError):
        status = 0
    finally:
        os._exit(status)


def silence() -> None:
    """What is printed is not seen, and whoever asks gets no answer."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _import(name: str) -> None:
    """As a call would; a module that can only be imported in the call is left to it."""
    try:
        import_module(name)
    except BaseException:  # noqa: BLE001 - a module's own code may raise anything
        return


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):  # no Linux, or ended: the clock remains
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(number: int) -> None:
    """The program of a keeper that was started, not forked: read what to import, and keep it."""
    pipe = Connection(number)
    setup = pipe.recv()
    try:
        if setup["main"]:
            from multiprocessing import spawn  # noqa: PLC0415 - where the main module is needed

            spawn.prepare(setup["main"])
        sys.argv[:] = setup["argv"]
        function = pickle.loads(setup["function"])  # noqa: S301 - the parent's own
    except BaseException as error:  # noqa: BLE001 - a module's own code may raise anything
        pipe.send(("failed", f"{type(error).__name__}: {error}"[:300]))
        return
    pipe.send(("done", None))
    keep(pipe, function, setup["memory_mb"])
