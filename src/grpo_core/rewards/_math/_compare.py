"""Whether two answers are the same, by what kind of answer they are."""

from collections.abc import Callable
from typing import TypeGuard

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._assignments import assignments, in_order, letters, listed
from grpo_core.rewards._math._binding import has_bound, unbound
from grpo_core.rewards._math._formulas import same_formula
from grpo_core.rewards._math._matching import matched
from grpo_core.rewards._math._matrices import same_matrix
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._pieces import NoRegion
from grpo_core.rewards._math._prepared import prepared
from grpo_core.rewards._math._quantities import (
    same_degrees,
    same_quantity,
    same_ratio,
    same_residue,
)
from grpo_core.rewards._math._regions import (
    as_interval,
    is_region,
    is_system,
    named,
    region,
    same_region,
    with_one_name,
)
from grpo_core.rewards._math._relations import same_relation, values_of
from grpo_core.rewards._math._renaming import equal_by_renaming
from grpo_core.rewards._math._signs import expanded
from grpo_core.rewards._math._texts import same_text
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import same_value

_REALS = tree.Constant("R")
_NUMBER_SETS = frozenset(map(tree.Constant, "RZNQC"))


def same(prediction: Answer, reference: Answer, options: Options) -> tuple[bool, str]:
    """Whether two answers are equal, and the rule that decided."""
    if isinstance(prediction, Number) and isinstance(reference, Number):
        return same_value(prediction, reference, options), "value"
    prediction, reference = prepared(prediction, reference)
    alone = options._replace(decide=None)  # where being undecided only means to go on
    bound = has_bound((prediction, reference))

    def equal(first: Answer, second: Answer) -> bool:
        try:
            return compared(first, second, alone)[0]
        except Unread as unread:
            if unread.reason != "undecided":
                raise
            return False

    if bound:
        first, second = unbound(prediction, reference, alone)
        if equal(first, second):
            return True, "bound"
        if rule := equal_by_renaming(first, second, equal):
            return True, rule
        return compared(prediction, reference, options)
    try:
        found, rule = compared(prediction, reference, options)
    except Unread as unread:
        if unread.reason != "undecided" or not equal_by_renaming(prediction, reference, equal):
            raise
        return True, "constants"
    if not found and (renamed := equal_by_renaming(prediction, reference, equal)):
        return True, renamed
    return found, rule


def compared(prediction: Answer, reference: Answer, options: Options) -> tuple[bool, str]:
    """Whether two answers are equal with the names that they have, and the rule that decided."""
    first, second = expanded(prediction), expanded(reference)
    given = assignments(first), assignments(second)
    if given[0] and given[1]:
        return _assigned(given[0], given[1], options), "assignments"
    if given[0] and isinstance(second, tree.Tuple | tree.Matrix):
        first = in_order(given[0])
    if given[1] and isinstance(first, tree.Tuple | tree.Matrix):
        second = in_order(given[1])
    if given[0] and isinstance(second, tree.List):
        first, second = listed(given[0], second) or (first, second)
    elif given[1] and isinstance(first, tree.List):
        second, first = listed(given[1], first) or (second, first)
    if letters(first) and letters(second):
        return first == second, "letters"
    if first in _NUMBER_SETS and second in _NUMBER_SETS:
        return first == second, "region"
    if _REALS in (first, second):
        return _regions(first, second, options), "region"
    for kinds, rule, compare in _RULES:
        if isinstance(first, kinds) or isinstance(second, kinds):
            return compare(first, second, options), rule
    return same_value(first, second, options), "value"


def _assigned(first: dict[Answer, Answer], second: dict[Answer, Answer], options: Options) -> bool:
    return first.keys() == second.keys() and all(
        _equal(value, second[name], options) for name, value in first.items()
    )


def _equal(first: Answer, second: Answer, options: Options) -> bool:
    return compared(first, second, options)[0]


def _element(first: Answer, second: Answer, options: Options) -> bool:
    """Whether two items are equal; here a set of one is not what it holds."""
    if isinstance(first, tree.Set) != isinstance(second, tree.Set):
        return False
    return _equal(first, second, options)


def _by(
    rule: Callable[[Answer, Answer, Callable[[Answer, Answer], bool]], bool],
) -> Callable[[Answer, Answer, Options], bool]:
    return lambda first, second, options: rule(first, second, lambda a, b: _equal(a, b, options))


def _relations(first: Answer, second: Answer, options: Options) -> bool:
    kinds = tree.Relation | tree.Definition
    if _is_membership(first) and _is_membership(second):
        return first.items[0] == second.items[0] and _equal(
            first.items[1], second.items[1], options
        )
    if isinstance(first, kinds) and isinstance(second, kinds) and not _mixed_regions(first, second):
        return same_relation(first, second, options)
    if is_region(first) or is_region(second):
        return _regions(first, second, options)
    if isinstance(first, kinds):
        values = values_of(first)
        return bool(values) and all(_equal(value, second, options) for value in values)
    values = values_of(second)
    return bool(values) and all(_equal(first, value, options) for value in values)


def _is_membership(node: Answer) -> TypeGuard[tree.Relation]:
    return isinstance(node, tree.Relation) and node.operators == ("in",)


def _mixed_regions(first: Answer, second: Answer) -> bool:
    ordered = is_region(first) and is_region(second)
    return ordered and ("in" in getattr(first, "operators", ())) != (
        "in" in getattr(second, "operators", ())
    )


def _regions(first: Answer, second: Answer, options: Options) -> bool:
    if isinstance(first, tree.Set) and isinstance(second, tree.Set):
        return _sequences(first, second, options)
    names = named(first), named(second)
    if names[0] and names[1] and names[0] != names[1]:
        return False
    if isinstance(first, tree.SetBuilder) and isinstance(second, tree.SetBuilder):
        same_names = with_one_name(first, second)
        if same_names[0] == same_names[1]:
            return True
    if isinstance(first, tree.Matrix) or isinstance(second, tree.Matrix):
        return same_matrix(first, second, lambda a, b: _equal(a, b, options))
    try:
        return same_region(region(first), region(second), options)
    except NoRegion:
        pass
    first, second = as_interval(first), as_interval(second)
    for one, other in ((first, second), (second, first)):
        if isinstance(one, tree.Relation) and not isinstance(other, tree.Relation):
            if one.operators != ("in",):
                return False
            values = values_of(one)
            return bool(values) and _equal(values[0], other, options)
    if isinstance(first, tree.Interval) and isinstance(second, tree.Interval):
        sides = (first.has_low, first.has_high) == (second.has_low, second.has_high)
        lows = sides and _equal(first.low, second.low, options)
        return lows and _equal(first.high, second.high, options)
    if isinstance(first, tree.Combination) and isinstance(second, tree.Combination):
        if first.operator != second.operator or first.operator == "setminus":
            return False
        return matched(first.items, second.items, lambda a, b: _equal(a, b, options))
    return False


def _sequences(first: Answer, second: Answer, options: Options) -> bool:
    if (is_system(first) and is_region(second)) or (is_system(second) and is_region(first)):
        return _regions(first, second, options)
    brackets = {type(node) for node in (first, second)} & {tree.Tuple, tree.Set}
    if options.order == "auto" and len(brackets) > 1:
        return False  # a tuple is no set, a bare list may be either
    a, b = _items(first), _items(second)
    if isinstance(second, tree.List):
        a = _items_named(first) or a
    if isinstance(first, tree.List):
        b = _items_named(second) or b
    if isinstance(first, tree.Set) or isinstance(second, tree.Set):
        a, b = _distinct(a, options), _distinct(b, options)
    if len(a) != len(b):
        return False
    in_order = options.order == "sequence" or (
        options.order == "auto" and isinstance(second, tree.Tuple)
    )
    if in_order:
        return all(_element(x, y, options) for x, y in zip(a, b, strict=True))
    return matched(a, b, lambda x, y: _element(x, y, options))


def _items_named(node: Answer) -> tuple[Answer, ...]:
    """Of `(x, y) = (1, 2)` the 1 and the 2, where the other side is a bare list."""
    values = values_of(node) if isinstance(node, tree.Relation) else []
    return next((value.items for value in values if isinstance(value, tree.Tuple)), ())


def _items(node: Answer) -> tuple[Answer, ...]:
    if isinstance(node, tree.Relation) and node.operators == ("in",):
        values = values_of(node)
        return _items(values[0]) if values and isinstance(values[0], tree.Set) else (node,)
    if isinstance(node, tree.Tuple | tree.List | tree.Set):
        return node.items
    return (node,)


def _distinct(items: tuple[Answer, ...], options: Options) -> tuple[Answer, ...]:
    found: list[Answer] = []
    for item in items:
        if not any(_element(item, other, options) for other in found):
            found.append(item)
        if len(found) > 60:
            return items
    return tuple(found)


# The first kind that either answer is of decides; what is of none has a value.
_RULES: tuple[tuple[tuple[type, ...], str, Callable[[Answer, Answer, Options], bool]], ...] = (
    ((tree.Formula,), "formula", lambda a, b, _: same_formula(a, b)),
    ((tree.Choice, tree.Text), "text", lambda a, b, _: same_text(a, b)),
    ((tree.List,), "list", _sequences),
    ((tree.Relation, tree.Definition), "relation", _relations),
    ((tree.Interval, tree.Combination, tree.SetBuilder), "region", _regions),
    ((tree.Matrix,), "matrix", _by(same_matrix)),
    ((tree.Set, tree.Tuple), "sequence", _sequences),
    ((tree.Quantity,), "unit", _by(same_quantity)),
    ((tree.Ratio,), "ratio", _by(same_ratio)),
    ((tree.Degrees,), "degrees", _by(same_degrees)),
    ((tree.Residue,), "residue", _by(same_residue)),
)
