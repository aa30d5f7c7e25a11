"""The task of the demo, and the demonstrator whose habits the policy has to lose."""

import random
import re

import pytest

from grpo_core.recipes.demo._task import (
    ALPHABET,
    HELD_OUT,
    Problem,
    clean,
    decode,
    demonstrate,
    encode,
    grade,
    splits,
)
from grpo_core.rewards import verify_format

SHOWN = 20_000
ONE_POINT = 0.01  # three standard errors of a share of 0.3 in 20,000


@pytest.fixture(scope="module")
def demonstrations():
    rng, (problems, _) = random.Random(0), splits()  # noqa: S311 - repeatable
    asked = [rng.choice(problems) for _ in range(SHOWN)]
    return [(problem, demonstrate(problem, rng)) for problem in asked]


def found(text):
    return int(re.fullmatch(r".*?(\d+)}?", text)[1])


def share(flags):
    flags = list(flags)
    return sum(flags) / len(flags)


def test_the_splits_share_no_problem_and_leave_none_out():
    practice, held_out = splits()
    assert len(held_out) == HELD_OUT == 2_000
    assert len(practice) == 6_100
    assert len({*practice, *held_out}) == 8_100
    assert splits() == (practice, held_out)


def test_an_encoded_text_decodes_to_itself_up_to_its_end():
    text = r"<think>7+5=12;3+8+1=12;</think>\boxed{122}"
    tokens = encode(text)
    assert len(tokens) == 23
    assert decode(tokens) == text
    assert decode([*tokens, ALPHABET.index("<eos>"), *tokens]) == text
    assert [decode([token]) for token in encode("".join(ALPHABET[3:]))] == list(ALPHABET[3:])


def test_a_text_outside_the_alphabet_is_refused():
    with pytest.raises(ValueError, match="got '1-2'"):
        encode("1-2")


def test_every_clean_demonstration_earns_the_whole_reward():
    assert clean(Problem(37, 85)) == r"<think>7+5=12;3+8+1=12;</think>\boxed{122}"
    assert all(grade(clean(problem), problem) == 1.0 for split in splits() for problem in split)


@pytest.mark.parametrize(
    ("completion", "reward"),
    [
        (r"<think></think>\boxed{122}", 1.0),
        (r"<think></think>\boxed{112}", 0.1),
        (r"<think></think>122", 0.0),
        (r"</think>\boxed{122}", 0.0),
        ("<think>122", 0.0),
        ("", 0.0),
    ],
)
def test_the_reward_is_on_the_scale_of_the_report(completion, reward):
    assert grade(completion, Problem(37, 85)) == reward


def test_every_demonstration_can_be_written(demonstrations):
    assert all(decode(encode(text)) == text for _, text in demonstrations)


def test_three_demonstrations_in_ten_fail_the_format(demonstrations):
    failed = share(not verify_format(text, kind="math").score for _, text in demonstrations)
    assert failed == pytest.approx(0.3, abs=ONE_POINT)


def test_a_quarter_of_the_demonstrations_shows_its_work(demonstrations):
    assert share("=" in text for _, text in demonstrations) == pytest.approx(0.25, abs=ONE_POINT)


def test_three_guesses_in_four_are_wrong(demonstrations):
    wrong = share(found(text) != asked.answer for asked, text in demonstrations if "=" not in text)
    assert wrong == pytest.approx(0.75, abs=ONE_POINT)


def test_three_carries_in_ten_are_forgotten(demonstrations):
    carried = [
        (asked, text)
        for asked, text in demonstrations
        if "=" in text and asked.x % 10 + asked.y % 10 >= 10
    ]
    forgotten = share("+0=" in text for _, text in carried)
    assert forgotten == pytest.approx(0.3, abs=3 * ONE_POINT)  # of about 2,250
    assert all((found(text) != asked.answer) == ("+0=" in text) for asked, text in carried)


def test_a_perfect_imitator_is_right_a_little_over_a_quarter_of_the_time(demonstrations):
    right = share(grade(text, asked) == 1.0 for asked, text in demonstrations)
    assert right == pytest.approx(0.28, abs=ONE_POINT)
