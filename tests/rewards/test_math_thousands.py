"""Separators of thousands: where groups of digits are one number, and where they are several."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards import math_equivalent, parse_answer

SEPARATORS = [" ", "~", "\u00a0", r"\ ", r"\;", r"\:", r"\,", "{,}", r"\!", "\u2009", "\u202f"]
# Where a number of several groups may stand: `#`.
PLACES = [
    "#", "-#", "+#", r"#\text{ m}", r"\text{# m}", "# dollars", r"\$#", "x = #", "= #", "y > #",
    r"#\%", r"#^\circ", "#, 7", "7, #", "7 and #", "(#, 7)", "[#, 7)", "(7, #]", r"\{7, #\}",
    "#x", r"#\pi", r"7 \cdot #", "7 - #", r"7 \times #", r"\frac{#}{7}", r"\frac{7}{#}",
    r"\sqrt{#}", r"7^{#}", r"# \times 10^7", r"# \pm 7", "7 : #", r"\text{Total: } #",
    r"\left|#\right|", r"\begin{pmatrix} # & 7 \\ 7 & # \end{pmatrix}", r"f(#) = 7", r"\log #",
    r"7 \pmod{#}", r"x \ne #", "#!", "#^7",
]  # fmt: skip
ONLY_TIGHT = {"#!", "#^7"}  # after a space they might take the last group alone
WIDE = SEPARATORS[:6]


def score(prediction, reference):
    """The score; 0 for a reference that cannot be read."""
    try:
        return math_equivalent(prediction, reference).score
    except ValueError:
        return 0.0


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("place", PLACES)
def test_groups_of_three_digits_are_one_number_wherever_a_number_stands(place, separator):
    grouped, plain = (
        place.replace("#", number) for number in (f"1{separator}001{separator}000", "1001000")
    )
    if place in ONLY_TIGHT:
        readable = separator not in WIDE
        plain, grouped = plain.replace("1001000", "1001"), grouped.replace(f"{separator}000", "")
        assert (score(grouped, plain), score(plain, grouped)) == (readable, readable)
    else:
        assert score(grouped, plain) == score(plain, grouped) == 1.0


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_decimal_may_have_groups_before_its_point(separator):
    assert score(f"x = 12{separator}345.678", "12345.678") == 1.0
    assert score(f"x = 12{separator}345.678", "12345.67") == 0.0


NEAR_MISSES = [
    # no groups of three after one of one to three
    ("1 2", "12"),
    ("12 345 6", "123456"),
    ("12 345 6", "12345"),
    ("1 000 00", "100000"),
    ("1000 000", "1000000"),
    ("1 0000", "10000"),
    ("0 100", "100"),
    ("012 345", "12345"),
    ("1.5 000", "1.5"),
    ("1 000 2 000", "10002000"),
    ("1 000.5 000", "1000.5"),
    ("x = 1 2", "x = 12"),
    (r"12 34\%", r"1234\%"),
    ("(1 2, 3)", "(12, 3)"),
    # two kinds of space, or a wide one
    (r"100 \quad 200", "100200"),
    (r"1 000\,000", "1000"),
    ("x = 1 000~000", "x = 1000000"),
    # a comma divides
    ("1 000", "1, 000"),
    ("2 300", "2, 300"),
    ("2 300, 1", "2, 300, 1"),
    ("1 000,000", "1000000"),
    ("1 001, 2", "1, 001, 2"),
    # what stands before or after takes a part of it
    ("2^3 100", "2^{3100}"),
    (r"2^3\,100", "2^{3100}"),
    (r"x_2\,100", "x_{2100}"),
    ("x_1 100", "1100x"),
    (r"\frac1 200", r"\frac{1}{200}"),
    (r"\sqrt2 300", r"\sqrt{2300}"),
    (r"\log_2 100", r"\log 2100"),
    ("1/2 300", "1/2300"),
    (r"\frac{1}{2} 300", "150"),
    ("1 1/2", "11/2"),
    ("1 100/200", "1100/200"),
    ("1 100/200", "5.5"),
    ("3 100^2", "3100^2"),
    ("3 100!", "3100!"),
    ("5! 1 000", "51000"),
    ("x 1 000", "1000"),
    # other numbers
    ("1 000", "1001"),
    ("x = 1 001", "x = 1010"),
    (r"1 001\%", "1001"),
    (r"1 000\text{ m}", r"1000\text{ cm}"),
    (r"1 000\text{ m}", "1"),
    ("(1 001, 2)", "(2, 1001)"),
    ("[1 001, 2 001)", "[1001, 2001]"),
]


@pytest.mark.parametrize(("prediction", "reference"), NEAR_MISSES)
def test_no_other_space_joins_digits(prediction, reference):
    assert score(prediction, reference) == score(reference, prediction) == 0.0


def test_a_mixed_number_keeps_its_space():
    assert parse_answer("1 100/200").value == 1.5
    assert parse_answer("x = 12 1/2").items[1].value == 12.5


wholes = st.integers(1, 10**12)


@given(wholes, st.sampled_from(SEPARATORS), st.sampled_from(sorted(set(PLACES[:30]))))
def test_any_number_may_be_grouped_by_threes(number, separator, place):
    grouped = f"{number:,}".replace(",", separator)
    assert score(place.replace("#", grouped), place.replace("#", str(number))) == 1.0


@given(wholes, wholes, st.sampled_from(SEPARATORS))
def test_two_numbers_side_by_side_are_neither_and_not_their_product(first, second, separator):
    text = f"x = {first}{separator}{second}"
    joined = f"{first}{second}"
    assert not any(
        score(text, str(each)) for each in {first, second, first * second} - {int(joined)}
    )
    if not (first < 1000 and len(str(second)) == 3):
        assert score(text, joined) == 0.0
