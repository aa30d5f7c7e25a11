"""Whether two values agree at random points: in doubles first, then with 60 and more digits."""

from collections.abc import Callable
from math import log10
from typing import Any

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import residue_of_name
from grpo_core.rewards._math._kits import DOUBLES, REAL_DOUBLES, Kit, Undefined, precise_kits
from grpo_core.rewards._math._magnitudes import vanishes
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import (
    Point,
    complex_point,
    evaluate,
    integer_point,
    integer_points,
    real_point,
)
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, symbols

# Functions that are not analytic, and so are compared on the real line.
_REAL = frozenset(("abs", "floor", "ceil", "max", "min", "cases"))
_BENT = frozenset(("abs", "floor", "ceil", "max", "min"))
_STEPS = frozenset(("floor", "ceil"))
_WHOLE = frozenset(("factorial", "binom", "gcd", "lcm"))
COUNTED = frozenset("nkmNKM")
TRIALS = 12  # points tried before a value counts as undefined
NEEDED = 3
FAR = (1e1, 1e3, 1e6, 1e10, 1e13)
MAX_SCALE = 12  # decimal places of any constant, beyond which FAR is not far
FAILURES = (Undefined, ZeroDivisionError, OverflowError, ValueError)


def same_numerically(
    first: Callable[[Kit, Point], Any],
    second: Callable[[Kit, Point], Any],
    nodes: tuple[Answer, Answer],
    options: Options,
) -> bool:
    if not _same(first, second, nodes, options):
        return False
    if vanishes(nodes):
        raise Unread("undecided")
    return True


def _same(
    first: Callable[[Kit, Point], Any],
    second: Callable[[Kit, Point], Any],
    nodes: tuple[Answer, Answer],
    options: Options,
) -> bool:
    names = symbols(nodes)
    calls = {part.name for part in parts(nodes) if isinstance(part, tree.Call)}
    whole = integer_point if len(names) == 1 else integer_points
    if calls & (_REAL | _WHOLE) and names:
        far = bool(calls & _BENT)
        if calls & _WHOLE or all(name[0] in COUNTED for name in names):
            return _agree(first, second, whole, options, needed=24, trials=90) and not (
                far and _differ_far_out(first, second, nodes, options, counts=True)
            )
        if not _agree(first, second, real_point, options, needed=8, trials=40):
            return False
        if far and _differ_far_out(first, second, nodes, options, counts=False):
            return False
        steps = calls & _STEPS  # which jump at whole numbers, where no random point falls
        return not steps or _agree(first, second, whole, options, needed=8, trials=20)
    needed = NEEDED if names else 1
    trials = TRIALS if names else 1
    if not _agree(first, second, complex_point, options, needed=needed, trials=trials):
        return False
    return not names or not _differ_where_real(first, second, options)


def _differ_far_out(
    first: Callable[[Kit, Point], Any],
    second: Callable[[Kit, Point], Any],
    nodes: tuple[Answer, Answer],
    options: Options,
    *,
    counts: bool,
) -> bool:
    """Whether two values with bends or steps differ at large numbers; undecided without enough."""
    agreed = 0
    for trial in range(4 * len(FAR)):
        options.check()
        try:
            same = _same_precisely(first, second, _far_point(trial, counts=counts))
        except Unread:  # too large there
            continue
        if same is False:
            return True
        agreed += bool(same)
    if agreed < NEEDED or _scale(nodes) > MAX_SCALE:
        raise Unread("undecided")
    return False


def _far_point(trial: int, *, counts: bool) -> Point:
    """Large numbers; the first ones of one size and sign, which then vary from name to name."""

    def value(name: str) -> complex:
        seed = residue_of_name(name, trial)
        place, turned = trial % len(FAR), trial // len(FAR) % 2 == 1
        if trial >= 2 * len(FAR):
            place, turned = seed % len(FAR), (seed >> 40) % 2 == 1
        number = FAR[place] * (1 + (seed >> 8) % 1021 / 1024)
        return complex(float(int(number)) if counts else -number if turned else number)

    return value


def _scale(nodes: tuple[Answer, Answer]) -> float:
    """How many decimal places the largest or smallest constant of two trees has."""
    found = 0.0
    for part in parts(nodes):
        if isinstance(part, Number | tree.Power) and not symbols(part):
            value = _at(lambda kit, point, part=part: evaluate(part, kit, point), DOUBLES, _origin)
            if value is None:
                return float("inf")
            found = max(found, abs(log10(abs(value)))) if value else found
    return found


def _origin(_: str) -> complex:
    return 0j


def _differ_where_real(
    first: Callable[[Kit, Point], Any], second: Callable[[Kit, Point], Any], options: Options
) -> bool:
    """Whether they differ where both are real all the way: the root of x² is not x below 0."""
    points = [real_point(trial) for trial in range(TRIALS)]
    points += [_far_point(trial, counts=False) for trial in range(2 * len(FAR))]
    for place, point in enumerate(points):
        options.check()
        try:
            a, b = _at(first, REAL_DOUBLES, point), _at(second, REAL_DOUBLES, point)
            both = a is not None and b is not None
            if both and _far(a, b) and _same_precisely(first, second, point) is False:
                return True
        except Unread:
            if place < TRIALS:
                raise
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
        if (a is None) != (b is None) and points in (integer_point, integer_points):
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
    except FAILURES:
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
