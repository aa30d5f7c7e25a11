"""Whether two values are one: exactly, modulo a prime, in doubles, and with 60 digits."""

from fractions import Fraction
from functools import partial
from typing import Any

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._agreement import (
    COUNTED,
    FAILURES,
    NEEDED,
    TRIALS,
    same_numerically,
)
from grpo_core.rewards._math._edges import same_at_edges
from grpo_core.rewards._math._exact import PRIME, NotExact, exact_value, residue
from grpo_core.rewards._math._kits import Kit, precise_kits
from grpo_core.rewards._math._magnitudes import check_sizes
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import Point, complex_point, evaluate
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._rounding import equality, may_stand_for
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

__all__ = ["Options", "proportional", "same_value"]


_UNORDERED = frozenset(("gcd", "lcm"))
SPECIAL = frozenset(("Gamma", "zeta", "erf"))  # functions to which SymPy gives values


def same_value(first: Answer, second: Answer, options: Options) -> bool:
    """Whether two trees have one value wherever both have one. What is undecided raises."""
    if first == second:
        return True
    options.check()
    nodes = list(parts((first, second)))
    check_sizes((first, second))
    if any(isinstance(node, tree.Bound) for node in nodes):
        return options.ask(first, second)
    if any(node == tree.Constant("oo") for node in nodes):
        return False  # infinity less infinity is nothing
    first, second = _with_i(first, second), _with_i(second, first)
    if isinstance(first, Number) and isinstance(second, Number):
        return equality(options.rounding)(first, second)
    if any(isinstance(node, tree.Call) and node.name in _UNORDERED for node in nodes):
        opaque = _opaque(first), _opaque(second)
        if opaque != (first, second) and same_value(*opaque, options._replace(decide=None)):
            return True
    if any(isinstance(node, tree.Apply) and node.name in SPECIAL for node in nodes):
        return options.ask(first, second)
    exact = [_exact(node) for node in (first, second)]
    if exact[0] and exact[1]:
        return equality(options.rounding)(exact[0], exact[1])
    if _rounded(first, second, options):
        return True
    try:
        return all(residue(first, trial) == residue(second, trial) for trial in range(NEEDED))
    except NotExact:
        pass
    try:
        return same_numerically(
            partial(evaluate, first), partial(evaluate, second), (first, second), options
        ) and _same_cases(first, second, options)
    except Unread as unread:
        if unread.reason != "undecided":
            raise
        return options.ask(first, second)


def _opaque(node: Answer) -> Answer:
    """The tree with a name for each `gcd` of names, whatever the order of its arguments."""

    def change(part: Answer) -> Answer | None:
        if not isinstance(part, tree.Call) or part.name not in _UNORDERED or not symbols(part):
            return None
        return tree.Symbol(f"{part.name}#{sorted(map(repr, part.items))}")

    return replaced(node, change)


def _same_cases(first: Answer, second: Answer, options: Options) -> bool:
    """Whether functions by cases agree at their edges, too; true of what has no cases."""
    nodes = parts((first, second))
    if not any(isinstance(node, tree.Call) and node.name == "cases" for node in nodes):
        return True
    alone = options._replace(decide=None)
    whole = all(name[0] in COUNTED for name in symbols((first, second)))
    return same_at_edges(first, second, lambda a, b: same_value(a, b, alone), whole=whole)


def proportional(first: Answer, second: Answer, options: Options) -> bool:
    """Whether one tree is the other times a number that is not 0."""
    try:
        left = [residue(first, trial) for trial in range(NEEDED + 1)]
        right = [residue(second, trial) for trial in range(NEEDED + 1)]
    except NotExact:
        pass
    else:
        if not left[0] or not right[0]:
            return False
        return all(
            (a * right[0] - b * left[0]) % PRIME == 0 for a, b in zip(left, right, strict=True)
        )
    origin = complex_point(TRIALS)

    def scaled(top: Answer, bottom: Answer, kit: Kit, point: Point) -> Any:
        return evaluate(top, kit, point) * evaluate(bottom, kit, origin)

    return same_numerically(
        partial(scaled, first, second), partial(scaled, second, first), (first, second), options
    )


def _with_i(node: Answer, other: Answer) -> Answer:
    """The tree with `j` or `I` read as `i`, where the other has an `i` and this one has not."""
    i = tree.Constant("i")
    names = symbols(node) & {"j", "I"}
    if len(names) != 1 or i in parts(node) or i not in parts(other):
        return node
    name = tree.Symbol(names.pop())
    return replaced(node, lambda part: i if part == name else None)


def _exact(node: Answer) -> Number | None:
    if isinstance(node, Number):
        return node
    try:
        return Number(exact_value(node), _no_place(node))
    except NotExact:
        return None


def _no_place(node: Answer) -> Fraction | None:
    """The unit of what is computed: from a decimal it has no last place, else it is exact."""
    decimal = any(isinstance(part, Number) and part.unit is not None for part in parts(node))
    return Fraction(0) if decimal else None


def _rounded(first: Answer, second: Answer, options: Options) -> bool:
    """Whether a decimal agrees with a constant that is no fraction, as far as asked."""
    if isinstance(second, Number):
        first, second = second, first
    if not isinstance(first, Number) or isinstance(second, Number):
        return False
    if not may_stand_for(first, options.rounding) or symbols(second):
        return False
    try:
        value = evaluate(second, precise_kits()[1], complex_point(0))
    except FAILURES:
        return False
    if abs(value.imag) > 1e-40 or abs(value.real) > 1e300:
        return False
    other = Number(Fraction(str(value.real)), _no_place(second))
    return equality(options.rounding)(first, other)
