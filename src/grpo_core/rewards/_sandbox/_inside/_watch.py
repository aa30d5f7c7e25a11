"""One program while it runs, and what its end means."""

import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field

from . import _tree
from ._confine import Limits

_LOOK_SECONDS = 0.01  # how often memory is added up where no control group counts it
_REAP_SECONDS = 0.05
_SPARE_TASKS = 8  # a thread that has just ended is still listed


@dataclass
class Reply:
    """What became of one run, as it is sent back."""

    status: str
    code: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    detail: str = ""
    collected: list[str] = field(default_factory=list[str])


class Watch:
    """One program while it runs."""

    def __init__(
        self, child: int, limits: Limits, wall: float, control: socket.socket, *, polled: bool
    ) -> None:
        self.child, self.limits, self.wall, self.control = child, limits, wall, control
        self.polled = polled
        self.verdict = ""
        self.status: int | None = None
        self.cpu = self.memory = self.elapsed = 0.0
        self.detail = ""

    def until_the_end(self) -> None:
        """Return when the program has ended, or has to."""
        start = time.monotonic()
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        ended = _pidfd(self.child)
        if ended is not None:
            poller.register(ended, select.POLLIN)
        rest = _LOOK_SECONDS if self.polled or ended is None else _REAP_SECONDS
        try:
            while self.status is None and not self.verdict:
                left = self.wall - (time.monotonic() - start)
                if left <= 0:
                    self.verdict = "timeout"
                    break
                ready = poller.poll(max(1.0, min(rest, left) * 1000))
                if any(descriptor == self.control.fileno() for descriptor, _ in ready):
                    self.control.recv(16)  # "kill", or the end of the trainer
                    self.verdict = "killed"
                self.note(_tree.reap())
                if self.polled and self.status is None:
                    self._look()
        except ChildProcessError:
            pass
        finally:
            self.elapsed = time.monotonic() - start
            if ended is not None:
                os.close(ended)

    def _look(self) -> None:
        alive = _tree.descendants()
        used = _tree.memory_mb(alive, self.limits.memory_mb)
        self.memory = max(self.memory, used)
        if used > self.limits.memory_mb:
            self.verdict = "memory"
        elif _tree.count(alive) > self.limits.processes + _SPARE_TASKS:
            self.verdict, self.detail = "killed", "more processes than allowed"

    def note(self, ended: list[tuple[int, int, float, float]]) -> None:
        """Add up what the processes that have ended used."""
        for pid, status, cpu, memory in ended:
            self.cpu += cpu
            if self.polled:
                self.memory = max(self.memory, memory)
            if pid == self.child:
                self.status = status
                if self.polled and memory > self.limits.memory_mb:
                    self.verdict = self.verdict or "memory"

    def reply(self) -> Reply:
        """The status that all this comes to."""
        status, code = "signalled", int(signal.SIGKILL)
        if self.status is not None:
            code = os.waitstatus_to_exitcode(self.status)
            status, code = ("exited", code) if code >= 0 else ("signalled", -code)
        over = self.cpu > self.limits.cpu_seconds
        if self.verdict == "killed":
            pass
        elif self.verdict:
            status = self.verdict
        elif over or (status == "signalled" and code == signal.SIGXCPU):
            status = "timeout"
        elif status == "signalled" and code == signal.SIGSYS:
            status = "forbidden"
        elif status == "signalled" and code == signal.SIGXFSZ:
            status = "output_limit"
        return Reply(status, code, self.elapsed, self.cpu, self.memory, self.detail)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None
