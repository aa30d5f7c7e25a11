"""Matrices, by entry, and vectors in any notation, which are columns."""

from collections.abc import Callable

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._tree import Answer


def same_matrix(first: Answer, second: Answer, equal: Callable[[Answer, Answer], bool]) -> bool:
    """Whether two matrices are equal by entry."""
    upper, lower = _rows(first), _rows(second)
    if upper is None or lower is None or len(upper) != len(lower):
        return False
    return all(
        len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(upper, lower, strict=True)
    )


def _rows(node: Answer) -> tuple[tuple[Answer, ...], ...] | None:
    """The rows of a matrix; a vector in any other notation is a column."""
    if isinstance(node, tree.Matrix):
        one_row = len(node.rows) == 1
        return tuple((item,) for row in node.rows for item in row) if one_row else node.rows
    items: tuple[Answer, ...] = ()
    if isinstance(node, tree.Tuple):
        items = node.items
    if isinstance(node, tree.Interval) and node.has_low and node.has_high:
        items = (node.low, node.high)
    rows = [_rows(item) for item in items]
    if rows and all(rows):  # [[1, 2], [3, 4]]
        return tuple(tuple(item for (item,) in row) for row in rows if row and len(row[0]) == 1)
    return tuple((item,) for item in items) or None
