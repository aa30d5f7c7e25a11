"""Log-ratios of tokens and sequences."""

import math

import pytest
import torch

import oracles
from grpo_core.losses import geometric_log_ratio, log_ratio, sequence_log_ratio

NEW = torch.tensor([[-1.0, -2.0, -0.5], [-0.7, -3.0, -9.0]], dtype=torch.float64)
OLD = torch.tensor([[-1.5, -1.0, -0.5], [-0.2, -2.5, 4.0]], dtype=torch.float64)
MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_the_ratio_is_the_quotient_of_probabilities():
    expected = oracles.token_ratios(NEW[0].tolist(), OLD[0].tolist())
    assert log_ratio(NEW, OLD, MASK)[0].exp().tolist() == pytest.approx(expected)


def test_off_the_mask_the_ratio_is_one():
    for ratio in (log_ratio, sequence_log_ratio):
        assert ratio(NEW, OLD, MASK)[1, 2] == 0


def test_the_sequence_ratio_is_the_geometric_mean_at_each_of_its_tokens():
    result = sequence_log_ratio(NEW, OLD, MASK).exp()
    assert result[0].tolist() == pytest.approx(
        [oracles.sequence_ratio([-1, -2, -0.5], [-1.5, -1, -0.5])] * 3
    )
    assert result[1, :2].tolist() == pytest.approx(
        [oracles.sequence_ratio([-0.7, -3], [-0.2, -2.5])] * 2
    )


def test_with_the_tokens_own_gradient_the_value_is_the_same():
    plain = sequence_log_ratio(NEW, OLD, MASK)
    assert torch.equal(sequence_log_ratio(NEW, OLD, MASK, gradient="token"), plain)


def test_gspo_spreads_a_tokens_gradient_and_gspo_token_keeps_it():
    # d/dx of the first token's s: 1/3 of each token of the row, or 1 of its own.
    for gradient, expected in [("sequence", [1 / 3, 1 / 3, 1 / 3]), ("token", [1.0, 0.0, 0.0])]:
        new = NEW.clone().requires_grad_()
        sequence_log_ratio(new, OLD, MASK, gradient=gradient)[0, 0].backward()
        assert new.grad[0].tolist() == pytest.approx(expected)
        assert new.grad[1].tolist() == [0.0, 0.0, 0.0]


def test_segments_of_a_row_are_sequences_in_any_order_of_ids():
    segments = torch.tensor([[7, -3, 7], [0, 0, 0]])
    result = sequence_log_ratio(NEW, OLD, MASK, segment_ids=segments)
    assert result[0].tolist() == pytest.approx([0.25, -1.0, 0.25])


def test_equal_segment_ids_in_two_rows_are_two_sequences():
    result = sequence_log_ratio(NEW, OLD, MASK, segment_ids=torch.zeros(2, 3).long())
    torch.testing.assert_close(result, sequence_log_ratio(NEW, OLD, MASK))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gmpo_clips_each_token_on_the_side_that_the_advantage_pushes_to(sign):
    new, old = [-1.0, -2.0, -0.5], [-3.0, -0.1, -0.6]
    tensors = (torch.tensor([x], dtype=torch.float64) for x in (new, old, [sign] * 3))
    result = geometric_log_ratio(
        *tensors, torch.ones(1, 3, dtype=torch.bool), epsilon_low=0.3, epsilon_high=0.5
    )
    expected = oracles.gmpo_ratio(new, old, sign, 0.3, 0.5)
    assert result.exp().tolist() == [pytest.approx([expected] * 3)]


def test_a_clipped_token_of_gmpo_gets_no_gradient_and_the_others_do():
    new = torch.tensor([[-1.0, -1.0]], requires_grad=True)
    old, mask = torch.tensor([[-3.0, -1.1]]), torch.ones(1, 2, dtype=torch.bool)
    geometric_log_ratio(new, old, torch.ones(1, 2), mask)[0, 0].backward()
    assert new.grad.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("ratio", [log_ratio, sequence_log_ratio])
def test_gradients_reach_the_policy_alone(ratio):
    new, old = NEW.clone().requires_grad_(), OLD.clone().requires_grad_()
    ratio(new, old, MASK).sum().backward()
    assert new.grad is not None
    assert old.grad is None


@pytest.mark.parametrize("stale", [-math.inf, math.inf, -1e30])
def test_beyond_the_bound_value_and_gradient_are_finite(stale):
    for ratio in (
        log_ratio,
        sequence_log_ratio,
        lambda *a: sequence_log_ratio(*a, gradient="token"),
    ):
        new = torch.tensor([[-1.0, -1.0]], requires_grad=True)
        result = ratio(new, torch.tensor([[stale, -1.0]]), torch.ones(1, 2, dtype=torch.bool))
        result.exp().sum().backward()
        assert result[0, 0].abs() == 20
        assert new.grad[0, 0] == 0
        assert new.grad.isfinite().all()


def test_nan_on_the_mask_shows_in_the_value_and_stays_with_its_token():
    new = torch.tensor([[-1.0, -1.0]], requires_grad=True)
    result = log_ratio(new, torch.tensor([[math.nan, -1.5]]), torch.ones(1, 2, dtype=torch.bool))
    result.sum().backward()
    assert result.isnan().tolist() == [[True, False]]
    assert new.grad.tolist() == [[0.0, 1.0]]


@pytest.mark.no_shape_hook
def test_wrong_use_raises():
    with pytest.raises(ValueError, match="gradient must be one of 'sequence', 'token', got 'row'"):
        sequence_log_ratio(NEW, OLD, MASK, gradient="row")
    with pytest.raises(ValueError, match=r"epsilons must be at least 0, got -0.1, 0.4"):
        geometric_log_ratio(NEW, OLD, NEW, MASK, epsilon_low=-0.1)
    with pytest.raises(ValueError, match=r"epsilons must be at least 0, got nan, 0.4"):
        geometric_log_ratio(NEW, OLD, NEW, MASK, epsilon_low=math.nan)
    with pytest.raises(ValueError, match="segment_ids must have the shape of values"):
        sequence_log_ratio(NEW, OLD, MASK, segment_ids=torch.zeros(2).long())
    with pytest.raises(TypeError, match="segment_ids must be of an integer dtype"):
        sequence_log_ratio(NEW, OLD, MASK, segment_ids=torch.zeros(2, 3))
    with pytest.raises(TypeError, match="log_probs must be of a floating-point dtype"):
        log_ratio(NEW.long(), OLD, MASK)
