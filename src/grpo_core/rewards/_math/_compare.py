"""Whether two answers are the same, by what kind of answer they are."""

from collections.abc import Callable
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._matching import matched
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._regions import NoRegion, is_region, region, same_region
from grpo_core.rewards._math._relations import same_relation, values_of
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import Options, same_value
from grpo_core.rewards._math._walk import parts, replaced

_ARTICLES = frozenset(("the", "a", "an"))
_HALF_DAYS = frozenset(("am", "pm"))
MAX_WORDS = 4
_REALS = tree.Constant("R")


def same(prediction: Answer, reference: Answer, options: Options) -> tuple[bool, str]:
    """Whether two answers are equal, and the rule that decided."""
    first, second = expanded(prediction), expanded(reference)
    if _REALS in (first, second):
        return _regions(first, second, options), "region"
    for kinds, rule, compare in _RULES:
        if isinstance(first, kinds) or isinstance(second, kinds):
            return compare(first, second, options), rule
    return same_value(first, second, options), "value"


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


def _equal(first: Answer, second: Answer, options: Options) -> bool:
    return same(first, second, options)[0]


def _texts(first: Answer, second: Answer, _: Options) -> bool:
    letters = [_letter(node) for node in (first, second)]
    if letters[0] and letters[1]:
        return letters[0] == letters[1]
    if isinstance(first, tree.Text) and isinstance(second, tree.Text):
        return _words(first) == _words(second)
    if any(isinstance(node, tree.Text) and len(node.words) > MAX_WORDS for node in (first, second)):
        raise Unread("unparsable")  # a sentence may well hold the right value
    return False


def _letter(node: Answer) -> str:
    if isinstance(node, tree.Choice):
        return node.letter
    if isinstance(node, tree.Symbol) and len(node.name) == 1:
        return node.name
    return ""


def _words(text: tree.Text) -> list[str]:
    return [word for word in text.words if word not in _ARTICLES] or list(text.words)


def _relations(first: Answer, second: Answer, options: Options) -> bool:
    kinds = tree.Relation | tree.Definition
    if isinstance(first, kinds) and isinstance(second, kinds) and not _mixed_regions(first, second):
        return same_relation(first, second, options)
    if is_region(first) or is_region(second):
        return _regions(first, second, options)
    if isinstance(first, kinds):
        values = values_of(first)
        return bool(values) and all(_equal(value, second, options) for value in values)
    values = values_of(second)
    return bool(values) and all(_equal(first, value, options) for value in values)


def _mixed_regions(first: Answer, second: Answer) -> bool:
    ordered = is_region(first) and is_region(second)
    return ordered and ("in" in getattr(first, "operators", ())) != (
        "in" in getattr(second, "operators", ())
    )


def _regions(first: Answer, second: Answer, options: Options) -> bool:
    if isinstance(first, tree.Set) and isinstance(second, tree.Set):
        return _sequences(first, second, options)
    if isinstance(first, tree.Matrix) or isinstance(second, tree.Matrix):
        return _matrices(first, second, options)
    try:
        return same_region(region(first), region(second), options)
    except NoRegion:
        pass
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


def _matrices(first: Answer, second: Answer, options: Options) -> bool:
    upper, lower = _rows(first), _rows(second)
    if upper is None or lower is None or len(upper) != len(lower):
        return False
    return all(
        len(a) == len(b) and all(_equal(x, y, options) for x, y in zip(a, b, strict=True))
        for a, b in zip(upper, lower, strict=True)
    )


def _rows(node: Answer) -> tuple[tuple[Answer, ...], ...] | None:
    """The rows of a matrix; a vector in any other notation is a column."""
    if isinstance(node, tree.Matrix):
        one_row = len(node.rows) == 1
        return tuple((item,) for row in node.rows for item in row) if one_row else node.rows
    if isinstance(node, tree.Tuple):
        return tuple((item,) for item in node.items)
    if isinstance(node, tree.Interval) and node.has_low and node.has_high:
        return ((node.low,), (node.high,))
    return None


def _sequences(first: Answer, second: Answer, options: Options) -> bool:
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
        return all(_equal(x, y, options) for x, y in zip(a, b, strict=True))
    return matched(a, b, lambda x, y: _equal(x, y, options))


def _items_named(node: Answer) -> tuple[Answer, ...]:
    """Of `(x, y) = (1, 2)` the 1 and the 2, where the other side is a bare list."""
    values = values_of(node) if isinstance(node, tree.Relation) else []
    return next((value.items for value in values if isinstance(value, tree.Tuple)), ())


def _items(node: Answer) -> tuple[Answer, ...]:
    if isinstance(node, tree.Tuple | tree.List | tree.Set):
        return node.items
    return (node,)


def _distinct(items: tuple[Answer, ...], options: Options) -> tuple[Answer, ...]:
    found: list[Answer] = []
    for item in items:
        if not any(_equal(item, other, options) for other in found):
            found.append(item)
        if len(found) > 60:
            return items
    return tuple(found)


def _quantities(first: Answer, second: Answer, options: Options) -> bool:
    """Units agree, or one is missing; half a day is never missing from a number."""
    units = [node.unit if isinstance(node, tree.Quantity) else "" for node in (first, second)]
    if units[0] and units[1] and units[0] != units[1]:
        return False
    values = [n.value if isinstance(n, tree.Quantity) else n for n in (first, second)]
    times = all(isinstance(value, tree.Ratio) for value in values)
    if units[0] != units[1] and _HALF_DAYS.intersection(units) and not times:
        return False
    if isinstance(values[0], tree.Degrees) or isinstance(values[1], tree.Degrees):
        return False
    return _equal(values[0], values[1], options)


def _degrees(first: Answer, second: Answer, options: Options) -> bool:
    """Degrees are compared with degrees or with a bare number, and never with radians."""
    values = [node.value if isinstance(node, tree.Degrees) else node for node in (first, second)]
    if any(part == tree.Constant("pi") for part in parts(tuple(values))):
        return isinstance(first, tree.Degrees) == isinstance(second, tree.Degrees) and _equal(
            values[0], values[1], options
        )
    return _equal(values[0], values[1], options)


def _ratios(first: Answer, second: Answer, options: Options) -> bool:
    if not (isinstance(first, tree.Ratio) and isinstance(second, tree.Ratio)):
        return False
    a, b = first.items, second.items
    if first.is_time and second.is_time:
        size = max(len(a), len(b))
        a, b = _padded(a, size), _padded(b, size)
        return all(_equal(x, y, options) for x, y in zip(a, b, strict=True))
    nothing = Number(Fraction(0))
    if len(a) != len(b) or any(_equal(x, nothing, options) for x in a + b):
        return first == second
    return all(
        _equal(tree.times(x, b[0]), tree.times(y, a[0]), options)
        for x, y in zip(a[1:], b[1:], strict=True)
    )


def _padded(items: tuple[Answer, ...], size: int) -> tuple[Answer, ...]:
    return items + (Number(Fraction(0)),) * (size - len(items))


# The first kind that either answer is of decides; what is of none has a value.
_RULES: tuple[tuple[tuple[type, ...], str, Callable[[Answer, Answer, Options], bool]], ...] = (
    ((tree.Choice, tree.Text), "text", _texts),
    ((tree.List,), "list", _sequences),
    ((tree.Relation, tree.Definition), "relation", _relations),
    ((tree.Interval, tree.Combination, tree.SetBuilder), "region", _regions),
    ((tree.Matrix,), "matrix", _matrices),
    ((tree.Set, tree.Tuple), "sequence", _sequences),
    ((tree.Quantity,), "unit", _quantities),
    ((tree.Ratio,), "ratio", _ratios),
    ((tree.Degrees,), "degrees", _degrees),
)
