"""What is too large for a computer algebra system, and what is so small or so flat that digits lie.

At 100 a `tanh` is 1 to 86 digits: values that agree as far as one looks need not be one.
"""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._exact import NotExact, exact_value
from grpo_core.rewards._math._kits import Undefined, precise_kits
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._numeric import complex_point, evaluate
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, symbols

MAX_ARGUMENT = 10_000
MAX_LENGTH = 100_000
_GROWING = frozenset(("Gamma", "zeta"))
_FLAT = frozenset(("tanh", "coth", "atan", "erf"))
_WAVES = frozenset(("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh"))
_STEPS = frozenset(("floor", "ceil"))
_LARGE, _SMALL, _NEAR = 20, 1e-9, 1e-12


def check_sizes(nodes: tuple[Answer, Answer]) -> None:
    """Raise `Unread` if a function's argument, or a number of terms, is too large.

    And if a step is so near that no digit can tell on which side of it a value is.
    """
    for part in parts(nodes):
        is_step = isinstance(part, tree.Call) and part.name in _STEPS and not symbols(part)
        if is_step and vanishes((part.items[0], part.items[0])) and _is_flat(part):
            raise Unread("undecided")
        if isinstance(part, tree.Apply) and part.name in _GROWING:
            sizes = [_value(item) for item in part.items if not symbols(item)]
            if any(size is not None and abs(size) > MAX_ARGUMENT for size in sizes):
                raise Unread("too_large")
        if isinstance(part, tree.Bound) and part.operator in ("sum", "prod") and _is_long(part):
            raise Unread("too_large")


def _is_long(node: tree.Bound) -> bool:
    try:
        low, high = (
            exact_value(end) for end in (node.low, node.high) if end and not isinstance(end, str)
        )
    except (NotExact, ValueError):
        return False
    return high - low > MAX_LENGTH and (node.operator == "prod" or not _is_polynomial(node.body))


def _is_polynomial(node: Answer) -> bool:
    if isinstance(node, tree.Sum | tree.Product):
        return all(map(_is_polynomial, node.items))
    if isinstance(node, tree.Power):
        if not symbols(node):
            return True
        power = node.exponent.value if isinstance(node.exponent, Number) else -1
        return power in range(int(_LARGE) + 1) and _is_polynomial(node.base)
    return not symbols(node) or isinstance(node, tree.Symbol)


def vanishes(nodes: tuple[Answer, Answer]) -> bool:
    """Whether a term is so large or small that it, or another beside it, is not seen at all."""
    for part in parts(nodes):
        if isinstance(part, tree.Sum):
            items = [item for item in parts(part) if not symbols(item)]
            if any(_is_extreme(item) for item in items):
                return True
        elif isinstance(part, tree.Call) and not symbols(part) and _is_flat(part):
            return True
    return False


def _is_extreme(node: Answer) -> bool:
    if not isinstance(node, Number | tree.Power | tree.Call):
        return False
    if isinstance(node, Number):
        return node.value != 0 and not 1e-50 < abs(node.value) < 10**50
    value = _value(node)
    return value is None or not 1e-50 < abs(value) < 1e50


def _is_flat(node: tree.Call) -> bool:
    if node.name not in _FLAT | _WAVES | _STEPS:
        return False
    try:
        if node.name in _STEPS:
            exact_value(node.items[0])
            return False
    except NotExact:
        pass
    value = _value(node.items[0])
    if value is None:
        return node.name in _STEPS
    size = abs(value)
    if node.name in _STEPS:
        return float(abs(value.real - round(value.real))) < _NEAR
    if node.name in _FLAT and size > _LARGE:
        return True
    return 0 < size < _SMALL


def _value(node: Answer) -> complex | None:
    """The value to 120 digits of what has no symbols, or None if it has none."""
    try:
        return evaluate(node, precise_kits()[-1], complex_point(0))
    except (Undefined, ZeroDivisionError, OverflowError, ValueError):
        return None
