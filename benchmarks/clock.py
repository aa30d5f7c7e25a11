"""How long a call takes, by the clock of what runs it."""

import statistics
import time
from collections.abc import Callable

import torch


def seconds(
    call: Callable[[], object],
    *,
    turns: int,
    untimed: int,
    before: Callable[[], object] = lambda: None,
) -> float:
    """The median of some calls; of the device's own clock where there is one.

    Args:
        call: What is timed.
        turns: How often it is called.
        untimed: How many of the first calls do not count.
        before: Called before each, untimed: to empty the cache, to restore what the call overwrites
            and to be at work while the call is being issued.
    """
    times: list[float] = []
    for turn in range(turns):
        before()
        if torch.cuda.is_available():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            took = start.elapsed_time(end) / 1e3
        else:
            begin = time.perf_counter()
            call()
            took = time.perf_counter() - begin
        if turn >= untimed:
            times.append(took)
    return statistics.median(times)
