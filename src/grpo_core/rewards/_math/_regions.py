"""Sets of real numbers: intervals, their unions, and the inequalities that they solve."""

from functools import partial
from itertools import pairwise

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._pieces import (
    INFINITY,
    End,
    NoRegion,
    Piece,
    between,
    complement,
    end_at,
    intersection,
    merged,
    place_of,
    root_of,
    sign_of_infinity,
)
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import same_value
from grpo_core.rewards._math._walk import parts, replaced, symbols

_ORDERED = frozenset(("<", ">", "<=", ">="))
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SAID = _ORDERED | {"!="}
_VARIABLE = tree.Symbol("#")
MAX_PIECES = 60


def is_region(node: Answer) -> bool:
    """Whether an answer is written as a set of real numbers."""
    if isinstance(node, tree.Interval | tree.Combination | tree.SetBuilder):
        return True
    if isinstance(node, tree.Tuple):
        return len(node.items) == 2 and any(map(sign_of_infinity, node.items))
    if isinstance(node, tree.Relation):
        return any(op in _ORDERED or op in ("in", "!=") for op in node.operators)
    return node == tree.Constant("R")


def is_system(node: Answer) -> bool:
    """Whether a list is one of inequalities, each of which says more than the others."""
    if not isinstance(node, tree.List):
        return False
    for item in node.items:
        if not isinstance(item, tree.Relation) or not _SAID.issuperset(item.operators):
            return False
    try:
        together, each = region(node), [region(item) for item in node.items]
    except NoRegion:
        return True
    return together not in each


def named(node: Answer) -> set[str]:
    """The names of which a set is written in inequalities; none for an interval."""
    if isinstance(node, tree.Combination | tree.List):
        return set[str]().union(*(named(item) for item in node.items))
    if not isinstance(node, tree.Relation):
        return set()
    return symbols(node.items[:1] if node.operators == ("in",) else node)


def as_interval(node: Answer) -> Answer:
    r"""The interval that `a \le x < b` or `x \ge a` is, with ends that have names."""
    if not isinstance(node, tree.Relation) or not all(op in _ORDERED for op in node.operators):
        return node
    items, operators = node.items, node.operators
    if ">" in operators[0]:
        items, operators = items[::-1], tuple(_TURNED[op] for op in reversed(operators))
    if any(">" in op for op in operators):
        return node
    if len(items) == 3 and isinstance(items[1], tree.Symbol):
        if items[1].name in symbols((items[0], items[2])):
            return node
        return tree.Interval(items[0], items[2], operators[0] == "<=", operators[1] == "<=")
    if node.items[0] not in items or not isinstance(node.items[0], tree.Symbol) or len(items) != 2:
        return node
    endless = tree.Constant("oo")
    if node.items[0].name in symbols(node.items[1]):
        return node
    if items[0] == node.items[0]:
        return tree.Interval(tree.negative(endless), items[1], False, operators[0] == "<=")
    return tree.Interval(items[0], endless, operators[0] == "<=", False)


def with_one_name(
    first: tree.SetBuilder, second: tree.SetBuilder
) -> tuple[tree.SetBuilder, tree.SetBuilder]:
    """Two sets by condition, with one name for the item of both."""
    found: list[tree.SetBuilder] = []
    for node in (first, second):
        name = node.item
        if isinstance(name, tree.Symbol):
            change = partial(_rename, name)
            node = tree.SetBuilder(_VARIABLE, replaced(node.condition, change))  # noqa: PLW2901
        found.append(node)
    return found[0], found[1]


def _rename(name: tree.Symbol, part: Answer) -> Answer | None:
    return _VARIABLE if part == name else None


def region(node: Answer) -> list[Piece]:
    """The pieces of a set, in order and apart, or `NoRegion`."""
    return merged(_pieces(node))


def same_region(first: list[Piece], second: list[Piece], options: Options) -> bool:
    """Whether two sets have the same ends, each of which belongs to both or neither."""
    return len(first) == len(second) and all(
        _same_end(a.low, b.low, options) and _same_end(a.high, b.high, options)
        for a, b in zip(first, second, strict=True)
    )


def _same_end(first: End, second: End, options: Options) -> bool:
    if first.value is None or second.value is None:
        return first.place == second.place
    return first.belongs == second.belongs and same_value(first.value, second.value, options)


def _pieces(node: Answer) -> list[Piece]:
    if isinstance(node, tree.Interval):
        return [between(node.low, node.high, has_low=node.has_low, has_high=node.has_high)]
    if isinstance(node, tree.Tuple) and len(node.items) == 2:
        return [between(node.items[0], node.items[1], has_low=False, has_high=False)]
    if node == tree.Constant("R"):
        return [Piece(End(-INFINITY, None, False), End(INFINITY, None, False))]
    if isinstance(node, tree.Set):
        return [between(item, item, has_low=True, has_high=True) for item in node.items]
    if isinstance(node, tree.Combination):
        return _combined(node)
    if isinstance(node, tree.SetBuilder):
        if isinstance(node.item, tree.Relation):
            return intersection(_pieces(node.item), _pieces(node.condition))
        if symbols(node.item) == symbols(node.condition) and isinstance(node.item, tree.Symbol):
            return _pieces(node.condition)
    if isinstance(node, tree.List) and len(named(node)) == 1:
        together = merged(_combined(tree.Combination("cap", node.items)))
        return together or _combined(tree.Combination("cup", node.items))
    if isinstance(node, tree.Relation):
        return _solved(node)
    raise NoRegion


def _combined(node: tree.Combination) -> list[Piece]:
    if len(named(node)) > 1:
        raise NoRegion
    sets = [merged(_pieces(item)) for item in node.items]
    found = sets[0]
    for other in sets[1:]:
        if node.operator == "cup":
            found = found + other
        elif node.operator == "cap":
            found = intersection(found, other)
        else:
            found = intersection(found, complement(other))
        if len(found) > MAX_PIECES:
            raise Unread("too_large")
    return found


def _solved(relation: tree.Relation) -> list[Piece]:
    if relation.operators == ("in",):
        if not isinstance(relation.items[0], tree.Symbol):
            raise NoRegion
        return _pieces(relation.items[1])
    name, value = relation.items[0], relation.items[-1]
    if relation.operators == ("=",) and isinstance(name, tree.Symbol) and not symbols(value):
        return [between(value, value, has_low=True, has_high=True)]
    if not all(op in _ORDERED or op == "!=" for op in relation.operators):
        raise NoRegion
    opaque = {part for part in parts(relation) if isinstance(part, tree.Apply)}
    if len(opaque) > 1:
        raise NoRegion
    if opaque:
        hidden = opaque.pop()
        items = tuple(
            replaced(item, lambda node: _VARIABLE if node == hidden else None)
            for item in relation.items
        )
        relation = tree.Relation(relation.operators, items)
    names = symbols(relation)
    if len(names) != 1:
        raise NoRegion
    found = [Piece(End(-INFINITY, None, False), End(INFINITY, None, False))]
    pairs = zip(pairwise(relation.items), relation.operators, strict=True)
    for (left, right), operator in pairs:
        found = intersection(found, _half(left, operator, right, tree.Symbol(names.pop())))
        names = symbols(relation)
    return found


def _half(left: Answer, operator: str, right: Answer, name: tree.Symbol) -> list[Piece]:
    """What solves one linear inequality, or one with the absolute value of a linear term."""
    if isinstance(right, tree.Call) and right.name == "abs" and operator in _TURNED:
        left, operator, right = right, _TURNED[operator], left
    if isinstance(left, tree.Call) and left.name == "abs" and not symbols(right):
        inside, below = left.items[0], tree.negative(right)
        if operator not in _TURNED or place_of(right) <= 0:
            raise NoRegion
        upper = _half(inside, operator, right, name)
        lower = _half(inside, _TURNED[operator], below, name)
        return intersection(upper, lower) if "<" in operator else upper + lower
    if right == name and operator in _TURNED:
        left, operator, right = right, _TURNED[operator], left
    if left == name and not symbols(right):
        place, slope = right, 1.0
    else:
        place, slope = root_of(tree.total(left, tree.negative(right)), name)
    if slope < 0 and operator in _TURNED:
        operator = _TURNED[operator]
    infinite = End(INFINITY, None, False)
    end = end_at(place, belongs="=" in operator and operator != "!=")
    below = Piece(infinite._replace(place=-INFINITY), end)
    above = Piece(end, infinite)
    if operator == "!=":
        return [below, above]
    return [below] if "<" in operator else [above]
