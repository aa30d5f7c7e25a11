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
    if "," in joints[-1:] and _declares(items[-1], "R", items):  # f(x) = ax, a a real number
        return joined(items[:-1], joints[:-1])
    if joints == ["or"] * len(joints) and (number := _restated(items)):
        return number
    declared = [place for place, item in enumerate(items) if _declares(item, "Z", items)]
    if declared:  # k of x = 2 k pi or x = 3 k pi, k an integer
        return _with_declared(items, joints, declared)
    if len(words) == 1 and all(isinstance(item, tree.Relation) for item in items):
        names = {item.items[0] for item in items if isinstance(item, tree.Relation)}
        regions = any(is_region(item) for item in items)
        if each_matters(items, words) if regions else words == {"or"} and len(names) > 1:
            return tree.Combination("cup" if words == {"or"} else "cap", tuple(items))
    return tree.List(tuple(items))


def _with_declared(items: list[Answer], joints: list[str], declared: list[int]) -> tree.List:
    """The list of what the names stand in, as one item or several, and of what they are."""
    kept = [place for place in range(len(items)) if place not in declared]
    answer = joined([items[place] for place in kept], [joints[place - 1] for place in kept[1:]])
    head = answer.items if isinstance(answer, tree.List) else (answer,)
    return tree.List((*head, *(items[place] for place in declared)))


def _declares(item: Answer, domain: str, items: list[Answer]) -> bool:
    """Whether an item says of what kind a name in the others is."""
    if not isinstance(item, tree.Relation) or not _is_declaration(item):
        return False
    name, where = item.items
    if not isinstance(name, tree.Symbol) or where != tree.Constant(domain):
        return False
    return any(not _is_declaration(other) and name.name in symbols(other) for other in items)


def _is_declaration(item: Answer) -> bool:
    if not isinstance(item, tree.Relation) or item.operators != ("in",):
        return False
    return isinstance(item.items[1], tree.Constant)


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
