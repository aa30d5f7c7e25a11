"""Importance weights: truncated, masked, rejected."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo_core.losses import sequence_log_ratio
from grpo_core.off_policy import masked_weights, rejection_weights, truncated_weights

CALLS = [
    lambda x: truncated_weights(x, ratio_max=2.0),
    lambda x: masked_weights(x, ratio_min=0.5, ratio_max=2.0),
    lambda x: rejection_weights(x, ratio_min=0.5, ratio_max=2.0),
]


@given(ratio=st.floats(0.001, 100), low=st.floats(0.1, 0.9), high=st.floats(1.1, 10))
def test_the_weights_are_those_of_their_formulas(ratio, low, high):
    x = torch.tensor([[ratio]], dtype=torch.float64).log()
    inside = low <= ratio <= high
    assert truncated_weights(x, ratio_max=high).item() == pytest.approx(min(ratio, high))
    bounds = {"ratio_min": low, "ratio_max": high}
    assert masked_weights(x, **bounds).item() == pytest.approx(ratio if inside else 0.0)
    assert rejection_weights(x, **bounds).item() == float(inside)


@pytest.mark.parametrize("call", CALLS)
def test_weights_are_constants(call):
    x = torch.zeros(1, 2, requires_grad=True)
    assert not call(x).requires_grad


@pytest.mark.parametrize("call", CALLS)
def test_off_the_mask_the_weight_is_one(call):
    assert call(torch.zeros(1, 1)).item() == 1.0


@pytest.mark.parametrize("bound", [0.5, 2.0, 0.99, 1.01])
def test_a_ratio_on_its_bound_is_accepted(bound):
    x = torch.tensor([[bound]]).log()
    options = {"ratio_min": min(bound, 0.9), "ratio_max": max(bound, 1.1)}
    assert rejection_weights(x, **options).item() == 1.0


@pytest.mark.parametrize("ratio", [0.9899, 1.0101])
def test_a_ratio_just_beyond_its_bound_is_rejected(ratio):
    x = torch.tensor([[ratio]]).log()
    assert rejection_weights(x, ratio_min=0.99, ratio_max=1.01).item() == 0.0


def test_a_long_faithful_row_is_accepted_where_the_product_of_ratios_would_reject_it():
    # 2,000 tokens of ratio 1.001 each: geometric mean 1.001, product 7.4.
    new = torch.full((1, 2000), -1.0, dtype=torch.float64)
    mean = sequence_log_ratio(new, new - math.log(1.001), torch.ones(1, 2000, dtype=torch.bool))
    assert rejection_weights(mean, ratio_min=0.99, ratio_max=1.01).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: truncated_weights(x, ratio_max=0.0), "got 0.0, 0.0"),
        (lambda x: masked_weights(x, ratio_min=2.0, ratio_max=1.0), "got 2.0, 1.0"),
        (lambda x: rejection_weights(x, ratio_min=-0.1, ratio_max=1.0), "got -0.1, 1.0"),
        (lambda x: rejection_weights(x, ratio_min=0.1, ratio_max=math.nan), "got 0.1, nan"),
    ],
)
def test_wrong_bounds_raise(call, match):
    with pytest.raises(ValueError, match="need 0 <= ratio_min < ratio_max, " + match):
        call(torch.zeros(1, 1))
