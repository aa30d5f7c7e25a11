"""A pool of worker processes, for work that no code in this process could interrupt.

A thread cannot be stopped, an alarm works in the main thread alone, and neither ends one long
operation on big integers. A process can be killed. It is started by `subprocess`, which, unlike
`multiprocessing`, works in daemonic processes, needs no guard in the caller's main module and
shares no lock with it.
"""

import os
from collections.abc import Sequence
from threading import Condition
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet, finalize

from grpo_core.rewards._worker import NoWorker, Worker
from grpo_core.rewards._worker_main import Limits

MAX_WORKERS = 4


class Outcome(NamedTuple):
    """What became of a request.

    `status` is `answered`, `failed` (the function raised, `value` says what), `timeout`,
    `too_large` (out of memory, or the process crashed) or `no_worker` (none could be started).
    `waited` are the seconds until a worker was ready and free, which no deadline counts.
    """

    status: str
    value: Any
    waited: float


class Pool:
    """Up to `size` processes, each started when there is work and all others are busy.

    Args:
        modules: What a process imports before it is ready.
        size: How many there may be; the number of processors, at most 4, unless given.
        limits: When a process is replaced, and how much memory it has.
    """

    def __init__(
        self, modules: Sequence[str] = (), *, size: int | None = None, limits: Limits | None = None
    ) -> None:
        self._modules = tuple(modules)
        self._size = size or min(_processors(), MAX_WORKERS)
        self._limits = limits or Limits()
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._free = Condition()
        self._paused_until = 0.0
        self._end = finalize(self, _end, self._workers)  # at exit, too
        _POOLS.add(self)

    def ask(self, module: str, name: str, *arguments: Any, seconds: float) -> Outcome:
        """What `module.name(*arguments)` returns in a worker, within `seconds` there.

        A request is tried once: what ended a worker would end the next.
        """
        begin = monotonic()
        try:
            worker = self._taken()
        except NoWorker as error:
            return Outcome("no_worker", str(error), monotonic() - begin)
        waited = monotonic() - begin
        is_whole = False
        try:
            reply = worker.ask(module, name, arguments, seconds)
            is_whole = not reply.last
        finally:
            self._give_back(worker, is_whole=is_whole)
        return Outcome(reply.status, reply.value, waited)

    def close(self) -> None:
        """End all processes. A request after this starts new ones."""
        with self._free:
            self._idle.clear()
            _end(self._workers)

    def _taken(self) -> Worker:
        """A worker that is ready and nobody else's, or `NoWorker`."""
        with self._free:
            while True:
                if self._idle:
                    worker = self._idle.pop()
                    if not worker.is_ended():
                        break
                    self._discard(worker)
                elif len(self._workers) < self._size:
                    worker = self._started()
                    break
                else:
                    self._free.wait()
        begin = monotonic()
        try:
            worker.make_ready()
        except BaseException as error:
            with self._free:
                self._discard(worker)
                if isinstance(error, NoWorker):  # after a minute in vain, none is tried for one
                    self._paused_until = 2 * monotonic() - begin
                self._free.notify()
            raise
        return worker

    def _started(self) -> Worker:
        if monotonic() < self._paused_until:
            raise NoWorker("the last start failed")
        worker = Worker(self._modules, self._limits)
        self._workers.add(worker)
        return worker

    def _discard(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.end()

    def _give_back(self, worker: Worker, *, is_whole: bool) -> None:
        with self._free:
            if is_whole and worker in self._workers:
                self._idle.append(worker)
            else:
                self._discard(worker)
            self._free.notify()

    def forget(self) -> None:
        """In a forked child: the processes, and locks that other threads held, are the parent's."""
        for worker in self._workers:
            worker.forget()
        self._workers.clear()
        self._idle.clear()
        self._free = Condition()


_POOLS: "WeakSet[Pool]" = WeakSet()


def _end(workers: set[Worker]) -> None:
    while workers:
        workers.pop().end()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_all() -> None:
    for pool in list(_POOLS):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
