r"""Residue classes written as families: `7k + 3, k \in \mathbb{Z}`, beside `x \equiv 3 \pmod 7`."""

from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import exact_or_none
from grpo_core.rewards._math._families import declared_family
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

_COUNTING = frozenset("nkmlj")


def as_residue(node: Answer, other: Answer) -> Answer:
    """The class that a family of integers is, where the other answer is a class; else the node."""
    if not any(isinstance(part, tree.Residue) for part in parts(other)):
        return node
    family = declared_family(node)
    items = family.items if family else (node,)
    if len(items) != 1:
        return node
    name, value = None, items[0]
    first = node.items[0] if isinstance(node, tree.List) else node
    if isinstance(first, tree.Relation) and first.operators == ("=",):
        name, value = first.items
    names = {family.parameter.name} if family else symbols(value) & _COUNTING
    if len(names) != 1 or symbols(value) != names or isinstance(value, tree.Relation | tree.List):
        return node
    start, *others = (_at(value, names, place) for place in (0, 1, 2, 5))
    steps = [None if end is None or start is None else end - start for end in others]
    step = steps[0]
    if start is None or not step or start.denominator != 1 or step.denominator != 1:
        return node
    if steps != [step, 2 * step, 5 * step]:
        return node
    residue = tree.Residue(Number(start), Number(abs(step)))
    return residue if name is None else tree.Relation(("in",), (name, residue))


def _at(node: Answer, names: set[str], place: int) -> Fraction | None:
    number = Number(Fraction(place))
    return exact_or_none(
        replaced(node, lambda p: number if isinstance(p, tree.Symbol) and p.name in names else None)
    )
