"""Values as bytes: what crosses between processes that do not trust each other."""

import contextlib
import datetime as dt
import math
import time
from collections import Counter, deque, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards._code._output import same_value, same_words
from grpo_core.rewards._code._wire import MAX_DEPTH, WireError, decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
)
hashable = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=3)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
    ),
    max_leaves=20,
)


def exact(value):
    """A text that tells apart what `==` does not: 1, 1.0 and True, or 0.0 and -0.0."""
    if isinstance(value, (set, frozenset)):
        return (type(value), sorted(map(repr, map(exact, value))))
    if isinstance(value, dict):
        return [(exact(k), exact(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return (type(value), [exact(item) for item in value])
    return (type(value), repr(value))


@given(values)
def test_a_value_comes_back_as_it_was(value):
    assert exact(decode(encode(value))) == exact(value)


@pytest.mark.parametrize(
    "value",
    [
        7**900, -(7**900), float("inf"), -0.0, "\ud800", range(3, 9, 2), bytearray(b"x"),
        deque([1, 2]), Fraction(1, 3), Decimal("1.10"), dt.date(2020, 2, 29),
        dt.datetime(2020, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001 - one without a zone
        dt.timedelta(1, 2, 3),
    ],
)  # fmt: skip
def test_values_of_the_standard_library_cross_too(value):
    back = decode(encode(value))
    assert (type(back), back) == (type(value), value)


def test_integers_beyond_pythons_limit_of_digits_cross():
    assert decode(encode([10**50_000, -(10**50_000)])) == [10**50_000, -(10**50_000)]


def test_nan_crosses():
    assert math.isnan(decode(encode([float("nan")]))[0])


def test_a_subclass_crosses_as_what_it_is_built_on():
    point = namedtuple("point", "x y")(1, 2)
    colour = IntEnum("colour", "red")
    assert decode(encode([point, Counter("aab"), colour.red])) == [(1, 2), {"a": 2, "b": 1}, 1]
    assert [type(part) for part in decode(encode([point, Counter(), colour.red]))] == [
        tuple,
        dict,
        int,
    ]


def test_what_is_no_value_or_too_deep_is_refused():
    nested = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    loop = []
    loop.append(loop)
    for value in (object(), len, lambda: 0, nested, loop, [{1: object()}]):
        with pytest.raises(WireError):
            encode(value)


@given(st.binary(max_size=60) | st.tuples(values, st.integers(0, 50), st.binary(max_size=3)))
def test_made_up_bytes_give_a_value_or_an_error(data):
    if isinstance(data, tuple):  # a true value, spoilt
        value, at, junk = data
        good = encode(value)
        data = good[: at % len(good)] + junk + good[at % len(good) + len(junk) :]
    with contextlib.suppress(WireError):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"?", b"L9:", b"L99999999999:", b"I3:xyz", b"I0:", b"S1:\xff", b"R123", b"NN",
        b"I1:1N",
        b"E1:L0:", b"D1:L0:N", b"XN", b"XU1:S9:os.system", b"XU2:S9:os.systemS2:id",
        b"XU3:S18:fractions.FractionI1:1I1:0", b"XU2:S15:decimal.DecimalS1:x", b"HN", b"L1:" * 5000,
    ],
)  # fmt: skip
def test_bytes_that_are_no_value_are_refused(data):
    with pytest.raises(WireError):
        decode(data)


def test_keys_that_share_a_hash_are_refused_in_time():
    modulus = 2**61 - 1
    items = [encode(i * modulus) for i in range(40_000)]
    start = time.monotonic()
    with pytest.raises(WireError, match="hashes"):
        decode(b"E%d:" % len(items) + b"".join(items))
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(
    ("given_value", "expected", "tolerance", "right"),
    [
        (1, 1, None, True),
        (1.0, 1, None, True),
        (True, 1, None, True),
        ((1, [2]), [1, (2,)], None, False),
        ((1, [2]), [1, [2]], None, True),
        ([(1, 2)], [[1, 2]], None, True),
        ([1, 2], (1, 2), None, False),
        ("1", 1, None, False),
        (float("nan"), float("nan"), None, True),
        ([float("nan")], [float("nan")], None, True),
        (0.1 + 0.2, 0.3, None, False),
        (0.1 + 0.2, 0.3, 1e-9, True),
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}, 1e-9, True),
        (1, 1.0000001, 1e-6, True),
        (2, 1, 1.0, False),
        (2**1200, 1.0, 1e-6, False),
        (float("inf"), 1.0, 1e-6, False),
        ({1, 2}, {2, 1}, None, True),
        (frozenset({1}), {1}, None, True),
        ({1: 2}, {1: 2, 3: 4}, None, False),
        (None, 0, None, False),
        (b"a", "a", None, False),
    ],
)
def test_returned_values_are_compared(given_value, expected, tolerance, right):
    assert same_value(given_value, expected, tolerance) is right


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_words_never_raise_and_equal_themselves(given_output, expected):
    assert same_words(given_output, given_output, 1e-6)
    same_words(given_output, expected, 1e-6)
