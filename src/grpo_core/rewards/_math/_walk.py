"""Walking through a tree, and changing it on the way."""

import operator
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast, get_args

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import Answer

# The fields that hold nodes, of each kind of node; most of a tree has none.
_LEAVES = frozenset(("name", "operator", "operators", "upper", "unit", "words", "letter", "signs"))
_FLAGS = frozenset(("has_low", "has_high", "is_time"))
_INNER: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind) if field.name not in _LEAVES | _FLAGS)
    for kind in get_args(Answer)
    if kind is not Number
}
_OTHER: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind) if field.name not in inner)
    for kind, inner in _INNER.items()
}


def parts(node: Any) -> list[Any]:
    """The node and all nodes below it; of a tuple, those of its items."""
    found: list[Any] = []
    waiting = [node]
    while waiting:
        each = waiting.pop()
        kind = cast("type[Any]", type(each))
        if kind is tuple:
            waiting.extend(each)
            continue
        found.append(each)
        inner = _INNER.get(kind)
        if inner:
            waiting.extend([getattr(each, name) for name in inner])
    return found


def symbols(node: Any) -> set[str]:
    """The names of the symbols in a tree."""
    return {part.name for part in parts(node) if type(part) is tree.Symbol}


def replaced(node: Answer, change: Callable[[Answer], Answer | None]) -> Answer:
    """The tree in which each node for which `change` has another is that one."""
    return cast("Answer", _replaced(node, change))


def _replaced(node: Any, change: Callable[[Answer], Answer | None]) -> Any:
    if type(node) is tuple:
        before = cast("tuple[Any, ...]", node)
        items = tuple(_replaced(item, change) for item in before)
        return items if any(map(operator.is_not, items, before)) else before
    kind = cast("type[Any]", type(node))
    inner = _INNER.get(kind)
    if inner is None and kind is not Number:
        return node  # a side of a limit, or nothing
    other = change(node)
    if other is not None or not inner:
        return node if other is None else other
    found = {name: _replaced(getattr(node, name), change) for name in inner}
    if all(found[name] is getattr(node, name) for name in inner):
        return node
    rest = {name: getattr(node, name) for name in _OTHER[kind]}
    return kind(**rest, **found)
