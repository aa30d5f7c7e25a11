"""`nemo_rl_loss` in the call of NeMo-RL, stated here in plain PyTorch: its wheel is empty.

From nemo_rl/algorithms/loss/loss_functions.py (main, 2026, `ClippedPGLossFn`) and utils.py,
`masked_mean`: a sum over valid tokens divided by `global_valid_toks`, or the mean over the tokens
of each sequence, summed and divided by `global_valid_seqs`. Everything in `data` begins one token
before the log-probs.
"""

import pickle
import sys
from enum import Enum
from functools import partial
from types import ModuleType

import pytest
import torch

from grpo_core.adapters.nemo_rl import nemo_rl_loss
from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    group_token_mean,
    kl_penalty,
    log_ratio,
    sequence_mean,
    token_mean,
)
from trainer_losses import QUARTERS, Step, distance

pytestmark = pytest.mark.no_shape_hook

LossType = Enum("LossType", "TOKEN_LEVEL SEQUENCE_LEVEL")
LossInputType = Enum("LossInputType", "LOGIT LOGPROB")
MetricNormalizer = Enum("MetricNormalizer", "TOKENS SEQUENCES NONE")


@pytest.fixture(autouse=True)
def module(monkeypatch):
    names = ["nemo_rl", "nemo_rl.algorithms", "nemo_rl.algorithms.loss"]
    for name in [*names, "nemo_rl.algorithms.loss.interfaces"]:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    interfaces = sys.modules["nemo_rl.algorithms.loss.interfaces"]
    sys.modules[names[-1]].interfaces = interfaces
    interfaces.LossType, interfaces.LossInputType = LossType, LossInputType
    interfaces.MetricNormalizer = MetricNormalizer


def default(batch):
    """`ClippedPGLossConfig`: clips at 0.2 and 0.2, k3 to the reference times 0.01."""
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    values = clipped_loss(ratio, batch.advantages, epsilon_low=0.2, epsilon_high=0.2)
    to_ref = log_ratio(batch.log_probs, batch.ref_log_probs, batch.mask)
    return values + 0.01 * kl_penalty(to_ref, gradient="score")


def data_of(step, part):
    def shifted(values):
        return torch.cat([torch.full_like(values[:, :1], torch.nan), values], 1)[part]

    mask = torch.cat([torch.zeros(8, 1), step.mask.double()], 1)
    samples = torch.ones(8)
    samples[3] = 0  # a sample that NeMo-RL left out
    return {
        "token_mask": mask[part],
        "sample_mask": samples[part],
        "advantages": shifted(step.advantages),
        "prev_logprobs": shifted(step.old),
        "generation_logprobs": shifted(step.sampled),
        "reference_policy_logprobs": shifted(step.ref),
    }


def valid(step):
    mask = step.mask.clone()
    mask[3] = False
    return mask


def trainer(step, loss_fn, parts=QUARTERS, seen=None, **counts):
    mask = valid(step)
    given = {"global_valid_seqs": torch.tensor(7.0), "global_valid_toks": mask.sum(), **counts}

    def loss(part):
        value, metrics = loss_fn(step.log_probs[part], data=data_of(step, part), **given)
        if seen is not None:
            seen.append(metrics)
        return value

    return step.gradient(loss, parts)


def stated(step, *, by_token):
    """The same from the source's arithmetic, without a function of ours."""
    mask = valid(step)

    def loss(part):
        keep = mask[part].double()
        new, old, advantages = step.log_probs[part], step.old[part], step.advantages[part]
        ratio = (new - old).exp()
        surrogate = torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2))
        x = step.ref[part] - new
        kl = 0.01 * (new - new.detach()).exp() * (x.exp() - x - 1)
        if by_token:
            return ((surrogate + kl) * keep).sum() / mask.sum()
        lengths = keep.sum(1).clamp(min=1)
        return (((surrogate + kl) * keep).sum(1) / lengths).sum() / 7

    return step.gradient(loss)


@pytest.mark.parametrize("by_token", [True, False])
def test_our_composition_has_the_gradient_of_nemo_rls_default_loss(by_token):
    step, mean = Step(), token_mean if by_token else sequence_mean
    ours, expected = nemo_rl_loss(default, mean=mean), stated(step, by_token=by_token)
    assert distance(trainer(step, ours), expected) < 1e-6
    assert distance(trainer(step, ours, [slice(0, 8)]), expected) < 1e-6


def test_metrics_of_micro_batches_add_up():
    step, whole, parts = Step(), [], []
    trainer(step, nemo_rl_loss(default, mean=token_mean), [slice(0, 8)], whole)
    trainer(step, nemo_rl_loss(default, mean=token_mean), seen=parts)
    assert whole[0]["num_valid_samples"] == 7
    for name, value in whole[0].items():
        assert value != 0
        assert sum(part[name] for part in parts) == pytest.approx(value)


def test_it_says_by_what_it_divided_and_a_split_api_may_divide_afterwards():
    step = Step()
    by_token = nemo_rl_loss(default, mean=token_mean)
    by_sequence = nemo_rl_loss(default, mean=partial(constant_mean, max_length=9))
    assert by_token.loss_type is LossType.TOKEN_LEVEL
    assert by_sequence.loss_type is LossType.SEQUENCE_LEVEL
    assert by_token.input_type is LossInputType.LOGPROB
    assert by_token.metric_normalizations["loss"] is MetricNormalizer.TOKENS
    assert by_sequence.metric_normalizations["loss"] is MetricNormalizer.SEQUENCES
    ones = {"global_valid_seqs": torch.tensor(1.0), "global_valid_toks": torch.tensor(1.0)}
    tokens = valid(step).sum()
    assert distance(trainer(step, by_token, **ones) / tokens, trainer(step, by_token)) < 1e-12
    assert distance(trainer(step, by_sequence, **ones) / 7, trainer(step, by_sequence)) < 1e-12


def test_what_top_p_filtered_out_is_left_out():
    step, loss_fn = Step(), nemo_rl_loss(default, mean=token_mean)
    kept = torch.ones(8, 6)
    kept[6, 1] = 0

    def filtered(log_probs, data, **counts):
        return loss_fn(log_probs, {**data, "curr_logprobs_keep_mask": kept}, **counts)

    gradient = trainer(step, filtered, [slice(0, 8)])
    expected = trainer(step, loss_fn)
    expected[6, 1] = 0
    assert torch.equal(gradient, expected)


def test_it_pickles_and_takes_no_groups():
    loss_fn = pickle.loads(pickle.dumps(nemo_rl_loss(default, mean=token_mean)))  # noqa: S301
    assert loss_fn.loss is default
    with pytest.raises(ValueError, match=r"NeMo-RL can take token_mean, .* not group_token_mean"):
        nemo_rl_loss(default, mean=group_token_mean)
