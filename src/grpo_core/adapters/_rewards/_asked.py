"""What a verifier is given of a trainer's sample, and what its answer is to a trainer."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from math import inf, isfinite
from typing import Any, NamedTuple, SupportsFloat, cast

from grpo_core.rewards import (
    Reward,
    Verdict,
    magistral_reward,
    score_batch,
    verify_code,
    verify_math,
)

_LOG = getLogger("grpo_core.adapters")
# Reasons of `score_batch`: the verifier had no answer, and something is to be repaired.
_FAULTS = frozenset(("invalid_reference", "error", "worker_died", "timeout", "not_a_number"))


def check_unscored(value: float) -> float:
    """What a trainer is told where there is no score: NaN would reach its loss."""
    if not isfinite(value):
        raise ValueError(f"unscored must be a finite number, got {value}")
    return value


class Asked(NamedTuple):
    """One completion, what else the verifier needs, and the trainer's own number of the row."""

    completion: str
    reference: Any = None
    problem: str | None = None
    length: int | None = None
    row: object = None


class Scored(NamedTuple):
    """A trainer's reward, why, and what went wrong; the score is None where there is none."""

    score: float | None
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """How a verifier is called.

    Args:
        verifier: Ours or anybody's; returns a `Verdict`, a `Reward`, a number or None.
        column: Where the trainer's sample has the reference; None where the verifier takes none.
        problem: Where it has the problem; None where the verifier takes none.
        length: Whether the verifier takes `length=`, the completion's number of tokens.
    """

    verifier: Callable[..., object]
    column: str | None
    problem: str | None = None
    length: bool = False

    def __post_init__(self) -> None:
        if not callable(self.verifier):
            raise TypeError(f"verifier must be callable, got {type(self.verifier).__name__}")
        for name, value in (("column", self.column), ("problem", self.problem)):
            if value is not None and not (isinstance(value, str) and value):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ValueError(f"{name} must be the name of a column or None, got {value!r}")

    def __call__(self, asked: Asked) -> object:
        """The verifier's answer; None where a data set of several tasks has no reference here."""
        if self.column is not None and asked.reference is None:
            return None
        before = () if self.problem is None else (asked.problem,)
        after = () if self.column is None else (asked.reference,)
        options = {"length": asked.length} if self.length else {}
        return self.verifier(*before, asked.completion, *after, **options)

    def scores(
        self,
        asked: Iterable[Asked],
        *,
        executor: Executor | None = None,
        timeout_seconds: float = inf,
    ) -> list[Scored]:
        """One answer each, in order. What went wrong is logged, and has no score."""
        items = [(each,) for each in asked]
        results = score_batch(items, self, executor=executor, timeout_seconds=timeout_seconds)
        scored = [scored_as(result) for result in results]
        for reason, count in Counter(s.reason for s in scored if s.reason in _FAULTS).items():
            at, first = next((at, s) for at, s in enumerate(scored) if s.reason == reason)
            row = at if items[at][0].row is None else items[at][0].row
            place = f"row {row}, column {self.column!r}" if self.column else f"row {row}"
            _LOG.warning(
                "%s: %d of %d completions have no score (%s); the first, %s: %s",
                name_of(self.verifier), count, len(scored), reason, place, first.message,
            )  # fmt: skip
        return scored


def scored_as(result: object) -> Scored:
    """A verifier's answer as a trainer's reward."""
    if isinstance(result, Verdict):
        message = result.detail.get("message", "") if result.score is None else ""
        kind = result.detail.get("error", "")
        return Scored(result.score, result.reason, f"{kind}: {message}" if kind else message)
    if isinstance(result, Reward):
        verdicts = result.verdicts
        return Scored(result.total, verdicts.get("correctness", verdicts["format"]).reason)
    if result is None:
        return Scored(None, "not_applicable")
    try:
        if isinstance(result, str):
            raise TypeError  # "1" is a number to float(), and a mistake here
        score = float(cast("SupportsFloat", result))
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor of several numbers
        kind = type(result).__name__
        return Scored(None, "error", f"the verifier must return a Verdict or a number, got {kind}")
    if not isfinite(score):
        return Scored(None, "not_a_number", f"the verifier returned {score}")
    return Scored(score, "scored")


def name_of(verifier: Callable[..., object]) -> str:
    """What the function is called, beneath its options."""
    while isinstance(verifier, partial):
        verifier = cast("partial[object]", verifier).func
    return getattr(verifier, "__name__", type(verifier).__name__)


def check_reference(question: Question, reference: object, where: str) -> None:
    """Ask the verifier to read a reference, with no completion to speak of; None is none to read.

    Raises:
        ValueError: If it refuses.
    """
    if reference is None:
        return
    verifier, options = question.verifier, dict[str, Any]()
    while isinstance(verifier, partial):
        verifier, options = cast("partial[object]", verifier).func, {**verifier.keywords, **options}
    if verifier is magistral_reward:  # it reads no reference where the format is wrong
        by_kind = {"math": verify_math, "code": verify_code}
        read = options.get("verify") or by_kind[options.get("kind", "math")]
        question = Question(read, question.column)
    try:
        question(Asked("", reference, "", 0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


class RewardBase:
    """What every reward function here has: a question, and the name of its verifier."""

    def __init__(self, question: Question, name: str | None) -> None:
        self.question = question
        self.__name__ = name or name_of(question.verifier)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__name__}>"
