"""Filters: groups without a difference, answers that were cut off, tokens without a choice."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.advantages import high_entropy_mask, informative_groups, overlong_mask

# --- informative groups ---------------------------------------------------------------------------


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([3, -4])),
        min_size=1,
        max_size=9,
    )
)
def test_a_group_teaches_if_its_rewards_differ(rows):
    rewards, groups = [r for r, _ in rows], [g for _, g in rows]
    got = informative_groups(torch.tensor(rewards), torch.tensor(groups)).tolist()
    for own in oracles.members(groups).values():
        differ = len({rewards[i] for i in own}) > 1
        assert [got[i] for i in own] == [differ] * len(own)


def test_the_tolerance_is_the_largest_difference_that_counts_as_equal():
    rewards, groups = torch.tensor([1.0, 0.75]), torch.tensor([0, 0])
    assert informative_groups(rewards, groups, tolerance=0.2).all()
    assert not informative_groups(rewards, groups, tolerance=0.25).any()


def test_rewards_and_correctness_are_two_filters():
    # All right, one answer too long: the report's rule keeps the group, correctness drops it.
    rewards, correct = torch.tensor([1.0, 0.95]), torch.tensor([1.0, 1.0])
    groups = torch.tensor([0, 0])
    assert informative_groups(rewards, groups).all()
    assert not informative_groups(correct, groups).any()


def test_rows_off_the_mask_make_no_difference():
    rewards, groups = torch.tensor([1.0, 1.0, math.nan]), torch.tensor([0, 0, 0])
    mask = torch.tensor([True, True, False])
    assert not informative_groups(rewards, groups, mask=mask).any()
    rewards = torch.tensor([1.0, 0.0, math.inf])
    assert informative_groups(rewards, groups, mask=mask).tolist() == [True, True, False]


# --- overlong -------------------------------------------------------------------------------------


def test_a_sequence_that_was_cut_off_leaves_the_mask_whole():
    tokens = torch.tensor([[5, 2, 9], [5, 2, 6], [2, 5, 3], [7, 7, 7]])
    mask = torch.tensor([[True, True, False], [True] * 3, [True] * 3, [False] * 3])
    got = overlong_mask(tokens, mask, end_ids=[2, 3])
    assert got.tolist() == [[True, True, False], [False] * 3, [True] * 3, [False] * 3]


def test_the_last_valid_token_decides_wherever_the_padding_is():
    tokens = torch.tensor([[2, 0, 5, 2, 0], [0, 2, 5, 5, 2]])
    mask = torch.tensor([[False, True, True, True, False], [False, True, True, True, False]])
    got = overlong_mask(tokens, mask, end_ids=[2])
    assert got.any(1).tolist() == [True, False]


def test_segments_are_judged_one_by_one():
    tokens = torch.tensor([[5, 2, 6, 6, 2]])
    segments = torch.tensor([[4, 4, 1, 1, 0]])
    mask = torch.ones(1, 5, dtype=torch.bool)
    got = overlong_mask(tokens, mask, end_ids=[2], segment_ids=segments)
    assert got.tolist() == [[True, True, False, False, True]]


# --- entropy --------------------------------------------------------------------------------------


@given(
    entropy=st.lists(st.floats(0, 5), min_size=1, max_size=12),
    quantile=st.floats(0, 0.999),
    junk=st.sampled_from([math.nan, math.inf, -math.inf, 1e30]),
)
def test_the_tokens_at_or_above_the_quantile_are_kept(entropy, quantile, junk):
    values = torch.tensor([[junk, *entropy, junk]], dtype=torch.float64)
    mask = torch.tensor([[False, *[True] * len(entropy), False]])
    got = high_entropy_mask(values, mask, quantile=quantile)[0].tolist()
    threshold = oracles.quantile(entropy, quantile)
    near = [abs(h - threshold) < 1e-12 for h in entropy]
    for kept, h, close in zip(got[1:-1], entropy, near, strict=True):
        assert close or kept == (h >= threshold)
    assert any(got[1:-1])
    assert not (got[0] or got[-1])


def test_a_batch_without_a_valid_token_keeps_none():
    for shape in [(2, 3), (0, 3)]:
        values = torch.full(shape, math.nan)
        assert not high_entropy_mask(values, torch.zeros(shape, dtype=torch.bool)).any()


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.no_shape_hook
def test_wrong_use_raises():
    x, mask = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"quantile must be in \[0, 1\), got 1.0"):
        high_entropy_mask(x, mask, quantile=1.0)
    with pytest.raises(ValueError, match=r"end_ids must name at least one id, got \[\]"):
        overlong_mask(x.long(), mask, end_ids=[])
    with pytest.raises(TypeError, match="tokens must be of an integer dtype"):
        overlong_mask(x, mask, end_ids=[1])
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        informative_groups(torch.zeros(2), torch.zeros(2).long(), tolerance=-1.0)
    with pytest.raises(ValueError, match="mask must have the shape of entropy"):
        high_entropy_mask(x, mask[:, :1])
