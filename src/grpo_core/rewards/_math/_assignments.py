"""Names with their values: `x = 1, y = 2`, `(x, y) = (1, 2)`, `f(n) = n, g(n) = 1`."""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._relations import is_name, label
from grpo_core.rewards._math._tree import Answer


def assignments(node: Answer) -> dict[Answer, Answer] | None:
    """What each of several names is given, or None if the answer is no such list."""
    if isinstance(node, tree.Relation) and node.operators == ("=",):
        names, values = node.items
        if not (isinstance(names, tree.Tuple) and isinstance(values, tree.Tuple)):
            return None
        if len(names.items) != len(values.items) or not is_name(names):
            return None
        pairs = [
            tree.Relation(("=",), pair) for pair in zip(names.items, values.items, strict=True)
        ]
        return _given(tuple(pairs))
    if isinstance(node, tree.List | tree.Tuple) and len(node.items) > 1:
        return _given(node.items)
    return None


def in_order(given: dict[Answer, Answer]) -> tree.Tuple:
    """The values, of single letters in alphabetical order, else as they stand."""
    names = list(given)
    if all(isinstance(name, tree.Symbol) and len(name.name) == 1 for name in names):
        names.sort(key=repr)
    return tree.Tuple(tuple(_body(given[name]) for name in names))


def numbered(given: dict[Answer, Answer]) -> bool:
    """Whether the names differ by their numbers alone: the roots x_1 and x_2."""
    names = [name.name if isinstance(name, tree.Symbol) else "" for name in given]
    return all("_" in name for name in names) and len({n.partition("_")[0] for n in names}) == 1


def listed(given: dict[Answer, Answer], other: tree.List) -> tuple[Answer, Answer] | None:
    """What is given and a bare list: by number in any order, else in the order of the names.

    None if the list names its items, too.
    """
    values = in_order(given)
    if numbered(given):
        return tree.List(values.items), other
    if any(isinstance(item, tree.Relation | tree.Definition) for item in other.items):
        return None
    return values, tree.Tuple(other.items)


def letters(node: Answer) -> bool:
    """Whether it is a run of three or more capital letters, as `HHT` is, and nothing else."""
    return (
        isinstance(node, tree.Product)
        and len(node.items) > 2
        and all(
            isinstance(item, tree.Symbol) and len(item.name) == 1 and item.name.isupper()
            for item in node.items
        )
    )


def _body(value: Answer) -> Answer:
    return value.body if isinstance(value, tree.Definition) else value


def _given(items: tuple[Answer, ...]) -> dict[Answer, Answer] | None:
    given: dict[Answer, Answer] = {}
    for item in items:
        pair = _pair(item)
        if pair is None or pair[0] in given:
            return None
        given[pair[0]] = pair[1]
    return given


def _pair(item: Answer) -> tuple[Answer, Answer] | None:
    """A name, and its value; of a function, its definition."""
    if isinstance(item, tree.Definition):
        return tree.Symbol(item.name), item
    if not isinstance(item, tree.Relation) or item.operators != ("=",):
        return None
    name, value = item.items
    if not is_name(name) or (isinstance(value, tree.Symbol) and not isinstance(name, tree.Symbol)):
        return None
    if isinstance(name, tree.Apply) and all(isinstance(x, tree.Symbol) for x in name.items):
        return label(name), tree.Definition(name.name, name.items, value)
    return (label(name) if isinstance(name, tree.Symbol) else name), value
