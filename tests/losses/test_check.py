"""check_batch: the contents that nobody else looks at."""

import math

import pytest
import torch

from grpo_core.losses import check_batch

GOOD = torch.full((2, 3), -1.0)
MASK = torch.tensor([[True, True, False], [True, True, True]])


def changed(at, value, tensor=GOOD):
    tensor = tensor.clone()
    tensor[at] = value
    return tensor


def test_a_good_batch_passes_whatever_lies_off_the_mask():
    junk = changed((0, 2), math.nan)
    check_batch(
        junk,
        junk,
        MASK,
        advantages=junk,
        group_ids=torch.tensor([4, 4]),
        ref_log_probs=junk,
        first_step=True,
    )


@pytest.mark.parametrize("value", [math.nan, -math.inf, 0.5])
@pytest.mark.parametrize("name", ["log_probs", "old_log_probs", "ref_log_probs"])
def test_a_log_prob_that_is_none_raises_with_its_place(name, value):
    tensors = {"log_probs": GOOD, "old_log_probs": GOOD, name: changed((1, 2), value)}
    with pytest.raises(ValueError, match=rf"{name} must be finite and at most 0 .* at \[1, 2\]"):
        check_batch(tensors.pop("log_probs"), tensors.pop("old_log_probs"), MASK, **tensors)


def test_an_advantage_that_is_not_finite_raises():
    with pytest.raises(ValueError, match=r"advantages must be finite .* got inf at \[0, 1\]"):
        check_batch(GOOD, GOOD, MASK, advantages=changed((0, 1), math.inf))


def test_a_group_of_one_raises_with_its_id():
    with pytest.raises(ValueError, match="at least 2 samples, got 1 in group 7"):
        check_batch(
            GOOD[[0, 1, 1]], GOOD[[0, 1, 1]], MASK[[0, 1, 1]], group_ids=torch.tensor([9, 7, 9])
        )


def test_a_reward_that_is_not_finite_raises_where_its_row_counts():
    rewards = torch.tensor([1.0, math.nan])
    check_batch(GOOD, GOOD, MASK & torch.tensor([[True], [False]]), rewards=rewards)
    with pytest.raises(ValueError, match=r"rewards must be finite .* got nan at \[1\]"):
        check_batch(GOOD, GOOD, MASK, rewards=rewards)


@pytest.mark.no_shape_hook
def test_shapes_and_dtypes_are_checked_too():
    with pytest.raises(ValueError, match="old_log_probs must have the shape of mask"):
        check_batch(GOOD, GOOD[:1], MASK)
    with pytest.raises(ValueError, match="advantages must have the shape of mask"):
        check_batch(GOOD, GOOD, MASK, advantages=GOOD[:, :1])
    with pytest.raises(ValueError, match="group_ids must have the shape of"):
        check_batch(GOOD, GOOD, MASK, group_ids=torch.tensor([1]))
    with pytest.raises(TypeError, match="log_probs must be of a floating-point dtype"):
        check_batch(GOOD.long(), GOOD, MASK)


@pytest.mark.parametrize("value", [1e-3, 0.05])
def test_a_probability_above_one_raises_beyond_rounding(value):
    check_batch(changed((0, 0), 5e-5), GOOD, MASK)
    with pytest.raises(ValueError, match="at most 0"):
        check_batch(changed((0, 0), value), GOOD, MASK)


def test_errors_of_both_signs_do_not_cancel_in_the_first_step():
    old = GOOD + torch.tensor([0.4, -0.4, 0.0])
    with pytest.raises(ValueError, match=r"mean \|log-ratio\| of 0.32, above 0.1"):
        check_batch(GOOD, old, MASK, first_step=True)


def test_a_shifted_ratio_raises_before_the_first_update_only():
    shifted = GOOD - 0.5
    check_batch(GOOD, shifted, MASK)
    with pytest.raises(ValueError, match=r"every ratio must be 1, got a mean \|log-ratio\| of 0.5"):
        check_batch(GOOD, shifted, MASK, first_step=True)
    check_batch(GOOD, shifted, MASK, first_step=True, tolerance=0.6)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_an_empty_batch_passes(shape):
    empty = torch.zeros(shape)
    rows = torch.zeros(shape[0])
    check_batch(empty, empty, empty > 0, first_step=True, advantages=empty, rewards=rows)
