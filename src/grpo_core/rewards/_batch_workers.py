"""A pool of worker processes, each of which may die or be killed without harm to another.

`ProcessPoolExecutor` shares its queues: one dead worker breaks the pool and loses all that is in
flight, and nothing tells who did it. Here each worker has a pipe and a thread that waits for it.
"""

import atexit
from collections.abc import Callable
from concurrent.futures import Executor, Future
from importlib import import_module
from math import inf
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar

from grpo_core.rewards._batch_process import (
    DeadWorkerError,
    OverrunError,
    Task,
    Worker,
    pickled,
)

P = ParamSpec("P")
T = TypeVar("T")
_Sent = tuple[Future[Any], float, Task]

_TASKS = 1_000  # a worker's, before it is replaced: caches of a computer algebra system grow


class WorkerPool(Executor):
    """Worker processes that stay, for `score_batch`: one that dies is replaced, and costs one item.

    An executor like any other, except that a dead worker does not break it. Workers are spawned,
    not forked, which is safe beside threads and CUDA; as always with spawned processes, a script
    that makes one keeps its own work under `if __name__ == "__main__":`. Workers start when there
    is work, ignore Ctrl-C, end with this process, and are replaced after a thousand tasks.

    Args:
        workers: How many processes, at least 1.
        initializer: Called in each worker before its first task.
        initargs: Its arguments.

    Raises:
        ValueError: If `workers` is less than 1.

    Example:
        Workers that serve every step of a training loop:

        >>> from grpo_core.rewards import WorkerPool, score_batch, verify_math
        >>> items = [(r"\\boxed{2}", "2"), (r"\\boxed{3}", "2")]
        >>> with WorkerPool(1) as workers:
        ...     [verdict.score for verdict in score_batch(items, verify_math, executor=workers)]
        [1.0, 0.0]
    """

    def __init__(
        self,
        workers: int,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self.workers = workers
        self._setup = (initializer, initargs)
        self._tasks: SimpleQueue[_Sent | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._lock = Lock()  # of the two above, and of whether they may grow
        self._is_open, self._is_killed = True, False
        self._running: set[Worker] = set()
        # Last in, first out: multiprocessing's own handler would wait for the workers for ever.
        import_module("multiprocessing.util")
        atexit.register(self.kill)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn(*args, **kwargs)` called in a worker."""
        return self.submit_within(inf, fn, *args, **kwargs)

    def submit_within(
        self, seconds: float, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """The same; after that many seconds at work the worker is killed."""
        future: Future[T] = Future()
        with self._lock:
            if not self._is_open:
                raise RuntimeError("cannot submit to a pool that was shut down")
            self._tasks.put((future, seconds, (fn, args, kwargs)))
            if len(self._threads) < self.workers:
                # A daemon: the end of the program does not wait for what nobody waits for.
                self._threads.append(Thread(target=self._serve, daemon=True))
                self._threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and let each worker go when there are none left."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                atexit.unregister(self.kill)
                waiting: list[_Sent | None] = []
                while cancel_futures and not self._tasks.empty():
                    waiting.append(self._tasks.get())
                for sent in waiting:
                    if sent:
                        sent[0].cancel()
                for _ in self._threads:
                    self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def kill(self) -> None:
        """End every worker, busy ones at once, and cancel what waits."""
        self._is_killed = True
        self.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._running):
            worker.kill()
        self.shutdown(wait=True)

    def _serve(self) -> None:
        """A thread and its worker: tasks, one after the other, until there is none."""
        worker: Worker | None = None
        while sent := self._tasks.get():
            future, seconds, task = sent
            if not future.set_running_or_notify_cancel():
                continue
            try:
                message = bytes(pickled(task))  # a failure here costs no worker
                if worker is None and not self._is_killed:
                    worker = Worker(*self._setup)
                    self._running.add(worker)
                if worker is None or self._is_killed:
                    raise DeadWorkerError("the pool was shut down")
                succeeded, outcome = worker.ask(message, seconds)
            except Exception as error:  # noqa: BLE001 - the caller's to see
                if worker and isinstance(error, (DeadWorkerError, OverrunError)):
                    self._running.discard(worker)
                    worker.kill()
                    worker = None
                future.set_exception(error)
                continue
            if worker.tasks >= _TASKS:
                self._running.discard(worker)
                worker.close()
                worker = None
            if succeeded:
                future.set_result(outcome)
            else:
                future.set_exception(outcome)
            del sent, future, task, message, outcome  # nothing is kept while there is nothing to do
        if worker:
            self._running.discard(worker)
            worker.close()
