"""Equations that one of two answers has solved: for a name, or for a derivative."""

import re
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import same_value
from grpo_core.rewards._math._walk import replaced, symbols

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
    difference = tree.total(other.items[0], tree.negative(other.items[1]))

    def at(node: Answer) -> Answer:
        return replaced(difference, lambda part: node if part == name else None)

    zero, one, two = (at(Number(Fraction(n))) for n in range(3))
    bend = tree.Sum((zero, tree.negative(one), tree.negative(one), two))
    nothing = Number(Fraction(0))
    return (
        same_value(bend, nothing, options)
        and not same_value(zero, one, options)
        and same_value(at(value), nothing, options)
    )


def same_slope(first: tree.Relation, second: tree.Relation, options: Options) -> bool:
    """Whether two equations linear in one derivative have one solution for it."""
    found = {name for name in symbols(first) if DERIVATIVE.fullmatch(name)}
    if len(found) != 1 or found != {n for n in symbols(second) if DERIVATIVE.fullmatch(n)}:
        return False
    name, nothing = tree.Symbol(found.pop()), Number(Fraction(0))
    heights: list[Answer] = []
    for relation in (first, second):
        if not all(map(has_value, relation.items)):
            return False
        side = tree.total(relation.items[0], tree.negative(relation.items[1]))
        zero, one, two = (_at(side, name, Number(Fraction(n))) for n in range(3))
        bend = tree.Sum((zero, tree.negative(one), tree.negative(one), two))
        slope = tree.total(one, tree.negative(zero))
        if not same_value(bend, nothing, options) or same_value(slope, nothing, options):
            return False
        heights += [zero, slope]
    zero, slope, other_zero, other_slope = heights
    return same_value(tree.times(zero, other_slope), tree.times(other_zero, slope), options)


def _at(node: Answer, name: tree.Symbol, value: Answer) -> Answer:
    return replaced(node, lambda part: value if part == name else None)
