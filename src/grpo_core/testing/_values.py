"""What an answer is worth, exactly: equal values are one answer, and others are another."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

Kind = Literal[
    "integer", "rational", "decimal", "percentage", "radical", "interval", "set", "tuple",
    "matrix", "equation", "polynomial", "trigonometric", "complex", "quantity", "angle", "choice",
]  # fmt: skip


class Term(NamedTuple):
    r"""A coefficient times a function of a whole number.

    The functions are `one`; `sqrt` of a number without square factors; `i`; `x`, `y` and `X` to
    the power of the number; `sin`, `cos` and `tan` of that many `x`. No two of them are in a
    rational proportion, nor any sum of some to the others: sums of terms are equal if their terms
    are.
    """

    coefficient: Fraction
    function: str = "one"
    number: int = 1


Sum = tuple[Term, ...]  # no function twice, no coefficient 0 unless it is the only term


class Interval(NamedTuple):
    """All between two ends, each of which belongs to it or not; None is infinite."""

    low: Fraction | None
    high: Fraction | None
    has_low: bool
    has_high: bool


class Equation(NamedTuple):
    """A sum of terms in `x` and `y`, and the number to which it is equal."""

    left: Sum
    right: Fraction


class Quantity(NamedTuple):
    """An amount of a unit, by its symbol."""

    amount: Fraction
    unit: str


Numbers = tuple[Fraction, ...]
Value = Fraction | Sum | Interval | Numbers | tuple[Numbers, ...] | Equation | Quantity | str


@dataclass(frozen=True, slots=True)
class Answer:
    r"""An answer: what it is worth, and its plainest spelling, which is a verifier's reference.

    Args:
        kind: Of what kind it is.
        latex: The plainest spelling, in LaTeX, without a box.
        value: What it is worth: a `Fraction` (integers, rationals, decimals, percentages, angles in
            degrees), a tuple of them (sets in ascending order, tuples) or of such tuples (the rows
            of a matrix), terms (radicals, polynomials, trigonometric and complex expressions), an
            interval, an equation, a quantity, or the words of a choice.

    Example:
        A half, and how to write it otherwise:

        >>> from fractions import Fraction
        >>> from grpo_core.testing import Answer, spelling_rules
        >>> half = Answer("rational", r"\frac{1}{2}", Fraction(1, 2))
        >>> "decimal" in spelling_rules(half)
        True
    """

    kind: Kind
    latex: str
    value: Value


class Unit(NamedTuple):
    """What a unit measures, how many of the first unit of that it is, and its words."""

    dimension: str
    size: Fraction
    singular: str
    plural: str


UNITS = {
    "m": Unit("length", Fraction(1), "meter", "meters"),
    "cm": Unit("length", Fraction(1, 100), "centimeter", "centimeters"),
    "km": Unit("length", Fraction(1000), "kilometer", "kilometers"),
    "kg": Unit("mass", Fraction(1), "kilogram", "kilograms"),
    "g": Unit("mass", Fraction(1, 1000), "gram", "grams"),
    "s": Unit("time", Fraction(1), "second", "seconds"),
    "min": Unit("time", Fraction(60), "minute", "minutes"),
}
CHOICES = (("A", "B", "C", "D", "E"), ("Yes", "No"), ("True", "False"))
