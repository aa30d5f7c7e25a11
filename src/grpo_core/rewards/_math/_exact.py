"""Values that a `Fraction` holds, and rational functions modulo a prime."""

from fractions import Fraction
from math import comb, factorial, gcd, isqrt, lcm
from zlib import crc32

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import Answer

MAX_BITS = 7_000  # of a numerator or denominator: two thousand digits
MAX_FACTORIAL = 500

# A prime of 61 bits that is 1 modulo 4, so that -1 has a square root: i.
PRIME = 2**61 - 31
ROOT_OF_MINUS_ONE = 583_529_827_753_931_384


class NotExact(Exception):  # noqa: N818 - no error: the next way is tried
    """The value is no fraction, or one too large to write down."""


def exact_value(node: Answer) -> Fraction:
    """The value of a constant tree of rational numbers, or `NotExact`."""
    value = _exact(node)
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise NotExact
    return value


def exact_or_none(node: Answer) -> Fraction | None:
    """The same, or None."""
    try:
        return exact_value(node)
    except NotExact:
        return None


def _exact(node: Answer) -> Fraction:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, tree.Sum):
        value = Fraction(0)
        for item in node.items:
            value += exact_value(item)
        return value
    if isinstance(node, tree.Product):
        value = Fraction(1)
        for item in node.items:
            value *= exact_value(item)
            if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
                raise NotExact
        return value
    if isinstance(node, tree.Power):
        return _power(exact_value(node.base), exact_value(node.exponent))
    if isinstance(node, tree.Call):
        return _call(node.name, [exact_value(item) for item in node.items])
    raise NotExact


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent <= 0:
        raise NotExact
    if exponent.denominator == 2:
        top, bottom = isqrt(max(base.numerator, 0)), isqrt(base.denominator)
        if base < 0 or top * top != base.numerator or bottom * bottom != base.denominator:
            raise NotExact
        base, exponent = Fraction(top, bottom), exponent * 2
    if exponent.denominator != 1:
        raise NotExact
    if base in (0, 1, -1):  # any power is small; only whether it is even matters
        return abs(base) if exponent.numerator % 2 == 0 else base
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size * abs(exponent) > 2 * MAX_BITS:
        raise NotExact
    return base**exponent.numerator


def _call(name: str, values: list[Fraction]) -> Fraction:
    value = values[0]
    whole = all(each.denominator == 1 for each in values)
    if name == "abs":
        return abs(value)
    if name in ("floor", "ceil"):
        return Fraction(value.__floor__() if name == "floor" else value.__ceil__())
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    if name in ("gcd", "lcm") and whole:
        return Fraction((gcd if name == "gcd" else lcm)(*(each.numerator for each in values)))
    if name == "factorial" and whole and 0 <= value <= MAX_FACTORIAL:
        return Fraction(factorial(value.numerator))
    if name == "binom" and whole and values[1] >= 0 and 0 <= value <= MAX_FACTORIAL:
        return Fraction(comb(value.numerator, values[1].numerator))
    raise NotExact


def residue(node: Answer, trial: int) -> int:
    """The value modulo `PRIME` with a random residue for each symbol, or `NotExact`.

    A rational function that is not 0 vanishes at a random point with a chance below its degree
    over 2**61 (Schwartz 1980, Zippel 1979).
    """
    if isinstance(node, Number):
        return node.value.numerator * _inverse(node.value.denominator) % PRIME
    if isinstance(node, tree.Symbol):
        return residue_of_name(node.name, trial)
    if isinstance(node, tree.Constant) and node.name == "i":
        return ROOT_OF_MINUS_ONE
    if isinstance(node, tree.Sum):
        return sum(residue(item, trial) for item in node.items) % PRIME
    if isinstance(node, tree.Product):
        value = 1
        for item in node.items:
            value = value * residue(item, trial) % PRIME
        return value
    if isinstance(node, tree.Power) and isinstance(node.exponent, Number):
        exponent = node.exponent.value
        if exponent.denominator == 1:
            base = residue(node.base, trial)
            return pow(base if exponent > 0 else _inverse(base), abs(exponent.numerator), PRIME)
    if isinstance(node, tree.Apply):
        arguments = "|".join(str(residue(item, trial)) for item in node.items)
        return residue_of_name(f"{node.name}({arguments})", trial)
    raise NotExact


def _inverse(value: int) -> int:
    if value % PRIME == 0:
        raise NotExact
    return pow(value, -1, PRIME)


def residue_of_name(name: str, trial: int) -> int:
    """A residue that looks random and is always the same for one name and trial."""
    data = f"{name}#{trial}".encode()
    high, low = crc32(data), crc32(data[::-1] + b"!")
    return ((high << 32) | low) * 0x9E3779B97F4A7C15 % PRIME
