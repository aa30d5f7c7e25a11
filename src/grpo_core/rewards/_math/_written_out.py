"""Sums, products, integrals and limits as trees: their variables renamed, finite ones written out.

`x_k` where `k` is bound is one of many: its subscript is replaced with the variable.
"""

from collections.abc import Mapping
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import NotExact, exact_value
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced

MAX_TERMS = 2_000
MAX_NODES = 50_000  # of all terms of one answer
_FINITE = frozenset(("sum", "prod"))


def bounds(node: object) -> list[tree.Bound]:
    """All sums, products, integrals and limits in a tree."""
    return [part for part in parts(node) if isinstance(part, tree.Bound)]


def is_indefinite(node: tree.Bound) -> bool:
    """Whether it is an integral without ends, of which the value depends on the variable."""
    return node.operator == "int" and node.low is None


def renamed(node: Answer) -> Answer:
    """The tree with each bound variable named after how many are bound within its body.

    Two trees that differ in the names of bound variables alone are then one.
    """

    def change(part: Answer) -> Answer | None:
        if not isinstance(part, tree.Bound):
            return None
        body = renamed(part.body)
        if is_indefinite(part):
            return tree.Bound(part.operator, part.variable, None, None, body)
        inner = [0, *(int(each.variable.name[1:]) for each in bounds(body) if _is_new(each))]
        variable = tree.Symbol(f"#{max(inner) + 1}")
        low = None if part.low is None else renamed(part.low)
        high = part.high if part.high is None or isinstance(part.high, str) else renamed(part.high)
        return tree.Bound(
            part.operator, variable, low, high, put(body, {part.variable.name: variable})
        )

    return replaced(node, change)


def _is_new(node: tree.Bound) -> bool:
    return node.variable.name.startswith("#")


def put(node: Answer, values: Mapping[str, Answer]) -> Answer:
    """The tree, its bound variables renamed, with other trees put for some of its symbols."""

    def change(part: Answer) -> Answer | None:
        if not isinstance(part, tree.Symbol):
            return None
        if part.name in values:
            return values[part.name]
        name, _, subscript = part.name.partition("_")
        value = values.get(subscript.strip("{}"))
        if isinstance(value, Number) and value.value.denominator == 1:
            return tree.Symbol(f"{name}_{value.value}")
        if isinstance(value, tree.Symbol):
            return tree.Symbol(f"{name}_{value.name}")
        return None

    return replaced(node, change)


def written_out(node: Answer) -> Answer:
    """The renamed tree with each sum and product of few terms, from number to number, as these."""
    left = MAX_NODES

    def change(part: Answer) -> Answer | None:
        nonlocal left
        if not isinstance(part, tree.Bound) or part.operator not in _FINITE:
            return None
        ends = _ends(part)
        if ends is None or ends[1] - ends[0] >= MAX_TERMS:
            return None
        low, high = ends
        left -= max(0, high - low + 1) * sum(1 for _ in parts(part.body))
        if left < 0:
            return None
        terms = tuple(
            replaced(put(part.body, {part.variable.name: Number(Fraction(place))}), change)
            for place in range(low, high + 1)
        )
        if not terms:
            return Number(Fraction(part.operator == "prod"))
        return tree.Sum(terms) if part.operator == "sum" else tree.Product(terms)

    return replaced(renamed(node), change)


def _ends(node: tree.Bound) -> tuple[int, int] | None:
    ends: list[int] = []
    for end in (node.low, node.high):
        if end is None or isinstance(end, str):
            return None
        try:
            value = exact_value(end)
        except NotExact:
            return None
        if value.denominator != 1:
            raise Unread("undecided")  # a sum from 1 to 5/2 has no value
        ends.append(value.numerator)
    return ends[0], ends[1]


def counted(node: Answer) -> set[str]:
    """The names of symbols that count terms: they are in the ends of a sum or product."""
    ends = [(b.low, b.high) for b in bounds(node) if b.operator in _FINITE]
    return free(tuple(ends))


def free(node: object) -> set[str]:
    """The names of symbols that are not bound, in a tree of which the bound ones are renamed."""
    names = {part.name for part in parts(node) if isinstance(part, tree.Symbol)}
    return {name for name in names if "#" not in name}
