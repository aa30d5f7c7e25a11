"""A batch under way: a window of chunks in flight, and what becomes of one that is lost."""

import pickle
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from concurrent.futures import ThreadPoolExecutor as Threads
from dataclasses import dataclass, field
from itertools import islice
from os import cpu_count
from time import monotonic
from typing import Any, Generic, TypeVar

from grpo_core.rewards._batch_process import DeadWorkerError, OverrunError, StartError
from grpo_core.rewards._batch_workers import WorkerPool
from grpo_core.rewards._verdict import Verdict

R = TypeVar("R")
Item = tuple[Any, ...]

_CHUNK_SECONDS = 0.02  # of work in one message: dear beside its cost, cheap beside a timeout
_STALLS = 3  # chunks in a row that an executor may lose before it is given up
_MESSAGE = 500  # characters
_GLANCE = 1.0  # seconds between looks at an executor of the caller's
_FAREWELL = 30.0  # seconds at most for others' workers to finish what they have begun


def score_items(
    verifier: Callable[..., R], items: list[Item], timeout_seconds: float
) -> tuple[list[R | Verdict], float]:
    """One result for each item, whatever the verifier does, and the seconds that all took."""
    results: list[R | Verdict] = []
    begin = start = monotonic()
    for item in items:
        try:
            result = verifier(*item)
        except ValueError as error:  # the one thing that a verifier refuses: our own reference
            result = failure("invalid_reference", error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - reported, and costs this item
            result = failure("error", error)
        end = monotonic()
        if end - start > timeout_seconds:
            result = overrun(timeout_seconds)
        results.append(result)
        start = end
    return results, start - begin


def failure(reason: str, error: BaseException) -> Verdict:
    """An item without a score, and what happened."""
    try:
        message = str(error)[:_MESSAGE]
    except Exception:  # noqa: BLE001 - the error's own text is at fault, too
        message = ""
    return Verdict(None, reason, {"error": type(error).__name__, "message": message})


def overrun(timeout_seconds: float) -> Verdict:
    """An item that took too long; a verifier that gives up by itself scores 0 instead."""
    return Verdict(None, "timeout", {"message": f"not scored within {timeout_seconds:g} s"})


def can_pickle(verifier: Callable[..., object]) -> bool:
    """Whether another process can be sent this verifier."""
    try:
        pickle.dumps(verifier)
    except Exception:  # noqa: BLE001 - whatever a class's own pickling may raise
        return False
    return True


@dataclass(slots=True)
class Chunk(Generic[R]):
    """Consecutive items and what will be their results."""

    items: list[Item]
    future: Future[tuple[list[R | Verdict], float]]
    alone: bool  # the second try of an item
    executor: Executor
    sent: float = field(default_factory=monotonic)


class Batch(Generic[R]):
    """Items on their way through an executor, in order.

    A chunk whose future fails is *lost*: its worker died, or did not answer in time. Which item was
    at fault is not known, so each goes once more, alone, to a worker of ours that can be killed and
    replaced. An item that is lost alone is the one, and gets a verdict that says so.
    """

    def __init__(
        self,
        items: Iterable[Item],
        verifier: Callable[..., R],
        executor: Executor | int,
        timeout_seconds: float,
        window: int,
    ) -> None:
        self._source = iter(items)
        self._verifier, self._timeout, self._window = verifier, timeout_seconds, window
        self._ours: WorkerPool | None = None  # made here, and ended here
        if isinstance(executor, int):
            executor = self._ours = WorkerPool(executor)
        self._executor = executor
        self._workers = _workers_of(executor)
        # Threads are handed items, not copies of them: a chunk would save nothing there.
        self._largest = 1 if isinstance(executor, Threads) else max(1, window // 4 // self._workers)
        self._size, self._is_timed = 1, False
        self._pending: deque[Chunk[R]] = deque()
        self._ahead = 0  # items taken and not yet given back
        self._alive = monotonic()  # when an executor of the caller's last finished something
        self._stalls = 0

    def next(self) -> Chunk[R] | None:
        """Fill the window; the chunk whose turn it is, or None at the end."""
        while not self._pending or self._has_room():
            items = list(islice(self._source, self._size))
            if not items:
                break
            for item in items:
                check_item(item)
            self._ahead += len(items)
            self._pending.append(self._send(items))
        return self._pending.popleft() if self._pending else None

    def _has_room(self) -> bool:
        """Whether a chunk fits; until one has come back, few are sent, since they are small."""
        few = self._is_timed or len(self._pending) < 4 * self._workers
        return few and self._ahead + self._size <= self._window

    def patience(self, chunk: Chunk[R]) -> float | None:
        """Seconds to wait for this chunk before asking again, 0 if it is lost."""
        if isinstance(chunk.executor, WorkerPool):  # which keeps the time
            return None
        # What is submitted while a process pool breaks may be forgotten by it, and never done.
        if _is_broken(chunk.executor):
            return 0.0
        return min(_GLANCE, max(0.0, max(self._alive, chunk.sent) + self._timeout - monotonic()))

    def settle(self, chunk: Chunk[R]) -> list[R | Verdict]:
        """The results of a chunk, or none yet if it is lost and its items go again."""
        try:
            if not chunk.future.done():
                chunk.future.cancel()
                raise BrokenExecutor if _is_broken(chunk.executor) else OverrunError
            results, seconds = chunk.future.result()
        except StartError:
            raise
        except Exception as error:  # noqa: BLE001 - told apart there
            return self._lost(chunk, error)
        if len(results) != len(chunk.items):
            raise RuntimeError(f"{len(chunk.items)} items gave {len(results)} results")
        if not chunk.alone:
            self._stalls, self._is_timed = 0, True
            target = min(_CHUNK_SECONDS, self._timeout / 4)
            fitting = int(target * len(results) / max(seconds, 1e-9))
            self._size = max(1, min(fitting, 2 * self._size, self._largest))
        self._ahead -= len(results)
        return results

    def close(self) -> None:
        """Cancel what waits, end what runs in workers of ours, wait for what runs in others'."""
        running = [chunk.future for chunk in self._pending if not chunk.future.cancel()]
        self._pending.clear()
        if self._ours:
            self._ours.kill()
        wait(running, min(self._timeout, _FAREWELL))

    def _send(self, items: list[Item], *, alone: bool = False) -> Chunk[R]:
        executor = self._second() if alone else self._executor
        call = (score_items, self._verifier, items, self._timeout)
        if isinstance(executor, WorkerPool):
            future = executor.submit_within(self._timeout, *call)
            return Chunk(items, future, alone, executor)
        try:
            future = executor.submit(*call)
        except BrokenExecutor as error:
            self._give_up(error)
            return self._send(items, alone=alone)
        future.add_done_callback(self._show_life)
        return Chunk(items, future, alone, executor)

    def _show_life(self, future: Future[Any]) -> None:
        if not future.cancelled():
            self._alive = monotonic()

    def _lost(self, chunk: Chunk[R], error: Exception) -> list[R | Verdict]:
        if not isinstance(chunk.executor, WorkerPool):
            self._stalls += isinstance(error, OverrunError)
            if isinstance(error, BrokenExecutor):
                self._give_up(error)
            elif self._stalls >= _STALLS and can_pickle(self._verifier):
                self._executor = self._second()
        if not chunk.alone:
            again = [self._send([item], alone=True) for item in chunk.items]
            self._pending.extendleft(reversed(again))
            return []
        self._ahead -= 1
        if isinstance(error, OverrunError):
            return [overrun(self._timeout)]
        return [failure("worker_died" if isinstance(error, DeadWorkerError) else "error", error)]

    def _give_up(self, error: BrokenExecutor) -> None:
        """Go on without the caller's executor, which takes no more work."""
        if isinstance(self._executor, Threads) or not can_pickle(self._verifier):
            raise error
        self._executor = self._second()

    def _second(self) -> Executor:
        """Where lost items go: workers of ours, unless they cannot be sent the verifier."""
        if isinstance(self._executor, WorkerPool) or not can_pickle(self._verifier):
            return self._executor
        if self._ours is None:
            # A process pool's own initializer, or a verifier that needs it would fail.
            self._ours = WorkerPool(
                min(self._workers, cpu_count() or 1),
                initializer=getattr(self._executor, "_initializer", None),
                initargs=getattr(self._executor, "_initargs", ()),
            )
        return self._ours


def _is_broken(executor: Executor) -> bool:
    return bool(getattr(executor, "_broken", False))


def check_item(item: object) -> None:
    """An item is a tuple of arguments; a string would be taken apart into letters."""
    if not isinstance(item, tuple):
        raise TypeError(
            "an item must be a tuple of the verifier's positional arguments, got "
            f"{type(item).__name__}"
        )


def _workers_of(executor: Executor) -> int:
    """How many workers it has, as far as it says so."""
    count = getattr(executor, "workers", None) or getattr(executor, "_max_workers", None)
    return count if isinstance(count, int) else cpu_count() or 1
