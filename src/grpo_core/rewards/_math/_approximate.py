r"""Whether `\approx` joins a value and what it may be rounded to."""

from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._pieces import NoRegion, place_of
from grpo_core.rewards._math._rounding import prints
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import symbols

_ENOUGH = 1e-9


def is_about(first: Answer, second: Answer) -> bool:
    """Whether one of two values is the other, rounded where it ends; true of what has names."""
    values = [node.value if isinstance(node, tree.Quantity) else node for node in (first, second)]
    if symbols(tuple(values)):
        return True
    try:
        places = [place_of(value) for value in values]
    except NoRegion:
        return True
    if abs(places[0] - places[1]) <= _ENOUGH * max(map(abs, places)):
        return True
    others = [Number(Fraction(place), Fraction(0)) for place in places]
    return any(
        isinstance(value, Number) and prints(_printed(value), other)
        for value, other in zip(values, reversed(others), strict=True)
    )


def without_approximations(relation: tree.Relation) -> tree.Relation:
    """The chain up to where it says what its last exact value is about."""
    operators, items = relation.operators, relation.items
    if "=" not in operators:
        return relation
    while operators[-1] == "~":
        operators, items = operators[:-1], items[:-1]
    return tree.Relation(operators, items)


def _printed(number: Number) -> Number:
    """The number with its last place, which of a whole one is the last digit that is not 0."""
    if number.unit is not None or number.value.denominator != 1 or not number.value:
        return number
    unit = 1
    while number.value.numerator % (10 * unit) == 0:
        unit *= 10
    return number._replace(unit=Fraction(unit))
