"""Answers that are equal once names that are free are the same on both sides."""

from collections.abc import Callable, Mapping

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._families import (
    Family,
    declared_family,
    renamings,
    shifts,
    undeclared_family,
)
from grpo_core.rewards._math._matching import matched
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import replaced, symbols

Equal = Callable[[Answer, Answer], bool]


def equal_by_renaming(first: Answer, second: Answer, equal: Equal) -> str:
    """The rule by which two answers are equal up to names that are free, or nothing."""
    if not symbols(first) or not symbols(second):
        return ""
    declared = declared_family(first), declared_family(second)
    one = declared[0] or undeclared_family(first, declared[1])
    other = declared[1] or undeclared_family(second, declared[0])
    free = one and other and (any(declared) or one.parameter != other.parameter)
    if one and other and free and _same_family(one, other, equal):
        return "family"
    for renaming in renamings(first, second):
        if equal(first, _renamed(second, renaming)):
            return "constants"
    return ""


def _same_family(one: Family, other: Family, equal: Equal) -> bool:
    if one.named and other.named and one.named != other.named:
        return False
    name = other.parameter
    items = [_renamed(item, {one.parameter.name: name}) for item in one.items]

    def same(first: Answer, second: Answer) -> bool:
        places = shifts(first, second, name)
        return any(equal(first, _renamed(second, {name.name: place})) for place in places)

    return matched(items, other.items, same)


def _renamed(node: Answer, names: Mapping[str, Answer]) -> Answer:
    return replaced(
        node, lambda part: names.get(part.name) if isinstance(part, tree.Symbol) else None
    )
