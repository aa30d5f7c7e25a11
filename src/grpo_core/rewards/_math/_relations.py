"""Equations, inequalities and definitions: what they name, and when two of them say the same."""

from fractions import Fraction
from itertools import pairwise

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._kits import DOUBLES, Undefined
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._numeric import evaluate, real_point
from grpo_core.rewards._math._regions import NoRegion, region, same_region
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import Options, proportional, same_value
from grpo_core.rewards._math._walk import replaced, symbols

_TURNED = {"<": ">", "<=": ">="}


def values_of(node: Answer) -> list[Answer]:
    """What a definition or a chain of equations gives its names: each must then be right.

    Of `x = 1/3 = 2/6` both fractions; of `x = 1/3 ~ 0.33` the first alone. An inequality, and an
    equation that names nothing on one side, has none.
    """
    if isinstance(node, tree.Definition):
        return [node.body]
    if not isinstance(node, tree.Relation):
        return [node]
    if node.operators == ("in",) and is_name(node.items[0]):
        return [node.items[1]]
    if any(operator not in ("=", "~") for operator in node.operators):
        return []
    names = [item for item in node.items if is_name(item)]
    values = [item for item in node.items if not is_name(item)]
    if not values:  # x = y: the name on the left is named
        names, values = list(node.items[:-1]), [node.items[-1]]
    if symbols(tuple(names)) & symbols(tuple(values)):
        return []
    exact = [
        item
        for operator, item in zip(("=", *node.operators), node.items, strict=True)
        if operator == "=" and item in values
    ]
    return exact or values


def is_name(node: Answer) -> bool:
    """Whether a side of an equation names the other: `x`, `f(x)`, `(x, y)`, `AB/CD`."""
    if isinstance(node, tree.Symbol | tree.Apply):
        return True
    if isinstance(node, tree.Tuple | tree.Ratio):
        return all(map(is_name, node.items))
    if isinstance(node, tree.Product):  # a length or an abbreviation, but not xy
        capital = all(name[0].isupper() for name in symbols(node))
        return capital and all(map(is_name, node.items))
    if isinstance(node, tree.Call):
        return node.name == "abs" and is_name(node.items[0])
    if isinstance(node, tree.Power):
        return is_name(node.base) and (node.exponent == tree.MINUS_ONE or is_name(node.exponent))
    return False


def same_relation(first: Answer, second: Answer, options: Options) -> bool:
    """Whether two relations say the same, an equation up to a factor that is not 0."""
    if isinstance(first, tree.Definition) and isinstance(second, tree.Definition):
        return _same_definition(first, second, options)
    if isinstance(first, tree.Definition) or isinstance(second, tree.Definition):
        return _same_named(first, second, options)
    if not (isinstance(first, tree.Relation) and isinstance(second, tree.Relation)):
        return False
    first, second = _forward(first), _forward(second)
    try:
        if symbols(first) == symbols(second) and "=" not in first.operators:
            return same_region(region(first), region(second), options)
    except NoRegion:
        pass
    if first.operators != second.operators:
        return False
    if first.operators == ("=",) and (
        _solves(first, second, options) or _solves(second, first, options)
    ):
        return True
    pairs = list(zip(pairwise(first.items), pairwise(second.items), strict=True))
    return all(
        _same_side(a, b, operator, options)
        for (a, b), operator in zip(pairs, first.operators, strict=True)
    )


def _solves(solved: tree.Relation, other: tree.Relation, options: Options) -> bool:
    """Whether `name = value` is the one solution of an equation that is linear in the name."""
    name, value = solved.items
    if not isinstance(name, tree.Symbol) or not all(map(_has_value, (*other.items, value))):
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


def _same_named(first: Answer, second: Answer, options: Options) -> bool:
    a, b = values_of(first), values_of(second)
    return (
        bool(a and b)
        and all(same_value(x, y, options) for x in a for y in b if _has_value(x) and _has_value(y))
        and all(map(_has_value, a + b))
    )


def _has_value(node: Answer) -> bool:
    return not isinstance(node, tree.Tuple | tree.Set | tree.Interval | tree.Relation | tree.Text)


def _forward(relation: tree.Relation) -> tree.Relation:
    """The chain read so that it rises."""
    if ">" in relation.operators[0]:
        turned = {value: key for key, value in _TURNED.items()}
        operators = tuple(turned.get(op, op) for op in reversed(relation.operators))
        return tree.Relation(operators, relation.items[::-1])
    return relation


def _same_side(
    first: tuple[Answer, Answer], second: tuple[Answer, Answer], operator: str, options: Options
) -> bool:
    """Whether `a op b` and `c op d` say the same."""
    items = first + second
    if not all(map(_has_value, items)):
        return first == second
    if operator == "in":
        return first == second
    left, right = (tree.total(a, tree.negative(b)) for a, b in (first, second))
    if not symbols(left) or not symbols(right):
        sides = zip(first, second, strict=True)
        return all(same_value(a, b, options) for a, b in sides)
    if not proportional(left, right, options):
        return False
    return operator in ("=", "!=", "~") or _same_sign(left, right)


def _same_sign(left: Answer, right: Answer) -> bool:
    for trial in range(8):
        try:
            ratio = evaluate(left, DOUBLES, real_point(trial)) / evaluate(
                right, DOUBLES, real_point(trial)
            )
        except (Undefined, ZeroDivisionError, OverflowError, ValueError):
            continue
        return ratio.real > 0
    return False


def _same_definition(first: tree.Definition, second: tree.Definition, options: Options) -> bool:
    if first.name != second.name or len(first.parameters) != len(second.parameters):
        return False
    names = dict(zip(second.parameters, first.parameters, strict=True))
    if not all(isinstance(each, tree.Symbol) for pair in names.items() for each in pair):
        names = {}
        if first.parameters != second.parameters:
            return False

    def change(node: Answer) -> Answer | None:
        return names.get(node) if isinstance(node, tree.Symbol) else None

    if not (_has_value(first.body) and _has_value(second.body)):
        return first.body == replaced(second.body, change)
    return same_value(first.body, replaced(second.body, change), options)
