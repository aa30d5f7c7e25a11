"""Slips of one number, of an amount and of a choice: other values that look like it."""

from fractions import Fraction
from typing import Any

from grpo_core.testing._values import CHOICES, UNITS, Quantity

Misses = dict[str, list[Any]]  # a rule's name -> other values of the same kind


def of_number(value: Fraction) -> Misses:
    """Of any number."""
    return {
        "off_by_one": [value + 1, value - 1],
        "sign": [-value],
        "tenfold": [10 * value],
    }


def of_integer(value: Fraction) -> Misses:
    """Of a whole number; machines keep the last 32 or 64 bits, and some graders three digits."""
    digits = str(abs(value.numerator))
    sign = -1 if value < 0 else 1
    swapped = [
        digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :] for i in range(len(digits) - 1)
    ]
    return of_number(value) | {
        "digits_swapped": [Fraction(sign * int(text)) for text in swapped if text[0] != "0"],
        "digit_dropped": [
            Fraction(sign * int(text)) for text in (digits[:-1], digits[1:]) if text[:1] > "0"
        ],
        "hundredfold": [100 * value, value / 100],
        "point_for_comma": [value / 1000] if len(digits) > 3 else [],
        "wrapped": [value + 2**32, value + 2**64],
        "thousand_more": [value + 1000],
    }


def of_fraction(value: Fraction) -> Misses:
    """Of a fraction; `mixed` is a mixed number that is this one to who reads it as a product."""
    top, bottom = value.numerator, value.denominator
    return {
        "numerator": [Fraction(top + 1, bottom), Fraction(top - 1, bottom)],
        "denominator": [Fraction(top, bottom + 1)],
        "sign": [-value],
        "inverted": [1 / value],
        "off_by_one": [value + 1],
        "mixed": [Fraction(top * bottom + (1 if top > 0 else -1), bottom)],
    }


def of_decimal(value: Fraction) -> Misses:
    """Of a decimal; the last digit is as far behind the point as the answer's own."""
    places = 1
    while (value * 10**places).denominator > 1:
        places += 1
    last = Fraction(1, 10**places)
    return of_number(value) | {
        "last_digit": [value + last, value - last],
        "point": [value / 10],
        "hundredfold": [100 * value, value / 100],
    }


def of_percentage(value: Fraction) -> Misses:
    """Of a percentage."""
    point = Fraction(1, 100)
    return {"no_percent_sign": [100 * value]} | {
        "off_by_one": [value + point],
        "tenfold": [10 * value],
        "sign": [-value],
    }


def of_quantity(value: Quantity) -> Misses:
    """Of an amount, and of its unit."""
    amount, symbol = value
    return {
        "off_by_one": [value._replace(amount=amount + 1)],
        "tenfold": [value._replace(amount=10 * amount)],
        "unit": [value._replace(unit=name) for name in UNITS if name != symbol],
    }


def of_choice(value: str) -> Misses:
    """The other choices."""
    family = next(words for words in CHOICES if value in words)
    return {"another": [word for word in family if word != value]}
