"""What a worker decides with SymPy: values with sums, integrals or limits, and the hardest others.

Nothing of a text is executed: expressions are built from trees. Two expressions without symbols are
compared with as many digits as it takes, up to 3,000; with symbols, they are put at points.
"""

# SymPy has types in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import random
import re
from contextlib import suppress
from fractions import Fraction
from math import inf
from time import monotonic
from typing import Any

import sympy as sp
from sympy.core.cache import clear_cache
from sympy.core.random import seed

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._build import built
from grpo_core.rewards._math._evaluation import NoValue, differ, evaluated, number
from grpo_core.rewards._math._exact import residue_of_name
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._rounding import Rounding, equality, may_stand_for
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import same_value
from grpo_core.rewards._math._written_out import (
    bounds,
    counted,
    free,
    is_indefinite,
    put,
    written_out,
)

_SIMPLIFY_SECONDS = 1.2  # of which a step has half
_COUNTS = 20  # of terms, tried one after the other
_POINTS = 8
_NEEDED = 3
_CONSTANT = re.compile(r"(?:[cCkK]|const)(?:_\{?[0-9]\}?|')?")


def decide(first: Answer, second: Answer, rounding: Rounding, seconds: float) -> bool | str:
    """Whether two values are one, or why that cannot be said: a verdict's reason.

    It depends on the two trees alone, in either order, and on `seconds`, the time there is.
    """
    deadline = monotonic() + seconds
    clear_cache()
    random.seed(0)
    seed(0)
    options = Options(rounding, "auto", inf)
    try:
        first, second = sorted((written_out(first), written_out(second)), key=repr)
        return _decided(first, second, options, deadline)
    except Unread as unread:
        return unread.reason
    except (NoValue, RecursionError):
        return "undecided"


def _decided(first: Answer, second: Answer, options: Options, deadline: float) -> bool:
    if first == second:
        return True
    if not bounds((first, second)):
        try:
            return same_value(first, second, options)
        except Unread as unread:
            if unread.reason != "undecided":
                raise
        return _simplified(first, second, deadline)
    if any(map(is_indefinite, bounds((first, second)))):
        return _same_family(first, second, deadline)
    names = counted(first) | counted(second)
    if names:
        agreed = _at_counts(first, second, names, options)
        if agreed is not None:
            return agreed
    if not free(first) | free(second):
        return _constants(first, second, options, deadline)
    return _at_points(first, second, names, deadline)


def _simplified(first: Answer, second: Answer, deadline: float) -> bool:
    """Of values without a sum or an integral, of which no point had one: proven equal, or not."""
    names = {name: sp.Symbol(name) for name in free(first) | free(second)}
    rest = built(first, names) - built(second, names)
    with suppress(NoValue):
        if rest.is_number and differ(rest, sp.S.Zero, deadline):
            return False
    rest = evaluated(rest, min(deadline, monotonic() + _SIMPLIFY_SECONDS), sp.simplify)
    if rest == 0:
        return True
    if rest.is_number and differ(rest, sp.S.Zero, deadline):
        return False
    raise Unread("undecided")


def _at_counts(first: Answer, second: Answer, names: set[str], options: Options) -> bool | None:
    """Whether they agree for each number of terms from 1 on; None if they cannot be written out."""
    agreed = 0
    for trial in range(_COUNTS):
        counts: dict[str, Answer] = {
            name: Number(Fraction(trial + 1 if len(names) == 1 else _small(name, trial)))
            for name in names
        }
        a, b = (written_out(put(node, counts)) for node in (first, second))
        if bounds((a, b)):
            return None
        try:
            if not same_value(a, b, options):
                return False
            agreed += 1
        except Unread as unread:
            if unread.reason != "undecided":
                raise
    return True if agreed >= _COUNTS // 2 else None


def _small(name: str, trial: int) -> int:
    return 1 + residue_of_name(name, trial) % 9


def _constants(first: Answer, second: Answer, options: Options, deadline: float) -> bool:
    a, b = (evaluated(built(node, {}), deadline) for node in (first, second))
    if options.rounding != "strict" or isinstance(first, Number) != isinstance(second, Number):
        for node, other in ((first, b), (second, a)):
            if isinstance(node, Number) and may_stand_for(node, options.rounding):
                value = number(other, deadline)
                if value.is_real and equality(options.rounding)(node, Number(Fraction(str(value)))):
                    return True
    return not differ(a, b, deadline)


def _at_points(first: Answer, second: Answer, names: set[str], deadline: float) -> bool:
    """Whether they agree at points where all symbols are positive, and at others with a value."""
    symbols = free(first) | free(second)
    positive = {
        name: sp.Symbol(name, positive=True, integer=True if name in names else None)
        for name in symbols
    }
    a, b = (evaluated(built(node, positive), deadline) for node in (first, second))
    if a == b:
        agreed = _NEEDED
    else:
        agreed = 0
        for trial in range(_POINTS):
            point = {positive[name]: _coordinate(name, trial, name in names) for name in symbols}
            try:
                if _differ(a.subs(point), b.subs(point), deadline):
                    return False
                agreed += 1
            except NoValue:
                continue
            if agreed == _NEEDED:
                break
    if agreed < _NEEDED:
        raise Unread("undecided")
    return not _differ_elsewhere(first, second, sorted(symbols - names), names, deadline)


def _differ_elsewhere(
    first: Answer, second: Answer, signed: list[str], names: set[str], deadline: float
) -> bool:
    """Whether they differ where some of their symbols are negative."""
    for trial in range(2 if signed else 0):
        point = {
            name: Number(_coordinate(name, trial, False) * (-1 if (place + trial) % 2 == 0 else 1))
            for place, name in enumerate(signed)
        }
        point |= {name: Number(_coordinate(name, trial, True)) for name in names}
        try:
            a, b = (built(written_out(put(node, point)), {}) for node in (first, second))
            if _differ(a, b, deadline):
                return True
        except (NoValue, Unread):
            continue
    return False


def _differ(first: Any, second: Any, deadline: float) -> bool:
    """Whether two finite values differ. Where one is infinite, a formula need not hold."""
    a, b = evaluated(first, deadline), evaluated(second, deadline)
    if a.is_infinite or b.is_infinite:
        raise NoValue
    return differ(a, b, deadline)


def _coordinate(name: str, trial: int, is_count: bool) -> Fraction:
    """Every other one is below 1, where series converge."""
    seed = residue_of_name(name, trial)
    if is_count:
        return Fraction(1 + seed % 9)
    return Fraction(1 + seed % 15, 16) if trial % 2 else Fraction(9 + seed % 23, 8)


def _same_family(first: Answer, second: Answer, deadline: float) -> bool:
    """Whether indefinite integrals, and what has a constant of its own, differ by a constant."""
    indefinite = [b for b in bounds((first, second)) if is_indefinite(b)]
    variables = {b.variable for b in indefinite}
    if len(variables) != 1:
        raise Unread("undecided")
    (variable,) = variables
    names = {name: sp.Symbol(name, real=True) for name in free(first) | free(second)}
    a, b = built(first, names), built(second, names)
    x = names[variable.name]
    slope = evaluated(sp.diff(a - b, x), deadline)
    if slope != 0 and _is_somewhere_not_zero(slope, deadline):
        return False
    inside = free(tree.Tuple(tuple(b.body for b in indefinite)))
    return all(_has_constant(*side, inside) for side in ((first, a), (second, b)))


def _is_somewhere_not_zero(slope: Any, deadline: float) -> bool:
    """Whether an expression differs from 0 at one of some points; `NoValue` without enough."""
    agreed = 0
    for trial in range(_POINTS):
        point = {
            symbol: _coordinate(symbol.name, trial, False) * (1 if trial % 2 else -1)
            for symbol in slope.free_symbols
        }
        try:
            if _differ(slope.subs(point), sp.S.Zero, deadline):
                return True
            agreed += 1
        except NoValue:
            continue
    if agreed < _NEEDED:
        raise NoValue
    return False


def _has_constant(node: Answer, expression: Any, inside: set[str]) -> bool:
    """Whether a constant of its own choice is added: an integral's, or a `C` that is in none."""
    if any(map(is_indefinite, bounds(node))):
        return True
    for symbol in expression.free_symbols:
        if _CONSTANT.fullmatch(symbol.name) and symbol.name not in inside:
            slope = sp.diff(expression, symbol)
            if slope.is_number and slope != 0:
                return True
    return False
