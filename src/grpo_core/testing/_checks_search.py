"""Examples that fail, the plainest of each class: Hypothesis, for all bugs, not the first."""

import pickle
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from time import monotonic
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from grpo_core.testing._checks_cases import Args, Case

Judge = Callable[[Case], Mapping[str, str]]
"""The checks that a case fails, each with what is wrong."""

_SHRUNK = 5  # failures of one check that are shrunk; of the others the shortest is shown


class Found(NamedTuple):
    """A way to fail: which check, in which class, the plainest case, and how many failed so."""

    check: str
    label: str
    case: Case
    message: str
    times: int = 1
    history: tuple[Args, ...] = ()
    """Calls that have to come before it, or beside it."""


class Sampled(NamedTuple):
    """What a search saw."""

    found: list[Found]
    examples: int
    is_cut: bool
    """Whether time was over before all examples were tried."""


class _FoundError(Exception):
    """Raised into Hypothesis, which shrinks what raises it."""


class _OverError(BaseException):
    """The time is over. Hypothesis catches what is an `Exception`, and lets this through."""


def _key(case: Case) -> bytes:
    return blake2b(pickle.dumps(case)).digest()


def default_settings(examples: int) -> settings:
    """Deterministic, without a database and without limits of Hypothesis's own."""
    return settings(max_examples=examples, derandomize=True, database=None, deadline=None)


def search(
    strategy: SearchStrategy[Case],
    judge: Judge,
    base: settings,
    *,
    seconds: float,
    shrink_seconds: Callable[[], float],
    key_of: Callable[[Case], object] = _key,
    clock: Callable[[], float] = monotonic,
) -> Sampled:
    """Try as many examples as the settings say, then shrink one of each way to fail.

    The first run raises nothing, so that it sees all there is. Each way to fail is then met again
    by the same run, with the same seed, and raised there. When a time is over, by the clock, the
    plainest one so far is kept.
    """
    ways: dict[tuple[str, str], Found] = {}
    wanted: tuple[str, str] | None = None
    known: dict[object, Mapping[str, str]] = {}
    last: Found | None = None
    until = clock() + seconds
    examples, is_cut = 0, False

    def run(case: Case) -> None:
        nonlocal last, examples, is_cut
        if clock() > until:
            raise _OverError
        key = key_of(case)
        is_new = key not in known
        if is_new:
            known[key] = judge(case)
            examples += wanted is None
        for check, message in known[key].items():
            found, way = Found(check, case.label, case, message), (check, case.label)
            if wanted == way:
                last = found
                raise _FoundError
            if wanted is None and is_new:
                earlier = ways.setdefault(way, found)
                plainest = min(earlier, found, key=length)
                ways[way] = plainest._replace(times=earlier.times + (earlier is not found))

    options = settings(
        base,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        report_multiple_bugs=False,
        print_blob=False,
    )
    test = options(given(strategy)(run))
    test = seed(0)(test) if base.derandomize else test
    try:
        test()
    except _OverError:
        is_cut = True
    shrunk: dict[str, int] = {}
    results: list[Found] = []
    for way, sampled in ways.items():
        wanted, last = way, None
        shrunk[way[0]] = shrunk.get(way[0], 0) + 1
        if shrunk[way[0]] <= _SHRUNK:
            until = clock() + shrink_seconds()
            with suppress(_FoundError, _OverError, Flaky):
                test()
        plainest = min(last or sampled, sampled, key=length)
        results.append(plainest._replace(times=sampled.times))
    return Sampled(results, examples, is_cut)


def sweep(cases: Iterable[Case], judge: Judge, *, seconds: float) -> Sampled:
    """Try cases in their order, the plainest first; of each way to fail the first one is kept."""
    ways: dict[tuple[str, str], Found] = {}
    until = monotonic() + seconds
    examples = 0
    for case in cases:
        if monotonic() > until:
            return Sampled(list(ways.values()), examples, is_cut=True)
        examples += 1
        for check, message in judge(case).items():
            way = check, case.label
            found = ways.setdefault(way, Found(check, case.label, case, message, 0))
            ways[way] = found._replace(times=found.times + 1)
    return Sampled(list(ways.values()), examples, is_cut=False)


def length(found: Found) -> int:
    """By which the plainer of two is known."""
    return sum(len(part) if isinstance(part, str) else 0 for part in found.case.args)
