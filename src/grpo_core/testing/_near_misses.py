"""Answers that are nearly right."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _plain as plain
from grpo_core.testing import _slips_brackets as brackets
from grpo_core.testing import _slips_numbers as numbers
from grpo_core.testing import _slips_sums as sums
from grpo_core.testing._arguments import chosen
from grpo_core.testing._spellings import spellings
from grpo_core.testing._values import Answer, Interval


def near_misses(answer: Answer, *, rules: Iterable[str] | None = None) -> SearchStrategy[str]:
    """Texts that look like an answer and mean another: a slip away from it, in any spelling.

    Args:
        answer: The answer.
        rules: Names from `miss_rules`: the slips. None is all of them.

    Returns:
        The strategy. It shrinks to the plain spelling of a slip.

    Raises:
        ValueError: If a rule is unknown or does not apply to this answer, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, near_misses
        >>> half = find(answers(["rational"]), lambda answer: True)
        >>> find(near_misses(half, rules=["inverted"]), lambda text: True)
        '2'
    """
    found = _misses(answer)
    names = chosen("rules", rules, tuple(found))
    others = [(name, other) for name in names for other in found[name]]
    return st.sampled_from(others).flatmap(lambda pair: _spelled(*pair))


def miss_rules(answer: Answer) -> tuple[str, ...]:
    """The names of the slips that make another answer of this one.

    Args:
        answer: The answer.

    Returns:
        The names, which say what a failure is about.

    Example:
        >>> from fractions import Fraction
        >>> from grpo_core.testing import Answer, miss_rules
        >>> miss_rules(Answer("angle", r"90^\\circ", Fraction(90)))
        ('off_by_one', 'sign', 'tenfold')
    """
    return tuple(_misses(answer))


def plain_misses(answer: Answer, *, rules: Iterable[str]) -> SearchStrategy[str]:
    """The same slips, written plainly: who compares texts or floats is met there."""
    found = _misses(answer)
    return st.sampled_from(
        [other.latex for name in chosen("rules", rules, tuple(found)) for other in found[name]]
    )


def other_answers(answer: Answer) -> list[Answer]:
    """The answers that the slips make, plainest rules first."""
    return [other for others in _misses(answer).values() for other in others]


def _spelled(rule: str, other: Answer) -> SearchStrategy[str]:
    match other.value:
        case Interval(low=Fraction() as low, high=Fraction() as high) if low >= high:
            return st.just(other.latex)  # no inequality says this
        case _ if rule == "mixed":
            return spellings(other, rules=["mixed"])
        case _:
            return spellings(other)


def _misses(answer: Answer) -> dict[str, list[Answer]]:
    found = _SLIPS[answer.kind](answer.value)
    return {
        rule: [plain.answer(_kind(answer, value, rule), value) for value in kept]
        for rule, values in found.items()
        if (kept := [value for value in values if value != answer.value])
    }


_AS_DECIMALS = ("no_percent_sign", "hundredfold", "point_for_comma")


def _kind(answer: Answer, value: object, rule: str) -> Any:
    """The kind of a slip: an inverted fraction may be whole, and 50 is no percentage."""
    if rule in _AS_DECIMALS and isinstance(value, Fraction):
        return "integer" if value.denominator == 1 else "decimal"
    if answer.kind in ("integer", "rational") and isinstance(value, Fraction):
        return "integer" if value.denominator == 1 else "rational"
    return answer.kind


_SLIPS: dict[str, Callable[[Any], numbers.Misses]] = {
    "integer": numbers.of_integer,
    "rational": numbers.of_fraction,
    "decimal": numbers.of_decimal,
    "percentage": numbers.of_percentage,
    "radical": sums.of_sum,
    "interval": brackets.of_interval,
    "set": brackets.of_set,
    "tuple": brackets.of_tuple,
    "matrix": brackets.of_matrix,
    "equation": sums.of_equation,
    "polynomial": sums.of_sum,
    "trigonometric": sums.of_sum,
    "complex": sums.of_complex,
    "quantity": numbers.of_quantity,
    "angle": numbers.of_number,
    "choice": numbers.of_choice,
}
