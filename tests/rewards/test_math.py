"""The box of the answer against the reference: exact numbers, lists of them, and equal texts."""

import pickle
import sys
import threading
import time
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grpo_core.rewards import check_references, verify_math
from grpo_core.rewards._box import joined_boxes
from grpo_core.rewards._math import _answers
from grpo_core.rewards._math._numbers import Unread, read_number
from grpo_core.rewards._math._spelling import normal_form

THIN = "\N{THIN SPACE}"


def grade(prediction, reference, **options):
    """The reason for the verdict on a box that holds `prediction`."""
    verdict = verify_math(f"<think>a</think>\\boxed{{{prediction}}}", reference, **options)
    assert verdict.score == (verdict.reason == "correct")
    return verdict.reason


def cpu_seconds(completion, reference, **options):
    """What one verdict costs, at best of three: other processes share the machine."""
    costs = []
    for _ in range(3):
        begin = time.process_time()
        verify_math(completion, reference, **options)
        costs.append(time.process_time() - begin)
    return min(costs)


def value(text):
    """The number that a text spells, or None."""
    try:
        return read_number(normal_form(text)).value
    except Unread:
        return None


WORDS = ["<think>", "</think>", "\\boxed{", "\\fbox{", "\\{", "\\}", "```", "\\frac", "{1}", "{2}"]
WORDS += ["23", "000", "\\times", "10^", "\\,", "{,}", "or"]
pieces = st.lists(
    st.sampled_from([*WORDS, *"{}\\`\n1.,/-+e%()$ \ud800\0٣²\u2009\u200b−"]), max_size=25
).map("".join)
untagged = st.text().filter(lambda text: "think>" not in text)

# Fractions, and the ways to write each of them that are exact.
integers = st.integers(-(10**12), 10**12)
fractions = st.builds(Fraction, integers, st.integers(1, 10**6))
decimals = st.builds(lambda n, places: Fraction(n, 10**places), integers, st.integers(0, 8))


@st.composite
def spellings(draw, number):
    sign, size = "-" if number < 0 else "", abs(number)
    top, bottom = size.numerator, size.denominator
    ways = [f"\\frac{{{top}}}{{{bottom}}}", f"\\dfrac {{ {top} }}{{ {bottom} }}", f"{top}/{bottom}"]
    ways += [f"\\frac{{{top}.0}}{{{bottom}}}"]
    whole, rest = divmod(top, bottom)
    if whole and rest:
        ways += [f"{whole}\\frac{{{rest}}}{{{bottom}}}", f"{whole} {rest}/{bottom}"]
        ways += [f"{whole} \\tfrac{{{rest}}}{{{bottom}}}"]
    if top < 10 and bottom < 10:
        ways += [f"\\frac{top}{bottom}", f"\\frac {top} {bottom}", f"\\frac{top}{{{bottom}}}"]
    if bottom == 1:
        ways += [f"{top}", f"{top}.00", f"{top}e0"]
        ways += [f"{top:,}".replace(",", comma) for comma in (",", "{,}", "\\,", ",\\!", THIN)]
    if 10**12 % bottom == 0:
        digits = top * (10**12 // bottom)
        places = f"{digits // 10**12}.{digits % 10**12:012}"
        ways += [
            places,
            places.rstrip("0").rstrip("."),
            f"{digits}e-12",
            f"{digits} \\times 10^{{-12}}",
        ]
        ways += [f"{digits}E-12", f"{digits}\\cdot10^{{-12}}", f"{digits} × 10^-12"]
        ways += [f"{100 * digits}e-12\\%", f"{100 * digits}e-12 %"]
    text = draw(st.sampled_from(ways))
    minus = draw(st.sampled_from(["-", "- ", "−", "–"] if sign else ["", "", "+"]))
    text = minus + text
    around = ["@", " @ ", "$@$", "\\(@\\)", "@.", "\\text{}@", "\\displaystyle @"]
    around += [] if "," in text else ["(@)"]  # in brackets a comma separates
    return draw(st.sampled_from(around)).replace("@", text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("−3", -3),
        ("- 3", -3),
        ("073", 73),
        ("-0", 0),
        ("3.", 3),
        ("3.50", Fraction(7, 2)),
        (".5", Fraction(1, 2)),
        ("1/2", Fraction(1, 2)),
        ("-1 / 2", Fraction(-1, 2)),
        ("0.5/2", Fraction(1, 4)),
        (r"\frac{1}{2}", Fraction(1, 2)),
        (r"\dfrac{-1}{2}", Fraction(-1, 2)),
        (r"-\tfrac{1}{-2}", Fraction(1, 2)),
        (r"\frac12", Fraction(1, 2)),
        (r"\frac 59", Fraction(5, 9)),
        (r"\frac1{20}", Fraction(1, 20)),
        (r"\frac{10}3", Fraction(10, 3)),
        (r"1\frac12", Fraction(3, 2)),
        (r"-1 \frac{1}{2}", Fraction(-3, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("1,234", 1234),
        ("1,234,567.5", Fraction(2469135, 2)),
        ("1{,}234", 1234),
        (r"1\,234\,567", 1234567),
        (f"1{THIN}234", 1234),
        (r"\$32,\!348", 32348),
        ("50%", Fraction(1, 2)),
        (r"12.5 \%", Fraction(1, 8)),
        (r"\frac{1}{2}\%", Fraction(1, 200)),
        ("2.5e3", 2500),
        ("2.5E-2", Fraction(1, 40)),
        (r"3.5 \times 10^{4}", 35000),
        (r"3.5\cdot 10^4", 35000),
        ("3.5 × 10^4", 35000),
        ("3*10^-2", Fraction(3, 100)),
        ("-10^{-8}", Fraction(-1, 10**8)),
        ("$3$", 3),
        (r"\(3\)", 3),
        (r"\left. 3 \right.", None),
        (r"\text{}3\text{ }", 3),
        (r"\text{3}", 3),
        (r"\quad 3~\;", 3),
        ("１２", 12),
        # No number, or none that is clear.
        ("", None),
        ("x", None),
        ("3x", None),
        ("3 4", None),
        ("1 234", None),
        ("12,34", None),
        ("0,123", None),
        ("1,234,56", None),
        ("3{,}14", None),
        (r"3\,4", None),
        ("1. 5", None),
        ("1 .5", None),
        ("0.333...", None),
        ("5..", None),
        (r"1\text{2}", None),
        ("--3", None),
        ("1/-2", None),
        ("1/0", None),
        (r"\frac{1}{0}", None),
        (r"\frac123", None),
        (r"\frac{1}", None),
        ("1/2/3", None),
        (r"2\frac{3}{2}", None),
        (r"2\frac{-1}{2}", None),
        (r"2\frac{0.5}{2}", None),
        ("1 5/4", None),
        ("2e - 5", None),
        ("2e", None),
        ("e5", None),
        ("10^", None),
        ("10^{5", None),
        ("2^{10}", None),
        ("50%%", None),
        ("5²", None),
        ("½", None),
        ("٣", None),
        ("②", None),
        ("3\u200b", None),
        ("0x10", None),
        ("1_000", None),
        ("inf", None),
        ("nan", None),
    ],
)
def test_a_text_spells_one_number_or_none(text, number):
    assert value(text) == number


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("0.5", r"\frac{1}{2}"),
        (r"50\%", r"50\%"),
        (r"50\%", r"\frac12"),
        ("x + 1", "x+1"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"\sqrt{2}\,\text{m}", r"$\sqrt 2 \text{ m}$".replace(" 2", "{2}")),
        (r"\left( x, y \right)", "(x,y)"),
        (r"\dfrac{x}{2}", r"\frac{x}{2}."),
        ("9^{9^{9^9}}", "9^{9^{9^{9}}}".replace("{9}", "9")),
        ("1, 2", "2,1"),
        (r"\frac{1}{2}, -1", "-1, 0.5"),
        (r"\{1, 2\}", r"\{2, 1\}"),
        (r"\{1, 2\}", "2, 1"),
        (r"\{1, 2, 2\}", r"\{1, 2\}"),
        ("(1, 2)", "(1.0, 2)"),
        ("1, 2", "(1,2)"),
        ("(2, 1)", "1, 2"),
        ("(3)", "3"),
        ("1,234, 5", "5, 1234"),
        ("100,200", "100200"),
        ("(100,200)", "(100, 200)"),
        ("(1{,}000, 2)", "(1000, 2)"),
        ("3", r"So it is \boxed{3}."),
        ("3", r"\fbox{3.0}"),
        ("2", r"\sqrt{4}"),
        ("x + 1", "1 + x"),
    ],
)
def test_equal_answers_are_correct(prediction, reference):
    assert grade(prediction, reference) == "correct"


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("4", "3"),
        ("-3", "3"),
        ("0.33333", r"\frac{1}{3}"),
        ("0.333334", r"\frac{1}{3}"),
        ("0.333333", "0.3333333"),
        ("0.9999999", "1"),
        ("50", r"50\%"),
        ("1 1/2", "11/2"),
        ("1,234", "1.234"),
        ("3, 4", "3"),
        ("1, 2, 3, 4, 5", "3"),
        ("1, 2", "1, 2, 3"),
        ("1, 2, 3", "1, 2"),
        ("1, 1", "1"),
        ("1, 1, 2", "1, 2, 2"),
        ("1, 1, 2", "1, 2"),
        ("(2, 1)", "(1, 2)"),
        ("2, 1", "(1, 2)"),
        ("(1, 2)", r"\{1, 2\}"),
        (r"\{1, 2\}", "(1, 2)"),
        ("(1,234)", "1234"),
        ("1, 234", "1,234"),
        ("1, 234", "1234"),
        ("(100,200)", "100200"),
        ("1 or 2 or 3", "3"),
        (r"3 \text{ or } 4", "3"),
        ("3 = 4", "3"),
        ("4 = 3", "3"),
        ("3; 4", "3"),
        ("3/4 or 3", "3"),
        (r"\pm 3", "3"),
        ("0 \\le x \\le 100", "42"),
        ("x", "42"),
        (r"\{\}", "0"),
        ("3", "x + 1"),
        ("5²", "52"),
        ("[1, 2)", "[1, 3)"),
    ],
)
def test_other_answers_are_different(prediction, reference):
    assert grade(prediction, reference) == "different"


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("3 (or 4)", "3"),
        ("3 (or possibly 4)", "3"),
        ("3 4", "34"),
        ("3 `or 4`", "3"),
        ("?", "5"),
        ("...", "5"),
        ("5...", "5"),
        ("(1,000)", "(1, 0)"),
        ("1,000,5", "1, 0, 5"),
        ("()", "0"),
        ("(1, 2", "1, 2"),
        ("1, , 2", "1, 2"),
        ("1, 2,", "1, 2"),
        ("3\u200b", "3"),
        ("٣", "3"),
        ("__import__('os').system('true')", "3"),
    ],
)
def test_what_cannot_be_read_is_unparsable_never_different(prediction, reference):
    assert grade(prediction, reference) == "unparsable"


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (r"<think>3</think>\boxed{3}", "correct"),
        (r"\boxed{3}", "correct"),
        (r"thoughts</think>\boxed{3}", "correct"),
        (r"<think>a<think>b</think>\boxed{3}", "correct"),
        (r"<think>\boxed{4}</think>\boxed{3}", "correct"),
        (r"<think>a</think>\boxed{4} or rather \boxed{3}", "correct"),
        (r"<think>a</think>\boxed{4}\fbox{3}", "correct"),
        (r"<think>a</think>\boxed{\boxed{3}}", "correct"),
        (r"<think>a</think>\boxed{4, \boxed{3}}", "correct"),
        (r"<think>a</think>\boxed{3} and \boxed{4", "correct"),
        (r"<think>a</think>\boxed{3} and \boxed", "correct"),
        ("<think>a</think>\\boxed{3} and `\\boxed{4}`", "correct"),
        ("<think>a</think>\\boxed{3}\n```\n\\boxed{4}\n```", "correct"),
        (r"<think>a</think>\boxed{3}\boxed{4}", "different"),
        (r"<think>a</think>3", "no_answer"),
        (r"<think>\boxed{3}</think>", "no_answer"),
        (r"<think>a</think>\boxed{3", "no_answer"),
        (r"<think>a</think>\boxed{}", "no_answer"),
        (r"<think>a</think>\boxed{3}\boxed{ }", "no_answer"),
        (r"<think>a</think>\boxed{$~$\text{}}", "no_answer"),
        ("<think>a</think>`\\boxed{3}`", "no_answer"),
        ("<think>a</think>\n```\n\\boxed{3}\n```\n", "no_answer"),
        (r"<think>\boxed{3}", "no_answer"),
        (r"<think>a</think>b</think>\boxed{3}", "no_answer"),
        (r"<think>a</think><think>\boxed{3}", "no_answer"),
        (r"<think>a</think>\boxed{4}<think>b</think>\boxed{3}", "no_answer"),
        ("", "no_answer"),
    ],
)
def test_the_last_box_outside_thoughts_and_code_is_the_answer(completion, expected):
    assert verify_math(completion, "3").reason == expected


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("9" * 1_000, "different"),
        ("9" * 1_001, "too_large"),
        (f"\\frac{{{'9' * 1_001}}}{{7}}", "too_large"),
        ("0." + "3" * 1_000, "too_large"),
        ("1e1000", "different"),
        ("1e1001", "too_large"),
        ("1e-1001", "too_large"),
        ("1e-0001000", "different"),
        ("1e" + "9" * 1_900, "too_large"),
        ("10^{1001}", "too_large"),
        (r"2 \times 10^{99999999999}", "too_large"),
        ("x" * 2_000, "different"),
        ("x" * 2_001, "too_large"),
        (" " * 2_001, "too_large"),
    ],
)
def test_what_is_too_large_is_not_computed(prediction, expected):
    assert grade(prediction, "3") == expected


def test_a_reference_too_large_to_compute_still_equals_its_own_text():
    assert grade("10^{2023}", "10^{2023}") == "correct"
    assert grade("3", "10^{2023}") == "too_large"


def test_the_detail_says_what_was_read_and_which_rule_decided():
    verdict = verify_math(r"<think>a</think>\boxed{ \dfrac{2}{4}, 1 }", "(0.5, 1)")
    assert verdict.detail == {
        "extracted": r"\dfrac{2}{4}, 1",
        "prediction": "1/2, 1",
        "reference": "(1/2, 1)",
        "rule": "sequence",
    }
    unread = verify_math(r"\boxed{3 (or 4)}", "3")
    assert unread.detail["rule"] == "prediction"
    assert verify_math(r"\boxed{x}", "10^{2023}").detail["rule"] == "reference"


@pytest.mark.parametrize(
    ("prediction", "reference", "options", "expected"),
    [
        ("0.333333", "1/3", {"rounding": "strict"}, "correct"),
        ("0.666666", "2/3", {"rounding": "strict"}, "correct"),  # cut off
        ("0.666667", "2/3", {"rounding": "strict"}, "correct"),
        ("0.666668", "2/3", {"rounding": "strict"}, "different"),
        ("0.66666", "2/3", {"rounding": "strict"}, "different"),
        ("0.500000", "0.5000001", {"rounding": "strict"}, "different"),
        ("2.000000", "20000001/10000000", {"rounding": "strict"}, "correct"),
        ("1.9999999", "2", {"rounding": "strict"}, "different"),
        ("1.9999999", "2", {"rounding": "digits"}, "different"),
        ("0.333333", "0.9999999/3", {"rounding": "strict"}, "different"),
        ("0.33", "1/3", {"rounding": "digits"}, "different"),
        ("5.48", "5.477", {"rounding": "digits"}, "correct"),
        ("5.5", "5.48", {"rounding": "digits"}, "different"),
        ("0.333333", "1/3", {"rounding": "digits"}, "correct"),
        ("0.33333", "1/3", {"rounding": "digits"}, "correct"),
        ("0.333334", "1/3", {"rounding": "digits"}, "different"),
        ("3.14159", "3.1415927", {"rounding": "digits"}, "correct"),
        ("6.66667e-9", "1/150000000", {"rounding": "digits"}, "correct"),
        (r"33.3333\%", "1/3", {"rounding": "digits"}, "correct"),
        (r"33.3334\%", "1/3", {"rounding": "digits"}, "different"),
        ("1.000000", "1.0000001", {"rounding": "digits"}, "correct"),
        ("1", "1.0000001", {"rounding": "digits"}, "different"),
        ("1000000", "1000000.2", {"rounding": "digits"}, "different"),
        ("0.5, 0.333333", "1/3, 1/2", {"rounding": "digits"}, "correct"),
        ("9.8", "9.81", {"rounding": 0.01}, "correct"),
        ("9.7", "9.81", {"rounding": 0.01}, "different"),
        ("-9.8", "9.81", {"rounding": 0.5}, "different"),
        ("100", "101", {"rounding": 0.5}, "different"),
        ("100.0", "101.0", {"rounding": 0.01}, "correct"),
        ("99.9", "100", {"rounding": 0.01}, "different"),
        ("1/3", "0.33", {"rounding": 0.02}, "correct"),
        ("0.5", "1.0", {"rounding": 0.5}, "correct"),
        ("1.0", "0.5", {"rounding": 0.5}, "correct"),
        ("0.0", "0.001", {"rounding": 0.5}, "different"),
        ("1, 2", "2, 1", {"order": "sequence"}, "different"),
        ("1, 2", "1, 2.0", {"order": "sequence"}, "correct"),
        ("(2, 1)", "(1, 2)", {"order": "set"}, "correct"),
        (r"\{2, 1\}", "(1, 2)", {"order": "set"}, "correct"),
        ("1, 1, 2", "1, 2, 2", {"order": "set"}, "different"),
        ("2, 1", "1, 2", {"order": "auto"}, "correct"),
    ],
)
def test_rounding_and_order_are_the_callers_choice(prediction, reference, options, expected):
    assert grade(prediction, reference, **options) == expected


@given(st.data(), fractions | decimals)
def test_every_spelling_of_a_number_reads_as_it(data, number):
    text = data.draw(spellings(number))
    assert grade(text, str(number)) == "correct"
    assert grade(text, data.draw(spellings(number))) == "correct"


@given(st.data(), fractions | decimals, fractions | decimals)
def test_spellings_of_two_numbers_are_different(data, a, b):
    assume(a != b)
    assert grade(data.draw(spellings(a)), data.draw(spellings(b))) == "different"


@given(
    st.data(),
    decimals,
    decimals,
    st.sampled_from(["strict", "digits", 0.01, 0.5]),
    st.sampled_from(["auto", "set", "sequence"]),
)
def test_numbers_are_compared_alike_both_ways(data, a, b, rounding, order):
    a, b = data.draw(spellings(a)), data.draw(spellings(b))
    options = {"rounding": rounding, "order": order}
    assert grade(a, b, **options) == grade(b, a, **options)


@given(st.data(), st.lists(decimals, min_size=2, max_size=5), st.sampled_from([", ", " , ", ",  "]))
def test_a_bare_list_is_a_multiset_and_one_in_parentheses_a_sequence(data, numbers, comma):
    shuffled = data.draw(st.permutations(numbers))
    texts = [data.draw(spellings(n).filter(lambda t: t[0] != "(")).strip(" .") for n in shuffled]
    reference = ", ".join(map(str, numbers))
    assert grade(comma.join(texts), reference) == "correct"
    in_order = "correct" if shuffled == numbers else "different"
    assert grade(comma.join(texts), f"({reference})") == in_order
    assert grade(comma.join(texts[1:]), reference) == "different"


@given(pieces | st.text())
def test_every_text_gets_a_verdict(text):
    for completion in (text, "<think></think>" + text, f"\\boxed{{{text}}}"):
        for reference in ("1/2", "x", "(1, 2)"):
            assert verify_math(completion, reference, rounding=0.1).score in {0.0, 1.0}


@given(pieces, pieces)
def test_a_verdict_of_correct_means_equal_texts_or_equal_numbers(prediction, reference):
    if check_references([reference]):
        reference = "1/2"
    verdict = verify_math(f"\\boxed{{{prediction}}}", reference)
    if verdict.score and verdict.detail["rule"] == "number":
        assert value(verdict.detail["extracted"]) == value(verdict.detail["reference"])
    elif verdict.score and verdict.detail["rule"] == "text":
        assert normal_form(verdict.detail["extracted"]) == verdict.detail["reference"]


@given(pieces | st.text())
def test_the_normal_form_is_its_own_normal_form_as_a_number(text):
    if value(text) is not None:
        assert value(normal_form(text)) == value(text)


@given(untagged, st.sampled_from(["", " ", "\n", "  \n\t\n"]))
def test_text_before_the_box_and_white_space_after_it_change_nothing(text, space):
    text = text.replace("`", "").replace("~", "")  # what opens code is more than text
    for content in ("3", "4", "x", "1 or 2"):
        plain = verify_math(f"<think>a</think>\\boxed{{{content}}}", "3")
        assert verify_math(f"<think>a</think>{text}\\boxed{{{content}}}{space}", "3") == plain


@given(untagged)
def test_untagged_thoughts_never_matter(thoughts):
    for answer in (r"\boxed{3}", r"\boxed{4}", "3"):
        plain = verify_math(f"<think>a</think>{answer}", "3")
        assert verify_math(f"<think>{thoughts}\\boxed{{3}}</think>{answer}", "3") == plain


@given(st.lists(st.integers(0, 9), min_size=1), st.sampled_from(["", " ", " or ", ", ", "\n\n"]))
def test_the_last_box_wins(numbers, between):
    completion = between.join(f"\\boxed{{{n}}}" for n in numbers)
    assert verify_math(completion, str(numbers[-1])).score == 1.0
    assert verify_math(completion, "10").reason == "different"


@given(pieces, pieces)
def test_verdicts_do_not_depend_on_what_came_before(first, second):
    expected = verify_math(f"\\boxed{{{second}}}", "1/2")
    verify_math(f"\\boxed{{{first}}}", "2", rounding="digits", order="set")
    assert verify_math(f"\\boxed{{{second}}}", "1/2") == expected


@given(pieces)
def test_a_verdict_survives_a_pickle(text):
    verdict = verify_math(f"\\boxed{{{text}}}", "1/2")
    assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - ours


def test_threads_get_the_verdicts_that_one_thread_gets():
    cases = [(f"\\boxed{{{n}/7}}", f"\\frac{{{n % 11}}}{{7}}") for n in range(200)]
    expected = [verify_math(*case) for case in cases]
    answers = {}

    def work(name):
        answers[name] = [verify_math(*case) for case in cases]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer == expected for answer in answers.values())
    assert len(answers) == 4


def test_grading_leaves_the_recursion_and_digit_limits_alone():
    before = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    grade("{" * 900 + "}" * 900, "3")
    grade("9" * 1_000, "3")
    assert (sys.getrecursionlimit(), sys.get_int_max_str_digits()) == before


def test_a_lower_digit_limit_of_the_process_raises_nothing():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert grade("9" * 1_000, "3") == "too_large"
        assert grade("9" * 640 + "e900", "3") == "different"
    finally:
        sys.set_int_max_str_digits(before)


def test_an_answer_that_takes_too_long_is_a_timeout():
    assert grade("0.5", "1/2", timeout_seconds=1e-9) == "timeout"


def test_the_clock_is_read_between_the_numbers_of_a_list(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(_answers, "monotonic", lambda: time.monotonic() + next(ticks))
    assert grade("1, 2", "2, 1.0", timeout_seconds=10.0) == "correct"
    assert grade(", ".join("123456789"), "1", timeout_seconds=10.0) == "timeout"


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"\boxed{3}\boxed{4}", ["3", "4"]),
        (r"\boxed{3}, $\fbox{4}$ and \boxed{5}.", ["3", "4", "5"]),
        (r"\boxed{3}\text{ and }\quad\boxed{4}", ["3", "4"]),
        (r"\boxed{3} or \boxed{4}", ["4"]),
        (r"\boxed{3}. So \boxed{4}, \boxed{5}", ["4", "5"]),
        (r"\boxed{\boxed{3}}\boxed{4}", ["4"]),
        (r"\boxed{3} \boxed{4", ["3"]),
        ("3", []),
    ],
)
def test_adjacent_boxes_are_joined_and_others_are_not(text, contents):
    assert [text[box.start : box.end] for box in joined_boxes(text)] == contents


MEGABYTE = 1_000_000
HOSTILE = {
    "braces": "{" * MEGABYTE,
    "open boxes": "\\boxed{" * (MEGABYTE // 7),
    "nested boxes": "\\boxed{" * 100_000 + "}" * 100_000 + "\\boxed{",
    "nested braces": "\\boxed{" + "{" * 500_000 + "}" * 500_000 + "}",
    "backslashes": "\\" * MEGABYTE + "\\boxed{",
    "inline code": "`a" * (MEGABYTE // 2) + "\\boxed{",
    "one backtick a paragraph": "`\n\n" * (MEGABYTE // 3),
    "fences": "```\n" * (MEGABYTE // 4),
    "digits": "\\boxed{" + "9" * MEGABYTE + "}",
    "tags": "</think><think>" * (MEGABYTE // 15),
    "surrogates": "\ud800" * MEGABYTE,
}


@pytest.mark.parametrize("completion", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_megabyte_is_answered_in_well_under_a_second(completion):
    # On an idle core the slowest takes 0.25 s; what grows with the square would take minutes.
    assert cpu_seconds(completion, "3") < 1.0


@pytest.mark.parametrize("completion", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_megabyte_is_searched_for_adjacent_boxes_in_well_under_a_second(completion):
    begin = time.process_time()
    joined_boxes(completion)
    joined_boxes(r"\boxed{1}" * 50_000)
    joined_boxes(r"\boxed{1}" + " ," * (MEGABYTE // 4) + r"x\boxed{2}")
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    "content",
    [
        "9" * 1_000 + "e999",
        "9" * 1_998,
        ",".join("1" * 999),
        ",".join(["1e999", "1e-999"] * 140),
        "1," * 999 + "1",
        ("1,234," * 400)[:1_999],
        "\\frac" * 399,
        "\\text{" * 300,
        ("1" + THIN) * 999,
        " " * 1_998,
        "1 " * 999,
        "{,}" * 660,
        "." * 1_999,
        "(" * 1_000 + ")" * 999,
        "9^" * 999,
        "1/" * 999 + "1",
        "−" * 1_999,
    ],
    ids=lambda content: content[:12],
)
@pytest.mark.parametrize("options", [{}, {"rounding": "digits"}, {"rounding": 0.1}])
def test_two_thousand_hostile_characters_are_answered_in_a_tenth_of_a_second(content, options):
    reference = content[:-1].strip()
    if check_references([reference]):
        reference = "x"
    assert cpu_seconds(f"\\boxed{{{content}}}", reference, **options) < 0.1


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "reference must not be blank"),
        (" \n", "reference must not be blank"),
        ("$ $", "reference must not be blank"),
        (r"\boxed{}", "reference must not be blank"),
        ("1" * 2_001, "reference must have at most 2,000 characters, got 2,001"),
        ("\frac{1}{2}", r"reference must have no control character, got '\\x0c'"),
        ("\boxed{3}", r"reference must have no control character, got '\\x08'"),
        (r"\boxed{3} or \boxed{4}", "reference must have exactly one balanced box"),
        (r"\boxed{3", "reference must have exactly one balanced box"),
    ],
)
def test_a_reference_that_cannot_be_one_raises(reference, message):
    with pytest.raises(ValueError, match=message):
        verify_math(r"\boxed{3}", reference)


def test_a_bad_reference_raises_whatever_the_completion_is():
    with pytest.raises(ValueError, match="reference must not be blank"):
        verify_math("", "")


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_timeout_that_is_no_time_raises(seconds):
    with pytest.raises(ValueError, match="timeout_seconds must be finite and more than 0, got"):
        verify_math(r"\boxed{3}", "3", timeout_seconds=seconds)


@pytest.mark.parametrize("rounding", ["loose", None, 0, 0.0, 1, 1.0, -0.1, float("nan"), True, [1]])
def test_an_unknown_rounding_raises(rounding):
    with pytest.raises(
        ValueError, match=r"rounding must be 'strict', 'digits' or in \(0, 1\), got"
    ):
        verify_math(r"\boxed{3}", "3", rounding=rounding)


@pytest.mark.parametrize("order", ["list", "", None, 1])
def test_an_unknown_order_raises(order):
    with pytest.raises(ValueError, match="order must be one of 'auto', 'set', 'sequence', got"):
        verify_math(r"\boxed{3}", "3", order=order)


@pytest.mark.parametrize(("completion", "reference"), [(None, "3"), (b"3", "3"), (3, "3")])
def test_a_completion_that_is_no_text_raises(completion, reference):
    with pytest.raises(TypeError, match="completion must be a str, got"):
        verify_math(completion, reference)


@pytest.mark.parametrize("reference", [None, 3, 0.5, ["3"]])
def test_a_reference_that_is_no_text_raises(reference):
    with pytest.raises(TypeError, match="reference must be a str, got"):
        verify_math(r"\boxed{3}", reference)


# --- several boxes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference", "alone", "joined"),
    [
        (r"\boxed{3}\boxed{4}", "3, 4", 0.0, 1.0),
        (r"\boxed{3} and $\boxed{4}$", "4, 3", 0.0, 1.0),
        (r"\boxed{3}, \boxed{4}", "4", 1.0, 0.0),
        (r"\boxed{3} or \boxed{4}", "3, 4", 0.0, 0.0),
        (r"\boxed{3} is wrong. \boxed{4}", "4", 1.0, 1.0),
    ],
)
def test_adjacent_boxes_are_one_list_on_request(text, reference, alone, joined):
    assert verify_math(text, reference).score == alone
    assert verify_math(text, reference, join_boxes=True).score == joined
