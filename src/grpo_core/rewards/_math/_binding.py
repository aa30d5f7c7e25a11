"""Sums, products, integrals and limits that are the same up to the name they bind."""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import same_value
from grpo_core.rewards._math._walk import parts, replaced

MAX_BOUND = 12  # different ones in two answers
_FRESH = tree.Symbol("#bound")


def has_bound(node: object) -> bool:
    """Whether a sum, product, integral or limit is anywhere in a tree."""
    return any(type(part) is tree.Bound for part in parts(node))


def unbound(first: Answer, second: Answer, options: Options) -> tuple[Answer, Answer]:
    """Two trees with one new symbol for each value that is bound, the same for equal ones.

    What is equal then is equal; what is different may still have one value.
    """
    if not has_bound((first, second)):
        return first, second
    found: list[tree.Bound] = []

    def change(node: Answer) -> Answer | None:
        if not isinstance(node, tree.Bound):
            return None
        for place, other in enumerate(found):
            if same_bound(node, other, options):
                return tree.Symbol(f"#{place}")
        if len(found) == MAX_BOUND:
            raise Unread("too_large")
        found.append(node)
        return tree.Symbol(f"#{len(found) - 1}")

    return replaced(first, change), replaced(second, change)


def same_bound(first: tree.Bound, second: tree.Bound, options: Options) -> bool:
    """Whether two are the same up to the name that they bind and the algebra of their parts."""
    if first == second:
        return True
    options.check()
    if first.operator != second.operator:
        return False
    if first.operator == "int" and first.low is None and first.variable != second.variable:
        return False  # a function of its variable
    bodies = (_renamed(first), _renamed(second))
    for a, b in ((first.low, second.low), (first.high, second.high), bodies):
        if a is None or b is None or isinstance(a, str) or isinstance(b, str):
            if a != b:
                return False
        elif not _same_part(a, b, options):
            return False
    return True


def _renamed(node: tree.Bound) -> Answer:
    name = node.variable
    return replaced(node.body, lambda part: _FRESH if part == name else None)


def _same_part(first: Answer, second: Answer, options: Options) -> bool:
    if first == second:
        return True
    infinite = (tree.Constant("oo"), tree.negative(tree.Constant("oo")))
    if first in infinite or second in infinite:
        return False
    first, second = unbound(first, second, options)
    try:
        return same_value(first, second, options)
    except Unread as unread:
        if unread.reason == "undecided":
            return False
        raise
