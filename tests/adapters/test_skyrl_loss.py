"""`skyrl_loss` beside SkyRL's own loss and its division of advantages, from the wheel of 0.4."""

import importlib
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
import torch

from grpo_core.adapters.skyrl import skyrl_loss
from grpo_core.losses import (
    cispo_loss,
    clipped_loss,
    constant_mean,
    group_token_mean,
    kl_penalty,
    log_ratio,
    sapo_loss,
    sequence_mean,
    sequence_sum_mean,
    step_totals,
    token_mean,
)
from grpo_core.off_policy import truncated_weights
from trainer_losses import GROUPS, QUARTERS, Step, distance, missing
from trainers import imported

pytestmark = pytest.mark.no_shape_hook

ABSENT = ("cloudpathlib", "loguru", "omegaconf", "skyrl_gym")
UNUSED = ("skyrl.tinker", "skyrl.tx")  # its server and its JAX trainer
MEANS = {
    "token_mean": token_mean,
    "sequence_mean": sequence_mean,
    "seq_mean_token_sum_norm": partial(constant_mean, max_length=9),
    "prompt_mean": group_token_mean,
}
WHOLE = [slice(0, 8)]


@pytest.fixture(scope="module")
def utils():
    ray = ModuleType("ray")  # its registry asks whether a cluster runs
    ray.is_initialized, ray.remote = (lambda: False), (lambda actor: actor)
    with (
        pytest.MonkeyPatch.context() as patch,
        imported("skyrl", absent=(*missing(*ABSENT), *UNUSED)),
    ):
        patch.setitem(sys.modules, "ray", ray)
        yield importlib.import_module("skyrl.backends.skyrl_train.utils.ppo_utils")


def config_of(reduction):
    """What SkyRL's losses read of an `AlgorithmConfig`, at its defaults."""
    nothing = dict.fromkeys(
        f"{name}_is_threshold_{side}"
        for name in ("outlier_token", "token_mask")
        for side in ("low", "high")
    )
    return SimpleNamespace(
        policy_loss_type="regular",
        eps_clip_low=0.2,
        eps_clip_high=0.2,
        loss_reduction=reduction,
        max_seq_len=9,
        off_policy_correction=SimpleNamespace(
            tis_ratio_type=None, sequence_mask_metric=None, **nothing
        ),
    )


def clipped(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages, epsilon_low=0.2, epsilon_high=0.2)


def divided(utils, step, reduction):
    """What the trainer does to the advantages of a mini-batch before it is cut."""
    return utils.apply_loss_reduction_to_advantages_minibatch(
        advantages=step.advantages,
        loss_mask=step.mask.double(),
        loss_reduction=reduction,
        micro_batch_size=2,
        max_seq_len=9,
        prompt_boundaries=[(0, 4), (4, 8)],
    )


def gradient(step, policy_loss, advantages, reduction, parts=QUARTERS, **config):
    settings = config_of(reduction)
    vars(settings).update(config)
    return step.gradient(
        lambda part: policy_loss(
            step.log_probs[part],
            step.old[part],
            advantages[part],
            config=settings,
            loss_mask=step.mask[part].double(),
            rollout_logprobs=step.sampled[part],
        )[0],
        parts,
    )


@pytest.mark.parametrize("reduction", MEANS)
def test_our_composition_has_the_gradient_of_skyrls_default_loss(utils, reduction):
    step = Step()
    advantages = divided(utils, step, reduction)
    ours = skyrl_loss(clipped, mean=MEANS[reduction])
    theirs = gradient(step, utils.PolicyLossRegistry.get("regular"), advantages, reduction)
    assert distance(gradient(step, ours, advantages, reduction), theirs) < 1e-6
    assert distance(gradient(step, ours, advantages, reduction, WHOLE), theirs) < 1e-6


@pytest.mark.parametrize("reduction", MEANS)
def test_the_sum_is_our_mean_over_the_mini_batch(utils, reduction):
    step = Step()
    total = step_totals(step.mask, GROUPS)
    ours = skyrl_loss(clipped, mean=MEANS[reduction])
    sums = gradient(step, ours, divided(utils, step, reduction), reduction)

    def mean(_):
        ratio = log_ratio(step.log_probs, step.old, step.mask)
        values = clipped_loss(ratio, step.advantages, epsilon_low=0.2, epsilon_high=0.2)
        groups = (GROUPS,) if reduction == "prompt_mean" else ()
        return MEANS[reduction](values, step.mask, *groups, total=total)

    assert distance(sums, step.gradient(mean, WHOLE)) < 1e-12


def test_the_registry_takes_ours(utils):
    policy_loss = skyrl_loss(clipped, mean=token_mean)
    utils.register_policy_loss("composed")(policy_loss)
    assert utils.PolicyLossRegistry.get("composed").__wrapped__ is policy_loss


@pytest.mark.parametrize("reduction", ["sequence_mean", "seq_mean_token_sum_norm"])
def test_with_sequences_the_division_is_undone_for_terms_without_an_advantage(utils, reduction):
    step, mean = Step(), MEANS[reduction]

    def with_kl(batch):
        # To the sampler: SkyRL hands no reference to a policy loss.
        x = log_ratio(batch.log_probs, batch.sampler_log_probs, batch.mask)
        return clipped(batch) + 0.1 * kl_penalty(x)

    def expected(_):
        x = log_ratio(step.log_probs, step.sampled, step.mask)
        ratio = log_ratio(step.log_probs, step.old, step.mask)
        values = clipped_loss(ratio, step.advantages, epsilon_low=0.2, epsilon_high=0.2)
        return mean(values + 0.1 * kl_penalty(x), step.mask)

    advantages = divided(utils, step, reduction)
    ours = skyrl_loss(with_kl, mean=mean, sequences=8)
    plain = step.gradient(expected, WHOLE)
    assert distance(gradient(step, ours, advantages, reduction), plain) < 1e-6
    undivided = skyrl_loss(with_kl, mean=mean)
    with pytest.raises(ValueError, match="not proportional to the advantages"):
        gradient(step, undivided, advantages, reduction)

    def as_skyrl_sums(part):
        batch = SimpleNamespace(
            log_probs=step.log_probs[part],
            old_log_probs=step.old[part],
            sampler_log_probs=step.sampled[part],
            advantages=advantages[part],
            mask=step.mask[part],
        )
        return torch.where(batch.mask, with_kl(batch), 0.0).sum()

    assert distance(step.gradient(as_skyrl_sums), plain) > 0.5


def test_nan_under_the_mask_reaches_the_loss_of_skyrl_and_no_bit_of_ours(utils):
    step, seen = Step(), []
    advantages = divided(utils, step, "token_mean")
    ours = skyrl_loss(clipped, mean=token_mean)
    clean = gradient(step, ours, advantages, "token_mean")
    step.old[~step.mask] = torch.nan

    def theirs(*args, **kwargs):
        seen.append(utils.PolicyLossRegistry.get("regular")(*args, **kwargs))
        return seen[-1]

    gradient(step, theirs, advantages, "token_mean")
    assert any(value.isnan() for value, _ in seen)
    assert torch.equal(gradient(step, ours, advantages, "token_mean"), clean)


def test_the_loss_off_the_mask_is_not_summed():
    step = Step()

    def loss(batch):
        return torch.where(batch.mask, clipped(batch), torch.nan)

    clean = gradient(step, skyrl_loss(clipped, mean=token_mean), step.advantages, "token_mean")
    ours = skyrl_loss(loss, mean=token_mean)
    assert torch.equal(gradient(step, ours, step.advantages, "token_mean"), clean)


TERMS = {
    "kl to the old policy, 0 at the first call": lambda b, x: kl_penalty(x),
    "kl to the sampler": lambda b, _: kl_penalty(
        log_ratio(b.log_probs, b.sampler_log_probs, b.mask)
    ),
    "the log-ratio itself": lambda _, x: 0.1 * x,
    "only above a ratio of 1.05": lambda _, x: (x - 0.05).clamp(min=0),
}


@pytest.mark.parametrize("size", [1e-5, 1.0, 300.0])
@pytest.mark.parametrize("term", TERMS)
def test_a_term_without_the_advantage_raises_at_the_first_call(term, size):
    def loss(batch):
        x = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        return clipped_loss(x, batch.advantages) + TERMS[term](batch, x)

    config, old, ones = config_of("token_mean"), torch.full((2, 3), -0.7), torch.ones(2, 3)
    for advantages in (size * ones, 0 * ones):
        with pytest.raises(ValueError, match="not proportional to the advantages"):
            skyrl_loss(loss, mean=token_mean)(old, old, advantages, config, ones, old)


@pytest.mark.parametrize("clamp", [{"max": 1}, {"min": -5}, {"min": -1, "max": 1}])
def test_a_clamp_of_advantages_that_are_small_when_divided_raises(clamp):
    def loss(batch):
        x = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        return clipped_loss(x, batch.advantages.clamp(**clamp))

    config, mask = config_of("token_mean"), torch.ones(4, 1000)
    old = torch.full((4, 1000), -0.7)
    advantages = torch.tensor([[2.0], [-1.0], [-1.5], [1.0]]).expand(4, 1000) / 4000
    with pytest.raises(ValueError, match="not proportional to the advantages"):
        skyrl_loss(loss, mean=token_mean)(old, old, advantages, config, mask)


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-5, 1.0, 1e6])
def test_a_loss_that_is_proportional_passes_whatever_the_size_of_the_advantages(size, rows):
    def losses(batch):
        x = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        yield clipped_loss(x, batch.advantages, ratio_max=1.5)
        yield cispo_loss(x, batch.advantages, ratio_max=1.5)
        yield sapo_loss(x, batch.advantages)
        weights = truncated_weights(
            log_ratio(batch.log_probs, batch.sampler_log_probs, batch.mask), ratio_max=2.0
        )
        yield clipped_loss(x, batch.advantages) * weights

    torch.manual_seed(0)
    log_probs, old, sampled = (-torch.rand(rows, 3) for _ in range(3))
    advantages, mask = size * torch.randn(rows, 3), torch.ones(rows, 3)
    for index in range(4):
        fine = skyrl_loss(partial(lambda i, batch: list(losses(batch))[i], index), mean=token_mean)
        value, _ = fine(log_probs, old, advantages, config_of("token_mean"), mask, sampled)
        assert value.isfinite()


def test_metrics_of_a_micro_batch_without_a_token_are_0_and_not_nan():
    x, config = torch.zeros(2, 3), config_of("token_mean")
    value, metrics = skyrl_loss(clipped, mean=token_mean)(x, x, x, config, loss_mask=x)
    assert value == 0
    assert metrics == {"approximate_kl": 0.0, "ratio_error": 0.0}


# --- without SkyRL: what raises -------------------------------------------------------------------


def test_a_reduction_that_says_another_mean_raises():
    step, ours = Step(), skyrl_loss(clipped, mean=token_mean)
    with pytest.raises(ValueError, match="contradicts SkyRL's loss_reduction='sequence_mean'"):
        gradient(step, ours, step.advantages, "sequence_mean")
    with pytest.raises(ValueError, match=r"SkyRL can take .* not sequence_sum_mean"):
        skyrl_loss(clipped, mean=sequence_sum_mean)
    dr_grpo = skyrl_loss(clipped, mean=MEANS["seq_mean_token_sum_norm"])
    with pytest.raises(ValueError, match="max_seq_len=None: it needs 9"):
        gradient(step, dr_grpo, step.advantages, "seq_mean_token_sum_norm", max_seq_len=None)


def test_sequences_where_they_undo_nothing_raise():
    for mean in (token_mean, group_token_mean):
        with pytest.raises(ValueError, match="sequences undoes sequence_mean and constant_mean"):
            skyrl_loss(clipped, mean=mean, sequences=8)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        skyrl_loss(clipped, mean=sequence_mean, sequences=0)


def test_a_correction_for_skyrls_own_losses_and_a_missing_mask_raise():
    step, ours = Step(), skyrl_loss(clipped, mean=token_mean)
    correction = SimpleNamespace(tis_ratio_type="token")
    with pytest.raises(ValueError, match=r"off_policy_correction\.tis_ratio_type='token'"):
        gradient(step, ours, step.advantages, "token_mean", off_policy_correction=correction)
    x = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="no loss_mask"):
        ours(x, x, x, config_of("token_mean"))
