"""Values with units, angles in degrees, ratios, and remainders."""

from collections.abc import Callable
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import NOT_VALUES
from grpo_core.rewards._math._exact import exact_or_none
from grpo_core.rewards._math._measures import measure
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._units import may_be_left_out
from grpo_core.rewards._math._walk import parts, symbols

_HALF_DAYS = frozenset(("am", "pm"))
_NOTHING = Number(Fraction(0))

Equal = Callable[[Answer, Answer], bool]


def same_quantity(first: Answer, second: Answer, equal: Equal) -> bool:
    """Units agree, are of one dimension, or one is missing; half a day is never missing."""
    nodes = [_spelled(first, second), _spelled(second, first)]
    units = [node.unit if isinstance(node, tree.Quantity) else "" for node in nodes]
    values = [node.value if isinstance(node, tree.Quantity) else node for node in nodes]
    if units[0] and units[1] and units[0] != units[1]:
        measures = [measure(unit) for unit in units]
        if not (measures[0] and measures[1]):
            return False
        if measures[0].dimensions != measures[1].dimensions:
            return False
        values[0] = _scaled(values[0], measures[0].size / measures[1].size)
    times = all(isinstance(value, tree.Ratio) for value in values)
    if times and units[0] != units[1] and _HALF_DAYS.intersection(units):
        values = [_in_a_day(value, unit) for value, unit in zip(values, units, strict=True)]
    if not all(units) and not times and not all(may_be_left_out(unit) for unit in units if unit):
        return False
    if isinstance(values[0], tree.Degrees) or isinstance(values[1], tree.Degrees):
        return False
    return equal(values[0], values[1])


def _in_a_day(time: Answer, half: str) -> Answer:
    """The time on a clock of 24 hours, where it is known to be after noon."""
    hour = time.items[0] if isinstance(time, tree.Ratio) else None
    if half != "pm" or not isinstance(time, tree.Ratio) or not isinstance(hour, Number):
        return time
    later = Number(hour.value + 12) if hour.value < 12 else hour
    return tree.Ratio((later, *time.items[1:]), time.is_time)


def _scaled(value: Answer, size: Fraction) -> Answer:
    if size == 1:
        return value
    if isinstance(value, Number):
        return Number(value.value * size, value.unit and value.unit * size, value.digits)
    if isinstance(value, tree.Tuple | tree.List | tree.Set | tree.Interval | tree.Relation):
        raise Unread("undecided")
    return tree.times(Number(size), value)


def _spelled(node: Answer, other: Answer) -> Answer:
    """The quantity that `5 m/s` in plain text is, where the other side is one."""
    if not isinstance(other, tree.Quantity) or not isinstance(node, tree.Product):
        return node
    value: Answer = tree.ONE
    names: list[str] = []
    for item in node.items:
        if isinstance(item, tree.Symbol | tree.Power | tree.Constant) and symbols(item):
            name, power = _powered(item)
            if not isinstance(name, tree.Symbol) or power.denominator != 1:
                return node
            names.append(name.name if power == 1 else f"{name.name}^{power}")
        elif symbols(item):
            return node
        else:
            value = item if value == tree.ONE else tree.times(value, item)
    spellings = ["*".join(names)]
    if all(name.isalpha() for name in names):
        spellings.append("".join(names))
    # mN is a millinewton, or a metre times a newton.
    read = {known: unit for unit in spellings if (known := measure(unit))}
    return tree.Quantity(value, read.popitem()[1]) if names and len(read) == 1 else node


def _powered(node: Answer) -> tuple[Answer, Fraction]:
    power = Fraction(1)
    while isinstance(node, tree.Power) and isinstance(node.exponent, Number):
        node, power = node.base, power * node.exponent.value
    return node, power


def same_degrees(first: Answer, second: Answer, equal: Equal) -> bool:
    """Degrees are compared with degrees or with a bare number, and never with radians."""
    values = [node.value if isinstance(node, tree.Degrees) else node for node in (first, second)]
    if any(part == tree.Constant("pi") for part in parts(tuple(values))):
        both = isinstance(first, tree.Degrees) == isinstance(second, tree.Degrees)
        return both and equal(values[0], values[1])
    return equal(values[0], values[1])


def same_ratio(first: Answer, second: Answer, equal: Equal) -> bool:
    """Ratios up to a factor; times of day to the second."""
    if isinstance(second, tree.Ratio) and not isinstance(first, tree.Ratio):
        first, second = second, first
    if isinstance(first, tree.Ratio) and not isinstance(second, tree.Ratio):
        if len(first.items) != 2 or first.is_time or isinstance(second, NOT_VALUES):
            return False
        return equal(tree.over(*first.items), second)
    if not (isinstance(first, tree.Ratio) and isinstance(second, tree.Ratio)):
        return False
    a, b = first.items, second.items
    if first.is_time and second.is_time:
        size = max(len(a), len(b))
        a, b = _padded(a, size), _padded(b, size)
        return all(equal(x, y) for x, y in zip(a, b, strict=True))
    if len(a) != len(b) or any(equal(x, _NOTHING) for x in a + b):
        return first == second
    return all(
        equal(tree.times(x, b[0]), tree.times(y, a[0])) for x, y in zip(a[1:], b[1:], strict=True)
    )


def same_residue(first: Answer, second: Answer, equal: Equal) -> bool:
    """One class of one modulus; a bare number is the least remainder."""
    if isinstance(first, tree.Residue) and isinstance(second, tree.Residue):
        if not equal(first.modulus, second.modulus):
            return False
        difference = tree.total(first.value, tree.negative(second.value))
        turns = exact_or_none(tree.over(difference, first.modulus))
        if turns is None:
            return equal(first.value, second.value)
        return turns.denominator == 1
    if not isinstance(first, tree.Residue):
        first, second = second, first
    if not isinstance(first, tree.Residue):
        return False
    values = [exact_or_none(node) for node in (first.value, first.modulus, second)]
    if values[0] is None or not values[1] or values[2] is None:
        return False
    if values[0].denominator != 1 or values[1].denominator != 1:
        return False
    return values[0] % values[1] == values[2]


def _padded(items: tuple[Answer, ...], size: int) -> tuple[Answer, ...]:
    return items + (_NOTHING,) * (size - len(items))
