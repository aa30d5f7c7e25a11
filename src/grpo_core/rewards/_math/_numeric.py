"""Values at random points: in doubles to tell apart, then with 30, 60 and 120 digits to be sure.

A point is a number for each symbol, always the same for one name and trial. Two values that differ
do so by the same amount in all precisions; a difference that shrinks with the precision is none.
"""

import operator as operators
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import residue_of_name
from grpo_core.rewards._math._kits import Kit, Undefined
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer

MAX_LOGARITHM = 20_000.0  # natural, of any value on the way
MAX_FACTORIAL = 10_000

_ORDERS = {
    "<": operators.lt, ">": operators.gt, "<=": operators.le, ">=": operators.ge,
    "=": operators.eq, "!=": operators.ne,
}  # fmt: skip

_CLOSE = 1e-12  # as a share, of what doubles cannot tell apart

Point = Callable[[str], complex]


def evaluate(node: Answer, kit: Kit, point: Point) -> Any:
    """The value of a tree at a point, or `Undefined`."""
    if isinstance(node, Number):
        return kit.number(node.value)
    if isinstance(node, tree.Symbol):
        return kit.lift(point(node.name))
    if isinstance(node, tree.Sum):
        value = evaluate(node.items[0], kit, point)
        for item in node.items[1:]:
            value = value + evaluate(item, kit, point)
        return value
    if isinstance(node, tree.Product):
        value = evaluate(node.items[0], kit, point)
        for item in node.items[1:]:
            value = value * evaluate(item, kit, point)
        return value
    if isinstance(node, tree.Power):
        return _power(node, kit, point)
    if isinstance(node, tree.Constant) and node.name in kit.constants:
        return kit.constants[node.name]
    if isinstance(node, tree.Degrees):
        return evaluate(node.value, kit, point) * kit.constants["pi"] / 180
    if isinstance(node, tree.Call) and node.name == "cases":
        for value, condition in zip(node.items[::2], node.items[1::2], strict=True):
            if holds(condition, kit, point):
                return evaluate(value, kit, point)
        raise Undefined
    if isinstance(node, tree.Call):
        return _call(node.name, [evaluate(item, kit, point) for item in node.items], kit)
    if isinstance(node, tree.Apply):
        # Any function stands in for one that is not known, so long as its name alone decides.
        value = kit.lift(point(node.name))
        for place, item in enumerate(node.items):
            value = value + kit.lift(point(f"{node.name}#{place}")) * evaluate(item, kit, point)
        return kit.functions["sin"](_small(value))
    raise Undefined


def holds(condition: Answer, kit: Kit, point: Point) -> bool:
    """Whether the condition of a case holds at a point; what all but agrees is equal."""
    if isinstance(condition, tree.Text):
        return True
    if isinstance(condition, tree.Combination) and condition.operator in ("cup", "cap"):
        each = (holds(item, kit, point) for item in condition.items)
        return any(each) if condition.operator == "cup" else all(each)
    if not isinstance(condition, tree.Relation):
        raise Undefined
    residue = condition.items[-1]
    if condition.operators == ("in",) and isinstance(residue, tree.Residue):
        nodes = (condition.items[0], residue.value, residue.modulus)
        value, rest, modulus = (evaluate(node, kit, point) for node in nodes)
        if any(each.imag != 0 or each.real != int(each.real) for each in (value, rest, modulus)):
            raise Undefined
        return int(value.real - rest.real) % int(modulus.real) == 0
    values = [evaluate(item, kit, point) for item in condition.items]
    if any(value.imag != 0 for value in values):
        raise Undefined
    for operator, (a, b) in zip(condition.operators, pairwise(values), strict=True):
        compare = _ORDERS.get(operator)
        if compare is None:
            raise Undefined
        gap = a.real - b.real
        if not compare(0 if abs(gap) <= _CLOSE * abs(b.real) else gap, 0):
            return False
    return True


def _power(node: tree.Power, kit: Kit, point: Point) -> Any:
    base = evaluate(node.base, kit, point)
    if isinstance(node.exponent, Number) and node.exponent.value.denominator == 1:
        exponent = node.exponent.value.numerator
        if base == 0 and exponent <= 0:
            raise Undefined
        if exponent == -1:
            return 1 / base
        if base != 0 and abs(exponent) * _size(base, kit) > MAX_LOGARITHM:
            raise Unread("too_large")
        return base**exponent
    exponent = evaluate(node.exponent, kit, point)
    if base == 0:
        if exponent.imag == 0 and exponent.real > 0:
            return base
        raise Undefined
    _check_domain(base, kit)
    if abs(exponent) * _size(base, kit) > MAX_LOGARITHM:
        raise Unread("too_large")
    return base**exponent


def _check_domain(value: Any, kit: Kit) -> None:
    if kit.is_real and value.imag == 0 and value.real < 0:
        raise Undefined


def _size(value: Any, kit: Kit) -> float:
    return float(abs(kit.log(value)))


def _small(value: Any) -> Any:
    if abs(value.imag) > MAX_LOGARITHM:
        raise Unread("too_large")
    return value


def _call(name: str, values: list[Any], kit: Kit) -> Any:
    value = values[0]
    if name == "abs":
        return abs(value)
    if name in ("floor", "ceil", "max", "min"):
        if any(each.imag != 0 for each in values):
            raise Undefined
        real = [each.real for each in values]
        if name in ("max", "min"):
            return max(real) if name == "max" else min(real)
        return kit.functions[name](real[0])
    if name == "log":
        if value == 0 or (len(values) == 2 and values[1] in (0, 1)):
            raise Undefined
        _check_domain(value, kit)
        return kit.log(value) if len(values) == 1 else kit.log(value) / kit.log(values[1])
    if name == "root":
        degree = values[1]
        if degree == 0:
            raise Undefined
        if value.imag == 0 and value.real < 0 and degree.imag == 0 and degree.real % 2 == 1:
            return -((-value) ** (1 / degree))
        _check_domain(value, kit)
        return value ** (1 / degree) if value != 0 else value
    if name in ("factorial", "binom"):
        if any(abs(each) > MAX_FACTORIAL for each in values):
            raise Unread("too_large")
        if name not in kit.functions:
            raise Undefined
        return kit.functions[name](*values)
    if name in kit.functions:
        return kit.functions[name](_small(value))
    raise Undefined


def complex_point(trial: int) -> Point:
    """Numbers around 1 with an imaginary part; exact in doubles, so alike in all precisions."""

    def value(name: str) -> complex:
        seed = residue_of_name(name, trial)
        return complex(0.5 + (seed % 4093) / 4096, 0.25 + (seed // 4096 % 4093) / 4096)

    return value


def real_point(trial: int) -> Point:
    """Real numbers in [-3, 3]; the sign of each symbol changes from trial to trial."""

    def value(name: str) -> complex:
        seed = residue_of_name(name, trial)
        sign = 1 if (seed >> 40) + trial & 1 else -1
        return complex(sign * (0.25 + 2.75 * (seed % 4096) / 4096))

    return value


def integer_point(trial: int) -> Point:
    """Whole numbers for a lone symbol: 0, 1, 2, ... and then any."""

    def value(name: str) -> complex:
        return complex(trial if trial < 40 else residue_of_name(name, trial) % 50)

    return value


def integer_points(trial: int) -> Point:
    """Whole numbers for several symbols, small at first."""

    def value(name: str) -> complex:
        return complex(residue_of_name(name, trial) % (8 if trial < 30 else 30))

    return value
