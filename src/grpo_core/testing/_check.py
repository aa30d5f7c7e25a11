"""The harness for verifiers."""

from contextlib import closing
from dataclasses import replace
from math import isfinite
from time import monotonic

from hypothesis import HealthCheck, Phase, find
from hypothesis import settings as Settings  # noqa: N812 - `settings` is a parameter

from grpo_core.testing._checks_caller import Caller, Verifier
from grpo_core.testing._checks_cases import Source, any_of, cases_of
from grpo_core.testing._checks_kinds import KINDS, Kind, Sources, sources_of
from grpo_core.testing._checks_run import Run
from grpo_core.testing._checks_verdicts import Verdicts
from grpo_core.testing._report import Report

_FIRST = Settings(
    max_examples=20, derandomize=True, database=None, deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
)  # fmt: skip


def check_verifier(
    verifier: Verifier,
    *,
    right: Source | None = None,
    wrong: Source | None = None,
    hostile: Source | None = None,
    kind: Kind | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    passing: float | None = None,
    symmetric: bool = False,
    deadline_seconds: float | None = None,
    seconds: float = 45.0,
    settings: Settings | None = None,
) -> Report:
    r"""Try a verifier on many cases: which properties hold, and what breaks the others.

    A verifier is any function of a completion and whatever it needs beside (a reference, tests, a
    problem) that returns a number, a `Verdict` or another object with a `score`, or None for "left
    out". One of another signature is wrapped in two lines.

    What is asked of it:

    - `total`: it answers any text at all; `bounded`: with a number in `bounds`, or None;
      `in_time`: before the deadline;
    - `accepts_right`: each case of `right` scores at least `passing`; `rejects_wrong`: none of
      `wrong` does; `not_gamed`: none of `hostile` does, nor earns more than an ordinary wrong case;
    - `unmoved_by_noise`: words in the thoughts and around the answer, and white space at the end,
      change no score; `symmetric`, where claimed: answer and reference may change places;
    - `repeatable`, `order_independent`: neither the same call, up to 1,100 times, nor any other one
      before it counts, nor does a call take longer each time; `thread_safe`: a verdict is the same
      in a thread that is not the main one, and beside three other threads; `process_safe`: the
      verifier can be sent to another process and says the same there, with another seed of the
      hashes, in another time zone, and beside a second process;
    - `leaves_no_trace`: no call changes the generators of random numbers, the environment, signal
      handlers, settings of torch and numpy, limits and the like, leaves threads, files or processes
      behind, or executes a completion.

    Where there is no reference, or no test, nothing may pass; there a verifier may raise.

    The verifier runs in processes of its own: one imports it and forks others for the calls, and
    kills those that are late or take over 4 GB. So nothing that it does can hang, end or change the
    caller: an endless loop or `os._exit` is a failure like any other. After five calls that had to
    be killed no more are begun. A verifier that cannot be pickled is forked from this process
    instead, and fails `process_safe`. Linux and macOS only.

    Args:
        verifier: What is checked.
        right: A strategy of tuples, the verifier's arguments with the completion first, all of
            them right; or a mapping of such strategies by the name of a class of cases. The
            failures of each class are shrunk by themselves.
        wrong: The same for arguments that are wrong.
        hostile: The same for completions that try to earn what they do not deserve.
        kind: What stands for those of the three that are not given. `"math"`: spellings and near
            misses of `answers()`, and `hostile_completions()`, with the reference in LaTeX;
            `"code"`: `programs()` with their tests; `"format"`: completions alone, good ones and
            `malformed_completions()`; `"language"`: `bilingual_texts()` with their problem. None
            is `"math"` where neither `right` nor `wrong` is given, and else needs both.
        bounds: The least and the greatest score.
        passing: The score from which a completion counts as accepted; halfway if not given.
        symmetric: Whether it claims that answer and reference may change places. Maths only.
        deadline_seconds: For one call; 5, or 30 for code. The first call of a process, which may
            load a model, is not timed.
        seconds: For all of it, about. A check that does not come to its end says so.
        settings: Of Hypothesis; `max_examples` is for one class of cases. Without it, a run is
            deterministic and stores nothing.

    Returns:
        A report: as a text all of it; its `check()` raises with that if anything failed.

    Raises:
        TypeError: If a source is no strategy, or does not generate tuples of arguments.
        ValueError: If a number is out of range, `kind` is unknown, or `right` and `wrong` are
            missing where no kind is given.
        NoHomeError: If no process can be started for the verifier.

    Example:
        A verifier that finds the reference anywhere in the text:

        >>> from hypothesis import strategies as st
        >>> from grpo_core.testing import check_verifier
        >>> def mine(completion, reference):
        ...     return float(reference in completion)
        >>> numbers = st.integers(0, 99)
        >>> report = check_verifier(
        ...     mine,
        ...     right=numbers.map(lambda n: (f"It is {n}.", str(n))),
        ...     wrong=numbers.map(lambda n: (f"It is {10 * n + 1}.", str(n))),
        ...     seconds=5.0,
        ... )
        >>> report["rejects_wrong"].failures[0].example
        "mine('It is 11.', '1')"
    """
    sources = _sources(right, wrong, hostile, kind)
    low, high = bounds
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"bounds must be two finite numbers, the lower first, got {bounds}")
    passing = (low + high) / 2 if passing is None else passing
    if not low < passing <= high:
        raise ValueError(f"passing must be in ({low:g}, {high:g}], got {passing}")
    deadline = sources.deadline_seconds if deadline_seconds is None else deadline_seconds
    for name, value in (("deadline_seconds", deadline), ("seconds", seconds)):
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{name} must be finite and more than 0, got {value}")
    began = monotonic()
    plainest = find(any_of(sources.right), lambda _: True, settings=_FIRST).args
    with closing(Caller(verifier, deadline, plainest)) as caller:
        run = Run(Verdicts(caller, low, high, passing), sources, settings, seconds)
        run.one_by_one(plainest, is_symmetric=symmetric)
        run.together()
        return run.report(monotonic() - began)


def _sources(
    right: Source | None, wrong: Source | None, hostile: Source | None, kind: Kind | None
) -> Sources:
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    given = {"right": right, "wrong": wrong, "hostile": hostile}
    cases = {name: cases_of(source, name) for name, source in given.items() if source is not None}
    if kind is None and right is None and wrong is None:
        kind = "math"
    if kind is not None:
        usual = sources_of(kind)
        return replace(
            usual,
            right=cases.get("right", usual.right),
            wrong=cases.get("wrong", usual.wrong),
            hostile=cases.get("hostile", usual.hostile),
        )
    if right is None or wrong is None:
        raise ValueError("without a kind, give both right and wrong")
    return Sources(cases["right"], cases["wrong"], cases.get("hostile", {}))
