"""A case for a verifier, and what became of it."""

from collections.abc import Mapping
from math import isnan
from typing import Any, NamedTuple, cast

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Args = tuple[Any, ...]
Source = SearchStrategy[Any] | Mapping[str, SearchStrategy[Any]]
"""Of the verifier's arguments, the completion first: one strategy, or one for each class."""


class Case(NamedTuple):
    """The verifier's arguments, and the class of cases that they stand for."""

    args: Args
    label: str = ""
    may_earn: bool = False
    """Whether nothing is said of what it earns, but only that it is answered."""
    may_raise: bool = False
    """Whether the mistake is the developer's, so that to raise is as good as to pay nothing."""

    def __repr__(self) -> str:  # Hypothesis prints what it runs, and some are a megabyte
        return f"<case of {self.label or 'one class'}>"


class Outcome(NamedTuple):
    """What became of a call.

    `status` is `score`, `abstained` (None), `odd` (no score at all), `raised`, `died` (the process
    ended), `memory`, `timeout`, or `skipped` (not called, since too much time was lost before).
    """

    status: str
    score: float | None = None
    text: str = ""
    seconds: float = 0.0
    traces: tuple[str, ...] = ()

    @property
    def answer(self) -> tuple[str, float | None]:
        """What two calls with the same arguments have in common; NaN equals itself."""
        score = self.score
        return self.status, None if score is None or isnan(score) else round(score, 9)

    def __str__(self) -> str:
        if self.status == "score":
            return f"{self.score:g}" + (f" ({self.text})" if self.text else "")
        return f"{self.status}: {self.text}" if self.text else self.status


def cases_of(source: Source, name: str) -> dict[str, SearchStrategy[Case]]:
    """The strategies of a source by class, of cases.

    Raises:
        TypeError: If it is neither a strategy nor a mapping of strategies.
        ValueError: If it is an empty mapping.
    """
    parts = cast("Mapping[str, object]", source if isinstance(source, Mapping) else {"": source})
    if not parts:
        raise ValueError(f"{name} must hold at least one strategy")
    for part in parts.values():
        if not isinstance(part, SearchStrategy):
            raise TypeError(f"{name} must be a strategy, got {type(part).__name__}")
    return {
        label: cast("SearchStrategy[Any]", part).map(
            lambda args, label=label: _case(args, label, name)
        )
        for label, part in parts.items()
    }


def _case(args: object, label: str, name: str) -> Case:
    if isinstance(args, Case):
        return args
    if isinstance(args, tuple) and args and isinstance(args[0], str):
        return Case(cast("Args", args), label)
    raise TypeError(
        f"{name} must generate tuples of the verifier's arguments, the completion first, "
        f"got {args!r:.100}"
    )


def any_of(sources: Mapping[str, SearchStrategy[Case]]) -> SearchStrategy[Case]:
    """A case of any class."""
    return st.one_of(*sources.values())
