"""Answers with a sign that stands for both."""

from collections.abc import Callable

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced


def expanded(node: Answer) -> Answer:
    r"""The answer with each `\pm` written out as a list of two."""
    if isinstance(node, tree.List | tree.Set):
        items: list[Answer] = []
        for item in node.items:
            each = expanded(item)
            items += each.items if isinstance(each, tree.List) else (each,)
        return type(node)(tuple(items))
    if not any(isinstance(part, tree.PlusMinus) for part in parts(node)):
        return node

    def signed(sign: int) -> Callable[[Answer], Answer | None]:
        def change(part: Answer) -> Answer | None:
            if not isinstance(part, tree.PlusMinus):
                return None
            item = replaced(part.item, change)
            return item if part.upper == sign else tree.negative(item)

        return change

    return tree.List((replaced(node, signed(1)), replaced(node, signed(-1))))
