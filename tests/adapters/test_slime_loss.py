"""`slime_loss` in the call of slime, stated here in plain PyTorch: it has no wheel.

From slime/backends/megatron_utils/loss.py (main, 2026, `loss_function`) and cp_utils.py,
`get_sum_of_sample_mean`: the reducer sums over samples each one's mean (or its tokens, with
`calculate_per_token_loss`); the loss is then times micro-batches and ranks over the step's samples,
which Megatron's own averages undo, or over the step's tokens.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from grpo_core.adapters.slime import slime_loss
from grpo_core.losses import (
    clipped_loss,
    group_token_mean,
    log_ratio,
    sequence_mean,
    token_mean,
)
from trainer_losses import LENGTHS, QUARTERS, Step, distance

pytestmark = pytest.mark.no_shape_hook

WHOLE = [slice(0, 8)]


@pytest.fixture(autouse=True)
def module(monkeypatch):
    """slime's scores, of "logits" that are the log-probs themselves."""
    names = ["slime", "slime.backends", "slime.backends.megatron_utils"]
    for name in [*names, "slime.backends.megatron_utils.loss"]:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    def get_log_probs_and_entropy(logits, *, response_lengths, with_entropy, **_):
        assert with_entropy
        parts = list(logits[0, :, 0].split(response_lengths))
        return None, {"log_probs": parts, "entropy": [part.detach() for part in parts]}

    loss = sys.modules["slime.backends.megatron_utils.loss"]
    loss.get_log_probs_and_entropy = get_log_probs_and_entropy


def args_of(**changed):
    plain = {
        "calculate_per_token_loss": False,
        "entropy_coef": 0.0,
        "use_kl_loss": False,
        "use_tis": False,
        "use_opsm": False,
        "use_rollout_logprobs": False,
        "context_parallel_size": 1,
        "rollout_top_p": 1.0,
    }
    return SimpleNamespace(**{**plain, **changed})


def samples(values, part):
    return [row[:n] for row, n in zip(values[part], LENGTHS[part], strict=True)]


def trainer(step, custom, args, parts=QUARTERS):
    """`loss_function`, and Megatron's division by micro-batches undone by it."""

    def loss(part):
        masks = samples(step.mask.double(), part)
        batch = {
            "response_lengths": LENGTHS[part],
            "total_lengths": LENGTHS[part],
            "unconcat_tokens": None,
            "loss_masks": masks,
            "advantages": samples(step.advantages, part),
            "log_probs": samples(step.old, part),
            "rollout_log_probs": samples(step.sampled, part),
        }

        def reduce(values):
            total = 0
            for x, mask in zip(values.split(LENGTHS[part]), masks, strict=True):
                divisor = 1 if args.calculate_per_token_loss else mask.sum().clamp(min=1)
                total = total + (x * mask).sum() / divisor
            return total

        logits = torch.cat(samples(step.log_probs, part))[None, :, None]
        value, _ = custom(args, batch, logits, reduce)
        return value / (step.tokens if args.calculate_per_token_loss else 8)

    return step.gradient(loss, parts)


def clipped(batch, low=0.2, high=0.28):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages, epsilon_low=low, epsilon_high=high)


def stated(args, batch, logits, reduce):
    """slime's default policy loss: eps_clip 0.2, and eps_clip_high the same where it is not set."""
    old, advantages = torch.cat(batch["log_probs"]), torch.cat(batch["advantages"])
    ratio = (logits[0, :, 0] - old).exp()
    values = torch.maximum(-ratio * advantages, -ratio.clamp(0.8, 1.2) * advantages)
    return reduce(values), {}


@pytest.mark.parametrize(("per_token", "mean"), [(False, sequence_mean), (True, token_mean)])
def test_our_composition_has_the_gradient_of_slimes_default_loss(per_token, mean):
    step, args = Step(), args_of(calculate_per_token_loss=per_token)
    ours = slime_loss(lambda batch: clipped(batch, high=0.2), mean=mean)
    expected = trainer(step, stated, args)
    assert distance(trainer(step, ours, args), expected) < 1e-6
    assert distance(trainer(step, ours, args, WHOLE), expected) < 1e-6

    def of_step(_):
        x = log_ratio(step.log_probs, step.old, step.mask)
        values = clipped_loss(x, step.advantages, epsilon_low=0.2, epsilon_high=0.2)
        return mean(values, step.mask)

    assert distance(expected, step.gradient(of_step, WHOLE)) < 1e-6


def test_rollout_log_probs_take_the_place_of_the_old_ones_where_slime_says_so():
    step, ours = Step(), slime_loss(clipped, mean=sequence_mean)
    of_rollout = trainer(step, ours, args_of(use_rollout_logprobs=True))
    of_trainer = trainer(step, ours, args_of())
    step.old = step.sampled
    assert distance(of_trainer, of_rollout) > 0.01
    assert torch.equal(trainer(step, ours, args_of()), of_rollout)


def test_nan_under_the_mask_reaches_the_loss_of_slime_and_no_bit_of_ours():
    step, args, ours = Step(), args_of(), slime_loss(clipped, mean=sequence_mean)
    clean = trainer(step, ours, args)
    step.old[~step.mask] = step.advantages[~step.mask] = torch.nan
    values = []

    def theirs(*arguments):
        value, metrics = stated(*arguments)
        values.append(value)
        return value, metrics

    trainer(step, theirs, args)
    assert any(value.isnan() for value in values)
    assert torch.equal(trainer(step, ours, args), clean)


CONTRADICTIONS = {
    "calculate_per_token_loss": True,
    "entropy_coef": 0.1,
    "use_kl_loss": True,
    "use_tis": True,
    "use_opsm": True,
    "context_parallel_size": 2,
    "rollout_top_p": 0.9,
}


@pytest.mark.parametrize("option", CONTRADICTIONS)
def test_what_contradicts_the_loss_raises(option):
    ours = slime_loss(clipped, mean=sequence_mean)
    with pytest.raises(ValueError, match=option):
        trainer(Step(), ours, args_of(**{option: CONTRADICTIONS[option]}))


def test_a_mean_of_groups_cannot_be_had():
    with pytest.raises(ValueError, match="slime can take token_mean, sequence_mean"):
        slime_loss(clipped, mean=group_token_mean)


def test_an_empty_micro_batch_is_a_zero_of_the_graph():
    logits = torch.zeros(1, 3, 1, requires_grad=True)
    batch = {name: [torch.zeros(0)] for name in ("advantages", "log_probs", "loss_masks")}
    batch |= {"response_lengths": [0], "total_lengths": [3], "unconcat_tokens": None}
    value, _ = slime_loss(clipped, mean=sequence_mean)(
        args_of(), batch, logits[:, :0], lambda values: values.sum()
    )
    value.backward()
    assert value == 0
    assert (logits.grad == 0).all()
