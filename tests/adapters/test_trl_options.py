"""Options of TRL that contradict a loss given to `grpo_trainer`, or that ask something of it."""

from dataclasses import dataclass

import pytest
import torch

pytest.importorskip("trl")

from trl import GRPOConfig, GRPOTrainer

from grpo_core.adapters.trl import grpo_trainer
from grpo_core.losses import (
    constant_mean,
    log_ratio,
)
from trl_composed import (
    WHOLE,
    clipped,
    composed,
    distance,
    inputs_of,
    step_gradient,
    with_kl,
)
from trl_trainer import MARKS

pytestmark = MARKS


CONTRADICTIONS = {
    "loss_type": "grpo",
    "epsilon": 0.1,
    "epsilon_high": 0.3,
    "delta": 1.5,
    "importance_sampling_level": "sequence",
    "top_entropy_quantile": 0.2,
    "entropy_coef": 0.1,
    "off_policy_mask_threshold": 0.1,
    "use_bias_correction_kl": False,
    "sapo_temperature_pos": 2.0,
    "vespo_k_pos": 3.0,
}


@pytest.mark.parametrize("option", CONTRADICTIONS)
def test_an_option_that_only_trls_own_loss_reads_raises(directory, option):
    with pytest.raises(ValueError, match=f"{option}=.* is for TRL's own loss"):
        composed(directory, **{option: CONTRADICTIONS[option]})


@dataclass
class OwnConfig(GRPOConfig):
    """As a user sets defaults for all runs."""

    epsilon: float = 0.1
    loss_type: str = "grpo"


def test_an_option_that_a_subclass_of_the_configuration_sets_raises_too(directory):
    with pytest.raises(ValueError, match=r"loss_type='grpo' is .* leave it at 'dapo'"):
        composed(directory, config=OwnConfig)
    with pytest.raises(ValueError, match=r"epsilon=0\.1 is for .* leave it at 0\.2"):
        composed(directory, config=OwnConfig, loss_type="dapo")
    composed(directory, config=OwnConfig, loss_type="dapo", epsilon=0.2)


def test_a_step_whose_tokens_are_not_sampled_yet_raises(directory):
    with pytest.raises(ValueError, match=r"steps_per_generation \(1\) must be a multiple"):
        composed(directory, gradient_accumulation_steps=2, steps_per_generation=1)


def test_a_window_that_leaves_the_generation_raises(directory):
    trainer = composed(directory)
    trainer._buffered_inputs = [inputs_of(trainer)]
    trainer.current_gradient_accumulation_steps = 2
    with pytest.raises(ValueError, match="cannot be counted before they are sampled"):
        trainer._compute_loss(trainer.model, trainer._buffered_inputs[0])


def test_a_reference_that_nobody_reads_raises_and_so_does_a_missing_one(directory):
    trainer = composed(directory)
    with pytest.raises(ValueError, match=r"read no batch\.ref_log_probs: set beta=0"):
        step_gradient(trainer, inputs_of(trainer, ref=True), WHOLE)
    trainer = composed(directory, loss=with_kl)
    with pytest.raises(ValueError, match="TRL gave no ref_log_probs"):
        step_gradient(trainer, inputs_of(trainer), WHOLE)


def test_weights_for_vllm_that_nobody_reads_raise_and_those_that_are_read_act(directory):
    trainer = composed(directory)
    inputs = inputs_of(trainer)
    plain = step_gradient(trainer, inputs, WHOLE)
    inputs["importance_sampling_ratio"] = torch.full((8, 1), 0.5, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"neither batch\.weights nor batch\.sampler_log_probs"):
        step_gradient(trainer, inputs, WHOLE)
    weighted = composed(directory, loss=lambda batch: clipped(batch) * batch.weights)
    assert distance(step_gradient(weighted, inputs, WHOLE), plain / 2) < 1e-12


def test_a_token_that_vllm_could_not_score_counts_as_unmoved(directory):
    seen = []

    def loss(batch):
        seen.append(log_ratio(batch.old_log_probs, batch.sampler_log_probs, batch.mask))
        return clipped(batch)

    trainer = composed(directory, loss=loss)
    inputs = inputs_of(trainer)
    inputs["sampling_per_token_logps"] = inputs["old_per_token_logps"] - 1
    inputs["sampling_per_token_logps"][0, 0] = torch.nan
    step_gradient(trainer, inputs, WHOLE)
    assert seen[0][0, :2].tolist() == [0, 1]


def test_the_constant_mean_needs_its_constant_and_a_loss_its_mean(directory):
    with pytest.raises(ValueError, match="constant_mean needs its length"):
        composed(directory, mean=constant_mean)
    with pytest.raises(ValueError, match="mean must be one of token_mean"):
        composed(directory, mean=torch.mean)
    trainer = composed(directory, mean=None)
    with pytest.raises(ValueError, match="without mean= a loss is a scalar"):
        step_gradient(trainer, inputs_of(trainer), WHOLE)
    trainer = composed(directory, mean=None, loss=lambda batch: clipped(batch).mean())
    with pytest.raises(ValueError, match=r"must divide by batch\.total"):
        step_gradient(trainer, inputs_of(trainer), WHOLE)


def test_the_class_is_one_and_replaces_nothing_but_the_loss():
    assert grpo_trainer() is grpo_trainer()
    assert issubclass(grpo_trainer(), GRPOTrainer)
