"""Walking through a tree, and changing it on the way."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, cast

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import Answer


def parts(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, Number):
            continue
        if isinstance(each, tuple):
            waiting.extend(cast("tuple[Any, ...]", each))
        elif is_dataclass(each):
            waiting.extend(getattr(each, field.name) for field in fields(each))


def symbols(node: Any) -> set[str]:
    """The names of the symbols in a tree."""
    return {part.name for part in parts(node) if isinstance(part, tree.Symbol)}


def replaced(node: Answer, change: Callable[[Answer], Answer | None]) -> Answer:
    """The tree in which each node for which `change` has another is that one."""
    other = change(node)
    if other is not None:
        return other
    if isinstance(node, Number):
        return node
    values = {field.name: getattr(node, field.name) for field in fields(node)}
    for name, value in values.items():
        if is_dataclass(value) or isinstance(value, Number):
            values[name] = replaced(cast("Answer", value), change)
        elif name in ("items", "parameters"):
            values[name] = tuple(replaced(item, change) for item in value)
        elif name == "rows":
            values[name] = tuple(tuple(replaced(x, change) for x in row) for row in value)
    return type(node)(**values)
