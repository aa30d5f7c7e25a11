"""Whether two values are one: exactly, modulo a prime, in doubles, and with 60 digits."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._answers import Order, Rounding, equality
from grpo_core.rewards._math._exact import PRIME, NotExact, exact_value, residue
from grpo_core.rewards._math._kits import DOUBLES, REAL_DOUBLES, Kit, Undefined, precise_kits
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import (
    Point,
    complex_point,
    evaluate,
    integer_point,
    real_point,
)
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

# Functions that are not analytic, and so are compared on the real line.
_REAL = frozenset(("abs", "floor", "ceil", "max", "min", "cases"))
_STEPS = frozenset(("floor", "ceil"))
_WHOLE = frozenset(("factorial", "binom", "gcd", "lcm"))
_COUNTED = frozenset("nkmNKM")
_TRIALS = 12  # points tried before a value counts as undefined
_NEEDED = 3
_FAILURES = (Undefined, ZeroDivisionError, OverflowError, ValueError)


class Options(NamedTuple):
    """The caller's choices, and when to give up on the clock of `time.monotonic`."""

    rounding: Rounding
    order: Order
    deadline: float

    def check(self) -> None:
        if monotonic() >= self.deadline:
            raise Unread("timeout")


def same_value(first: Answer, second: Answer, options: Options) -> bool:
    """Whether two trees have one value wherever both have one. What is undecided raises."""
    if first == second:
        return True
    options.check()
    if any(part == tree.Constant("oo") for part in parts((first, second))):
        return False  # infinity less infinity is nothing
    first, second = _with_i(first, second), _with_i(second, first)
    if isinstance(first, Number) and isinstance(second, Number):
        return equality(options.rounding)(first, second)
    exact = [_exact(node) for node in (first, second)]
    if exact[0] and exact[1]:
        return equality(options.rounding)(exact[0], exact[1])
    if options.rounding != "strict" and (rounded := _rounded(first, second, options)):
        return rounded
    try:
        return all(residue(first, trial) == residue(second, trial) for trial in range(_NEEDED))
    except NotExact:
        pass
    return _numerically(
        partial(evaluate, first), partial(evaluate, second), (first, second), options
    )


def proportional(first: Answer, second: Answer, options: Options) -> bool:
    """Whether one tree is the other times a number that is not 0."""
    try:
        left = [residue(first, trial) for trial in range(_NEEDED + 1)]
        right = [residue(second, trial) for trial in range(_NEEDED + 1)]
    except NotExact:
        pass
    else:
        if not left[0] or not right[0]:
            return False
        return all(
            (a * right[0] - b * left[0]) % PRIME == 0 for a, b in zip(left, right, strict=True)
        )
    origin = complex_point(_TRIALS)

    def scaled(top: Answer, bottom: Answer, kit: Kit, point: Point) -> Any:
        return evaluate(top, kit, point) * evaluate(bottom, kit, origin)

    return _numerically(
        partial(scaled, first, second), partial(scaled, second, first), (first, second), options
    )


def _with_i(node: Answer, other: Answer) -> Answer:
    """The tree with `j` read as `i`, where the other has an `i` and this one has not."""
    i, j = tree.Constant("i"), tree.Symbol("j")
    if symbols(node) != {"j"} or i in parts(node) or i not in parts(other):
        return node
    return replaced(node, lambda part: i if part == j else None)


def _exact(node: Answer) -> Number | None:
    if isinstance(node, Number):
        return node
    try:
        return Number(exact_value(node))
    except NotExact:
        return None


def _rounded(first: Answer, second: Answer, options: Options) -> bool:
    """Whether a decimal agrees with a constant that is no fraction, as far as asked."""
    if isinstance(first, Number) == isinstance(second, Number) or symbols((first, second)):
        return False
    values: list[Number] = []
    for node in (first, second):
        if isinstance(node, Number):
            values.append(node)
            continue
        try:
            value = evaluate(node, precise_kits()[1], complex_point(0))
        except _FAILURES:
            return False
        if abs(value.imag) > 1e-40 or abs(value.real) > 1e300:
            return False
        values.append(Number(Fraction(str(value.real))))
    return equality(options.rounding)(values[0], values[1])


def _numerically(
    first: Callable[[Kit, Point], Any],
    second: Callable[[Kit, Point], Any],
    nodes: tuple[Answer, Answer],
    options: Options,
) -> bool:
    names = symbols(nodes)
    calls = {part.name for part in parts(nodes) if isinstance(part, tree.Call)}
    if calls & (_REAL | _WHOLE) and names:
        if calls & _WHOLE or all(name[0] in _COUNTED for name in names):
            return _agree(first, second, integer_point, options, needed=24, trials=60)
        if not _agree(first, second, real_point, options, needed=8, trials=40):
            return False
        steps = calls & _STEPS  # which jump at whole numbers, where no random point falls
        return not steps or _agree(first, second, integer_point, options, needed=8, trials=20)
    needed = _NEEDED if names else 1
    trials = _TRIALS if names else 1
    if not _agree(first, second, complex_point, options, needed=needed, trials=trials):
        return False
    return not names or not _differ_where_real(first, second, options)


def _differ_where_real(
    first: Callable[[Kit, Point], Any], second: Callable[[Kit, Point], Any], options: Options
) -> bool:
    """Whether they differ where both are real all the way: the root of x² is not x below 0."""
    for trial in range(_TRIALS):
        options.check()
        point = real_point(trial)
        a, b = _at(first, REAL_DOUBLES, point), _at(second, REAL_DOUBLES, point)
        both = a is not None and b is not None
        if both and _far(a, b) and _same_precisely(first, second, point) is False:
            return True
    return False


def _agree(
    first: Callable[[Kit, Point], Any],
    second: Callable[[Kit, Point], Any],
    points: Callable[[int], Point],
    options: Options,
    *,
    needed: int,
    trials: int,
) -> bool:
    """Whether two values agree at `needed` points; undecided if there are not as many."""
    defined: list[Point] = []
    for trial in range(trials):
        options.check()
        point = points(trial)
        a, b = _at(first, DOUBLES, point), _at(second, DOUBLES, point)
        if (a is None) != (b is None) and points is integer_point:
            continue
        both = a is not None and b is not None
        # Doubles may lose all digits to cancellation; a look with more settles it.
        if both and _far(a, b) and not _same_precisely(first, second, point):
            return False
        defined.append(point)
        if len(defined) == needed:
            break
    confirmed = 0
    for point in defined[-needed:]:
        options.check()
        same = _same_precisely(first, second, point)
        if same is False:
            return False
        confirmed += bool(same)
        if confirmed == 2 and points is complex_point:
            break
    if confirmed < min(needed, 2):
        raise Unread("undecided")
    return True


def _at(value: Callable[[Kit, Point], Any], kit: Kit, point: Point) -> Any:
    try:
        found = value(kit, point)
    except _FAILURES:
        return None
    return found if found == found and abs(found) != float("inf") else None  # noqa: PLR0124 - NaN


def _far(a: Any, b: Any) -> bool:
    return abs(a - b) > 1e-6 * max(abs(a), abs(b))


def _same_precisely(
    first: Callable[[Kit, Point], Any], second: Callable[[Kit, Point], Any], point: Point
) -> bool | None:
    """Whether the values are one at a point; None if either has none there, or it is unclear."""
    before = None
    for kit in precise_kits():
        a, b = _at(first, kit, point), _at(second, kit, point)
        if a is None or b is None:
            return None if a is b else False
        difference = abs(a - b)
        if before is not None and difference <= before * 1e-20:
            return True
        if before is not None and abs(before - difference) <= difference * 1e-3:
            return False
        before = difference
    return None
