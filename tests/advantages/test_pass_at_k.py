"""The best of k, against a list of all subsets and the paper's closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.advantages import group_advantages, pass_at_k_advantages

values = st.sampled_from([0.0, 0.1, 0.3, 1.0])
groups = st.lists(st.lists(values, min_size=1, max_size=7), min_size=1, max_size=3)


def flat(nested, shuffle=None):
    rows = [(r, 10 * g) for g, rewards in enumerate(nested) for r in rewards]
    rows = [rows[i] for i in shuffle] if shuffle else rows
    return torch.tensor([r for r, _ in rows]).double(), torch.tensor([g for _, g in rows])


@given(nested=groups, k=st.integers(1, 4), data=st.data())
def test_it_is_the_average_over_all_subsets(nested, k, data):
    size = sum(map(len, nested))
    order = data.draw(st.permutations(range(size)))
    for scale in ("none", "subset_std"):
        got = pass_at_k_advantages(*flat(nested, order), k=k, scale=scale)
        expected = []
        for rewards in nested:
            if len(rewards) < k:
                expected += [0.0] * len(rewards)
                continue
            given_i, mean, std = oracles.best_of_k(rewards, k)
            scaled = 1.0 if scale == "none" else std + 1e-6
            expected += [(x - mean) / scaled if std > 1e-12 else 0.0 for x in given_i]
        assert got.tolist() == pytest.approx([expected[i] for i in order], rel=1e-6, abs=1e-6)


@given(successes=st.integers(0, 8), failures=st.integers(0, 8), k=st.integers(1, 5))
def test_for_zeros_and_ones_it_is_the_papers_closed_form(successes, failures, k):
    if successes + failures < k or successes + failures == 0:
        return
    rewards = torch.tensor([1.0] * successes + [0.0] * failures, dtype=torch.float64)
    ids = torch.zeros(len(rewards), dtype=torch.long)
    got = pass_at_k_advantages(rewards, ids, k=k).tolist()
    of_success, of_failure, scale = oracles.pass_at_k_binary(successes, failures, k)
    expected = [of_success] * successes + [of_failure] * failures
    expected = [a / (scale + 1e-6) if scale > 0 else 0.0 for a in expected]
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(nested=groups)
def test_with_k_of_one_it_is_the_group_advantage(nested):
    for mine, other in [("none", "none"), ("subset_std", "group_std"), ("batch_std", "batch_std")]:
        got = pass_at_k_advantages(*flat(nested), k=1, scale=mine)
        expected = group_advantages(*flat(nested), scale=other)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@given(nested=groups, k=st.integers(1, 3), data=st.data())
def test_rows_off_the_mask_give_zero_and_enter_no_subset(nested, k, data):
    rewards, ids = flat(nested)
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    junk = torch.where(mask, rewards, math.nan)
    for scale in ("none", "subset_std", "batch_std"):
        got = pass_at_k_advantages(junk, ids, k=k, mask=mask, scale=scale)
        alone = pass_at_k_advantages(rewards[mask], ids[mask], k=k, scale=scale)
        assert (got[~mask] == 0).all()
        torch.testing.assert_close(got[mask], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_not_finite_gives_its_own_group_zero_and_no_other(bad):
    rewards, ids = torch.tensor([bad, 1.0, 0.0, 1.0, 0.0, 0.0]), torch.tensor([0, 0, 0, 1, 1, 1])
    got = pass_at_k_advantages(rewards, ids, k=2)
    assert got[:3].tolist() == [0.0] * 3
    torch.testing.assert_close(got[3:], pass_at_k_advantages(rewards[3:], ids[3:], k=2))


def test_rounding_is_no_signal_and_the_whole_group_has_one_subset():
    rewards = torch.tensor([0.1 + 0.2, 0.3, 0.3], dtype=torch.float64)
    ids = torch.zeros(3, dtype=torch.long)
    assert pass_at_k_advantages(rewards, ids, k=2, eps=0.0).tolist() == [0.0] * 3
    whole = pass_at_k_advantages(torch.tensor([1.0, 0.0, 0.5]), ids, k=3)
    assert whole.tolist() == [0.0] * 3


def test_the_correction_reaches_the_batchs_deviation():
    rewards, ids = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4, dtype=torch.long)
    plain = pass_at_k_advantages(rewards, ids, k=2, scale="batch_std")
    bessel = pass_at_k_advantages(rewards, ids, k=2, scale="batch_std", correction=1)
    torch.testing.assert_close(bessel * math.sqrt(4 / 3), plain, rtol=1e-5, atol=0)


def test_a_large_batch_keeps_its_digits():
    rewards = torch.arange(4096).sin()
    ids = torch.arange(4096) // 16
    got = pass_at_k_advantages(rewards, ids, k=4, scale="none")
    given_i, mean, _ = oracles.best_of_k(rewards[-16:].double().tolist(), 4)
    assert got[-16:].tolist() == pytest.approx([x - mean for x in given_i], abs=1e-6)
    assert got.view(-1, 16).sum(1).abs().max() < 1e-5


def test_wrong_use_raises():
    rewards, ids = torch.zeros(2), torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        pass_at_k_advantages(rewards, ids, k=0)
    with pytest.raises(ValueError, match="eps and tolerance must be at least 0, got -1"):
        pass_at_k_advantages(rewards, ids, k=1, eps=-1.0)


def test_an_empty_batch_is_empty():
    empty = torch.zeros(0), torch.zeros(0, dtype=torch.long)
    assert pass_at_k_advantages(*empty, k=2).shape == (0,)
