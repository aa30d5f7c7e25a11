"""Parity with `trl.GRPOTrainer._compute_loss`, run inside a real trainer, in loss and gradient.

`our_loss` is the dictionary: each option of a `GRPOConfig`, and the line of grpo_core that it is.
The gradient is that of all parameters of the model. In float32 the trainer is TRL as it comes. In
float64 plain PyTorch stands in for TRL's log-probs, which are float32 always, so that the loss made
of them is compared to rounding.
"""

import inspect
import math
import re

import pytest
import torch

pytest.importorskip("trl")

from huggingface_hub import constants as hub
from trl import GRPOTrainer
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer

from grpo_core import metrics
from grpo_core.advantages import gdpo_advantages, group_advantages, high_entropy_mask
from grpo_core.losses import (
    cispo_loss,
    clipped_loss,
    constant_mean,
    geometric_log_ratio,
    kl_penalty,
    log_ratio,
    sapo_loss,
    sequence_log_ratio,
    sequence_mean,
    sequence_sum_mean,
    step_totals,
    token_mean,
    token_statistics,
)
from grpo_core.off_policy import masked_weights, rejection_weights, truncated_weights
from trl_trainer import MAX_LENGTH, load_model, make_inputs, make_trainer, rows, save_model

pytestmark = [
    pytest.mark.no_shape_hook,  # nothing here that the other tests do not check
    # TRL 1.16 uses names that transformers 5.23 deprecates.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

MEANS = {
    "grpo": sequence_mean,
    "sapo": sequence_mean,
    "bnpo": token_mean,
    "dapo": token_mean,
    "cispo": token_mean,
    "dr_grpo": lambda values, mask, *, total: constant_mean(values, mask, MAX_LENGTH, total=total),
    "luspo": sequence_sum_mean,
}
LOSS_TYPES = sorted(MEANS)
GROUPS = torch.arange(2, device="cpu").repeat_interleave(4)
TOLERANCES = {torch.float32: 3e-5, torch.float64: 1e-12}


def score(model, inputs, temperature=1.0):
    """Log-probs and entropies of the completions by grpo_core, and the mask of what counts."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    attention_mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    width = inputs["completion_ids"].shape[1]
    logits = model(ids, attention_mask=attention_mask).logits[:, -width - 1 : -1]
    mask = inputs["completion_mask"].bool() & inputs.get("tool_mask", torch.tensor(1)).bool()
    statistics = token_statistics(
        logits, inputs["completion_ids"], mask=mask, temperature=temperature
    )
    return statistics.log_probs, statistics.entropy, mask


def our_loss(
    model,
    inputs,
    total=None,
    *,
    loss_type="dapo",
    importance_sampling_level="token",
    temperature=1.0,
    epsilon=0.2,
    epsilon_high=0.2,
    delta=None,
    sapo_temperature_pos=1.0,
    sapo_temperature_neg=1.05,
    beta=0.0,
    use_bias_correction_kl=True,
    top_entropy_quantile=1.0,
    entropy_coef=0.0,
    off_policy_mask_threshold=None,
):
    """A `GRPOConfig`, option by option, in grpo_core."""
    log_probs, entropy, mask = score(model, inputs, temperature)
    old = inputs.get("old_per_token_logps", log_probs.detach())
    advantages = inputs["advantages"]
    if advantages.ndim == 1:
        advantages = advantages[:, None].expand_as(log_probs)
    make_ratio = {"token": log_ratio, "sequence": sequence_log_ratio}[importance_sampling_level]
    ratio = make_ratio(log_probs, old, mask)

    if loss_type == "cispo":
        if importance_sampling_level == "sequence":
            ratio_of_tokens = sequence_log_ratio(log_probs, old, mask, gradient="token")
        else:
            ratio_of_tokens = ratio
        per_token = cispo_loss(ratio_of_tokens, advantages, ratio_max=epsilon_high)
    elif loss_type == "sapo":
        per_token = sapo_loss(
            ratio, advantages, tau_positive=sapo_temperature_pos, tau_negative=sapo_temperature_neg
        )
    else:
        per_token = clipped_loss(
            ratio, advantages, epsilon_low=epsilon, epsilon_high=epsilon_high, ratio_max=delta
        )

    if off_policy_mask_threshold is not None:
        moved = sequence_log_ratio(log_probs, inputs["sampling_per_token_logps"], mask)
        near = rejection_weights(
            moved, ratio_min=math.exp(-off_policy_mask_threshold), ratio_max=math.inf
        )
        per_token = per_token * torch.where(advantages >= 0, 1.0, near)
    kept = mask
    if top_entropy_quantile < 1:
        kept = high_entropy_mask(entropy, mask, quantile=1 - top_entropy_quantile)
        per_token = torch.where(kept, per_token, 0.0)
    if "importance_sampling_ratio" in inputs:
        per_token = per_token * inputs["importance_sampling_ratio"]
    if beta:
        to_ref = log_ratio(log_probs, inputs["ref_per_token_logps"], mask)
        if use_bias_correction_kl:
            kl = kl_penalty(to_ref, gradient="importance", policy_log_ratio=ratio)
        else:
            kl = kl_penalty(to_ref, gradient="naive")
        per_token = per_token + beta * kl
    loss = MEANS[loss_type](per_token, mask, total=total)
    return loss - entropy_coef * token_mean(entropy, kept, total=total) if entropy_coef else loss


def loss_and_gradient(model, loss):
    """The loss, and its gradient of all parameters in one vector."""
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    return loss.detach(), torch.cat([g.flatten() for g in gradients])


def of_trl(trainer, inputs):
    return loss_and_gradient(trainer.model, trainer._compute_loss(trainer.model, inputs))


def of_ours(trainer, inputs, total=None, **config):
    return loss_and_gradient(trainer.model, our_loss(trainer.model, inputs, total, **config))


def distance(ours, theirs):
    """Relative, in the norm of the vector."""
    assert theirs.norm() > 0
    return ((ours - theirs).norm() / theirs.norm()).item()


def assert_equal(ours, theirs, *, value=True):
    (our_value, our_gradient), (their_value, their_gradient) = ours, theirs
    tolerance = TOLERANCES[their_gradient.dtype]
    assert our_gradient.dtype == their_gradient.dtype
    assert distance(our_gradient, their_gradient) < tolerance
    if value:
        assert distance(our_value, their_value) < tolerance


@pytest.fixture(scope="module", autouse=True)
def offline_on_the_cpu():
    """A trainer reports its making to the hub; and it is on the CPU, GPU or not."""
    with pytest.MonkeyPatch.context() as patch, torch.device("cpu"):
        patch.setattr(hub, "HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="module")
def directory(offline_on_the_cpu, tmp_path_factory):
    """Where the weights are that every trainer starts from."""
    directory = str(tmp_path_factory.mktemp("model"))
    save_model(directory)
    return directory


def acting(loss_type):
    """Settings at which every clip acts, and differently on the two sides."""
    if loss_type == "cispo":
        return {"loss_type": loss_type, "epsilon_high": 1.1}  # the bound of the ratio itself
    if loss_type == "sapo":
        # TRL makes float32 of them: its default 1.05 is off by 5e-8.
        return {"loss_type": loss_type, "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.25}
    return {"loss_type": loss_type, "epsilon": 0.1, "epsilon_high": 0.15}


# --- each loss, each option -----------------------------------------------------------------------

OPTIONS = {
    "plain": {},
    "temperature": {"temperature": 0.7},
    "two_sided_clip": {"delta": 1.2},
    "kl": {"beta": 0.3, "use_bias_correction_kl": False},
    "corrected_kl": {"beta": 0.3, "use_bias_correction_kl": True},
    "high_entropy": {"top_entropy_quantile": 0.4},
    "entropy_bonus": {"entropy_coef": 0.2},
    "off_policy_mask": {"off_policy_mask_threshold": 0.05},
}
OPTIONS["all"] = {name: value for option in OPTIONS.values() for name, value in option.items()}

loss_types = pytest.mark.parametrize("loss_type", LOSS_TYPES)
levels = pytest.mark.parametrize("level", ["token", "sequence"])


def test_trl_has_the_losses_that_are_compared_here_and_vespo():
    tests = re.findall(
        r"self\.loss_type (?:==|in) (.+?):", inspect.getsource(GRPOTrainer._compute_loss)
    )
    names = {name for test in tests for name in re.findall(r'"(\w+)"', test)}
    assert names == {*LOSS_TYPES, "vespo"}


@pytest.mark.parametrize("option", OPTIONS)
@levels
@loss_types
def test_every_option_gives_the_loss_and_gradient_of_trl(directory, loss_type, level, option):
    config = {**acting(loss_type), "importance_sampling_level": level, **OPTIONS[option]}
    trainer = make_trainer(directory, torch.float64, **config)
    inputs = make_inputs(trainer.model)
    # CISPO's value has log r where TRL's has log pi: the gradient is the same.
    value = loss_type != "cispo"
    assert_equal(of_ours(trainer, inputs, **config), of_trl(trainer, inputs), value=value)


@pytest.mark.parametrize("option", ["plain", "all"])
@levels
@loss_types
def test_every_loss_agrees_with_trl_as_it_comes(directory, loss_type, level, option):
    config = {**acting(loss_type), "importance_sampling_level": level, **OPTIONS[option]}
    trainer = make_trainer(directory, torch.float32, **config)
    inputs = make_inputs(trainer.model)
    value = loss_type != "cispo"
    assert_equal(of_ours(trainer, inputs, **config), of_trl(trainer, inputs), value=value)


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "plain"])
@loss_types
def test_an_option_changes_the_gradient_unless_trl_ignores_it(directory, loss_type, option):
    config = {**acting(loss_type), "importance_sampling_level": "sequence"}
    plain = make_trainer(directory, torch.float64, **config)
    changed = make_trainer(directory, torch.float64, **config, **OPTIONS[option])
    gradients = [of_trl(trainer, make_inputs(trainer.model))[1] for trainer in (plain, changed)]
    if option == "two_sided_clip" and loss_type in {"cispo", "sapo"}:
        assert torch.equal(*gradients)
    else:
        assert distance(*gradients) > 0.01


@loss_types
def test_both_clips_and_both_levels_act_on_the_inputs(directory, loss_type):
    """Without them parity would show nothing."""
    trainers = [
        make_trainer(directory, torch.float64, **acting(loss_type), **changed)
        for changed in ({}, {"importance_sampling_level": "sequence"})
    ]
    inputs = make_inputs(trainers[0].model)
    token, sequence = (of_trl(trainer, inputs)[1] for trainer in trainers)
    assert distance(token, sequence) > 0.01
    for name in ("epsilon", "epsilon_high", "sapo_temperature_pos", "sapo_temperature_neg"):
        if name in acting(loss_type):
            wider = {**acting(loss_type), name: acting(loss_type)[name] + 0.5}
            assert distance(of_ours(trainers[0], inputs, **wider)[1], token) > 0.01


def test_the_default_cispo_of_trl_caps_every_ratio_at_a_fifth(directory):
    trainer = make_trainer(directory, torch.float64, loss_type="cispo")
    inputs = make_inputs(trainer.model)
    capped = of_ours(trainer, inputs, loss_type="cispo", epsilon_high=0.2)
    assert_equal(capped, of_trl(trainer, inputs), value=False)
    log_probs, _, mask = score(trainer.model, inputs)
    ratio = log_ratio(log_probs, inputs["old_per_token_logps"], mask)
    assert metrics.ratio_range(ratio, mask).minimum > 0.2


# --- each kind of input ---------------------------------------------------------------------------


def on_policy(inputs):
    """TRL leaves the old log-probs out where generation and optimiser steps are aligned."""
    del inputs["old_per_token_logps"]


def tool_calls(inputs):
    """Tokens inside a completion that the policy did not write."""
    inputs["tool_mask"] = torch.ones_like(inputs["completion_mask"])
    inputs["tool_mask"][4:, 1:3] = 0
    inputs["num_items_in_batch"] = (inputs["completion_mask"] * inputs["tool_mask"]).sum()


def advantages_of_tokens(inputs):
    width = inputs["completion_ids"].shape[1]
    slope = torch.linspace(0.5, 1.5, width, dtype=inputs["advantages"].dtype)
    inputs["advantages"] = inputs["advantages"][:, None] * slope


def sampler_weights(weights):
    """What TRL makes of vLLM's log-probs, by a function of ours."""

    def change(inputs):
        behind = log_ratio(
            inputs["old_per_token_logps"],
            inputs["sampling_per_token_logps"],
            inputs["completion_mask"].bool(),
        )
        inputs["importance_sampling_ratio"] = weights(behind)

    return change


INPUTS = {
    "on_policy": on_policy,
    "tool_calls": tool_calls,
    "advantages_of_tokens": advantages_of_tokens,
    "truncated_weights": sampler_weights(lambda ratio: truncated_weights(ratio, ratio_max=0.8)),
    "masked_weights": sampler_weights(
        lambda ratio: masked_weights(ratio, ratio_min=0.6, ratio_max=0.9)
    ),
}


@pytest.mark.parametrize("kind", INPUTS)
@levels
@loss_types
def test_every_kind_of_input_gives_the_loss_and_gradient_of_trl(directory, loss_type, level, kind):
    config = {
        **acting(loss_type),
        "importance_sampling_level": level,
        "beta": 0.3,
        "use_bias_correction_kl": False,
    }
    trainer = make_trainer(directory, torch.float64, **config)
    inputs = make_inputs(trainer.model)
    before = of_trl(trainer, inputs)
    INPUTS[kind](inputs)
    trainer.use_vllm = "importance_sampling_ratio" in inputs
    theirs = of_trl(trainer, inputs)
    assert distance(before[1], theirs[1]) > 0.01
    ours = of_ours(trainer, inputs, **config)
    assert_equal(ours, theirs, value=loss_type != "cispo")


GMPO_OPTIONS = {
    "plain": {},
    "asymmetric": {"epsilon": 0.2, "epsilon_high": 0.3},
    "kl": {"beta": 0.3},
    "high_entropy": {"top_entropy_quantile": 0.4},
    "temperature": {"temperature": 0.7},
}


@pytest.mark.parametrize("option", GMPO_OPTIONS)
def test_the_geometric_ratio_gives_the_loss_and_gradient_of_trls_gmpo(directory, option):
    options = GMPO_OPTIONS[option]
    trainer = make_trainer(
        directory, torch.float64, trainer=GMPOTrainer, config=GMPOConfig, **options
    )
    inputs = make_inputs(trainer.model)
    log_probs, entropy, mask = score(trainer.model, inputs, options.get("temperature", 1.0))
    advantages = inputs["advantages"][:, None].expand_as(log_probs)
    kept = high_entropy_mask(entropy, mask, quantile=0.6) if option == "high_entropy" else mask
    ratio = geometric_log_ratio(
        log_probs,
        inputs["old_per_token_logps"],
        advantages,
        kept,
        epsilon_low=options.get("epsilon", 0.4),
        epsilon_high=options.get("epsilon_high", 0.4),
    )
    per_token = clipped_loss(ratio, advantages, epsilon_low=1.0, epsilon_high=math.inf)
    loss = sequence_mean(per_token, kept, total=step_totals(mask, GROUPS))
    if option == "kl":
        x = log_ratio(log_probs, inputs["ref_per_token_logps"], mask)
        loss = loss + options["beta"] * sequence_mean(kl_penalty(x, gradient="naive"), mask)
    ours = loss_and_gradient(trainer.model, loss)
    # A row without a token of high entropy has ratio 1 in TRL: a constant, which is no loss here.
    assert_equal(ours, of_trl(trainer, inputs), value=option != "high_entropy")


@pytest.mark.parametrize("loss_type", ["bnpo", "dapo", "dr_grpo", "grpo", "luspo"])
def test_clip_fractions_kl_and_entropy_are_those_in_the_log_of_trl(directory, loss_type):
    config = {**acting(loss_type), "beta": 0.3, "use_bias_correction_kl": False}
    trainer = make_trainer(directory, torch.float64, **config)
    inputs = make_inputs(trainer.model)
    of_trl(trainer, inputs)
    log_probs, entropy, mask = score(trainer.model, inputs)
    advantages = inputs["advantages"][:, None].expand_as(log_probs)
    ratio = log_ratio(log_probs, inputs["old_per_token_logps"], mask)
    kl = kl_penalty(log_ratio(log_probs, inputs["ref_per_token_logps"], mask))
    ours = {
        "clip_ratio/low_mean": metrics.clip_fraction_low(ratio, advantages, mask, epsilon_low=0.1),
        "clip_ratio/high_mean": metrics.clip_fraction_high(
            ratio, advantages, mask, epsilon_high=0.15
        ),
        "kl": metrics.token_average(kl, mask),
        "entropy": metrics.token_average(entropy, mask),
    }
    theirs = trainer._metrics["train"]
    for name, mean in ours.items():
        assert mean.value().item() == pytest.approx(theirs[name][-1], rel=1e-6)
        assert mean.value() > 0.05


# --- an optimiser step in micro-batches -----------------------------------------------------------

HALVES = [slice(0, 4), slice(4, 8)]  # 8 tokens and 21
TWO_AND_SIX = [slice(0, 2), slice(2, 8)]


def accumulated(trainer, inputs, parts, evaluate=of_trl, **options):
    """What the backward passes of one optimiser step add up to."""
    evaluated = [evaluate(trainer, rows(inputs, part), **options) for part in parts]
    return [sum(column) for column in zip(*evaluated, strict=True)]


def accumulating_trainer(directory, **config):
    return make_trainer(
        directory,
        torch.float64,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        **config,
    )


def test_num_items_in_batch_is_our_token_total_of_the_step(directory):
    trainer = accumulating_trainer(directory)
    rollout = trainer._generate_and_score_completions([{"prompt": "w2 w3"}] * 8)
    total = step_totals(rollout["completion_mask"].bool(), GROUPS)
    assert rollout["num_items_in_batch"] == total.tokens


@pytest.mark.parametrize("loss_type", [name for name in LOSS_TYPES if name != "bnpo"])
def test_a_micro_batch_of_equal_rows_is_ours_with_the_totals_of_the_step(directory, loss_type):
    """For DAPO and CISPO with any rows: their `num_items_in_batch` is a total of the step."""
    config = acting(loss_type)
    trainer = accumulating_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    total = step_totals(inputs["completion_mask"].bool(), GROUPS)
    for part in TWO_AND_SIX if loss_type in {"cispo", "dapo"} else HALVES:
        batch = rows(inputs, part)
        ours = of_ours(trainer, batch, total, **config)
        assert_equal(ours, of_trl(trainer, batch), value=loss_type != "cispo")


AVERAGES = {
    "bnpo, 4 and 4 rows": (HALVES, acting("bnpo")),
    "bnpo, 2 and 6 rows": (TWO_AND_SIX, acting("bnpo")),
    "dr_grpo, 2 and 6 rows": (TWO_AND_SIX, acting("dr_grpo")),
    "grpo, 2 and 6 rows": (TWO_AND_SIX, acting("grpo")),
    "luspo, 2 and 6 rows": (TWO_AND_SIX, acting("luspo")),
    "sapo, 2 and 6 rows": (TWO_AND_SIX, acting("sapo")),
}


@pytest.mark.parametrize("case", AVERAGES)
def test_trl_averages_micro_batch_averages_and_ours_add_up_to_the_step(directory, case):
    parts, config = AVERAGES[case]
    trainer = accumulating_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    total = step_totals(inputs["completion_mask"].bool(), GROUPS)
    step = of_ours(trainer, inputs, **config)
    theirs = accumulated(trainer, inputs, parts)
    assert distance(theirs[1], step[1]) > 0.1
    assert_equal(accumulated(trainer, inputs, parts, of_ours, total=total, **config), step)
    local = accumulated(trainer, inputs, parts, of_ours, **config)
    assert_equal([x / 2 for x in local], theirs)


def test_the_entropy_bonus_of_trl_is_an_average_of_micro_batch_averages(directory):
    config = {**acting("dapo"), "entropy_coef": 1.0}
    trainer = accumulating_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    total = step_totals(inputs["completion_mask"].bool(), GROUPS)
    step = of_ours(trainer, inputs, **config)
    theirs = accumulated(trainer, inputs, HALVES)
    assert distance(theirs[1], step[1]) > 0.1
    assert_equal(accumulated(trainer, inputs, HALVES, of_ours, total=total, **config), step)


def test_two_optimiser_steps_on_one_rollout_share_a_token_count_in_trl(directory):
    config = acting("dapo")
    trainer = make_trainer(
        directory,
        torch.float64,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        steps_per_generation=4,
        **config,
    )
    inputs = make_inputs(trainer.model)
    # 8 tokens and 21, and (8 + 21) / 2 for both.
    for step, tokens in zip(HALVES, [8, 21], strict=True):
        parts = [slice(step.start, step.start + 2), slice(step.start + 2, step.stop)]
        _, theirs = accumulated(trainer, inputs, parts)
        _, ours = of_ours(trainer, rows(inputs, step), **config)
        assert distance(ours * tokens / (29 / 2), theirs) < 1e-12


@loss_types
def test_a_row_without_a_token_counts_in_the_rows_of_trl_alone(directory, loss_type):
    """As `mask_truncated_completions` makes them; DAPO, BNPO and CISPO count no rows."""
    config = acting(loss_type)
    trainer = make_trainer(directory, torch.float64, **config)
    inputs = make_inputs(trainer.model)
    inputs["completion_mask"][:2] = 0
    inputs["num_items_in_batch"] = inputs["completion_mask"].sum()
    _, ours = of_ours(trainer, inputs, **config)
    _, theirs = of_trl(trainer, inputs)
    counted = 1 if loss_type in {"bnpo", "cispo", "dapo"} else 6 / 8
    assert distance(ours * counted, theirs) < 1e-12


@loss_types
def test_a_step_without_a_token_is_an_attached_0_in_both(directory, loss_type):
    config = acting(loss_type)
    trainer = make_trainer(directory, torch.float64, **config)
    inputs = make_inputs(trainer.model)
    inputs["completion_mask"][:] = 0
    inputs["num_items_in_batch"] = inputs["completion_mask"].sum()
    for loss, gradient in (of_ours(trainer, inputs, **config), of_trl(trainer, inputs)):
        assert loss == 0
        assert (gradient == 0).all()


# --- advantages -----------------------------------------------------------------------------------

REWARDS = [1.0, 0.0, 0.5, 0.2, 3.0, 1.0, 2.0, 2.5, 0.7, 0.7, 0.7, 0.7]
CORRECT = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]
THREE_GROUPS = torch.arange(3, device="cpu").repeat_interleave(4)


def advantages_of_trl(directory, *columns, **config):
    """Of a real rollout that is rewarded so, a column a reward function."""
    functions = [lambda completions, column=column, **_: list(column) for column in columns]
    trainer = make_trainer(directory, rewards=functions, **config)
    prompts = [{"prompt": "w2 w3"}] * len(columns[0])
    return trainer._generate_and_score_completions(prompts)["advantages"]


@pytest.mark.parametrize(("theirs", "ours"), [("group", "group_std"), ("none", "none")])
def test_group_advantages_are_trls(directory, theirs, ours):
    torch.testing.assert_close(
        group_advantages(torch.tensor(REWARDS), THREE_GROUPS, scale=ours, correction=1, eps=1e-4),
        advantages_of_trl(directory, REWARDS, scale_rewards=theirs),
    )


def test_trl_divides_by_the_batch_std_of_rewards_and_we_by_that_of_centred_rewards(directory):
    rewards = torch.tensor(REWARDS)
    theirs = advantages_of_trl(directory, REWARDS, scale_rewards="batch")
    centred = group_advantages(rewards, THREE_GROUPS, scale="none")
    torch.testing.assert_close(centred / (rewards.std() + 1e-4), theirs)
    ours = group_advantages(rewards, THREE_GROUPS, scale="batch_std", correction=1, eps=1e-4)
    torch.testing.assert_close(centred / (centred.std() + 1e-4), ours)
    assert (ours.norm() / theirs.norm()).item() == pytest.approx(1.85, abs=0.01)


def test_the_two_batch_stds_agree_where_all_groups_have_one_mean(directory):
    rewards = [1.0, 0.0, 0.0, 1.0, 0.9, 0.1, 0.5, 0.5]
    torch.testing.assert_close(
        group_advantages(torch.tensor(rewards), GROUPS, scale="batch_std", correction=1, eps=1e-4),
        advantages_of_trl(directory, rewards, scale_rewards="batch"),
    )


def test_gdpo_advantages_are_trls_normalize_then_sum(directory):
    torch.testing.assert_close(
        gdpo_advantages(
            torch.tensor([REWARDS, CORRECT]).T,
            THREE_GROUPS,
            weights=[1.0, 0.5],
            correction=1,
            eps=1e-4,
        ),
        advantages_of_trl(
            directory,
            REWARDS,
            CORRECT,
            multi_objective_aggregation="normalize_then_sum",
            reward_weights=[1.0, 0.5],
        ),
    )


@pytest.mark.parametrize(("theirs", "ours"), [("group", "group_std"), ("none", "none")])
def test_a_reward_of_none_is_a_row_outside_our_mask(directory, theirs, ours):
    rewards = torch.tensor(REWARDS)
    rewards[2] = math.nan
    torch.testing.assert_close(
        group_advantages(
            rewards, THREE_GROUPS, mask=~rewards.isnan(), scale=ours, correction=1, eps=1e-4
        ),
        advantages_of_trl(directory, [*REWARDS[:2], None, *REWARDS[3:]], scale_rewards=theirs),
    )


def test_equal_rewards_give_0_here_and_rounding_over_eps_in_trl(directory):
    rewards, groups = [100.1] * 14, torch.arange(2).repeat_interleave(7)
    theirs = advantages_of_trl(directory, rewards, num_generations=7, per_device_train_batch_size=7)
    assert theirs.abs().max() > 0.01
    ours = group_advantages(torch.tensor(rewards), groups, scale="group_std", correction=1)
    assert (ours == 0).all()


# --- weights for another engine -------------------------------------------------------------------


def weights_of_trl(directory, sampled, mode):
    """Of TRL's own rollout, as if vLLM had sampled our inputs with these log-probs."""
    trainer = make_trainer(
        directory,
        torch.float64,
        vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_min=0.7 if mode.endswith("mask") else None,
        vllm_importance_sampling_clip_max=1.2,
    )
    inputs = make_inputs(trainer.model)
    trainer.use_vllm = True

    def valid(part):
        ids, mask = inputs[f"{part}_ids"], inputs[f"{part}_mask"].bool()
        return [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]

    prompts, completions = valid("prompt"), valid("completion")
    log_probs = [x[: len(ids)].tolist() for x, ids in zip(sampled, completions, strict=True)]
    texts = [""] * len(completions)
    trainer._generate = lambda _: (prompts, completions, None, texts, log_probs, {}, None, None)
    rollout = trainer._generate_and_score_completions([{"prompt": ""}] * len(completions))
    mask = rollout["completion_mask"].bool()
    return rollout["importance_sampling_ratio"], log_ratio(
        rollout["old_per_token_logps"], sampled, mask
    )


@pytest.mark.parametrize("mode", ["token_truncate", "token_mask"])
def test_weights_of_tokens_are_those_that_trl_gives_to_samples_of_vllm(directory, mode):
    sampled = make_inputs(load_model(directory, torch.float64))["ref_per_token_logps"]
    theirs, behind = weights_of_trl(directory, sampled, mode)
    if mode == "token_truncate":
        ours = truncated_weights(behind, ratio_max=1.2)
    else:
        ours = masked_weights(behind, ratio_min=0.7, ratio_max=1.2)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    assert behind.exp().min() < 0.7
    assert behind.exp().max() > 1.2


def test_a_sequence_is_judged_by_the_product_of_its_ratios_in_trl_and_by_their_mean_here(directory):
    """Every ratio is 0.9: a row of four tokens is out, and one of three is not."""
    model = load_model(directory, torch.float64)
    inputs = make_inputs(model)
    log_probs, _, mask = score(model, inputs)
    sampled = log_probs.detach() - math.log(0.9)
    theirs, _ = weights_of_trl(directory, sampled, "sequence_mask")
    assert torch.equal(theirs[:, 0] > 0, mask.sum(1) <= 3)
    mean = sequence_log_ratio(log_probs, sampled, mask)
    assert (rejection_weights(mean, ratio_min=0.7, ratio_max=1.2)[mask] == 1).all()


# --- garbage and stale tokens ---------------------------------------------------------------------


@levels
@loss_types
def test_nan_in_padding_reaches_the_loss_of_trl_and_no_bit_of_ours(directory, loss_type, level):
    config = {**acting(loss_type), "importance_sampling_level": level}
    trainer = make_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    clean = of_ours(trainer, inputs, **config)
    inputs["old_per_token_logps"][inputs["completion_mask"] == 0] = math.nan
    assert not of_trl(trainer, inputs)[0].isfinite()
    assert all(map(torch.equal, of_ours(trainer, inputs, **config), clean))


@levels
@loss_types
def test_nan_at_a_tool_token_reaches_the_gradient_of_trl_too(directory, loss_type, level):
    config = {**acting(loss_type), "importance_sampling_level": level}
    trainer = make_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    tool_calls(inputs)
    clean = of_ours(trainer, inputs, **config)
    inputs["old_per_token_logps"][inputs["tool_mask"] == 0] = math.nan
    assert not of_trl(trainer, inputs)[1].isfinite().all()
    assert all(map(torch.equal, of_ours(trainer, inputs, **config), clean))


@pytest.mark.parametrize("junk", [-800.0, -math.inf])
@pytest.mark.parametrize("loss_type", ["bnpo", "dapo", "dr_grpo", "grpo", "luspo"])
def test_a_masked_log_prob_that_overflows_reaches_the_clipped_losses_of_trl(
    directory, loss_type, junk
):
    config = acting(loss_type)
    trainer = make_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    clean = of_ours(trainer, inputs, **config)
    inputs["old_per_token_logps"][inputs["completion_mask"] == 0] = junk
    assert not of_trl(trainer, inputs)[0].isfinite()
    assert all(map(torch.equal, of_ours(trainer, inputs, **config), clean))


@levels
@loss_types
def test_a_stale_valid_token_breaks_the_gradient_of_trl_but_for_cispo(directory, loss_type, level):
    config = {**acting(loss_type), "importance_sampling_level": level}
    trainer = make_trainer(directory, **config)
    inputs = make_inputs(trainer.model)
    inputs["old_per_token_logps"][4, 1] = -1000.0
    assert of_trl(trainer, inputs)[1].isfinite().all() == (loss_type == "cispo")
    loss, gradient = of_ours(trainer, inputs, **config)
    assert loss.isfinite()
    assert gradient.isfinite().all()


# --- a training run -------------------------------------------------------------------------------


def test_five_lines_in_place_of_compute_loss_train_the_policy_that_trl_trains(directory):
    class Composed(GRPOTrainer):
        def _compute_loss(self, model, inputs):
            old, ref = inputs["old_per_token_logps"], inputs["ref_per_token_logps"]
            log_probs, _, mask = score(model, inputs)
            total = step_totals(mask, torch.zeros(len(mask), dtype=torch.long))
            total = total._replace(tokens=inputs["num_items_in_batch"])

            advantages = inputs["advantages"][:, None].expand_as(log_probs)
            per_token = clipped_loss(log_ratio(log_probs, old, mask), advantages)
            kl = kl_penalty(log_ratio(log_probs, ref, mask), gradient="naive")
            per_token = per_token + 0.1 * kl
            return token_mean(per_token, mask, total=total)

    def trained(trainer):
        made = make_trainer(
            directory,
            trainer=trainer,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            num_iterations=2,  # the second one has ratios other than 1
            max_steps=4,
            epsilon=0.2,
            epsilon_high=0.28,
            beta=0.1,
            use_bias_correction_kl=False,
            loss_type="dapo",
            # Adam would make whole steps of gradients that are rounding.
            optim="sgd",
            learning_rate=0.2,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
        )
        before = torch.cat([p.detach().flatten() for p in made.model.parameters()])
        made.train()
        after = torch.cat([p.detach().flatten() for p in made.model.parameters()])
        return before, after, made.state.log_history

    start, theirs, log = trained(GRPOTrainer)
    _, ours, _ = trained(Composed)
    assert log[-1]["clip_ratio/region_mean"] > 0.05
    assert distance(start, theirs) > 0.01
    assert distance(ours - start, theirs - start) < 1e-4
