"""Items between commas, `and` and `or`, as one answer."""

from functools import partial, reduce

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._pieces import NoRegion, Piece, intersection, merged
from grpo_core.rewards._math._regions import is_region, region
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import symbols

MAX_REGIONS = 12


def joined(items: list[Answer], joints: list[str]) -> Answer:
    r"""One item as it is, inequalities with `and` or `or` as one set, all else as a list.

    Of `x \ne 0, 2` each is one that x is not.
    """
    if len(items) == 1:
        return items[0]
    first = items[0]
    if isinstance(first, tree.Relation) and first.operators == ("!=",):
        items = [_excluded(first, item) for item in items]
        if all(isinstance(item, tree.Relation) and item.operators == ("!=",) for item in items):
            return tree.Combination("cap", tuple(items))
    words = {joint for joint in joints if joint != ","}
    declared = [item for item in items if _declares(item, "Z", items)]
    if _declares(items[-1], "R", items) and joints[-1] == ",":  # f(x) = ax, a a real number
        return joined(items[:-1], joints[:-1])
    if words == {"or"} and "," not in joints and (number := _restated(items)):
        return number
    if declared and len(declared) < len(items):  # k of x = 2 k pi or x = 3 k pi, k an integer
        values = [item for item in items if item not in declared]
        answer = joined(values, [*words][: len(values) - 1])
        head = answer.items if isinstance(answer, tree.List) else (answer,)
        return tree.List((*head, *declared))
    if len(words) == 1 and all(isinstance(item, tree.Relation) for item in items):
        names = {item.items[0] for item in items if isinstance(item, tree.Relation)}
        regions = any(is_region(item) for item in items)
        if each_matters(items, words) if regions else words == {"or"} and len(names) > 1:
            return tree.Combination("cup" if words == {"or"} else "cap", tuple(items))
    return tree.List(tuple(items))


def _declares(item: Answer, domain: str, items: list[Answer]) -> bool:
    """Whether an item says of what kind a name in the others is."""
    if not isinstance(item, tree.Relation) or item.operators != ("in",):
        return False
    name, where = item.items
    if not isinstance(name, tree.Symbol) or where != tree.Constant(domain):
        return False
    return any(name.name in symbols(other) for other in items if other is not item)


def _restated(items: list[Answer]) -> Number | None:
    """The number that each item is: `3/8 or 0.375` hedges nothing."""
    numbers = [item for item in items if isinstance(item, Number)]
    if len(numbers) < len(items) or len({number.value for number in numbers}) > 1:
        return None
    return min(numbers, key=lambda number: number.digits)  # an exact one, if there is one


def each_matters(items: list[Answer], words: set[str]) -> bool:
    """Whether no item could be left out: `x < 3 or x < 5` lists two answers and is none."""
    if len(items) > MAX_REGIONS:
        return False
    try:
        each = [region(item) for item in items]
    except NoRegion:
        return True
    joint = _union if words == {"or"} else partial(reduce, intersection)
    return all(joint(each[:place] + each[place + 1 :]) != joint(each) for place in range(len(each)))


def _union(sets: list[list[Piece]]) -> list[Piece]:
    return merged([piece for pieces in sets for piece in pieces])


def _excluded(first: tree.Relation, item: Answer) -> Answer:
    if isinstance(item, tree.Relation | tree.List | tree.Text):
        return item
    return tree.Relation(("!=",), (first.items[0], item))
