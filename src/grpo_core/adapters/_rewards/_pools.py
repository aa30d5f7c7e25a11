"""Worker processes that a reward function uses again at each step, made when first needed."""

import os
from functools import lru_cache

from grpo_core.rewards import WorkerPool


def pool_of(workers: int | None) -> WorkerPool | None:
    """This process's pool of that size; None for no workers: the caller's own thread."""
    return None if workers is None else _pool(os.getpid(), workers)


@lru_cache
def _pool(process: int, workers: int) -> WorkerPool:  # noqa: ARG001 - a fork has none of its parent's
    return WorkerPool(workers)


def check_workers(workers: int | None) -> None:
    """A number of processes, or none.

    Raises:
        ValueError: If it is less than 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1 or None, got {workers}")
