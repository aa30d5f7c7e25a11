"""Advantages of groups, against plain floats, and the rules on masks and deviations."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.advantages import gdpo_advantages, group_advantages, maxrl_advantages

rewards_and_groups = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.55, 1.0, 1.1]), st.sampled_from([-5, 2, 10**15])),
    min_size=1,
    max_size=10,
)


def split(rows):
    return [r for r, _ in rows], [g for _, g in rows]


def tensors(rows):
    rewards, groups = split(rows)
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(groups)


@given(
    rows=rewards_and_groups, correction=st.sampled_from([0, 1]), eps=st.sampled_from([1e-6, 1e-4])
)
def test_each_scale_is_that_of_its_paper(rows, correction, eps):
    rewards, groups = split(rows)
    options = {"correction": correction, "eps": eps}
    expected = {
        "none": oracles.group_centred(rewards, groups),
        "group_std": oracles.group_std_advantages(rewards, groups, correction, eps),
        "batch_std": oracles.batch_std_advantages(rewards, groups, correction, eps),
    }
    for scale, values in expected.items():
        got = group_advantages(*tensors(rows), scale=scale, **options)
        assert got.tolist() == pytest.approx(values, rel=1e-9, abs=1e-9)


@given(rows=rewards_and_groups)
def test_leave_one_out_is_rloos(rows):
    got = group_advantages(*tensors(rows), baseline="leave_one_out", scale="none")
    expected = oracles.group_centred(*split(rows), leave_one_out=True)
    assert got.tolist() == pytest.approx(expected, abs=1e-12)


@given(rows=rewards_and_groups, data=st.data(), junk=st.sampled_from([math.nan, math.inf, 1e30]))
@pytest.mark.parametrize("baseline", ["mean", "leave_one_out"])
@pytest.mark.parametrize("scale", ["none", "group_std", "batch_std"])
def test_rows_off_the_mask_give_zero_and_enter_no_statistic(rows, data, junk, baseline, scale):
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    rewards, groups = tensors(rows)
    mask, options = torch.tensor(keep), {"baseline": baseline, "scale": scale}
    got = group_advantages(torch.where(mask, rewards, junk), groups, mask=mask, **options)
    assert (got[~mask] == 0).all()
    alone = group_advantages(rewards[mask], groups[mask], **options)
    torch.testing.assert_close(got[mask], alone, rtol=1e-12, atol=1e-12)


@given(rows=rewards_and_groups, data=st.data())
def test_the_order_of_rows_does_not_matter(rows, data):
    order = data.draw(st.permutations(range(len(rows))))
    rewards, groups = tensors(rows)
    for scale in ("none", "group_std", "batch_std"):
        shuffled = group_advantages(rewards[order], groups[order], scale=scale)
        plain = group_advantages(rewards, groups, scale=scale)
        torch.testing.assert_close(shuffled, plain[order], rtol=1e-9, atol=1e-12)


def test_magistrals_deviation_is_that_of_the_informative_rows_alone():
    rewards = torch.tensor([1.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    groups = torch.tensor([0, 0, 1, 1, 1, 1])
    informative = torch.tensor([True, True, False, False, False, False])
    masked = group_advantages(rewards, groups, mask=informative)
    assert masked.tolist() == pytest.approx([1, -1, 0, 0, 0, 0], abs=1e-5)
    diluted = group_advantages(rewards, groups)
    assert diluted[0].item() == pytest.approx(math.sqrt(3), rel=1e-5)


def test_a_constant_group_gives_exactly_zero_whatever_its_rounding():
    rewards = torch.tensor([0.1 + 0.2, 0.3, 0.3, 1000.1, 1000.1], dtype=torch.float64)
    assert rewards[0] != rewards[1]
    groups = torch.tensor([0, 0, 0, 1, 1])
    for scale in ("none", "group_std", "batch_std"):
        assert group_advantages(rewards, groups, scale=scale, eps=0.0).tolist() == [0.0] * 5


def test_a_constant_group_gives_exactly_zero_beside_groups_that_teach():
    rewards = torch.tensor([0.1, 1.0, 0.3, 0.7, 0.6, 0.6])
    groups = torch.tensor([0, 0, 0, 1, 2, 2])
    for scale in ("none", "group_std", "batch_std"):
        assert group_advantages(rewards, groups, scale=scale)[3:].tolist() == [0.0] * 3


def test_the_deviation_is_of_centred_values():
    # Around 1000 in float32, E[r^2] - E[r]^2 has no digit left.
    rewards = 1000 + torch.tensor([0.0, 0.01, 0.02, 0.03])
    groups = torch.zeros(4, dtype=torch.long)
    for scale in ("group_std", "batch_std"):
        got = group_advantages(rewards, groups, scale=scale, eps=0.0)
        assert got.tolist() == pytest.approx([-1.3416, -0.4472, 0.4472, 1.3416], abs=5e-3)


def test_a_group_of_one_teaches_nothing():
    for baseline in ("mean", "leave_one_out"):
        got = group_advantages(
            torch.tensor([1.0, 0.0, 1.0]), torch.tensor([4, 5, 5]), baseline=baseline
        )
        assert got[0] == 0
        assert got.isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_gives_its_own_group_zero_and_no_other(bad):
    rewards = torch.tensor([bad, 1.0, 0.0, 1.0, 0.0, 0.0])
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    alone = rewards[3:], groups[3:]
    for scale in ("none", "group_std"):
        got = group_advantages(rewards, groups, scale=scale)
        assert got[:3].tolist() == [0.0] * 3
        torch.testing.assert_close(got[3:], group_advantages(*alone, scale=scale))
    assert group_advantages(rewards, groups).isfinite().all()
    got = maxrl_advantages(rewards, groups)
    assert got[:3].tolist() == [0.0] * 3
    assert got[3:].tolist() == maxrl_advantages(*alone).tolist()


def test_gdpo_passes_its_numbers_on():
    rewards = torch.tensor([[1.0, 0.5], [0.0, 0.6], [0.0, 0.5]])
    groups = torch.zeros(3, dtype=torch.long)
    one = gdpo_advantages(rewards, groups, correction=1, eps=0.0)
    parts = [
        oracles.group_std_advantages(rewards[:, k].tolist(), [0, 0, 0], 1, 0.0) for k in range(2)
    ]
    total = [a + b for a, b in zip(*parts, strict=True)]
    expected = [t / oracles.std(total, 1) for t in total]
    assert one.tolist() == pytest.approx(expected, rel=1e-4)
    coarse = gdpo_advantages(rewards, groups, tolerance=0.2)
    first = gdpo_advantages(rewards[:, :1], groups)
    assert coarse.tolist() == pytest.approx(first.tolist())


def test_an_empty_batch_is_empty():
    empty, ids = torch.zeros(0), torch.zeros(0, dtype=torch.long)
    assert group_advantages(empty, ids).shape == (0,)
    assert maxrl_advantages(empty, ids).shape == (0,)
    assert gdpo_advantages(torch.zeros(0, 2), ids).shape == (0,)


def test_advantages_are_constants_of_at_least_float32():
    rewards = torch.tensor([1.0, 0.0], requires_grad=True)
    assert not group_advantages(rewards, torch.tensor([0, 0])).requires_grad
    assert group_advantages(rewards.bfloat16(), torch.tensor([0, 0])).dtype == torch.float32


# --- MaxRL and GDPO -------------------------------------------------------------------------------


@given(rows=rewards_and_groups)
def test_maxrl_divides_by_the_rate_of_success(rows):
    rewards, groups = split(rows)
    rewards = [float(r > 0.5) for r in rewards]
    got = maxrl_advantages(torch.tensor(rewards, dtype=torch.float64), torch.tensor(groups))
    for own in oracles.members(groups).values():
        rate = sum(rewards[i] for i in own) / len(own)
        for i in own:
            expected = (rewards[i] - rate) / rate if rate else 0.0
            assert got[i].item() == pytest.approx(expected)


@given(rows=rewards_and_groups, weights=st.sampled_from([None, [1.0, 2.0], [0.0, 1.0]]))
def test_gdpo_normalises_each_reward_before_the_sum(rows, weights):
    rewards, groups = tensors(rows)
    columns = torch.stack([rewards, (rewards > 0.5).double()], 1)
    got = gdpo_advantages(columns, groups, weights=weights)
    parts = [
        oracles.group_std_advantages(columns[:, k].tolist(), groups.tolist(), 0, 1e-6)
        for k in range(2)
    ]
    w = weights or [1.0, 1.0]
    total = [w[0] * a + w[1] * b for a, b in zip(*parts, strict=True)]
    mean, scale = sum(total) / len(total), oracles.std(total) + 1e-6
    expected = [(t - mean) / scale for t in total]
    assert got.tolist() == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_gdpo_tells_mixtures_apart_that_a_sum_confounds():
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    groups = torch.zeros(4, dtype=torch.long)
    summed = group_advantages(rewards.sum(1), groups)
    assert summed[0] == summed[1]
    apart = gdpo_advantages(rewards, groups)
    assert apart[0] > apart[1]  # the rarer reward counts more


def test_rows_off_the_mask_enter_neither():
    rewards, groups = torch.tensor([1.0, 0.0, math.nan]), torch.tensor([0, 0, 0])
    mask = torch.tensor([True, True, False])
    assert maxrl_advantages(rewards, groups, mask=mask).tolist() == [1.0, -1.0, 0.0]
    columns = torch.stack([rewards, rewards], 1)
    assert gdpo_advantages(columns, groups, mask=mask).tolist() == pytest.approx(
        [1, -1, 0], abs=1e-5
    )


# --- errors ---------------------------------------------------------------------------------------

R, G = torch.zeros(2), torch.zeros(2, dtype=torch.long)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: group_advantages(R, G, baseline="median"), ValueError, "baseline must be one of"),
        (
            lambda: group_advantages(R, G, scale="std"),
            ValueError,
            "scale must be one of .* got 'std'",
        ),
        (
            lambda: group_advantages(R, G, correction=2),
            ValueError,
            "correction must be 0 or 1, got 2",
        ),
        (
            lambda: group_advantages(R, G, eps=-1.0),
            ValueError,
            "eps and tolerance must be at least 0",
        ),
        (
            lambda: group_advantages(R, G, tolerance=math.nan),
            ValueError,
            "at least 0, got 1e-06, nan",
        ),
        (
            lambda: group_advantages(R, G.float()),
            TypeError,
            "group_ids must be of an integer dtype",
        ),
        (lambda: group_advantages(R.long(), G), TypeError, "rewards must be of a floating-point"),
        (
            lambda: group_advantages(R, G[:1]),
            ValueError,
            "rewards must have the shape of group_ids",
        ),
        (lambda: group_advantages(R, G, mask=G), TypeError, "mask must be bool"),
        (lambda: group_advantages(R[None], G[None]), ValueError, "group_ids must have 1 axes"),
        (lambda: gdpo_advantages(R, G), ValueError, "rewards must have 2 axes"),
        (
            lambda: gdpo_advantages(torch.zeros(2, 2), G, weights=[1.0]),
            ValueError,
            "need a weight for each of 2 rewards, got 1",
        ),
    ],
)
def test_wrong_use_raises(call, error, match):
    with pytest.raises(error, match=match):
        call()
