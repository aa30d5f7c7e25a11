"""Equation (1) of Magistral (arXiv:2506.10910, section 2.2.3), on one length."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards import soft_length_penalty


@st.composite
def limits(draw):
    max_length = draw(st.integers(1, 100_000))
    return {"max_length": max_length, "buffer": draw(st.integers(1, max_length))}


@pytest.mark.parametrize(
    ("length", "penalty"),
    [(0, 0.0), (16_000, 0.0), (20_000, -0.05), (22_000, -0.075), (24_000, -0.1), (90_000, -0.1)],
)
def test_the_penalty_falls_linearly_over_the_last_eight_thousand_tokens(length, penalty):
    assert soft_length_penalty(length, max_length=24_000, buffer=8_000) == pytest.approx(penalty)


def test_a_buffer_of_one_token_is_a_step():
    assert [soft_length_penalty(n, max_length=3, buffer=1) for n in (2, 3, 4)] == [0.0, -0.1, -0.1]


def test_a_buffer_of_all_tokens_penalises_from_the_first():
    assert soft_length_penalty(1, max_length=4, buffer=4, penalty=1.0) == -0.25


@given(st.integers(0, 200_000), limits(), st.floats(0, 10))
def test_the_penalty_is_the_equation(length, limits, penalty):
    max_length, buffer = limits["max_length"], limits["buffer"]
    if length <= max_length - buffer:
        exact = Fraction(0)
    elif length <= max_length:
        exact = -Fraction(penalty) * Fraction(length - max_length + buffer, buffer)
    else:
        exact = -Fraction(penalty)
    got = soft_length_penalty(length, **limits, penalty=penalty)
    assert got == pytest.approx(float(exact), rel=1e-15, abs=1e-300)


@given(st.integers(0, 200_000), limits(), st.floats(0, 10))
def test_a_longer_completion_never_earns_more(length, limits, penalty):
    longer = soft_length_penalty(length + 1, **limits, penalty=penalty)
    assert -penalty <= longer <= soft_length_penalty(length, **limits, penalty=penalty) <= 0


@given(limits(), st.sampled_from([0.0, -0.0, 0.1]))
def test_no_penalty_is_never_minus_zero(limits, penalty):
    got = soft_length_penalty(0, **limits, penalty=penalty)
    assert math.copysign(1.0, got) == 1.0


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (-1, {"max_length": 4, "buffer": 2}, "length must be at least 0, got -1"),
        (1, {"max_length": 0, "buffer": 2}, "max_length must be at least 1, got 0"),
        (1, {"max_length": 4, "buffer": 0}, "buffer must be at least 1, got 0"),
        (1, {"max_length": 4, "buffer": 5}, r"buffer must be in \[1, 4\], got 5"),
        (1, {"max_length": 4, "buffer": 2, "penalty": -0.1}, "penalty must be finite and at least"),
        (1, {"max_length": 4, "buffer": 2, "penalty": math.inf}, "penalty must be finite"),
        (1, {"max_length": 4, "buffer": 2, "penalty": math.nan}, "penalty must be finite"),
    ],
)
def test_an_argument_out_of_range_raises(length, options, message):
    with pytest.raises(ValueError, match=message):
        soft_length_penalty(length, **options)


@pytest.mark.parametrize(
    ("length", "options", "message"),
    [
        (1.0, {"max_length": 4, "buffer": 2}, "length must be an int, got float"),
        (True, {"max_length": 4, "buffer": 2}, "length must be an int, got bool"),
        (1, {"max_length": 4.0, "buffer": 2}, "max_length must be an int, got float"),
        (1, {"max_length": 4, "buffer": True}, "buffer must be an int, got bool"),
    ],
)
def test_a_length_that_is_no_int_raises(length, options, message):
    with pytest.raises(TypeError, match=message):
        soft_length_penalty(length, **options)
