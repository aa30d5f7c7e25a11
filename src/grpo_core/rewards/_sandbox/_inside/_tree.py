"""All processes that a program has started: what they hold, and their end.

The launcher runs one program at a time and is the one to which orphans return (the first process of
its pid namespace, or a subreaper), so that a program's processes are all of its descendants.
"""

import os
import signal
import time
from contextlib import suppress

from ._namespaces import in_child

_MIB = 1 << 20
_PATIENCE_SECONDS = 10.0


def descendants() -> list[int]:
    """Process ids below this one, as far as they can be listed."""
    found: list[int] = []
    pending = [os.getpid()]
    while pending:
        for child in _children(pending.pop()):
            found.append(child)
            pending.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                children += map(int, file.read().split())
    return children


def memory_mb(pids: list[int], limit_mb: float) -> float:
    """Their memory together, in MiB: pages that they share count once where that decides."""
    total = sum(_status(pid, b"RssAnon:", b"RssShmem:") for pid in pids)
    if total > limit_mb and len(pids) > 1:
        shares = [_share(pid) for pid in pids]
        if all(share is not None for share in shares):
            return sum(share or 0.0 for share in shares)
    return total


def _status(pid: int, *fields: bytes) -> float:
    with suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123
        words = file.read().split()
        return sum(int(words[words.index(f) + 1]) for f in fields if f in words) / 1024
    return 0.0


def _share(pid: int) -> float | None:
    """Its proportional share, in MiB: 0 for one that has ended, None where it may not be read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            words = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    except OSError:
        return None
    if b"Pss_Anon:" not in words:
        return None
    wanted = (b"Pss_Anon:", b"Pss_Shmem:")
    return sum(int(words[words.index(w) + 1]) for w in wanted if w in words) / 1024


def count(pids: list[int]) -> int:
    """Their threads together."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return total


def reap() -> list[tuple[int, int, float, float]]:
    """Collect the children that have ended: id, status, CPU seconds, largest resident MiB.

    Raises ChildProcessError when there are no children left, ended or alive.
    """
    ended: list[tuple[int, int, float, float]] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            if ended:
                return ended
            raise
        if pid == 0:
            return ended
        ended.append((pid, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))


def end(*, first_of_namespace: bool, user: int | None) -> list[tuple[int, int, float, float]]:
    """Kill every process of the program, and return only when none is left.

    Raises:
        TimeoutError: If one does not go: the launcher is then of no more use.
    """
    ended: list[tuple[int, int, float, float]] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = 0.0
    while True:
        try:
            ended += reap()
            if first_of_namespace:
                with suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)  # at one stroke: a fork that runs now fails
            else:
                _kill_descendants(user)
        except ChildProcessError:
            return ended
        if time.monotonic() > deadline:
            raise TimeoutError("a process of the program does not end")
        time.sleep(pause)
        pause = min(0.01, pause + 0.0002)


def _kill_descendants(user: int | None) -> None:
    if user is not None:
        in_child(lambda: _kill_all_of(user))
    for pid in descendants():
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _kill_all_of(user: int) -> None:
    os.setresuid(user, user, user)
    os.kill(-1, signal.SIGKILL)
