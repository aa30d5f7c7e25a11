"""Answers of every kind."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import get_args

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _plain as plain
from grpo_core.testing._arguments import chosen
from grpo_core.testing._values import (
    CHOICES,
    UNITS,
    Answer,
    Equation,
    Interval,
    Kind,
    Quantity,
    Sum,
    Term,
    Value,
)

_KINDS: tuple[Kind, ...] = get_args(Kind)
_SQUAREFREE = (2, 3, 5, 6, 7, 10, 11, 13, 14, 15)

_fractions = st.builds(Fraction, st.integers(-999, 999), st.integers(2, 99))
_rationals = _fractions.filter(lambda value: value.denominator > 1)
# Small, with thousands, and more than a float holds: each is where another bug is.
_integers = st.one_of(
    st.integers(-999, 999),
    st.integers(-(10**9), 10**9),
    st.integers(10**15, 10**20),
).map(Fraction)
_small = st.integers(-20, 20).map(Fraction)
_items = st.one_of(st.integers(-999, 999).map(Fraction), _rationals)
_coefficients = st.one_of(
    st.integers(1, 20), st.integers(-20, -1), st.builds(Fraction, st.integers(1, 9), st.just(2))
).map(Fraction)


def answers(kinds: Iterable[Kind] | None = None) -> SearchStrategy[Answer]:
    """Answers to problems of mathematics, each with its exact value and its plainest spelling.

    They shrink to the integer 0.

    Args:
        kinds: Of which kinds; None is all of them: `integer`, `rational` (never whole), `decimal`,
            `percentage`, `radical` (a number plus a multiple of a square root), `interval` (with
            one finite end or two), `set`, `tuple`, `matrix`, `equation` (of a line), `polynomial`,
            `trigonometric`, `complex` (never real), `quantity` (with a unit), `angle` (in degrees)
            and `choice` (a letter, or one of two words).

    Returns:
        The strategy.

    Raises:
        ValueError: If a kind is unknown, or there is none.

    Example:
        The plainest interval:

        >>> from hypothesis import find
        >>> from grpo_core.testing import answers
        >>> find(answers(["interval"]), lambda answer: True).latex
        '(0, 1)'
    """
    names = chosen("kinds", kinds, _KINDS)
    return st.one_of([_VALUES[kind].map(_named(kind)) for kind in names])


def _named(kind: Kind) -> Callable[[Value], Answer]:
    return lambda value: plain.answer(kind, value)


def _decimals(places: int, *, low: int = -(10**6), most: int = 10**6) -> SearchStrategy[Fraction]:
    """Numbers that need one place or more after the point, up to so many."""
    digits = st.integers(low, most).filter(lambda digits: digits % 10)
    return st.builds(_shifted, digits, st.integers(1, places))


def _shifted(digits: int, places: int) -> Fraction:
    return Fraction(digits, 10**places)


def _sums(*terms: SearchStrategy[Term], constant: bool, most: int) -> SearchStrategy[Sum]:
    """One term or more of distinct functions, and perhaps a number."""
    several = st.lists(
        st.one_of(*terms), min_size=1, max_size=most, unique_by=lambda term: term[1:]
    ).map(lambda found: tuple(sorted(found, key=_order)))
    if not constant:
        return several
    return st.builds(_with_constant, several, _small)


def _with_constant(terms: Sum, number: Fraction) -> Sum:
    return (*terms, Term(number)) if number else terms


def _order(term: Term) -> tuple[str, int]:
    return term.function, -term.number


def _terms(*functions: str, most: int) -> SearchStrategy[Term]:
    return st.builds(Term, _coefficients, st.sampled_from(functions), st.integers(1, most))


@st.composite
def _intervals(draw: st.DrawFn) -> Interval:
    low, high = sorted(draw(st.lists(_items, min_size=2, max_size=2, unique=True)))
    has_low, has_high = draw(st.booleans()), draw(st.booleans())
    match draw(st.sampled_from(["both", "low", "high"])):
        case "low":
            return Interval(low, None, has_low, has_high=False)
        case "high":
            return Interval(None, high, has_low=False, has_high=has_high)
        case _:
            return Interval(low, high, has_low, has_high)


def _matrices() -> SearchStrategy[tuple[tuple[Fraction, ...], ...]]:
    def rows(columns: int) -> SearchStrategy[tuple[tuple[Fraction, ...], ...]]:
        row = st.tuples(*[_small] * columns)
        return st.lists(row, min_size=2, max_size=3).map(tuple)

    return st.integers(2, 3).flatmap(rows)


def _radical(whole: Fraction, coefficient: Fraction, radicand: int) -> Sum:
    root = Term(coefficient, "sqrt", radicand)
    return (Term(whole), root) if whole else (root,)


def _line(first: int, second: int, right: Fraction) -> Equation:
    return Equation((Term(Fraction(first), "x"), Term(Fraction(second), "y")), right)


def _complex(real: Fraction, imaginary: Fraction) -> Sum:
    return (Term(real), Term(imaginary, "i")) if real else (Term(imaginary, "i"),)


_VALUES: dict[Kind, SearchStrategy[Value]] = {
    "integer": _integers,
    "rational": _rationals,
    "decimal": st.one_of(_decimals(6), _decimals(10, most=10**12)),
    "percentage": st.one_of(
        st.integers(1, 300).map(lambda n: Fraction(n, 100)),
        _decimals(2, low=1).map(lambda value: value / 100),
    ),
    "radical": st.builds(_radical, _small, _coefficients, st.sampled_from(_SQUAREFREE)),
    "interval": _intervals(),
    "set": st.lists(_items, min_size=1, max_size=5, unique=True).map(lambda n: tuple(sorted(n))),
    "tuple": st.lists(_items, min_size=2, max_size=4).map(tuple),
    "matrix": _matrices(),
    "equation": st.builds(
        _line,
        st.integers(1, 20),
        st.one_of(st.integers(1, 20), st.integers(-20, -1)),
        _small,
    ),
    "polynomial": _sums(_terms("x", most=6), constant=True, most=4),
    "trigonometric": _sums(_terms("sin", "cos", "tan", most=6), constant=True, most=2),
    "complex": st.builds(_complex, _small, _coefficients),
    "quantity": st.builds(
        Quantity,
        st.one_of(st.integers(1, 9999).map(Fraction), _decimals(2, low=1)),
        st.sampled_from(list(UNITS)),
    ),
    "angle": st.integers(1, 360).map(Fraction),
    "choice": st.sampled_from([word for family in CHOICES for word in family]),
}
