"""`areal_loss` beside AReaL's own loss, from its wheel, summed as its engines sum.

`FSDPEngine._compute_logprobs_and_loss` of 1.0.4 multiplies a loss by the micro-batch's weight over
the step's and by the data-parallel size: `engine` below says so once more.
"""

import importlib
from functools import partial

import pytest
import torch

from grpo_core.adapters.areal import areal_loss
from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    group_token_mean,
    log_ratio,
    sequence_log_ratio,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)
from grpo_core.off_policy import truncated_weights
from trainer_losses import LENGTHS, QUARTERS, Step, distance, missing
from trainers import imported

pytestmark = pytest.mark.no_shape_hook

ABSENT = (
    "ray", "aiohttp", "tenacity", "flask", "torchdata", "werkzeug", "lark", "uvloop", "hydra",
    "omegaconf", "numba", "orjson", "einops", "aiofiles", "openai", "httpx",
)  # fmt: skip
WHOLE = [slice(0, 8)]


@pytest.fixture(scope="module")
def theirs():
    """AReaL's default loss: `PPOActorConfig` clips at 0.2 on both sides, token by token."""
    with imported("areal", absent=missing(*ABSENT)):
        functional = importlib.import_module("areal.utils.functional.functional")

        def loss(logprobs, entropy, data, level="token", **_):
            return functional.ppo_actor_loss_fn(
                logprobs=logprobs,
                old_logprobs=data["logprobs"],
                proximal_logprobs=data.get("prox_logp", data["logprobs"]),
                advantages=data["advantages"],
                eps_clip=0.2,
                loss_mask=data["loss_mask"].bool(),
                importance_sampling_level=level,
                cu_seqlens=data["cu_seqlens"],
            )[0]

        yield loss


def clipped(batch, ratio=log_ratio):
    x = ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(x, batch.advantages, epsilon_low=0.2, epsilon_high=0.2)


def packed(values, part):
    """Rows without their padding, one after the other."""
    return torch.cat([row[:n] for row, n in zip(values[part], LENGTHS[part], strict=True)])


def data_of(step, part):
    ends = torch.tensor([0, *LENGTHS[part]]).cumsum(0)
    return {
        "logprobs": packed(step.old, part),
        "advantages": packed(step.advantages, part),
        "loss_mask": packed(step.mask.int(), part),
        "cu_seqlens": ends,
    }


def tokens_of(data):
    """The weight that `PPOActor` passes, whatever the loss."""
    return data["loss_mask"].count_nonzero()


def engine(step, loss_fn, weight, parts=QUARTERS, ranks=1, change=lambda data, part: data):
    """`loss * weight / total weight * ranks`, micro-batch by micro-batch."""
    everything = sum(weight(data_of(step, part)) for part in QUARTERS)

    def loss(part):
        data = change(data_of(step, part), part)
        log_probs = packed(step.log_probs, part)
        value = loss_fn(log_probs, log_probs.detach(), data, vocab_min_logits=None)
        return value * weight(data) / everything * ranks

    return step.gradient(loss, parts)


@pytest.mark.parametrize("parts", [QUARTERS, WHOLE])
def test_our_composition_has_the_gradient_of_areals_default_loss(theirs, parts):
    step, pair = Step(), areal_loss(clipped, mean=token_mean)
    expected = engine(step, theirs, tokens_of)
    assert distance(engine(step, pair.loss_fn, pair.loss_weight_fn, parts), expected) < 1e-6


def test_gspo_is_areals_sequence_level(theirs):
    step = Step()
    pair = areal_loss(partial(clipped, ratio=sequence_log_ratio), mean=token_mean)
    ours = engine(step, pair.loss_fn, pair.loss_weight_fn)
    assert distance(ours, engine(step, partial(theirs, level="sequence"), tokens_of)) < 1e-6


def test_the_sampler_comes_beside_a_proximal_policy():
    step = Step()

    def decoupled(batch):
        behind = log_ratio(batch.old_log_probs, batch.sampler_log_probs, batch.mask)
        return truncated_weights(behind, ratio_max=1.05) * clipped(batch)

    def change(data, part):
        return {**data, "prox_logp": data["logprobs"], "logprobs": packed(step.sampled, part)}

    pair, plain = areal_loss(decoupled, mean=token_mean), areal_loss(clipped, mean=token_mean)
    ours = engine(step, *pair, change=change)
    weights = (step.old - step.sampled).exp().clamp(max=1.05)
    step.advantages = step.advantages * weights
    assert distance(ours, engine(step, *plain)) < 1e-12
    with pytest.raises(ValueError, match="AReaL gave no sampler_log_probs"):
        engine(step, *pair)


MEANS = {
    "token": token_mean,
    "sequence": sequence_mean,
    "sequence_sum": sequence_sum_mean,
    "constant": partial(constant_mean, max_length=9),
}


@pytest.mark.parametrize("mean", MEANS)
def test_accumulation_4_has_the_gradient_of_1_for_every_mean(mean):
    step, pair = Step(), areal_loss(clipped, mean=MEANS[mean])
    step.mask[1] = False  # a row without a token
    whole = engine(step, *pair, WHOLE)
    assert distance(engine(step, *pair), whole) < 1e-12
    ranks = [engine(step, *pair, parts, ranks=2) for parts in (QUARTERS[:1], QUARTERS[1:])]
    assert distance(sum(ranks) / 2, whole) < 1e-12


def test_the_weight_of_tokens_beside_a_sequence_mean_is_another_gradient():
    """What `PPOActor` would make of it: the reason why the pair comes together."""
    step, pair = Step(), areal_loss(clipped, mean=sequence_mean)
    whole = engine(step, *pair, WHOLE)
    assert distance(engine(step, pair.loss_fn, tokens_of), whole) > 0.1


def test_nan_under_the_mask_reaches_the_gradient_of_areal_and_no_bit_of_ours(theirs):
    step, pair = Step(), areal_loss(clipped, mean=token_mean)
    clean = engine(step, *pair)
    step.old[~step.mask] = torch.nan
    assert engine(step, theirs, tokens_of).isnan().any()
    assert torch.equal(engine(step, *pair), clean)


@pytest.mark.parametrize("mean", [token_mean, sequence_mean])
@pytest.mark.parametrize("ends", [[0], [0, 0]])
def test_packed_input_without_a_token_gives_an_attached_zero(mean, ends):
    pair, nothing = areal_loss(clipped, mean=mean), torch.zeros(0)
    log_probs = torch.zeros(0, requires_grad=True)
    data = dict.fromkeys(("logprobs", "advantages", "loss_mask"), nothing)
    data["cu_seqlens"] = torch.tensor(ends)
    loss = pair.loss_fn(log_probs, nothing, data)
    loss.backward()
    assert loss == pair.loss_weight_fn(data) == 0


def test_padded_input_is_taken_as_it_is():
    step, pair = Step(), areal_loss(clipped, mean=token_mean)
    data = {"logprobs": step.old, "advantages": step.advantages, "loss_mask": step.mask}
    padded = step.gradient(lambda part: pair.loss_fn(step.log_probs, step.log_probs, data), WHOLE)
    assert distance(padded, engine(step, *pair, WHOLE)) < 1e-12
    assert pair.loss_weight_fn(data) == step.tokens


def test_what_areal_cannot_take_raises():
    with pytest.raises(ValueError, match=r"AReaL can take token_mean, .* not group_token_mean"):
        areal_loss(clipped, mean=group_token_mean)
    pair, x = areal_loss(clipped, mean=token_mean), torch.zeros(2)
    with pytest.raises(ValueError, match="packed input needs cu_seqlens"):
        pair.loss_weight_fn({"loss_mask": x})
    with pytest.raises(ValueError, match="teacher_logp"):
        pair.loss_fn(x, x, {"logprobs": x, "teacher_logp": x})
