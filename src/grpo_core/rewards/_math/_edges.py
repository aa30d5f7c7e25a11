"""Functions by cases, compared where one case ends and the next begins."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._kits import REAL_DOUBLES, Undefined
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import holds, real_point
from grpo_core.rewards._math._pieces import NoRegion, place_of, root_of
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

MAX_EDGES = 40
_STEP = Number(Fraction(1, 1024))
_BEYOND = tuple(Number(Fraction(distance)) for distance in (1, 40, 3_000))


def same_at_edges(
    first: Answer, second: Answer, equal: Callable[[Answer, Answer], bool], *, whole: bool
) -> bool:
    """Whether two functions by cases agree at each edge, beside it, between edges and beyond.

    An edge is where a linear condition in one name begins to hold. Of whole numbers there are
    none between.
    """
    names = _names((first, second))
    if len(names) != 1:
        return True
    name = tree.Symbol(names.pop())
    for point in _points(_edges((first, second), name), whole=whole):
        values = [_resolved(_put(node, name, point)) for node in (first, second)]
        if values[0] is None or values[1] is None:
            if values[0] is not values[1]:
                return False
            continue
        try:
            if not equal(values[0], values[1]):
                return False
        except Unread as unread:
            if unread.reason != "undecided":  # else neither has a value there
                raise
    return True


def _conditions(node: object) -> list[Answer]:
    calls = [part for part in parts(node) if isinstance(part, tree.Call) and part.name == "cases"]
    return [condition for call in calls for condition in call.items[1::2]]


def _names(node: object) -> set[str]:
    return symbols(tuple(_conditions(node)))


def _edges(nodes: tuple[Answer, Answer], name: tree.Symbol) -> list[Answer]:
    found: dict[float, Answer] = {}
    for relation in parts(tuple(_conditions(nodes))):
        if not isinstance(relation, tree.Relation) or relation.operators == ("in",):
            continue
        for sides in pairwise(relation.items):
            for left, right in _without_bars(*sides):
                try:
                    root, _ = root_of(tree.total(left, tree.negative(right)), name)
                    found.setdefault(place_of(root), root)
                except NoRegion:
                    continue
    if len(found) > MAX_EDGES:
        raise Unread("too_large")
    return [found[place] for place in sorted(found)]


def _without_bars(left: Answer, right: Answer) -> Iterator[tuple[Answer, Answer]]:
    """Both equations that `|x| = a` stands for."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, tree.Call) and one.name == "abs":
            yield one.items[0], other
            yield one.items[0], tree.negative(other)
            return
    yield left, right


def _points(edges: list[Answer], *, whole: bool) -> Iterator[Answer]:
    if whole:
        near = {round(place_of(edge)) + step for edge in edges for step in range(-2, 3)}
        yield from (Number(Fraction(place)) for place in sorted(near))
        return
    for edge in edges:
        yield from (edge, tree.total(edge, _STEP), tree.total(edge, tree.negative(_STEP)))
    for low, high in pairwise(edges):
        yield tree.times(tree.HALF, tree.total(low, high))
    for distance in _BEYOND if edges else ():
        yield tree.total(edges[0], tree.negative(distance))
        yield tree.total(edges[-1], distance)


def _put(node: Answer, name: tree.Symbol, point: Answer) -> Answer:
    return replaced(node, lambda part: point if part == name else None)


def _resolved(node: Answer) -> Answer | None:
    """The tree with the case that holds for each function; None if none does."""
    missing = False

    def change(part: Answer) -> Answer | None:
        nonlocal missing
        if not isinstance(part, tree.Call) or part.name != "cases":
            return None
        for value, condition in zip(part.items[::2], part.items[1::2], strict=True):
            if holds(condition, REAL_DOUBLES, real_point(0)):
                return replaced(value, change)
        missing = True
        return tree.ZERO

    try:
        found = replaced(node, change)
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        return None
    return None if missing else found
