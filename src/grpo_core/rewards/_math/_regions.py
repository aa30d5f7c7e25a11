"""Sets of real numbers: intervals, their unions, and the inequalities that they solve."""

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._kits import DOUBLES, Undefined
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import complex_point, evaluate
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import Options, same_value
from grpo_core.rewards._math._walk import parts, replaced, symbols

INFINITY = float("inf")
_ORDERED = frozenset(("<", ">", "<=", ">="))
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_VARIABLE = tree.Symbol("#")
_CLOSE = 1e-12
MAX_PIECES = 60


class End(NamedTuple):
    """An end of an interval: about where, what exactly (None if infinite), and if it belongs."""

    place: float
    value: Answer | None
    belongs: bool


class Piece(NamedTuple):
    """An interval between two ends."""

    low: End
    high: End


class NoRegion(Exception):  # noqa: N818 - no error: another comparison is tried
    """The answer is no set of real numbers that can be told."""


def is_region(node: Answer) -> bool:
    """Whether an answer is written as a set of real numbers."""
    if isinstance(node, tree.Interval | tree.Combination | tree.SetBuilder):
        return True
    if isinstance(node, tree.Tuple):
        return len(node.items) == 2 and any(map(_sign_of_infinity, node.items))
    if isinstance(node, tree.Relation):
        return any(op in _ORDERED or op in ("in", "!=") for op in node.operators)
    return node == tree.Constant("R")


def region(node: Answer) -> list[Piece]:
    """The pieces of a set, in order and apart, or `NoRegion`."""
    return _merged(_pieces(node))


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
        return [_piece(node.low, node.high, has_low=node.has_low, has_high=node.has_high)]
    if isinstance(node, tree.Tuple) and len(node.items) == 2:
        return [_piece(node.items[0], node.items[1], has_low=False, has_high=False)]
    if node == tree.Constant("R"):
        return [Piece(End(-INFINITY, None, False), End(INFINITY, None, False))]
    if isinstance(node, tree.Set):
        return [_piece(item, item, has_low=True, has_high=True) for item in node.items]
    if isinstance(node, tree.Combination):
        return _combined(node)
    if isinstance(node, tree.SetBuilder):
        if isinstance(node.item, tree.Relation):
            return _intersection(_pieces(node.item), _pieces(node.condition))
        if symbols(node.item) == symbols(node.condition) and isinstance(node.item, tree.Symbol):
            return _pieces(node.condition)
    if isinstance(node, tree.Relation):
        return _solved(node)
    raise NoRegion


def _combined(node: tree.Combination) -> list[Piece]:
    sets = [_merged(_pieces(item)) for item in node.items]
    found = sets[0]
    for other in sets[1:]:
        if node.operator == "cup":
            found = found + other
        elif node.operator == "cap":
            found = _intersection(found, other)
        else:
            found = _intersection(found, _complement(other))
        if len(found) > MAX_PIECES:
            raise Unread("too_large")
    return found


def _complement(pieces: list[Piece]) -> list[Piece]:
    ends = [End(-INFINITY, None, False)]
    for piece in pieces:
        ends += [piece.low._replace(belongs=not piece.low.belongs)]
        ends += [piece.high._replace(belongs=not piece.high.belongs)]
    ends.append(End(INFINITY, None, False))
    between = [Piece(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True)]
    return [p for p in between if p.low.place < p.high.place or (p.low.value and p.low.belongs)]


def _intersection(first: list[Piece], second: list[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for a in first:
        for b in second:
            low = max(a.low, b.low, key=lambda end: (end.place, not end.belongs))
            high = min(a.high, b.high, key=lambda end: (end.place, end.belongs))
            if low.place < high.place or (low.place == high.place and low.belongs and high.belongs):
                found.append(Piece(low, high))
    return found


def _merged(pieces: list[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece.low.place, not piece.low.belongs)):
        last = found[-1] if found else None
        if last and (
            piece.low.place < last.high.place
            or (piece.low.place == last.high.place and (piece.low.belongs or last.high.belongs))
        ):
            high = max(last.high, piece.high, key=lambda end: (end.place, end.belongs))
            found[-1] = Piece(last.low, high)
        else:
            found.append(piece)
    return found


def _piece(low: Answer, high: Answer, *, has_low: bool, has_high: bool) -> Piece:
    piece = Piece(_end(low, belongs=has_low), _end(high, belongs=has_high))
    if piece.low.place > piece.high.place:
        raise NoRegion
    if piece.low.place == piece.high.place and not (has_low and has_high):
        raise NoRegion
    return piece


def _sign_of_infinity(node: Answer) -> int:
    if node == tree.Constant("oo"):
        return 1
    if isinstance(node, tree.Product) and node.items == (tree.MINUS_ONE, tree.Constant("oo")):
        return -1
    return 0


def _end(node: Answer, *, belongs: bool) -> End:
    if sign := _sign_of_infinity(node):
        return End(sign * INFINITY, None, False)
    if symbols(node):
        raise NoRegion
    return End(_place(node), node, belongs)


def _place(node: Answer) -> float:
    try:
        value = evaluate(node, DOUBLES, complex_point(0))
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        raise NoRegion from None
    if abs(value.imag) > _CLOSE or abs(value) > 1e300:
        raise NoRegion
    return value.real


def _solved(relation: tree.Relation) -> list[Piece]:
    if relation.operators == ("in",):
        if not isinstance(relation.items[0], tree.Symbol):
            raise NoRegion
        return _pieces(relation.items[1])
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
        found = _intersection(found, _half(left, operator, right, tree.Symbol(names.pop())))
        names = symbols(relation)
    return found


def _half(left: Answer, operator: str, right: Answer, name: tree.Symbol) -> list[Piece]:
    """What solves one linear inequality, or one with the absolute value of a linear term."""
    if isinstance(right, tree.Call) and right.name == "abs" and operator in _TURNED:
        left, operator, right = right, _TURNED[operator], left
    if isinstance(left, tree.Call) and left.name == "abs" and not symbols(right):
        inside, below = left.items[0], tree.negative(right)
        if operator not in _TURNED or _place(right) <= 0:
            raise NoRegion
        upper = _half(inside, operator, right, name)
        lower = _half(inside, _TURNED[operator], below, name)
        return _intersection(upper, lower) if "<" in operator else upper + lower
    if right == name and operator in _TURNED:
        left, operator, right = right, _TURNED[operator], left
    if left == name and not symbols(right):
        place, slope = right, 1.0
    else:
        place, slope = _root(tree.total(left, tree.negative(right)), name)
    if slope < 0 and operator in _TURNED:
        operator = _TURNED[operator]
    infinite = End(INFINITY, None, False)
    end = _end(place, belongs="=" in operator and operator != "!=")
    below = Piece(infinite._replace(place=-INFINITY), end)
    above = Piece(end, infinite)
    if operator == "!=":
        return [below, above]
    return [below] if "<" in operator else [above]


def _root(difference: Answer, name: tree.Symbol) -> tuple[Answer, float]:
    """Where a linear term is 0, and its slope."""

    def at(value: int) -> Answer:
        number = Number(Fraction(value))
        return replaced(difference, lambda node: number if node == name else None)

    zero, one = at(0), at(1)
    slope = tree.total(one, tree.negative(zero))
    heights = [_place(at(value)) for value in (0, 1, 2, -3, 7)]
    steep = heights[1] - heights[0]
    scale = max(map(abs, heights))
    lines = zip(heights, (0, 1, 2, -3, 7), strict=True)
    if abs(steep) < 1e-9 * scale or not scale:
        raise NoRegion
    if any(abs(heights[0] + steep * value - height) > 1e-9 * scale for height, value in lines):
        raise NoRegion
    return tree.over(tree.negative(zero), slope), steep
