"""The reward of the report: its parts, its gate and its sum."""

import pickle
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.rewards import Verdict, format_prompt, magistral_reward, verify_format, verify_math

RIGHT = r"<think>6 * 7</think>\boxed{42}"
WRONG = r"<think>6 * 7</think>\boxed{43}"
MALFORMED = r"6 * 7</think>\boxed{42}"


def same(_, __):
    return Verdict(1.0, "correct")


def other(_, __):
    return Verdict(0.0, "different")


def graded(completion, **options):
    return magistral_reward("What is 6 times 7?", completion, "42", **{"language": same} | options)


@pytest.mark.parametrize(
    ("completion", "language", "total"),
    [(RIGHT, same, 1.1), (RIGHT, other, 1.0), (WRONG, same, 0.2), (WRONG, other, 0.1)],
)
def test_the_parts_add_up(completion, language, total):
    reward = graded(completion, language=language)
    assert reward.total == pytest.approx(total, abs=1e-15)
    assert (reward.format, reward.length) == (0.1, 0.0)
    assert set(reward.verdicts) == {"format", "correctness", "language"}


def test_a_wrong_format_ends_the_grading_at_exactly_0():
    def never(_, __):
        raise AssertionError("graded in spite of its format")

    reward = graded(MALFORMED, verify=never, language=never, length=200, max_length=100, buffer=20)
    assert reward.total == reward.format == reward.correctness == reward.length == 0.0
    assert reward.verdicts == {"format": Verdict(0.0, "closing_without_opening")}


def test_length_costs_up_to_its_penalty():
    limits = {"max_length": 100, "buffer": 20}
    totals = [graded(RIGHT, length=n, **limits).total for n in (80, 90, 100, 500)]
    assert totals == pytest.approx([1.1, 1.05, 1.0, 1.0])
    assert graded(WRONG, length=500, language=None, **limits).total == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 5}, "length needs max_length and buffer, got None and None"),
        ({"length": 5, "max_length": 9}, "length needs max_length and buffer, got 9 and None"),
        ({"max_length": 9}, "max_length and buffer need a length, got None"),
        ({"format_weight": -1.0}, "format_weight must be finite and at least 0, got -1.0"),
        ({"kind": "think"}, "kind must be one of 'math', 'code', got 'think'"),
    ],
)
def test_options_that_contradict_raise(options, message):
    with pytest.raises(ValueError, match=message):
        graded(MALFORMED, **options)


def test_what_cannot_be_judged_has_no_total():
    reward = graded(RIGHT, verify=lambda _, __: Verdict(None, "infrastructure"))
    assert reward.total is reward.correctness is None
    assert reward.verdicts["correctness"].reason == "infrastructure"


def test_a_partial_score_earns_its_share():
    assert graded(RIGHT, verify=lambda _, __: Verdict(0.5, "some")).correctness == 0.45


def test_a_verifier_with_options_takes_the_place_of_the_default():
    text = r"<think></think>\boxed{3.14}"
    coarse = partial(verify_math, rounding=0.01)
    assert magistral_reward("", text, "3.1416", language=None).correctness == 0.0
    assert magistral_reward("", text, "3.1416", language=None, verify=coarse).correctness == 0.9


def test_code_is_judged_by_the_form_of_code():
    text = "<think></think>\n```python\nprint(1)\n```"
    reward = magistral_reward("", text, [], kind="code", language=None, verify=same)
    assert (reward.total, graded(text).total) == (1.0, 0.0)


@given(st.text(alphabet="<think>/\\boxed{}42 ", max_size=60), st.integers(0, 300))
def test_the_total_is_in_range_and_0_without_format(completion, length):
    reward = graded(completion, length=length, max_length=100, buffer=20)
    assert 0.0 <= reward.total <= 1.1
    assert bool(verify_format(completion, kind="math").score) == bool(
        reward.verdicts.keys() - {"format"}
    )


def test_rewards_survive_pickling():
    assert pickle.loads(pickle.dumps(graded(RIGHT))) == graded(RIGHT)  # noqa: S301 - our own


def test_the_prompt_asks_for_what_the_format_checks():
    system, user = format_prompt("What is 6 times 7?")
    assert (system["role"], user["role"], user["content"]) == (
        "system",
        "user",
        "What is 6 times 7?",
    )
    for asked in ("<think>", "</think>", r"\boxed{}", "```python", "language of the problem"):
        assert asked in system["content"]
