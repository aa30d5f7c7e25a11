"""`prime_rl_loss` in the call of prime-rl 0.8, stated here in plain PyTorch: it has no wheel.

From its docs/algorithms.md and src/prime_rl/trainer/rl/loss.py, `compute_loss`: one call a sequence
with `LossInputs`, the `LossOutputs.loss` of all sequences summed and divided by the step's sum of
weights. The default is IPO: -A pi / mu where |pi - mu| <= 0.3, else nothing.
"""

import sys
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor

from grpo_core.adapters.prime_rl import prime_rl_loss
from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    group_token_mean,
    log_ratio,
    sequence_mean,
    step_totals,
    token_mean,
)
from trainer_losses import GROUPS, LENGTHS, QUARTERS, Step, distance

pytestmark = pytest.mark.no_shape_hook

EPS = 0.1  # prime-rl's 0.3 masks nothing in this batch


@dataclass
class LossInputs:
    trainer_logprobs: Tensor
    inference_logprobs: Tensor
    ref_logprobs: Tensor | None
    advantages: Tensor
    loss_mask: Tensor
    loss_weights: Tensor | None = None


@dataclass
class LossOutputs:
    loss: Tensor
    metrics: dict[str, Tensor]


@pytest.fixture(autouse=True)
def module(monkeypatch):
    names = ["prime_rl", "prime_rl.trainer", "prime_rl.trainer.rl", "prime_rl.trainer.rl.loss"]
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[names[-1]].LossOutputs = LossOutputs


def ipo(batch):
    """prime-rl's default, composed: no clip of the ratio, but a bound on the probability moved."""
    x = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    moved = torch.where(batch.mask, batch.log_probs.exp() - batch.old_log_probs.exp(), 0.0)
    values = clipped_loss(x, batch.advantages, epsilon_low=1.0, epsilon_high=torch.inf)
    return values * (moved.detach().abs() <= EPS)


def clipped(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages)


def trainer(step, custom, weights=None, parts=QUARTERS, seen=None):
    """Micro-batch by micro-batch, sequence by sequence; divided by the step's weights."""
    scale = step.mask.sum() if weights is None else (weights * step.mask).sum()

    def loss(part):
        total = torch.zeros((), dtype=torch.float64)
        for row in range(8)[part]:
            n = LENGTHS[row]
            outputs = custom(
                LossInputs(
                    step.log_probs[row, :n],
                    step.old[row, :n],
                    None,
                    step.advantages[row, :n],
                    step.mask[row, :n],
                    None if weights is None else weights[row, :n],
                )
            )
            if seen is not None:
                seen.append(outputs)
            total = total + outputs.loss
        return total / scale

    return step.gradient(loss, parts)


def stated_ipo(step):
    """The gradient of the formula, by hand: pi / mu grows as itself."""
    ratio = (step.log_probs - step.old).detach().exp()
    near = (step.log_probs.detach().exp() - step.old.exp()).abs() <= EPS
    assert 0 < (near & step.mask).sum() < step.mask.sum()
    return -step.advantages * ratio * (near & step.mask) / step.mask.sum()


def test_our_composition_has_the_gradient_of_prime_rls_default_loss():
    step = Step()
    ours = trainer(step, prime_rl_loss(ipo, mean=token_mean))
    assert distance(ours, stated_ipo(step)) < 1e-12


def test_the_sum_of_sequences_is_the_token_mean_of_the_step():
    step, seen = Step(), []
    ours = trainer(step, prime_rl_loss(clipped, mean=token_mean), seen=seen)

    def mean(_):
        x = log_ratio(step.log_probs, step.old, step.mask)
        return token_mean(clipped_loss(x, step.advantages), step.mask)

    assert distance(ours, step.gradient(mean, [slice(0, 8)])) < 1e-12
    assert set(seen[0].metrics) == {"approximate_kl", "ratio_error"}


def test_the_weights_of_prompts_give_the_group_mean():
    step = Step()
    total = step_totals(step.mask, GROUPS)
    weights = (1 / total.group_tokens.double())[:, None].expand(8, 6)
    ours = trainer(step, prime_rl_loss(clipped, mean=group_token_mean), weights)

    def mean(_):
        x = log_ratio(step.log_probs, step.old, step.mask)
        return group_token_mean(clipped_loss(x, step.advantages), step.mask, GROUPS)

    assert distance(ours, step.gradient(mean, [slice(0, 8)])) < 1e-12


def test_nan_under_the_mask_changes_no_bit():
    step, custom = Step(), prime_rl_loss(clipped, mean=token_mean)
    clean = trainer(step, custom)
    step.old[~step.mask] = torch.nan
    assert torch.equal(trainer(step, custom), clean)


def test_weights_of_the_other_mean_and_means_of_sequences_raise():
    step = Step()
    halves = torch.full((8, 6), 0.5, dtype=torch.float64)
    with pytest.raises(ValueError, match="contradicts weights other than 0 and 1"):
        trainer(step, prime_rl_loss(clipped, mean=token_mean), halves)
    with pytest.raises(ValueError, match=r'set loss_aggregation = "prompt"'):
        trainer(step, prime_rl_loss(clipped, mean=group_token_mean))
    for mean in (sequence_mean, partial(constant_mean, max_length=9)):
        with pytest.raises(ValueError, match="prime-rl can take token_mean, group_token_mean"):
            prime_rl_loss(clipped, mean=mean)
