"""Equations that one of two answers has solved: for a name, or for a derivative."""

import re
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import proportional, same_value
from grpo_core.rewards._math._walk import parts, symbols

DERIVATIVE = re.compile(r"d(.+)/d.+")


def has_value(node: Answer) -> bool:
    """Whether an answer is a value, with names in it or not."""
    return not isinstance(node, tree.Tuple | tree.Set | tree.Interval | tree.Relation | tree.Text)


def solves(solved: tree.Relation, other: tree.Relation, options: Options) -> bool:
    """Whether `name = value` is the one solution of an equation that is linear in the name."""
    name, value = solved.items
    if not isinstance(name, tree.Symbol) or not all(map(has_value, (*other.items, value))):
        return False
    if name.name in symbols(value) or name.name not in symbols(other):
        return False
    side = tree.total(other.items[0], tree.negative(other.items[1]))
    line = _line(side, name)
    if line is None:
        return False
    height, slope = line
    # What is divided by is not 0: PV = 6 is P = 6/V, but xy = 3y is not x = 3.
    if symbols(slope) and not proportional(
        tree.times(slope, _divisors(side)), _divisors(value), options
    ):
        return False
    nothing = Number(Fraction(0))
    return not same_value(slope, nothing, options) and same_value(
        tree.total(height, tree.times(slope, value)), nothing, options
    )


def same_slope(first: tree.Relation, second: tree.Relation, options: Options) -> bool:
    """Whether two equations linear in one derivative have one solution for it."""
    found = {name for name in symbols(first) if DERIVATIVE.fullmatch(name)}
    if len(found) != 1 or found != {n for n in symbols(second) if DERIVATIVE.fullmatch(n)}:
        return False
    name, nothing = tree.Symbol(found.pop()), Number(Fraction(0))
    heights: list[Answer] = []
    slopes: list[Answer] = []
    for relation in (first, second):
        if not all(map(has_value, relation.items)):
            return False
        side = tree.total(relation.items[0], tree.negative(relation.items[1]))
        line = _line(side, name)
        if line is None or same_value(line[1], nothing, options):
            return False
        heights += line
        slopes.append(tree.times(line[1], _divisors(side)))
    if symbols(tuple(slopes)) and not proportional(slopes[0], slopes[1], options):
        return False
    zero, slope, other_zero, other_slope = heights
    return same_value(tree.times(zero, other_slope), tree.times(other_zero, slope), options)


def _divisors(node: Answer) -> Answer:
    """The product of all that is divided by in a tree, each once."""
    found: dict[Answer, None] = {}
    for part in parts(node):
        if isinstance(part, tree.Power) and isinstance(part.exponent, Number):
            exponent = part.exponent.value
            if exponent < 0 and symbols(part.base):
                found[tree.Power(part.base, Number(-exponent))] = None
    return tree.Product((tree.ONE, *found))


def _line(node: Answer, name: tree.Symbol) -> tuple[Answer, Answer] | None:
    """The height and the slope of what is, as it is written, linear in the name; else None."""
    if node == name:
        return tree.ZERO, tree.ONE
    if name.name not in symbols(node):
        return node, tree.ZERO
    if isinstance(node, tree.Sum):
        lines = [_line(item, name) for item in node.items]
        found = [line for line in lines if line is not None]
        if len(found) < len(lines):
            return None
        return tree.Sum(tuple(a for a, _ in found)), tree.Sum(tuple(b for _, b in found))
    if not isinstance(node, tree.Product):
        return None
    rest = tuple(item for item in node.items if name.name not in symbols(item))
    if len(rest) != len(node.items) - 1:
        return None
    (factor,) = (item for item in node.items if name.name in symbols(item))
    line = _line(factor, name)
    return line and (tree.Product((*rest, line[0])), tree.Product((*rest, line[1])))
