"""Arithmetic of vectors and matrices as they are read: sums, multiples, determinants."""

from collections.abc import Callable

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tree import Answer

_VECTORS = (tree.Tuple, tree.Matrix)
_SCALARS_NOT = (
    *_VECTORS, tree.List, tree.Set, tree.SetBuilder, tree.Interval, tree.Combination,
    tree.Relation, tree.Definition, tree.Quantity, tree.Ratio, tree.Choice, tree.Text, tree.Residue,
)  # fmt: skip
MAX_DETERMINANT = 4  # rows; what is larger is no answer


def value_of(node: Answer) -> Answer:
    """The node if it is a value, to be added and multiplied; else `Unread`."""
    if isinstance(node, _SCALARS_NOT):
        raise Unread("unparsable")
    return node


def added(left: Answer, right: Answer) -> Answer:
    """The sum of two values, or of two vectors of one shape."""
    if isinstance(left, tree.Tuple) and isinstance(right, tree.Tuple):
        return tree.Tuple(_added(left.items, right.items))
    if isinstance(left, tree.Matrix) and isinstance(right, tree.Matrix):
        if len(left.rows) != len(right.rows):
            raise Unread("unparsable")
        return tree.Matrix(tuple(_added(a, b) for a, b in zip(left.rows, right.rows, strict=True)))
    return tree.total(value_of(left), value_of(right))


def multiplied(left: Answer, right: Answer) -> Answer:
    """The product of two values, or of a value and a vector."""
    if isinstance(right, _VECTORS):
        left, right = right, left
    if isinstance(left, _VECTORS):
        factor = value_of(right)
        return _each(left, lambda item: tree.times(factor, item))
    return tree.times(value_of(left), value_of(right))


def divided(left: Answer, right: Answer) -> Answer:
    """The quotient of two values, or of a vector by a value."""
    if isinstance(left, _VECTORS):
        bottom = value_of(right)
        return _each(left, lambda item: tree.over(item, bottom))
    return tree.over(value_of(left), value_of(right))


def negated(node: Answer) -> Answer:
    """A value or vector with its sign turned."""
    if isinstance(node, _VECTORS):
        return _each(node, tree.negative)
    return tree.negative(value_of(node))


def transposed(node: Answer) -> Answer:
    """Rows as columns; of a tuple, which is a column, the tuple."""
    if isinstance(node, tree.Matrix):
        return tree.Matrix(tuple(zip(*node.rows, strict=True)))
    return node


def determinant(rows: tuple[tuple[Answer, ...], ...]) -> Answer:
    """The determinant by Laplace's expansion."""
    if len(rows) > MAX_DETERMINANT or any(len(row) != len(rows) for row in rows):
        raise Unread("unparsable")
    if len(rows) == 1:
        return value_of(rows[0][0])
    terms: list[Answer] = []
    for place, item in enumerate(rows[0]):
        minor = determinant(tuple(row[:place] + row[place + 1 :] for row in rows[1:]))
        term = tree.times(value_of(item), minor)
        terms.append(tree.negative(term) if place % 2 else term)
    return tree.Sum(tuple(terms))


def _added(left: tuple[Answer, ...], right: tuple[Answer, ...]) -> tuple[Answer, ...]:
    if len(left) != len(right):
        raise Unread("unparsable")
    return tuple(tree.total(value_of(a), value_of(b)) for a, b in zip(left, right, strict=True))


def _each(node: tree.Tuple | tree.Matrix, change: Callable[[Answer], Answer]) -> Answer:
    if isinstance(node, tree.Tuple):
        return tree.Tuple(tuple(change(value_of(item)) for item in node.items))
    return tree.Matrix(tuple(tuple(change(value_of(x)) for x in row) for row in node.rows))
