"""`verl_loss` beside verl's own policy loss, from its wheel, in its real registry."""

import importlib
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from grpo_core.adapters.verl import verl_advantages, verl_loss
from grpo_core.advantages import group_advantages
from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    group_token_mean,
    log_ratio,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)
from trainer_losses import QUARTERS, Step, distance, missing
from trainers import imported

pytestmark = pytest.mark.no_shape_hook

ABSENT = ("ray", "tensordict", "omegaconf", "codetiming", "orjson")
MODES = {
    "token-mean": token_mean,
    "seq-mean-token-mean": sequence_mean,
    "seq-mean-token-sum": sequence_sum_mean,
    "seq-mean-token-sum-norm": partial(constant_mean, max_length=9),
}


@pytest.fixture(scope="module")
def algos():
    with imported("verl", absent=missing(*ABSENT)):
        yield importlib.import_module("verl.trainer.ppo.core_algos")


class Config(SimpleNamespace):
    """What verl's policy losses read of an `ActorConfig`, at its defaults."""

    clip_ratio = clip_ratio_low = clip_ratio_high = 0.2
    clip_ratio_c = 3.0

    def get(self, name, default=None):
        return getattr(self, name, default)


def config_of(step, mode="token-mean", **changed):
    factor = 9 if mode == "seq-mean-token-sum-norm" else None
    info = {
        "dp_size": 2,
        "batch_num_tokens": step.tokens,
        "global_batch_size": 8,
        "loss_scale_factor": factor,
        **changed,
    }
    return Config(global_batch_info=info)


def dual_clipped(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages, epsilon_low=0.2, epsilon_high=0.2, ratio_max=3.0)


def gradient(step, policy_loss, mode, parts=QUARTERS, weights=None, **changed):
    config = config_of(step, mode, **changed)

    def loss(part):
        return policy_loss(
            old_log_prob=step.old[part],
            log_prob=step.log_probs[part],
            advantages=step.advantages[part],
            response_mask=step.mask[part],
            loss_agg_mode=mode,
            config=config,
            rollout_is_weights=None if weights is None else weights[part],
        )[0]

    return step.gradient(loss, parts)


@pytest.mark.parametrize("mode", MODES)
def test_our_composition_has_the_gradient_of_verls_default_loss(algos, mode):
    step, theirs = Step(), algos.get_policy_loss_fn("vanilla")
    ours = verl_loss(dual_clipped, mean=MODES[mode])
    expected = gradient(step, theirs, mode)
    assert distance(gradient(step, ours, mode), expected) < 1e-6
    assert distance(gradient(step, ours, mode, [slice(0, 8)]), expected) < 1e-6
    # The second clip acts: a ratio of 5 counts as 3.
    undual = partial(clipped_loss, epsilon_low=0.2, epsilon_high=0.2)
    plain = verl_loss(
        lambda b: undual(log_ratio(b.log_probs, b.old_log_probs, b.mask), b.advantages),
        mean=MODES[mode],
    )
    assert distance(gradient(step, plain, mode), expected) > 0.01


def test_weights_of_verls_rollout_correction_multiply(algos):
    step, weights = Step(), torch.linspace(0.5, 1.5, 48, dtype=torch.float64).view(8, 6)
    ours = verl_loss(lambda batch: dual_clipped(batch) * batch.weights, mean=token_mean)
    theirs = gradient(step, algos.get_policy_loss_fn("vanilla"), "token-mean", weights=weights)
    assert distance(gradient(step, ours, "token-mean", weights=weights), theirs) < 1e-6


class Data(dict):
    """What verl's call site asks of a TensorDict of padded rows."""

    def select(self, *names):
        return Data({name: self[name] for name in names})

    def to_padded_tensor(self):
        return self


def test_verls_own_call_site_takes_our_loss_and_its_metrics(monkeypatch):
    step = Step()
    with imported("verl", absent=missing(*ABSENT)):
        losses = importlib.import_module("verl.workers.utils.losses")
        algos = importlib.import_module("verl.trainer.ppo.core_algos")
        monkeypatch.setattr(losses, "no_padding_2_padding", lambda values, _: values)
        algos.register_policy_loss("composed")(verl_loss(dual_clipped, mean=token_mean))

        def gradient_of(name):
            config = Config(
                policy_loss={"loss_mode": name},
                loss_agg_mode="token-mean",
                loss_scale_factor=None,
                global_batch_info={},
                use_kl_loss=True,
                kl_loss_type="low_var_kl",
                kl_loss_coef=0.1,
            )

            def loss(part):
                data = Data(
                    dp_size=1,
                    batch_num_tokens=step.tokens,
                    global_batch_size=8,
                    response_mask=step.mask[part].long(),
                    old_log_probs=step.old[part],
                    advantages=step.advantages[part],
                    ref_log_prob=step.ref[part],
                )
                value, metrics = losses.ppo_loss(config, {"log_probs": step.log_probs[part]}, data)
                seen[name] = metrics
                return value

            return step.gradient(loss)

        seen = {}
        theirs, ours = gradient_of("vanilla"), gradient_of("composed")
    assert distance(ours, theirs) < 1e-6
    assert {"actor/ppo_kl", "actor/ratio_error", "actor/pg_loss", "kl_loss"} <= set(
        seen["composed"]
    )


def test_the_registries_take_ours(algos):
    ours, estimator = verl_loss(dual_clipped, mean=token_mean), verl_advantages(group_advantages)
    algos.register_policy_loss("composed")(ours)
    algos.register_adv_est("composed")(estimator)
    assert algos.get_policy_loss_fn("composed") is ours
    assert algos.get_adv_estimator_fn("composed") is estimator


def test_group_advantages_are_those_of_verls_grpo(algos):
    step, rewards = Step(), torch.zeros(8, 6)
    rewards[:, 0] = torch.tensor([1.0, 0.0, 0.5, 0.2, 3.0, 1.0, 2.0, 2.5])
    index = np.array(["b", "a", "b", "a", "b", "a", "b", "a"], dtype=object)
    standardised = partial(group_advantages, scale="group_std", correction=1, eps=1e-6)
    ours, returns = verl_advantages(standardised)(
        token_level_rewards=rewards, response_mask=step.mask, index=index, config=None
    )
    theirs, _ = algos.get_adv_estimator_fn("grpo")(
        token_level_rewards=rewards, response_mask=step.mask.float(), index=index
    )
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    assert torch.equal(returns, ours)


def test_nan_under_the_mask_reaches_the_sequence_means_of_verl_and_no_bit_of_ours(algos):
    step, mode, seen = Step(), "seq-mean-token-mean", []
    ours = verl_loss(dual_clipped, mean=sequence_mean)
    clean = gradient(step, ours, mode)
    step.old[~step.mask] = torch.nan

    def theirs(**inputs):
        value, metrics = algos.get_policy_loss_fn("vanilla")(**inputs)
        seen.append(value)
        return value, metrics

    gradient(step, theirs, mode)
    assert all(value.isnan() for value in seen)
    assert torch.equal(gradient(step, ours, mode), clean)


def test_without_a_constant_verls_dr_grpo_depends_on_the_padding_and_ours_raises(algos):
    step, theirs = Step(), algos.get_policy_loss_fn("vanilla")
    mode = "seq-mean-token-sum-norm"
    cut = [slice(0, 4), slice(4, 8)]
    padded = gradient(step, theirs, mode, cut, loss_scale_factor=None)

    def narrow(part):  # the same rows, without columns where no row has a token
        width = max(1, int(step.mask[part].any(0).nonzero().max()) + 1)
        return theirs(
            old_log_prob=step.old[part, :width],
            log_prob=step.log_probs[part, :width],
            advantages=step.advantages[part, :width],
            response_mask=step.mask[part, :width],
            loss_agg_mode=mode,
            config=config_of(step, mode, loss_scale_factor=None),
        )[0]

    assert distance(step.gradient(narrow, cut), padded) > 0.1
    ours = verl_loss(dual_clipped, mean=MODES[mode])
    with pytest.raises(ValueError, match="loss_scale_factor=None: it needs 9"):
        gradient(step, ours, mode, loss_scale_factor=None)


def test_counts_of_a_micro_batch_alone_average_averages_in_verl_and_raise_here(algos):
    step, theirs = Step(), algos.get_policy_loss_fn("vanilla")
    unknown = {"batch_num_tokens": None, "dp_size": 1}
    whole = gradient(step, theirs, "token-mean", dp_size=1)
    assert distance(gradient(step, theirs, "token-mean", **unknown) / 4, whole) > 0.1
    with pytest.raises(ValueError, match="needs batch_num_tokens and dp_size"):
        gradient(step, verl_loss(dual_clipped, mean=token_mean), "token-mean", **unknown)


# --- without verl: what raises, and two ranks -----------------------------------------------------


def test_two_ranks_that_average_gradients_have_the_gradient_of_one():
    step, ours = Step(), verl_loss(dual_clipped, mean=sequence_mean)
    mode = "seq-mean-token-mean"
    whole = gradient(step, ours, mode, [slice(0, 8)], dp_size=1)
    ranks = [gradient(step, ours, mode, parts) for parts in (QUARTERS[:1], QUARTERS[1:])]
    assert distance(sum(ranks) / 2, whole) < 1e-12


def test_a_mode_that_says_another_mean_raises():
    ours = verl_loss(dual_clipped, mean=token_mean)
    with pytest.raises(ValueError, match="mean=token_mean contradicts verl's loss_agg_mode='seq-"):
        gradient(Step(), ours, "seq-mean-token-mean")
    with pytest.raises(ValueError, match=r"verl can take token_mean, .* not group_token_mean"):
        verl_loss(dual_clipped, mean=group_token_mean)
    with pytest.raises(ValueError, match="constant_mean needs its length"):
        verl_loss(dual_clipped, mean=constant_mean)
    with pytest.raises(ValueError, match="actor config is needed"):
        ours(*[torch.zeros(1, 1)] * 3, torch.ones(1, 1), "token-mean")


def test_importance_weights_that_nobody_reads_raise():
    ours, step = verl_loss(dual_clipped, mean=token_mean), Step()
    with pytest.raises(ValueError, match=r"the loss read no batch\.weights"):
        gradient(step, ours, "token-mean", weights=torch.ones_like(step.old))


def test_advantages_without_an_index_raise():
    with pytest.raises(ValueError, match="verl gave no index"):
        verl_advantages(group_advantages)(torch.zeros(2, 2), torch.ones(2, 2))


def test_rewards_under_the_mask_are_not_read():
    rewards = torch.tensor([[1.0, torch.nan], [0.0, torch.nan]])
    mask = torch.tensor([[1, 0], [1, 0]])
    advantages, _ = verl_advantages(group_advantages)(rewards, mask, index=[3, 3])
    assert advantages == pytest.approx(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), abs=1e-4)
