"""Slips of intervals, sets, tuples and matrices."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from grpo_core.testing._slips_numbers import Misses
from grpo_core.testing._values import Interval, Numbers


def of_interval(value: Interval) -> Misses:
    """Of an interval."""
    low, high, has_low, has_high = value
    found: Misses = {"off_by_one": [], "end_included_or_not": [], "swapped_ends": [], "half": []}
    if low is not None:
        found["off_by_one"].append(value._replace(low=low - 1))
        found["end_included_or_not"].append(value._replace(has_low=not has_low))
    if high is not None:
        found["off_by_one"].append(value._replace(high=high + 1))
        found["end_included_or_not"].append(value._replace(has_high=not has_high))
    if low is not None and high is not None:
        found["swapped_ends"].append(Interval(high, low, has_low, has_high))
        found["half"].append(Interval(low, None, has_low, has_high=False))
    elif low is not None:
        found["half"].append(Interval(None, low, has_low=False, has_high=has_low))
    else:
        found["half"].append(Interval(high, None, has_high, has_high=False))
    return found


def of_items(values: Numbers) -> Misses:
    """Of numbers between commas."""
    first, rest = values[0], values[1:]
    found: Misses = {
        "off_by_one": [(*values[:at], v + 1, *values[at + 1 :]) for at, v in enumerate(values)],
        "sign": [(-first, *rest)],
        "extra": [(*values, max(values) + 1)],
        "dropped": [values[:-1]] if len(values) > 2 else [],
    }
    return found


def of_set(values: Numbers) -> Misses:
    """Of a set, where neither order nor repetition counts."""
    found = of_items(values) | {"dropped": [values[:-1]] if len(values) > 1 else []}
    return {rule: [tuple(sorted(set(other))) for other in others] for rule, others in found.items()}


def of_tuple(values: Numbers) -> Misses:
    """Of a tuple; `regrouped` has the same digits, and the comma elsewhere."""
    return of_items(values) | {
        "swapped": [(values[1], values[0], *values[2:]), values[::-1]],
        "repeated": [(*values, values[-1]), (values[0], *values)],
        "regrouped": list(_regrouped(values)),
    }


def _regrouped(values: Numbers) -> Iterator[Numbers]:
    for at, (one, other) in enumerate(pairwise(values)):
        if one.denominator > 1 or other.denominator > 1 or other < 0:
            continue
        left, right = str(one), str(other)
        if len(right) > 1 and right[1] != "0":
            yield *values[:at], Fraction(left + right[0]), Fraction(right[1:]), *values[at + 2 :]
        if len(left.removeprefix("-")) > 1 and (left[-1] != "0" or other == 0):
            yield *values[:at], Fraction(left[:-1]), Fraction(left[-1] + right), *values[at + 2 :]


def of_matrix(rows: tuple[Numbers, ...]) -> Misses:
    """Of a matrix."""
    first = rows[0]
    return {
        "off_by_one": [((first[0] + 1, *first[1:]), *rows[1:])],
        "sign": [(tuple(-value for value in first), *rows[1:])],
        "transposed": [tuple(zip(*rows, strict=True))],
        "rows_swapped": [(rows[1], first, *rows[2:])],
        "columns_swapped": [tuple((row[1], row[0], *row[2:]) for row in rows)],
    }
