"""A tree as a SymPy expression. SymPy is imported with this module, in a worker alone."""

# SymPy has types in part.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable
from typing import Any, cast

import sympy as sp

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import MAX_BITS
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._written_out import is_indefinite

MAX_FACTORIAL = 10_000

_CONSTANTS: dict[str, Any] = {"pi": sp.pi, "e": sp.E, "i": sp.I, "oo": sp.oo}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "cot": sp.cot, "sec": sp.sec, "csc": sp.csc,
    "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh, "coth": sp.coth, "asin": sp.asin,
    "acos": sp.acos, "atan": sp.atan, "abs": sp.Abs, "max": sp.Max, "min": sp.Min, "gcd": sp.gcd,
    "lcm": sp.lcm, "floor": sp.floor, "ceil": sp.ceiling, "binom": sp.binomial,
}  # fmt: skip
_SPECIAL: dict[str, Callable[..., Any]] = {"Gamma": sp.gamma, "zeta": sp.zeta, "erf": sp.erf}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge, "=": sp.Eq, "!=": sp.Ne,
}  # fmt: skip
_BINDERS: dict[str, Callable[..., Any]] = {"sum": sp.Sum, "prod": sp.Product, "int": sp.Integral}


def built(node: Answer, names: dict[str, Any]) -> Any:
    """The expression, in which `names` are the symbols that are not bound; or `Unread`."""
    if isinstance(node, Number):
        return sp.Rational(node.value.numerator, node.value.denominator)
    if isinstance(node, tree.Symbol):
        if node.name not in names:
            raise Unread("undecided")
        return names[node.name]
    if isinstance(node, tree.Constant) and node.name in _CONSTANTS:
        return _CONSTANTS[node.name]
    if isinstance(node, tree.Sum):
        return sp.Add(*(built(item, names) for item in node.items))
    if isinstance(node, tree.Product):
        return sp.Mul(*(built(item, names) for item in node.items))
    if isinstance(node, tree.Power):
        return _power(built(node.base, names), built(node.exponent, names))
    if isinstance(node, tree.Degrees):
        return built(node.value, names) * sp.pi / 180
    if isinstance(node, tree.Apply):
        known = _SPECIAL.get(node.name) if len(node.items) == 1 else None
        return (known or sp.Function(node.name))(*(built(item, names) for item in node.items))
    if isinstance(node, tree.Bound):
        return _bound(node, names)
    if isinstance(node, tree.Call) and node.name == "cases":
        pairs = zip(node.items[::2], node.items[1::2], strict=True)
        return sp.Piecewise(*((built(value, names), _holds(when, names)) for value, when in pairs))
    if isinstance(node, tree.Call):
        return _call(node.name, [built(item, names) for item in node.items])
    raise Unread("undecided")


def _power(base: Any, exponent: Any) -> Any:
    """Built only where SymPy, which multiplies integers out at once, stays within bounds."""
    if base.is_Rational and exponent.is_Rational and base not in (-1, 0, 1):
        bits = max(base.p.bit_length(), base.q.bit_length())
        if bits * abs(exponent) > 2 * MAX_BITS:
            raise Unread("too_large")
    return base**exponent


def _call(name: str, values: list[Any]) -> Any:
    value = values[0]
    if name == "log":
        return sp.log(value) if len(values) == 1 else sp.log(value) / sp.log(values[1])
    if name == "root":
        degree = values[1]
        if value.is_negative and degree.is_Integer and degree % 2 == 1:
            return -((-value) ** (1 / degree))
        return _power(value, 1 / degree)
    if name in ("factorial", "binom"):
        if value.is_number and abs(value) > MAX_FACTORIAL:
            raise Unread("too_large")
        return sp.factorial(value) if name == "factorial" else sp.binomial(*values)
    polynomial = name in ("gcd", "lcm") and not all(each.is_Integer for each in values)
    if name not in _FUNCTIONS or polynomial:  # of polynomials it is another
        raise Unread("undecided")
    return _FUNCTIONS[name](*values)


def _holds(condition: Answer, names: dict[str, Any]) -> Any:
    if isinstance(condition, tree.Text):
        return True
    if not isinstance(condition, tree.Relation):
        raise Unread("undecided")
    sides = [built(item, names) for item in condition.items]
    if any(operator not in _COMPARISONS for operator in condition.operators):
        raise Unread("undecided")
    return sp.And(
        *(
            _COMPARISONS[operator](sides[place], sides[place + 1])
            for place, operator in enumerate(condition.operators)
        )
    )


def _bound(node: tree.Bound, names: dict[str, Any]) -> Any:
    name = node.variable.name
    if is_indefinite(node):
        return sp.Integral(built(node.body, names), names[name])
    low = built(cast("Answer", node.low), names)
    if node.operator == "lim":
        variable = sp.Symbol(name, real=True)
        side = node.high if isinstance(node.high, str) else "+-"
        if low.is_infinite:
            side = "-" if low == sp.oo else "+"
        return sp.Limit(built(node.body, {**names, name: variable}), variable, low, side)
    high = built(cast("Answer", node.high), names)
    variable = sp.Symbol(name, **_assumptions(node.operator, low))
    if node.operator == "int" and not (low.is_comparable and high.is_comparable and low < high):
        variable = sp.Symbol(name, real=True)
    if node.operator != "int" and any(
        end.is_integer is False and not end.is_infinite for end in (low, high)
    ):
        raise Unread("undecided")
    body = built(node.body, {**names, name: variable})
    return _BINDERS[node.operator](body, (variable, low, high))


def _assumptions(operator: str, low: Any) -> dict[str, bool]:
    """What is known of a variable that goes up from `low`."""
    assumptions = {"real": True} if operator == "int" else {"integer": True}
    if low.is_positive or (operator == "int" and low.is_zero):
        assumptions["positive"] = True
    elif low.is_nonnegative:
        assumptions["nonnegative"] = True
    return assumptions
