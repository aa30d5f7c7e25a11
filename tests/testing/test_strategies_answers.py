"""Answers, their spellings and near misses, judged by a reader that shares nothing with them."""

import pickle
from fractions import Fraction
from functools import partial
from typing import get_args

import pytest
import sympy as sp
from hypothesis import find, given, settings
from hypothesis import strategies as st

from grpo_core.rewards import check_references, math_equivalent
from grpo_core.testing import answers, miss_rules, near_misses, spelling_rules, spellings
from grpo_core.testing._values import Kind
from testing import exact_oracle as oracle

# Nothing kept from another search: a database knows it by its condition alone.
plainest = partial(find, settings=settings(database=None, derandomize=True))
KINDS = get_args(Kind)
LARGE = ("matrix", "polynomial", "trigonometric")
SEEN = [pytest.param(kind, marks=pytest.mark.slow) if kind in LARGE else kind for kind in KINDS]
DRESSED = {"plain", "spaces", "dollars", "display_style", "full_stop"}
NUMBER = {"text", "bold", "assignment", "scientific", "braces", "unicode_minus"}
SUM = {"tight", "order", "times", "over", "decimal", "common_denominator", "factored", "braces"}
SUM |= {"minus_outside", "fraction_size", "unicode_minus"}
BRACKETS = {"items", "separator", "left_right", "fraction_size", "unicode_minus", "braces"}
WAVES = {"no_parentheses", "plain_name", "negated_argument", "cofunction", "double_angle", "period"}
RULES = {
    "integer": {"plus", "point", "unreduced", "thousands", *NUMBER},
    "rational": {
        "slash", "sign_inside", "unreduced", "mixed", "short_fraction", "decimal", "bare_point",
        "trailing_zeros", "fraction_size", *NUMBER,
    },
    "decimal": {
        "slash", "sign_inside", "unreduced", "mixed", "short_fraction", "fraction", "bare_point",
        "trailing_zeros", "thousands", *NUMBER,
    },
    "percentage": {
        "percent_space", "percent_sign", "percent_word", "percent_decimal", "percent_fraction",
        "braces",
    },
    "radical": {
        *SUM, "no_braces", "root_sign", "power", "under_the_root", "in_the_denominator",
    },
    "interval": {
        *BRACKETS, "inequality", "set_builder", "membership", "plus_infinity", "infinity_sign",
    },
    "set": {*BRACKETS, "repeated", "order", "list", "and", "solutions"},
    "tuple": BRACKETS,
    "matrix": {
        "environment", "tight", "trailing_row_end", "nested_lists", "items", "unicode_minus",
        "braces",
    },
    "equation": {
        "swapped", "order", "scaled", "moved", "solved", "tight", "unicode_minus", "braces",
    },
    "polynomial": {*SUM, "braced_exponent", "repeated", "taken_out"},
    "trigonometric": {*SUM, *WAVES, "quotient", "left_right"},
    "complex": {*SUM, "upright"},
    "quantity": {
        "unit_upright", "unit_bare", "unit_space", "unit_word", "unit_converted", "amount",
        "braces",
    },
    "angle": {"braced_circle", "degree_sign", "degree_word", "degree_space", "braces"},
    "choice": {
        "parentheses", "text", "upright", "bold", "closing_parenthesis", "option", "bare",
        "lower_case",
    },
}  # fmt: skip
SLIPS = {
    "integer": {
        "off_by_one", "sign", "tenfold", "digits_swapped", "digit_dropped", "hundredfold",
        "point_for_comma", "wrapped", "thousand_more",
    },
    "rational": {"numerator", "denominator", "sign", "inverted", "off_by_one", "mixed"},
    "decimal": {"off_by_one", "sign", "tenfold", "last_digit", "point", "hundredfold"},
    "percentage": {"no_percent_sign", "off_by_one", "sign", "tenfold"},
    "radical": {"off_by_one", "sign", "dropped_term", "argument"},
    "interval": {"off_by_one", "end_included_or_not", "swapped_ends", "half"},
    "set": {"off_by_one", "sign", "extra", "dropped"},
    "tuple": {"off_by_one", "sign", "extra", "dropped", "swapped", "repeated", "regrouped"},
    "matrix": {"off_by_one", "sign", "transposed", "rows_swapped", "columns_swapped"},
    "equation": {"off_by_one", "coefficient", "sign", "right_sign", "exchanged"},
    "polynomial": {"off_by_one", "sign", "dropped_term", "argument", "case"},
    "trigonometric": {"off_by_one", "sign", "dropped_term", "argument", "function"},
    "complex": {"off_by_one", "sign", "swapped", "conjugate"},
    "quantity": {"off_by_one", "tenfold", "unit"},
    "angle": {"off_by_one", "sign", "tenfold"},
    "choice": {"another"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "first", "second", "truth"),
    [
        ("integer", "1,234", "1234", True),
        ("integer", "1.234e3", "1234", True),
        ("integer", "1234", "1243", False),
        ("rational", "-1\\frac{1}{2}", "-3/2", True),
        ("rational", "1 1/2", "\\frac12", False),
        ("percentage", "50 percent", "0.5", True),
        ("percentage", "50\\%", "50", False),
        ("radical", "\\frac{2}{\\sqrt{2}}", "2^{1/2}", True),
        ("radical", "\\sqrt{8}", "3\\sqrt2", False),
        ("interval", "3 > x \\ge 1", "[1, 3)", True),
        ("interval", "[1, 3]", "[1, 3)", False),
        ("interval", "(-\\infty, 3)", "(-\\infty, 4)", False),
        ("set", "2 \\text{ and } 1", "\\{1, 2\\}", True),
        ("set", "\\{1\\}", "\\{1, 2\\}", False),
        ("tuple", "(2, 1)", "(1, 2)", False),
        ("matrix", "[[1, 2], [3, 4]]", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", True),
        ("matrix", "[[1, 3], [2, 4]]", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", False),
        ("equation", "y = 3 - 2x", "4x + 2y = 6", True),
        ("equation", "y = 3 + 2x", "4x + 2y = 6", False),
        ("polynomial", "x(x+2)", "x^2+2x", True),
        ("polynomial", "x(x+2)", "x^2+2", False),
        ("trigonometric", "2\\sin x\\cos x", "\\sin(2x)", True),
        ("trigonometric", "\\sin^2(x)", "\\sin(x)", False),
        ("complex", "2i + 3", "3 + 2i", True),
        ("complex", "3 - 2i", "3 + 2i", False),
        ("quantity", "50 mm", "5 cm", None),
        ("quantity", "0.05 meters", "5\\text{ cm}", True),
        ("quantity", "5 kg", "5\\text{ g}", False),
        ("angle", "90°", "90^{\\circ}", True),
        ("choice", "\\textbf{(A)}", "A", True),
        ("choice", "B", "A", False),
    ],
)
def test_the_oracle_knows_what_is_equal_different_and_unreadable(kind, first, second, truth):
    if truth is None:
        with pytest.raises(oracle.UnreadableError):
            oracle.equal(kind, first, second)
    else:
        assert oracle.equal(kind, first, second) is truth
        assert oracle.equal(kind, second, first) is truth


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_every_spelling_means_the_same_and_no_near_miss_does(kind, data):
    answer = data.draw(answers([kind]))
    for rule in spelling_rules(answer):
        text = data.draw(spellings(answer, rules=[rule]))
        assert oracle.equal(kind, text, answer.latex), (rule, text, answer)
    for rule in miss_rules(answer):
        text = data.draw(near_misses(answer, rules=[rule]))
        assert not oracle.equal(kind, text, answer.latex), (rule, text, answer)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_rules_that_are_combined_mean_the_same_too(kind, data):
    answer = data.draw(answers([kind]))
    assert oracle.equal(kind, data.draw(spellings(answer)), answer.latex)
    assert not oracle.equal(kind, data.draw(near_misses(answer)), answer.latex)


@given(answers())
def test_the_plainest_spelling_has_the_value_that_the_answer_says(answer):
    read = oracle.value_of(answer.kind, answer.latex)
    if isinstance(answer.value, Fraction) or answer.kind in ("set", "tuple", "matrix"):
        assert read == _sympy(answer.value, answer.kind)


def _sympy(value, kind):
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    items = [_sympy(item, "tuple") for item in value]
    return sp.FiniteSet(*items) if kind == "set" else items


@pytest.mark.parametrize("kind", SEEN)
def test_every_rule_of_a_kind_is_reached_and_has_a_text_of_its_own(kind):
    seen, slips = set(), set()

    @settings(max_examples=300, database=None, derandomize=True)
    @given(st.data())
    def collect(data):
        answer = data.draw(answers([kind]))
        slips.update(miss_rules(answer))
        texts = {r: data.draw(spellings(answer, rules=[r])) for r in spelling_rules(answer)}
        seen.update(r for r, text in texts.items() if (r == "plain") == (text == answer.latex))

    collect()
    unfit = {"choice": {"full_stop", "display_style"}}
    assert seen == RULES[kind] | DRESSED - unfit.get(kind, set())
    assert slips == SLIPS[kind]


def test_every_kind_is_drawn():
    seen = set()

    @settings(max_examples=500, database=None, derandomize=True)
    @given(answers())
    def collect(answer):
        seen.add(answer.kind)

    collect()
    assert seen == set(KINDS)


@given(answers(["set", "angle"]))
def test_other_kinds_are_never_drawn(answer):
    assert answer.kind in ("set", "angle")


PLAINEST = {
    "integer": "0", "rational": "\\frac{1}{2}", "decimal": "0.1", "percentage": "1\\%",
    "radical": "\\sqrt{2}", "interval": "(0, 1)", "set": "\\{0\\}", "tuple": "(0, 0)",
    "matrix": "\\begin{pmatrix} 0 & 0 \\\\ 0 & 0 \\end{pmatrix}", "equation": "x + y = 0",
    "polynomial": "x", "trigonometric": "\\sin(x)", "complex": "i", "quantity": "1\\text{ m}",
    "angle": "1^\\circ", "choice": "A",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_answers_shrink_to_the_plainest_of_their_kind_and_spellings_to_plain(kind):
    answer = plainest(answers([kind]), lambda answer: True)
    assert answer.latex == PLAINEST[kind]
    assert plainest(spellings(answer), lambda text: True) == answer.latex


def test_a_failure_shrinks_to_the_least_number_that_has_the_spelling_that_fails():
    assert plainest(answers(), lambda answer: True) == plainest(
        answers(["integer"]), lambda answer: True
    )
    found = plainest(answers(["integer"]), lambda answer: "thousands" in spelling_rules(answer))
    assert found.latex == "1000"
    texts = spellings(found)
    assert plainest(texts, lambda text: "," in text) == "1,000"


@given(answers())
def test_answers_are_values_that_hash_pickle_and_are_references(answer):
    assert pickle.loads(pickle.dumps(answer)) == answer  # noqa: S301 - our own
    assert len({answer, answer}) == 1
    assert check_references([answer.latex]) == {}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_our_verifier_accepts_every_spelling_and_refuses_every_near_miss(kind, data):
    answer = data.draw(answers([kind]))
    for rule in spelling_rules(answer):
        text = data.draw(spellings(answer, rules=[rule]))
        assert math_equivalent(text, answer.latex).reason == "correct", (rule, text)
    for rule in miss_rules(answer):
        text = data.draw(near_misses(answer, rules=[rule]))
        assert math_equivalent(text, answer.latex).reason == "different", (rule, text)


def test_arguments_that_allow_nothing_are_refused_at_once():
    half = plainest(answers(["rational"]), lambda answer: True)
    with pytest.raises(ValueError, match=r"kinds must be some of integer, .*got 'fraction'"):
        answers(["fraction"])
    with pytest.raises(ValueError, match=r"kinds must be .*got 'none'"):
        answers([])
    with pytest.raises(ValueError, match=r"rules must be some of plain, .*got 'mixed'"):
        spellings(half, rules=["mixed"])
    with pytest.raises(ValueError, match=r"rules must be .*got 'transposed'"):
        near_misses(half, rules=["transposed"])


@pytest.mark.parametrize("text", [r"\(\text{(B)}\)", r"\(\text{Option B}\)", "\\text{(B)}\\ "])
def test_a_choice_is_read_in_any_dollars_and_before_a_space(text):
    assert math_equivalent(text, "B").reason == "correct"
    assert math_equivalent(text, "A").reason == "different"
