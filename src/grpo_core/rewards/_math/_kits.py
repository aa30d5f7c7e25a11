"""The arithmetic of doubles, and of 30, 60 and 120 digits."""

# mpmath has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import cmath
import math
import threading
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from typing import Any, NamedTuple

DIGITS = (30, 60, 120)
MAX_BITS = 32_000

_OF_THREAD = threading.local()


class Undefined(Exception):  # noqa: N818 - no error: another point is tried
    """There is no value here: a division by zero, an overflow, or a function not known."""


class Kit(NamedTuple):
    """The arithmetic of one precision."""

    number: Callable[[Fraction], Any]
    lift: Callable[[complex], Any]
    functions: dict[str, Callable[..., Any]]
    log: Callable[[Any], Any]
    constants: dict[str, Any]
    is_real: bool = False  # then a root or logarithm of a negative number is none


def _cot(value: complex) -> complex:
    return 1 / cmath.tan(value)


def _sec(value: complex) -> complex:
    return 1 / cmath.cos(value)


def _csc(value: complex) -> complex:
    return 1 / cmath.sin(value)


def _coth(value: complex) -> complex:
    return 1 / cmath.tanh(value)


def _double(value: Any) -> complex:
    try:
        return complex(value)
    except OverflowError:
        raise Undefined from None


def _whole(value: complex, largest: int) -> int:
    if value.imag != 0 or not 0 <= value.real <= largest or value.real != int(value.real):
        raise Undefined
    return int(value.real)


def _factorial(value: complex) -> complex:
    return complex(math.factorial(_whole(value, 150)))


def _binomial(n: complex, k: complex) -> complex:
    whole, taken = _whole(n, 10_000), _whole(k, 10_000)
    if min(taken, abs(whole - taken)) > 150:
        raise Undefined
    return complex(math.comb(whole, taken))


def _floor(value: float) -> complex:
    # Near an integer the double cannot tell on which side the value lies.
    if abs(value) > 1e9 or (value != round(value) and abs(value - round(value)) < 1e-9):
        raise Undefined
    return complex(math.floor(value))


def _ceil(value: float) -> complex:
    return -_floor(-value)


DOUBLES = Kit(
    _double,
    complex,
    {
        "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "cot": _cot, "sec": _sec,
        "csc": _csc, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "coth": _coth,
        "asin": cmath.asin, "acos": cmath.acos, "atan": cmath.atan,
        "factorial": _factorial, "binom": _binomial, "floor": _floor, "ceil": _ceil,
    },
    cmath.log,
    {"pi": complex(math.pi), "e": complex(math.e), "i": 1j},
)  # fmt: skip


REAL_DOUBLES = DOUBLES._replace(is_real=True)


def precise_kits() -> tuple[Kit, ...]:
    """The kits of 30, 60 and 120 digits; a thread has its own, since mpmath shares no context."""
    kits = getattr(_OF_THREAD, "kits", None)
    if kits is None:
        # All of it: of a package that another thread is importing, a part may come half made.
        import_module("mpmath")
        _fill_constants()
        kits = _OF_THREAD.kits = tuple(map(_precise_kit, DIGITS))
    return kits


def _fill_constants() -> None:
    """Have mpmath's constants ready: it renews them in two steps, between which a thread looks."""
    from mpmath.libmp import ln2_fixed, ln10_fixed, pi_fixed  # noqa: PLC0415
    from mpmath.libmp.libelefun import e_fixed  # noqa: PLC0415

    for constant in (ln2_fixed, ln10_fixed, e_fixed, pi_fixed):
        # The residue of a number by pi needs all of its bits.
        constant(MAX_BITS if constant is pi_fixed else 2_000)


def _precise_kit(digits: int) -> Kit:
    """A kit of `digits` decimal digits, with a context of its own; imports mpmath."""
    from mpmath.ctx_mp import MPContext  # noqa: PLC0415 - mpmath costs 0.1 s, and few need it

    context: Any = MPContext()
    context.dps = digits
    margin = context.mpf(10) ** (10 - digits)

    def floor(value: Any) -> Any:
        if value != context.nint(value) and abs(value - context.nint(value)) < margin:
            return context.mpc(context.nint(value))
        return context.mpc(context.floor(value))

    names = (
        "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "asin", "acos",
        "atan", "factorial",
    )  # fmt: skip
    functions: dict[str, Callable[..., Any]] = {name: getattr(context, name) for name in names}

    def ceil(value: Any) -> Any:
        return -floor(-value)

    def number(value: Fraction) -> Any:
        return context.mpc(context.mpf(value.numerator) / value.denominator)

    functions |= {"floor": floor, "ceil": ceil, "binom": context.binomial}
    return Kit(
        number,
        context.mpc,
        functions,
        context.log,
        {"pi": context.mpc(context.pi), "e": context.mpc(context.e), "i": context.mpc(0, 1)},
    )
