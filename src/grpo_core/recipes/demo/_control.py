"""The control beside the run: the same training on shuffled rewards, in a process of its own.

The rewards are its own, handed to the wrong completions: whatever the updates do by themselves,
they do to the control too. It does not stand still: noise, normalised, moves the weights as far as
a signal would, and most ways lead away from sums. No torch here: a process is given what it runs.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

Item = TypeVar("Item")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def side_by_side(
    run: Iterable[Item], control: Callable[[], Iterable[Item]]
) -> Generator[Iterator[Item]]:
    """What `run` and `control` yield, in turn; on a single core, one after the other.

    The order does not depend on who is faster: a seed gives the same file each time.
    """
    if cores() == 1:
        yield chain(run, control())
        return
    with in_process(control) as items:
        yield chain.from_iterable(zip(run, items, strict=True))


@contextmanager
def in_process(run: Callable[[], Iterable[Item]]) -> Generator[Iterator[Item]]:
    """What `run`, which must pickle, yields in a new process that ends with the block."""
    context = get_context("spawn")  # a fork would inherit torch's threads in an unknown state
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(run, sender), daemon=True)
    # A terminal sends Ctrl-C to both processes; the new one inherits that it is not for it.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    sender.close()  # so that the receiver sees the end, should the other end die
    try:
        yield iter(receiver.recv, None)
    finally:
        process.kill()
        process.join()


def _send(run: Callable[[], Iterable[Item]], sender: Connection) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more
        for item in run():
            sender.send(item)
        sender.send(None)
