"""Intervals between two ends, and what becomes of several of them."""

from fractions import Fraction
from typing import NamedTuple

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._kits import DOUBLES, Undefined
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._numeric import complex_point, evaluate
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import replaced, symbols

INFINITY = float("inf")
_CLOSE = 1e-12


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


def complement(pieces: list[Piece]) -> list[Piece]:
    """All numbers that are in no piece; the pieces are in order and apart."""
    ends = [End(-INFINITY, None, False)]
    for piece in pieces:
        ends += [piece.low._replace(belongs=not piece.low.belongs)]
        ends += [piece.high._replace(belongs=not piece.high.belongs)]
    ends.append(End(INFINITY, None, False))
    between = [Piece(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True)]
    return [p for p in between if p.low.place < p.high.place or (p.low.value and p.low.belongs)]


def intersection(first: list[Piece], second: list[Piece]) -> list[Piece]:
    """The numbers in a piece of both."""
    found: list[Piece] = []
    for a in first:
        for b in second:
            low = max(a.low, b.low, key=lambda end: (end.place, not end.belongs))
            high = min(a.high, b.high, key=lambda end: (end.place, end.belongs))
            if low.place < high.place or (low.place == high.place and low.belongs and high.belongs):
                found.append(Piece(low, high))
    return found


def merged(pieces: list[Piece]) -> list[Piece]:
    """The pieces in order, joined where they touch."""
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


def between(low: Answer, high: Answer, *, has_low: bool, has_high: bool) -> Piece:
    """The piece between two ends, or `NoRegion`."""
    piece = Piece(end_at(low, belongs=has_low), end_at(high, belongs=has_high))
    if piece.low.place > piece.high.place:
        raise NoRegion
    if piece.low.place == piece.high.place and not (has_low and has_high):
        raise NoRegion
    return piece


def sign_of_infinity(node: Answer) -> int:
    """1 or -1 for an infinite end, else 0."""
    if node == tree.Constant("oo"):
        return 1
    if isinstance(node, tree.Product) and node.items == (tree.MINUS_ONE, tree.Constant("oo")):
        return -1
    return 0


def end_at(node: Answer, *, belongs: bool) -> End:
    """An end at a value without names, or `NoRegion`."""
    if sign := sign_of_infinity(node):
        return End(sign * INFINITY, None, False)
    if symbols(node):
        raise NoRegion
    return End(place_of(node), node, belongs)


def place_of(node: Answer) -> float:
    """About where a real value is, or `NoRegion`."""
    try:
        value = evaluate(node, DOUBLES, complex_point(0))
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        raise NoRegion from None
    if abs(value.imag) > _CLOSE or abs(value) > 1e300:
        raise NoRegion
    return value.real


def root_of(difference: Answer, name: tree.Symbol) -> tuple[Answer, float]:
    """Where a linear term is 0, and its slope."""

    def at(value: int) -> Answer:
        number = Number(Fraction(value))
        return replaced(difference, lambda node: number if node == name else None)

    zero, one = at(0), at(1)
    slope = tree.total(one, tree.negative(zero))
    heights = [place_of(at(value)) for value in (0, 1, 2, -3, 7)]
    steep = heights[1] - heights[0]
    scale = max(map(abs, heights))
    lines = zip(heights, (0, 1, 2, -3, 7), strict=True)
    if abs(steep) < 1e-9 * scale or not scale:
        raise NoRegion
    if any(abs(heights[0] + steep * value - height) > 1e-9 * scale for height, value in lines):
        raise NoRegion
    return tree.over(tree.negative(zero), slope), steep
