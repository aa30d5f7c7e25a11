"""When a decimal may stand for another value: by its digits, or within a share of it."""

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

from grpo_core.rewards._math._numbers import Number

Rounding = Literal["strict", "digits"] | float

# A rounded decimal with fewer significant digits says too little: 0.3 is no 1/3.
STRICT_DIGITS, LOOSE_DIGITS = 6, 3


def equality(rounding: Rounding) -> Callable[[Number, Number], bool]:
    """The comparison of two numbers that the caller asked for; it is symmetric."""
    if rounding == "strict":
        return lambda a, b: a.value == b.value or _stands_for(a, b) or _stands_for(b, a)
    if rounding == "digits":
        return lambda a, b: a.value == b.value or _agrees(a, b) or _agrees(b, a)
    tolerance = Fraction(rounding)

    def close(a: Number, b: Number) -> bool:
        if a.value == b.value:
            return True
        if _is_exact_integer(a) or _is_exact_integer(b):
            return False
        return abs(a.value - b.value) <= tolerance * max(abs(a.value), abs(b.value))

    return close


def may_stand_for(number: Number, rounding: Rounding) -> bool:
    """Whether a number can equal a value that it is not, so that the value is worth computing."""
    if rounding == "strict":
        return bool(number.unit) and number.digits >= STRICT_DIGITS
    return rounding != "digits" or (bool(number.unit) and number.digits >= LOOSE_DIGITS)


def _stands_for(decimal: Number, exact: Number) -> bool:
    """Whether all printed digits are right, and enough, of a value without a decimal in it."""
    if exact.unit is not None or decimal.digits < STRICT_DIGITS:
        return False
    return prints(decimal, exact)


def _agrees(coarse: Number, fine: Number) -> bool:
    """The same, where the other may be a decimal of at least as many places."""
    if coarse.digits < LOOSE_DIGITS or not coarse.unit:
        return False
    if fine.unit is not None and fine.unit > coarse.unit:
        return False
    return prints(coarse, fine)


def prints(decimal: Number, exact: Number) -> bool:
    """Whether a value, rounded or cut off at the decimal's last place, is the decimal."""
    if not decimal.unit or _is_exact_integer(exact) or (decimal.value > 0) != (exact.value > 0):
        return False
    rest = abs(exact.value) - abs(decimal.value)
    return 2 * abs(rest) <= decimal.unit or 0 < rest < decimal.unit


def _is_exact_integer(number: Number) -> bool:
    """Written without a point: 5 is counted, 5.0 may be measured."""
    return number.unit is None and number.value.denominator == 1
