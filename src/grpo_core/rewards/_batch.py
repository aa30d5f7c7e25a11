"""Scoring in bulk: as many results as items, in their order, whatever happens to one of them."""

import pickle
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sized
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import closing
from math import inf
from typing import TypeVar

from grpo_core.rewards._batch_run import Batch, Item, check_item, score_items
from grpo_core.rewards._batch_workers import WorkerPool
from grpo_core.rewards._verdict import Verdict

R = TypeVar("R")
Progress = Callable[[int, int | None], object]


def score_batch(
    items: Iterable[Item],
    verifier: Callable[..., R],
    *,
    executor: Executor | int | None = None,
    timeout_seconds: float = inf,
    progress: Progress | None = None,
    window: int = 1024,
) -> Generator[R | Verdict, None, None]:
    r"""The results of a verifier on many items, in order, one each, as they are asked for.

    Items are taken as the results are, at most `window` ahead, so a stream may be endless. With an
    executor, cheap items travel in chunks, whose size follows the time that they take. Closing the
    generator cancels what waits and ends our own workers; for what another executor has begun it
    waits, 30 seconds at most.

    An item costs itself alone. Where the verifier has no answer, the result is a `Verdict` whose
    score is None, for a sample that is left out, and whose detail holds the message:

    - `invalid_reference`: it raised `ValueError`, as verifiers do on a reference of ours;
    - `error`: it raised anything else, or the item or its result could not be sent;
    - `worker_died`: the process was killed or left, and a second one too, with this item alone;
    - `timeout`: over `timeout_seconds`. A verifier that bounds itself says so with a 0; that it did
      not is a fault of ours.

    When a worker dies or hangs, the items that it had go once more, each alone, to a process of our
    own. An executor of yours that breaks (`BrokenProcessPool`) or hangs for good is not used again
    in this batch; processes of our own, with its initializer, do the rest. `WorkerPool` is an
    executor that does not break.

    Args:
        items: Tuples of the verifier's positional arguments: a list, or a stream.
        verifier: `verify_math`, or any function. For processes it must be picklable, as a function
            of a module is and a lambda is not; options go in by `functools.partial`.
        executor: None: in this thread. A number: that many processes, started for this batch and
            ended with it. Or any `concurrent.futures.Executor`: a `WorkerPool` that stays, threads,
            processes, Dask's `client.get_executor()`, one over Ray actors.
        timeout_seconds: For one item at work, more than 0. Our own processes are killed when it is
            over; a thread, or a worker of an executor of yours, cannot be, and is left behind. In
            this thread an item is waited for, and its late result dropped.
        progress: Called with (results so far, number of items if `items` has a length) before each
            result is given.
        window: How many items may be under way, at least 1: what bounds the memory.

    Returns:
        A generator of what the verifier returns, or of the verdicts above.

    Raises:
        TypeError: If an item is no tuple.
        ValueError: If a number is out of range.
        pickle.PicklingError: If the verifier cannot be sent to a process.

    Example:
        A reference that nobody can read shifts nothing:

        >>> from grpo_core.rewards import score_batch, verify_math
        >>> items = [(r"\\boxed{2}", "2"), (r"\\boxed{2}", "{2"), (r"\\boxed{3}", "2")]
        >>> [(verdict.score, verdict.reason) for verdict in score_batch(items, verify_math)]
        [(1.0, 'correct'), (None, 'invalid_reference'), (0.0, 'different')]
    """
    _check(verifier, executor, timeout_seconds, window)
    results = (
        _here(items, verifier, timeout_seconds)
        if executor is None
        else _elsewhere(items, verifier, executor, timeout_seconds, window)
    )
    return _counted(results, progress, len(items) if isinstance(items, Sized) else None)


async def score_batch_async(
    items: Iterable[Item],
    verifier: Callable[..., R],
    *,
    executor: Executor | int | None = None,
    timeout_seconds: float = inf,
    progress: Progress | None = None,
    window: int = 1024,
) -> AsyncGenerator[R | Verdict, None]:
    r"""`score_batch` for an event loop, which goes on meanwhile.

    Args:
        items: As in `score_batch`; taken in the loop's thread, so they must not block.
        verifier: As in `score_batch`.
        executor: As in `score_batch`, but None is one thread beside the loop's.
        timeout_seconds: As in `score_batch`.
        progress: As in `score_batch`, called in the loop's thread.
        window: As in `score_batch`.

    Yields:
        What `score_batch` gives. Cancelling the task, or `aclose()`, is closing the generator.

    Raises:
        TypeError: If an item is no tuple.
        ValueError: If a number is out of range.
        pickle.PicklingError: If the verifier cannot be sent to a process.

    Example:
        Collected into a list:

        >>> import asyncio
        >>> from grpo_core.rewards import score_batch_async, verify_math
        >>> async def scores(items):
        ...     return [verdict.score async for verdict in score_batch_async(items, verify_math)]
        >>> asyncio.run(scores([(r"\\boxed{2}", "2"), (r"\\boxed{3}", "2")]))
        [1.0, 0.0]
    """
    import asyncio  # noqa: PLC0415 - half of the time that this door takes to import

    _check(verifier, executor, timeout_seconds, window)
    thread = ThreadPoolExecutor(1) if executor is None else None
    batch = Batch(items, verifier, thread or executor or 1, timeout_seconds, window)
    total = len(items) if isinstance(items, Sized) else None
    done = 0
    try:
        while chunk := batch.next():
            future = asyncio.wrap_future(chunk.future)
            # Looked at here: asyncio complains of an error that nobody sees.
            future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            while not chunk.future.done() and (patience := batch.patience(chunk)) != 0:
                await asyncio.wait([future], timeout=patience)
            for result in batch.settle(chunk):
                done += 1
                if progress:
                    progress(done, total)
                yield result
    finally:
        await asyncio.shield(asyncio.to_thread(batch.close))
        if thread:
            thread.shutdown(wait=False)


def _check(
    verifier: Callable[..., object],
    executor: Executor | int | None,
    timeout_seconds: float,
    window: int,
) -> None:
    if not timeout_seconds > 0:  # NaN fails this too
        raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if isinstance(executor, int) and executor < 1:
        raise ValueError(f"executor must be at least 1 worker, got {executor}")
    if executor is None:
        return
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - it loads multiprocessing

    if isinstance(executor, int | WorkerPool | ProcessPoolExecutor):
        pickle.dumps(verifier)  # raises here, not as the error of every item


def _here(
    items: Iterable[Item], verifier: Callable[..., R], timeout_seconds: float
) -> Generator[R | Verdict, None, None]:
    for item in items:
        check_item(item)
        yield from score_items(verifier, [item], timeout_seconds)[0]


def _elsewhere(
    items: Iterable[Item],
    verifier: Callable[..., R],
    executor: Executor | int,
    timeout_seconds: float,
    window: int,
) -> Generator[R | Verdict, None, None]:
    with closing(Batch(items, verifier, executor, timeout_seconds, window)) as batch:
        while chunk := batch.next():
            while not chunk.future.done() and (patience := batch.patience(chunk)) != 0:
                wait([chunk.future], patience)
            yield from batch.settle(chunk)


def _counted(
    results: Generator[R | Verdict, None, None], progress: Progress | None, total: int | None
) -> Generator[R | Verdict, None, None]:
    with closing(results):
        for done, result in enumerate(results, start=1):
            if progress:
                progress(done, total)
            yield result
