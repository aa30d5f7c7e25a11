"""What a player is asked for: calls, one by one, in a row, or in threads."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread, active_count
from time import monotonic, sleep
from types import FrameType
from typing import Any

from grpo_core._players._state import State

Function = Callable[..., object]
Args = tuple[Any, ...]
Plain = tuple[str, float | None, str, float, tuple[str, ...]]
"""Status, score, text, seconds and traces of one call."""

_MOST_LEFT = 150  # threads, files or processes that calls may leave behind while they are counted
_SWITCH = 1e-6  # seconds between switches of threads, where Python's own is 5 ms


def outcome(function: Function, args: Args) -> Plain:
    """What became of a call."""
    began = monotonic()
    try:
        value = function(*args)
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt, too
        return "raised", None, f"{type(error).__name__}: {error}"[:200], monotonic() - began, ()
    seconds = monotonic() - began
    try:
        score: Any = getattr(value, "score", value)
        if score is None:
            return "abstained", None, str(getattr(value, "reason", "")), seconds, ()
        if not isinstance(score, str | bytes):
            return "score", float(score), str(getattr(value, "reason", "")), seconds, ()
    except Exception:  # noqa: BLE001, S110 - whatever an object's __float__ may raise
        pass
    return "odd", None, f"returned {type(value).__name__} {value!r:.100}", seconds, ()


def call(function: Function, args: Args) -> Plain:
    """One call, and the marks that it left on the process, which are taken away again."""
    before = State.now()
    status, score, text, seconds, _ = outcome(function, args)
    return status, score, text, seconds, before.restored()


def calls(function: Function, many: list[Args]) -> list[Plain]:
    """One after the other; nothing is undone between them."""
    return [outcome(function, args) for args in many]


def many_times(
    function: Function, args: Args, count: int, seconds: float
) -> tuple[list[tuple[int, Plain]], list[float], dict[str, int]]:
    """One call again and again: its answers by their first turn, its times, and what grew.

    It ends when the time is over, or when so much is left behind that the process would suffer.
    """
    deadline = monotonic() + seconds
    before = _left_behind()
    answers: dict[tuple[str, float | None], tuple[int, Plain]] = {}
    times: list[float] = []
    for turn in range(count):
        plain = outcome(function, args)
        answers.setdefault(plain[:2], (turn, plain))
        times.append(plain[3])
        if turn % 16 == 15 and (monotonic() > deadline or _grown(before, _MOST_LEFT)):
            break
    return list(answers.values()), times, _grown(before, 1)


def _left_behind() -> dict[str, int]:
    """What a process has and can run out of. Without /proc, of threads alone."""
    found = {"threads": active_count()}
    with suppress(OSError):
        found["open files"] = len([*Path("/proc/self/fd").iterdir()])
    with suppress(OSError):
        tasks = Path("/proc/self/task").glob("*/children")
        found["processes"] = sum(len(task.read_bytes().split()) for task in tasks)
    return found


def _grown(before: dict[str, int], least: int) -> dict[str, int]:
    growth = {name: count - before.get(name, 0) for name, count in _left_behind().items()}
    return {name: more for name, more in growth.items() if more >= least}


def modules(function: Function, args: Args) -> list[str]:
    """What a call imports beyond what is there."""
    before = set(sys.modules)
    outcome(function, args)
    return [name for name in sys.modules if name not in before]


def in_thread(function: Function, many: list[Args]) -> list[Plain]:
    """The same as `calls`, but not in the main thread."""
    results: list[Plain] = []
    thread = Thread(target=lambda: results.extend(calls(function, many)))
    thread.start()
    thread.join()
    return results


def in_threads(
    function: Function, many: list[Args], threads: int, seconds: float, folder: str
) -> list[tuple[int, Plain]]:
    """Threads at once, each with all of the calls, begun at another one; until the time is over.

    Threads change places as often as Python lets them, and in the second half of the time between
    any two lines of a file below `folder`: there a race is met in a few rounds.
    """
    results: list[tuple[int, Plain]] = []
    barrier = Barrier(threads)
    deadline = monotonic() + seconds

    def work(first: int) -> None:
        barrier.wait()
        half = monotonic() + seconds / 2
        for round_ in range(1_000_000):
            if monotonic() > half:
                sys.settrace(yielding if folder else None)
            for step in range(len(many)):
                at = (first + step * (1 + round_ % 3)) % len(many)
                results.append((at, outcome(function, many[at])))
                if monotonic() > deadline:
                    sys.settrace(None)
                    return

    def yielding(frame: FrameType, event: str, argument: object) -> Any:
        del argument
        if event == "call" and not frame.f_code.co_filename.startswith(folder):
            return None
        sleep(0)
        return yielding

    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    started = [Thread(target=work, args=(i * len(many) // threads,)) for i in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    sys.setswitchinterval(usual)
    seen: dict[tuple[int, str, float | None], tuple[int, Plain]] = {}
    for at, plain in results:  # each answer to each call once: rounds are many
        seen.setdefault((at, plain[0], plain[1]), (at, plain))
    return sorted(seen.values(), key=lambda one: one[0])


JOBS: dict[str, Callable[..., object]] = {
    job.__name__: job for job in (call, calls, many_times, modules, in_thread, in_threads)
}
