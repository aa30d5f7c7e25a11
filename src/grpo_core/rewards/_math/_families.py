r"""Families of answers: an integer parameter (`n\pi, n \in \mathbb{Z}`), constants of integration.

Their names are free, so they are renamed to those of the other side before both are compared.
"""

import re
from fractions import Fraction
from itertools import permutations
from typing import NamedTuple

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._kits import DOUBLES, Undefined
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._numeric import complex_point, evaluate
from grpo_core.rewards._math._relations import is_name
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

_INTEGERS = tree.Constant("Z")
_COUNTING = frozenset("nkmlj")
_STRONG = re.compile(r"[Cc](?:_?\d)?'?")  # names of constants wherever they stand
_WEAK = re.compile(r"[CcKkABD](?:_?\d)?'?")  # only as a term, or beside an exponential
_ANGLES = frozenset(map(tree.Symbol, ("x", "t", "theta", "phi", "alpha", "beta")))
MAX_CONSTANTS = 4


class Family(NamedTuple):
    """Answers with a parameter that runs through the integers, and what they are said to be."""

    items: tuple[Answer, ...]
    parameter: tree.Symbol
    named: Answer | None


def declared_family(node: Answer) -> Family | None:
    r"""The family that a list with `n \in \mathbb{Z}`, or such a set, is."""
    if isinstance(node, tree.SetBuilder):
        return _family_of_set(node)
    if not isinstance(node, tree.List):
        return None
    names = [name for item in node.items if (name := _integer(item)) is not None]
    if len(names) != 1:
        return None
    items, named = _values(tuple(item for item in node.items if _integer(item) is None))
    if not items or names[0].name not in symbols(items):
        return None
    return Family(items, names[0], named)


def undeclared_family(node: Answer, other: Family | None) -> Family | None:
    """The family that an answer with one counting letter may be, beside one that says so.

    Beside another that does not, only multiples of pi or of degrees are taken for one: those that
    do not begin at 0, as a perimeter of n pi does, or that are what an angle is said to be.
    """
    given = node.items if isinstance(node, tree.List) else (node,)
    items, named = _values(given)
    if any(isinstance(item, tree.Relation | tree.Definition | tree.SetBuilder) for item in items):
        return None
    names = symbols(items) & _COUNTING - (
        symbols(other.items) - {other.parameter.name} if other else set()
    )
    if len(names) != 1 or (other is None and symbols(items) != names):
        return None
    parameter = tree.Symbol(names.pop())
    from_0 = named in _ANGLES
    if other is None and not all(_turns(item, parameter, from_0=from_0) for item in items):
        return None
    return Family(items, parameter, named)


def shifts(first: Answer, second: Answer, parameter: tree.Symbol) -> list[Answer]:
    """What may stand for the parameter of the second so that it runs through the first: ±n + c."""
    found: list[Answer] = [parameter, tree.negative(parameter)]
    try:
        a, b, c, d = (
            evaluate(_at(node, parameter, place), DOUBLES, complex_point(0))
            for node in (first, second)
            for place in (0, 1)
        )
        step = d - c
        for sign in (1, -1):
            offset = (a - c) / step
            whole = round(offset.real)
            if (
                abs(offset - whole) < 1e-9
                and whole
                and abs(sign * (b - a) - step) < 1e-9 * abs(step)
            ):
                found.append(tree.total(found[sign < 0], Number(Fraction(whole))))
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        pass
    return found


def renamings(first: Answer, second: Answer) -> list[dict[str, tree.Symbol]]:
    """Ways to rename constants of the second that the first calls otherwise."""
    ours, theirs = symbols(_right(first)), symbols(_right(second))
    mine, yours = sorted(ours - theirs), sorted(theirs - ours)
    if not mine:
        return _swaps(first, second) if not yours else []
    if len(mine) != len(yours) or len(mine) > MAX_CONSTANTS:
        return []
    if not all(map(_WEAK.fullmatch, mine + yours)):
        return []
    strong = all(map(_STRONG.fullmatch, mine)), all(map(_STRONG.fullmatch, yours))
    if not any(strong):
        return []
    if not all(strong) and not (_is_solution(first, mine) and _is_solution(second, yours)):
        return []
    if all(strong) and not _exponential(first) and len(mine) > 1:
        return [_renaming(yours, mine)]
    return [_renaming(yours, order) for order in permutations(mine)]


def _right(node: Answer) -> Answer:
    """The side of an equation that has the constants."""
    if isinstance(node, tree.Definition):
        return node.body
    if isinstance(node, tree.Relation) and node.operators == ("=",) and is_name(node.items[0]):
        return node.items[1]
    return node


def _swaps(first: Answer, second: Answer) -> list[dict[str, tree.Symbol]]:
    """Two constants of a solution may change places: c_1 e^x + c_2 e^{-x}."""
    names = sorted(filter(_STRONG.fullmatch, symbols(_right(first))))
    if not 2 <= len(names) <= MAX_CONSTANTS or not (_exponential(first) and _exponential(second)):
        return []
    return [_renaming(names, order) for order in permutations(names)][1:]


def _renaming(names: list[str], others: "tuple[str, ...] | list[str]") -> dict[str, tree.Symbol]:
    return {name: tree.Symbol(other) for name, other in zip(names, others, strict=True)}


def _is_solution(node: Answer, names: list[str]) -> bool:
    """Whether each name is a term by itself, or the node has an exponential."""
    if _exponential(node):
        return True
    values = [part for part in parts(node) if isinstance(part, tree.Sum)]
    return all(any(tree.Symbol(name) in value.items for value in values) for name in names)


def _exponential(node: Answer) -> bool:
    waves = ("sin", "cos", "sinh", "cosh")
    return any(
        (
            isinstance(part, tree.Power)
            and part.base == tree.Constant("e")
            and symbols(part.exponent)
        )
        or (isinstance(part, tree.Call) and part.name in waves and symbols(part))
        for part in parts(node)
    )


def _turns(node: Answer, parameter: tree.Symbol, *, from_0: bool) -> bool:
    """Whether the node is a start and whole parts of a turn: a + n (p/q) pi; a may be 0 or not."""
    if not any(
        part == tree.Constant("pi") or isinstance(part, tree.Degrees) for part in parts(node)
    ):
        return False
    try:
        a, b, c = (evaluate(_at(node, parameter, n), DOUBLES, complex_point(0)) for n in (0, 1, 2))
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        return False
    share = (b - a) / DOUBLES.constants["pi"] * 12
    straight = abs(c - b - (b - a)) < 1e-9
    whole = abs(share - round(share.real)) < 1e-9 and round(share.real) != 0
    return straight and whole and (from_0 or a != 0)


def _at(node: Answer, parameter: tree.Symbol, place: int) -> Answer:
    number = Number(Fraction(place))
    return replaced(node, lambda part: number if part == parameter else None)


def _integer(node: Answer) -> tree.Symbol | None:
    if isinstance(node, tree.Relation) and node.operators == ("in",):
        name, where = node.items
        if isinstance(name, tree.Symbol) and where == _INTEGERS:
            return name
    return None


def _family_of_set(node: tree.SetBuilder) -> Family | None:
    many = isinstance(node.condition, tree.List)
    conditions = (
        node.condition.items if isinstance(node.condition, tree.List) else (node.condition,)
    )
    names = [name for item in conditions if (name := _integer(item)) is not None]
    rest = [item for item in conditions if _integer(item) is None]
    if len(names) != 1:
        return None
    if not rest and names[0].name in symbols(node.item) and node.item != names[0]:
        return Family((node.item,), names[0], None)
    equation = rest[0] if many and len(rest) == 1 else None
    if not isinstance(equation, tree.Relation) or equation.operators != ("=",):
        return None
    return Family((equation.items[1],), names[0], None) if equation.items[0] == node.item else None


def _values(items: tuple[Answer, ...]) -> tuple[tuple[Answer, ...], Answer | None]:
    """What one name is given, and the name; of several names each keeps its own."""
    found = tuple(map(_value, items))
    names = {item.items[0] for item in items if isinstance(item, tree.Relation)}
    if len(names) > 1:
        return items, None
    return found, names.pop() if names and found != items else None


def _value(node: Answer) -> Answer:
    """What a name is given; any other answer as it is."""
    if not isinstance(node, tree.Relation):
        return node
    name, value = node.items[0], node.items[-1]
    if node.operators == ("=",) and isinstance(name, tree.Symbol):
        return node if name.name in symbols(value) else value
    if node.operators == ("in",) and isinstance(value, tree.SetBuilder):
        family = _family_of_set(value)
        return family.items[0] if family else node
    return node
