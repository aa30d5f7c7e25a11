"""Metrics: by hand, adding up over parts, and wrong use. Padding: losses/test_rules."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo_core import metrics
from grpo_core.off_policy import masked_weights, truncated_weights
from public_calls import tensors

RATIO = torch.tensor([[0.5, 1.0, 2.0], [1.5, 0.7, 9.0]], dtype=torch.float64)
LOG_RATIO = RATIO.log()
ADVANTAGES = torch.tensor([[-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]], dtype=torch.float64)
MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (metrics.ratio_mean(LOG_RATIO, MASK), 5.7 / 5),
        (metrics.ratio_error(LOG_RATIO, MASK), (0.5 + 0 + 1 + 0.5 + 0.3) / 5),
        (
            metrics.approximate_kl(LOG_RATIO, MASK),
            sum(r - 1 - math.log(r) for r in (0.5, 1.0, 2.0, 1.5, 0.7)) / 5,
        ),
        (metrics.clip_fraction_low(LOG_RATIO, ADVANTAGES, MASK), 1 / 5),  # 0.5 with A < 0
        (metrics.clip_fraction_high(LOG_RATIO, ADVANTAGES, MASK), 1 / 5),  # 2.0 with A > 0
        (metrics.clip_fraction_low(LOG_RATIO, -ADVANTAGES, MASK, epsilon_low=0.25), 1 / 5),  # 0.7
        (metrics.clip_fraction_high(LOG_RATIO, -ADVANTAGES, MASK, epsilon_high=0.6), 0.0),
        (metrics.token_average(ADVANTAGES, MASK), 1 / 5),
    ],
)
def test_each_mean_is_the_one_worked_by_hand(got, expected):
    assert got.value().item() == pytest.approx(expected)


def test_the_range_is_of_valid_tokens():
    got = metrics.ratio_range(LOG_RATIO, MASK)
    assert [x.item() for x in tensors(got)] == pytest.approx([0.5, 2.0])


def test_the_range_does_not_see_what_lies_off_the_mask():
    mask = torch.tensor([[False, True]])
    for ratio in (3.0, 0.3):
        got = metrics.ratio_range(torch.tensor([[0.0, math.log(ratio)]]), mask)
        assert [x.item() for x in tensors(got)] == pytest.approx([ratio, ratio])


def test_the_raw_weight_is_not_truncated():
    x, mask = torch.tensor([[math.log(100.0)]]), torch.tensor([[True]])
    assert metrics.importance_weights(x, x, mask).raw.value().item() == pytest.approx(100)


def test_rows_of_no_width_are_counted():
    empty = metrics.informative_token_fraction(torch.tensor([True]), torch.zeros(1, 0) > 0)
    assert empty.denominator == 0


def test_a_ratio_on_its_bound_is_not_counted_as_clipped():
    bound = torch.tensor([[0.8, 1.28]], dtype=torch.float64)
    signs, mask = torch.tensor([[-1.0, 1.0]], dtype=torch.float64), torch.tensor([[True, True]])
    # In float64, so that exp(log(1.28)) is within one rounding of the bound.
    assert metrics.clip_fraction_high(bound.log() - 1e-12, signs, mask).numerator == 0
    assert metrics.clip_fraction_low(bound.log() + 1e-12, signs, mask).numerator == 0


@given(split=st.integers(0, 2), weights=st.lists(st.floats(0.1, 3), min_size=6, max_size=6))
def test_parts_of_a_step_add_up_to_the_step(split, weights):
    weights = torch.tensor(weights, dtype=torch.float64).reshape(2, 3)
    calls = [
        lambda s: metrics.ratio_mean(LOG_RATIO[s], MASK[s]),
        lambda s: metrics.ratio_range(LOG_RATIO[s], MASK[s]),
        lambda s: metrics.importance_weights(LOG_RATIO[s], weights[s], MASK[s]),
    ]
    for call in calls:
        parts, whole = call(slice(0, split)) + call(slice(split, 2)), call(slice(0, 2))
        for a, b in zip(tensors(parts), tensors(whole), strict=True):
            torch.testing.assert_close(a, b, check_dtype=False)


def test_a_mean_of_nothing_is_nan_and_its_sums_are_zero():
    empty = metrics.ratio_mean(LOG_RATIO, MASK & False)
    assert [x.item() for x in tensors(empty)] == [0.0, 0]
    assert empty.value().isnan()
    both = empty + metrics.ratio_mean(LOG_RATIO, MASK)
    assert both.value().item() == pytest.approx(5.7 / 5)


def test_raw_and_applied_weights_differ_by_what_truncation_took():
    report = metrics.importance_weights(
        LOG_RATIO, truncated_weights(LOG_RATIO, ratio_max=1.5), MASK
    )
    assert report.raw.value().item() == pytest.approx(5.7 / 5)
    assert report.applied.value().item() == pytest.approx(5.2 / 5)


def test_the_effective_sample_size_is_kishs():
    weights = masked_weights(LOG_RATIO, ratio_min=0.6, ratio_max=5.0)
    size = metrics.importance_weights(LOG_RATIO, weights, MASK).effective_sample_size
    w = [0.0, 1.0, 2.0, 1.5, 0.7]
    assert size.value().item() == pytest.approx(sum(w) ** 2 / sum(x * x for x in w) / 5)
    same = metrics.importance_weights(LOG_RATIO, torch.full_like(RATIO, 0.3), MASK)
    assert same.effective_sample_size.value().item() == pytest.approx(1.0)


def test_informative_shares_count_groups_once_and_tokens_each():
    informative = torch.tensor([True, False, True, True])
    groups = torch.tensor([7, 1, 7, 7])
    assert metrics.informative_group_fraction(informative, groups).value() == 0.5
    mask = torch.tensor([[True, False], [True, True], [True, False], [False, False]])
    assert metrics.informative_token_fraction(informative, mask).value() == 0.5


def test_metrics_are_detached():
    x = LOG_RATIO.clone().requires_grad_()
    for part in (metrics.ratio_mean(x, MASK), metrics.ratio_range(x, MASK)):
        assert not any(tensor.requires_grad for tensor in tensors(part))


@pytest.mark.no_shape_hook
def test_wrong_use_raises():
    with pytest.raises(TypeError, match="mask must be bool"):
        metrics.token_average(RATIO, MASK.float())
    with pytest.raises(ValueError, match="mask must have the shape of values"):
        metrics.token_average(RATIO, MASK[:1])
    with pytest.raises(ValueError, match="advantages must have the shape of log_ratio"):
        metrics.clip_fraction_low(LOG_RATIO, ADVANTAGES[:, :1], MASK)
    with pytest.raises(ValueError, match="weights must have the shape of log_ratio"):
        metrics.importance_weights(LOG_RATIO, RATIO[:1], MASK)
    with pytest.raises(TypeError, match="informative must be bool"):
        metrics.informative_group_fraction(torch.ones(2), torch.ones(2).long())
