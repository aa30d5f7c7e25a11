"""Formulas of sequences, whatever letter is their index."""

import re

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import replaced, symbols

_INDEXED = re.compile(r"([A-Za-z]+)_([nkmj])")


def of_one_index(first: tree.Relation, second: tree.Relation) -> tree.Relation:
    """The second equation with the index of the first: a_k = 2k says the same as a_n = 2n."""
    names = first.items[0], second.items[0]
    found = [_INDEXED.fullmatch(n.name) if isinstance(n, tree.Symbol) else None for n in names]
    if not (found[0] and found[1]) or found[0][1] != found[1][1]:
        return second
    index, other = found[0][2], found[1][2]
    ours, theirs = symbols(first.items[1:]), symbols(second.items[1:])
    if index not in ours or other not in theirs or index in theirs or other in ours:
        return second
    values = replaced(tree.Tuple(second.items[1:]), lambda n: _put(n, other, index))
    items = values.items if isinstance(values, tree.Tuple) else second.items[1:]
    return tree.Relation(second.operators, (names[0], *items))


def _put(node: Answer, name: str, other: str) -> Answer | None:
    return tree.Symbol(other) if node == tree.Symbol(name) else None
