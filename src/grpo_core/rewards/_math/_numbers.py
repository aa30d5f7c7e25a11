r"""Exact numbers: one text in normal form, one `Fraction`.

Integers and decimals, `a/b` and `\frac{a}{b}`, mixed numbers, powers of ten, percent. Nothing else
is a number here; what is none raises `Unread`.
"""

import re
from fractions import Fraction
from typing import NamedTuple

MAX_DIGITS = 1_000
MAX_EXPONENT = 1_000

_DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_POWER_OF_TEN = re.compile(
    rf"(?P<digits>{_DECIMAL})(?:[eE](?P<e>[+-]?[0-9]+))?"
    rf"|(?:(?P<times>{_DECIMAL})(?:\\times ?|\\cdot ?|\*))?"
    r"10\^(?:(?P<plain>[+-]?[0-9]+)|\{(?P<braced>[+-]?[0-9]+)\})"
)
_QUOTIENT = re.compile(
    rf"(?:(?P<whole>[0-9]+) )?(?P<over>{_DECIMAL})/(?P<under>{_DECIMAL})"
    r"|(?:(?P<latex_whole>[0-9]+) ?)?\\frac ?"
    rf"(?:\{{(?P<top>[+-]?{_DECIMAL})\}}|(?P<top_digit>[0-9])) ?"
    rf"(?:\{{(?P<bottom>[+-]?{_DECIMAL})\}}|(?P<bottom_digit>[0-9]))"
)


class Unread(Exception):  # noqa: N818 - no error: it carries a verdict's reason out of the reader
    """The text is no number here; `reason` is `unparsable`, `too_large` or `timeout`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Number(NamedTuple):
    """A value, and how it was printed: `unit` is what one more in its last decimal place is worth.

    `unit` is None, and `digits` 0, unless it was written with digits after a point; what is
    computed from such numbers has a `unit` of 0, since it has no last place.
    """

    value: Fraction
    unit: Fraction | None = None
    digits: int = 0  # significant ones

    def __str__(self) -> str:
        size = max(self.value.numerator.bit_length(), self.value.denominator.bit_length())
        return str(self.value) if size <= 256 else f"a fraction of {size} bits"


def read_number(text: str) -> Number:
    """The number that `text`, in normal form, spells, or `Unread`.

    A percent is a hundredth: 50% is 1/2, and not 50.
    """
    sign = -1 if text.startswith("-") else 1
    size = text[1:] if text[:1] in ("+", "-") else text
    share = 100 if size.endswith("%") else 1
    size = size.removesuffix("%")
    if spelled := _POWER_OF_TEN.fullmatch(size):
        digits = spelled["digits"] or spelled["times"] or "1"
        exponent = spelled["e"] or spelled["plain"] or spelled["braced"]
        number = _decimal(digits, _exponent(exponent) if exponent else 0)
    elif spelled := _QUOTIENT.fullmatch(size):
        number = _quotient(spelled)
    else:
        raise Unread("unparsable")
    if sign == share == 1:
        return number
    unit = number.unit and number.unit / share
    return Number(number.value * sign / share, unit, number.digits)


def _decimal(text: str, exponent: int = 0) -> Number:
    whole, _, places = text.partition(".")
    if len(whole) + len(places) > MAX_DIGITS:
        raise Unread("too_large")
    try:
        mantissa = int(whole + places)
    except ValueError:  # the process allows fewer digits: sys.set_int_max_str_digits
        raise Unread("too_large") from None
    shift = exponent - len(places)
    value = Fraction(mantissa * 10**shift) if shift >= 0 else Fraction(mantissa, 10**-shift)
    if not places:
        return Number(value)
    return Number(value, Fraction(10) ** shift, len((whole + places).lstrip("+-0")))


def _exponent(text: str) -> int:
    # By length first: an exponent may itself have two thousand digits.
    if len(text.lstrip("+-0")) > len(str(MAX_EXPONENT)) or abs(int(text)) > MAX_EXPONENT:
        raise Unread("too_large")
    return int(text)


def _quotient(spelled: re.Match[str]) -> Number:
    over = spelled["over"] or spelled["top"] or spelled["top_digit"]
    under = spelled["under"] or spelled["bottom"] or spelled["bottom_digit"]
    top, bottom = _decimal(over).value, _decimal(under).value
    if not bottom:
        raise Unread("unparsable")
    whole = spelled["whole"] or spelled["latex_whole"]
    if not whole:
        return Number(top / bottom, Fraction(0) if "." in over + under else None)
    # A mixed number has a proper fraction of two integers; 2\frac{3}{2} might be a product.
    if not (over.isdigit() and under.isdigit() and 0 < top < bottom):
        raise Unread("unparsable")
    return Number(_decimal(whole).value + top / bottom)
