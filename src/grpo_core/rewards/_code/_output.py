"""Whether a program printed what it ought to, and a function returned it."""

import re
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from math import isnan
from typing import Any, cast

_NUMBER = re.compile(rb"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,3})?")
_INTEGER = re.compile(rb"[+-]?\d+")


def same_words(given: bytes, expected: bytes, tolerance: float | None) -> bool:
    """Whether two outputs have the same words, whatever stands between them.

    With a tolerance, words that are numbers may differ by so much, or by so large a share of the
    expected one; an expected integer is met by no other integer, and by a decimal absolutely.
    """
    if given == expected:
        return True
    ours, theirs = given.split(), expected.split()
    return len(ours) == len(theirs) and all(
        a == b or (tolerance is not None and _close_words(a, b, tolerance))
        for a, b in zip(ours, theirs, strict=True)
    )


def _close_words(given: bytes, expected: bytes, tolerance: float) -> bool:
    if not (_NUMBER.fullmatch(given) and _NUMBER.fullmatch(expected)):
        return False
    a, b, allowed = Decimal(given.decode()), Decimal(expected.decode()), Decimal(tolerance)
    if not _INTEGER.fullmatch(expected):
        return abs(a - b) <= allowed * max(Decimal(1), abs(b))
    return abs(a - b) <= (0 if _INTEGER.fullmatch(given) else allowed)


def same_value(given: Any, expected: Any, tolerance: float | None) -> bool:
    """Whether a function returned what it ought to: plain values on both sides."""
    if isinstance(expected, float) and isinstance(given, int | float):
        if given == expected or (isnan(expected) and isnan(given)):
            return True
        if tolerance is None or isinstance(given, bool):
            return False
        try:
            return abs(given - expected) <= tolerance * max(1.0, abs(expected)) < float("inf")
        except OverflowError:  # an integer beyond all floats
            return False
    if isinstance(expected, list | tuple):
        if not isinstance(given, (list, tuple) if isinstance(expected, list) else tuple):
            return False
        ours, theirs = cast("Sequence[Any]", given), cast("Sequence[Any]", expected)
        return len(ours) == len(theirs) and all(
            same_value(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)
        )
    if isinstance(expected, dict):
        if not isinstance(given, dict):
            return False
        mine, right = cast("Mapping[Any, Any]", given), cast("Mapping[Any, Any]", expected)
        return len(mine) == len(right) and all(
            key in mine and same_value(mine[key], right[key], tolerance) for key in right
        )
    if isinstance(expected, Set):
        return isinstance(given, Set) and given == expected
    return bool(given == expected)
