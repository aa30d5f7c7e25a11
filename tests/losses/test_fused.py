"""logits_token_loss: what it computes, in plain PyTorch; the kernel is held to it elsewhere."""

import math
from functools import partial

import pytest
import torch

import oracles
from grpo_core.losses import (
    constant_mean,
    group_token_mean,
    logits_token_loss,
    sequence_mean,
    step_totals,
    token_mean,
)

LOGITS = torch.tensor(
    [
        [[0.3, -1.0, 2.0], [1.0, 0.0, 0.5], [9.0, 9.0, 9.0]],
        [[0.0, 0.2, 0.1], [-2.0, 1.5, 0.0], [0.4, 0.4, -0.4]],
    ],
    dtype=torch.float64,
)
TOKENS = torch.tensor([[2, 0, 1], [1, 1, 0]])
MASK = torch.tensor([[True, True, False], [True, True, True]])
# Ratios of 1.5, 0.5, -, 1.1, 1.5 and 0.5: each clip is met by both signs of the advantage.
RATIOS = [[1.5, 0.5, 1.0], [1.1, 1.5, 0.5]]
ADVANTAGES = torch.tensor([[2.0, 1.0, 7.0], [-1.0, -3.0, -0.5]], dtype=torch.float64)
LOG_PROBS = [
    [oracles.log_softmax(z, 1.0)[y] for z, y in zip(rows, ys, strict=True)]
    for rows, ys in zip(LOGITS.tolist(), TOKENS.tolist(), strict=True)
]
OLD = torch.tensor(LOG_PROBS, dtype=torch.float64) - torch.tensor(RATIOS, dtype=torch.float64).log()
# -min(r A, clip(r, 0.8, 1.28) A), by hand
PER_TOKEN = [[-2.56, -0.5, None], [1.1, 4.5, 0.4]]
LIVE = [[False, True, False], [True, True, False]]  # where the clip lets a gradient through


def loss_of(logits, **options):
    given = {"old_log_probs": OLD, "advantages": ADVANTAGES, "mask": MASK, "total": None}
    return logits_token_loss(logits, TOKENS, **given | options)


MEANS = {
    "token": (token_mean, [[1 / 5] * 3, [1 / 5] * 3]),
    "sequence": (sequence_mean, [[1 / 4] * 3, [1 / 6] * 3]),
    "constant": (partial(constant_mean, max_length=10), [[1 / 20] * 3, [1 / 20] * 3]),
    "group": (
        partial(group_token_mean, group_ids=torch.tensor([3, 3])),
        [[1 / 5] * 3, [1 / 5] * 3],
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_loss_and_gradient_are_those_worked_by_hand(name):
    mean, weights = MEANS[name]
    logits = LOGITS.clone().requires_grad_()
    result = loss_of(logits, mean=mean)
    result.loss.backward()
    wanted = 0.0
    for b in range(2):
        for t in range(3):
            if PER_TOKEN[b][t] is None:
                assert not logits.grad[b, t].any()
                continue
            wanted += weights[b][t] * PER_TOKEN[b][t]
            slope = -RATIOS[b][t] * ADVANTAGES[b, t].item() * weights[b][t] * LIVE[b][t]
            p = [math.exp(x) for x in oracles.log_softmax(LOGITS[b, t].tolist(), 1.0)]
            row = [slope * ((c == TOKENS[b, t].item()) - p[c]) for c in range(3)]
            assert logits.grad[b, t].tolist() == pytest.approx(row, abs=1e-12)
            assert result.log_probs[b, t].item() == pytest.approx(LOG_PROBS[b][t], abs=1e-12)
    assert result.loss.item() == pytest.approx(wanted, abs=1e-12)
    assert result.log_probs[0, 2] == 0
    assert not result.log_probs.requires_grad


def test_without_old_log_probs_it_is_the_policy_gradient():
    logits = LOGITS.clone().requires_grad_()
    result = loss_of(logits, old_log_probs=None, epsilon_low=0.0, epsilon_high=0.0)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-(2.0 + 1.0 - 1.0 - 3.0 - 0.5) / 5)
    p = math.exp(LOG_PROBS[1][1])
    assert logits.grad[1, 1, 1].item() == pytest.approx(3.0 / 5 * (1 - p))


def test_a_weight_that_is_not_negative_commutes_with_the_clip():
    weights = torch.tensor([[0.5, 2.0, 1.0], [0.0, 3.0, 0.25]], dtype=torch.float64)
    parts = []
    for b in range(2):
        for t in range(3):
            alone = torch.zeros_like(MASK)
            alone[b, t] = MASK[b, t]
            one = loss_of(LOGITS, mask=alone, mean=lambda v, m, total: torch.where(m, v, 0.0).sum())
            parts.append(weights[b, t] * one.loss)
    whole = loss_of(LOGITS, advantages=weights * ADVANTAGES)
    assert whole.loss.item() == pytest.approx(sum(parts).item() / 5)


def test_micro_batches_add_up():
    groups = torch.tensor([5, 8])
    total = step_totals(MASK, groups)
    gradients, losses = [], []
    for rows in (slice(0, 1), slice(1, 2)):
        logits = LOGITS[rows].clone().requires_grad_()
        result = logits_token_loss(
            logits, TOKENS[rows], OLD[rows], ADVANTAGES[rows], mask=MASK[rows],
            total=total.rows(rows), mean=partial(group_token_mean, group_ids=groups[rows]),
        )  # fmt: skip
        result.loss.backward()
        losses.append(result.loss.item())
        gradients.append(logits.grad)
    logits = LOGITS.clone().requires_grad_()
    whole = loss_of(logits, mean=partial(group_token_mean, group_ids=groups))
    whole.loss.backward()
    assert sum(losses) == pytest.approx(whole.loss.item())
    torch.testing.assert_close(torch.cat(gradients), logits.grad)


def test_gradients_reach_the_logits_alone():
    old, advantages = OLD.clone().requires_grad_(), ADVANTAGES.clone().requires_grad_()
    assert not loss_of(LOGITS, old_log_probs=old, advantages=advantages).loss.requires_grad
    assert torch.autograd.gradcheck(
        lambda z: loss_of(z, old_log_probs=old, advantages=advantages).loss,
        LOGITS.clone().requires_grad_(),
    )


def test_a_fully_masked_batch_gives_a_zero_that_is_attached():
    logits = torch.full_like(LOGITS, math.nan).requires_grad_()
    result = loss_of(logits, mask=torch.zeros_like(MASK))
    result.loss.backward()
    assert result.loss.item() == 0
    assert not logits.grad.any()


def test_temperature_and_support_are_those_of_the_sampler():
    support = torch.ones_like(LOGITS, dtype=torch.bool)
    support[0, 0, 0] = False
    found = loss_of(LOGITS, temperature=0.5, support=support).log_probs
    assert found[0, 0].item() == pytest.approx(oracles.log_softmax([-1.0, 2.0], 0.5)[1])
    assert found[1, 1].item() == pytest.approx(oracles.log_softmax([-2.0, 1.5, 0.0], 0.5)[1])


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"epsilon_low": 1.5}, ValueError, "epsilon_low <= 1"),
        ({"ratio_max": 1.1}, ValueError, r"at least 1 \+ epsilon_high, 1.28, got 1.1"),
        ({"temperature": 0.0}, ValueError, "temperature must be finite and above 0"),
        ({"backend": "cuda"}, ValueError, "backend must be one of auto, torch, triton"),
        ({"backend": "triton"}, ValueError, "'triton' computes in float32, got float64"),
        ({"advantages": ADVANTAGES[:, :1]}, ValueError, "advantages must have the shape of tokens"),
        ({"old_log_probs": OLD[:1]}, ValueError, "old_log_probs must have the shape of tokens"),
        ({"mask": MASK.float()}, TypeError, "mask must be bool"),
        ({"mean": lambda v, *_, **__: v}, ValueError, r"mean must return .* got shape \(2, 3\)"),
        ({"advantages": TOKENS}, TypeError, "advantages must be of a floating-point dtype"),
        ({"old_log_probs": TOKENS}, TypeError, "old_log_probs must be of a floating-point dtype"),
    ],
)
def test_wrong_use_raises(options, error, match):
    with pytest.raises(error, match=match):
        loss_of(LOGITS, **options)


@pytest.mark.no_shape_hook
def test_the_mask_and_the_total_are_asked_for():
    with pytest.raises(TypeError, match="'mask' and 'total'"):
        logits_token_loss(LOGITS, TOKENS, OLD, ADVANTAGES)


def test_half_precision_is_widened():
    result = loss_of(LOGITS.half())
    assert result.loss.dtype == result.log_probs.dtype == torch.float32
    assert result.loss.item() == pytest.approx(loss_of(LOGITS).loss.item(), abs=2e-3)
