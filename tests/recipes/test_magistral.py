"""The recipe's step: the same gradient however it is cut, and the report's numbers."""

import inspect

import pytest
import torch

from grpo_core.losses import magistral_loss
from grpo_core.recipes import magistral
from grpo_core.rewards import magistral_reward
from variants import random_batch


@pytest.mark.parametrize("seed", range(5))
def test_micro_batches_add_up_to_the_loss_of_the_step(seed):
    batch = random_batch(seed, [5, 3, 4, 2, 1, 5], [1, 1, 2, 2, 3, 3])
    rewards = torch.tensor([1.0, 0.1, 0.0, 1.1, 0.1, 0.1], dtype=torch.float64)
    whole = batch.new.clone().requires_grad_()
    magistral_loss(whole, batch.old, rewards, batch.group_ids, batch.mask).backward()

    step = magistral.prepare(rewards, batch.group_ids, batch.mask)
    cut = batch.new.clone().requires_grad_()
    lengths = batch.mask.sum(1).tolist()
    parts = magistral.micro_batches(lengths, max_tokens=6)
    assert len(parts) > 2
    for rows in parts:
        part = step.rows(torch.tensor(rows))
        magistral.micro_batch_loss(cut[rows], batch.old[rows], part).backward()
    torch.testing.assert_close(cut.grad, whole.grad, rtol=1e-12, atol=0)
    assert whole.grad.abs().sum() > 0


def test_length_costs_only_what_has_the_right_format():
    rewards = torch.tensor([1.0, 0.1, 0.0])
    lengths = torch.tensor([200, 90, 200])
    found = magistral.with_length(rewards, rewards > 0, lengths, max_length=100, buffer=20)
    torch.testing.assert_close(found, torch.tensor([0.9, 0.05, 0.0]))


def test_the_recipe_and_the_reward_agree_on_every_number():
    default = {
        name: parameter.default
        for name, parameter in inspect.signature(magistral_reward).parameters.items()
    }
    weights = [
        default[f"{part}"]
        for part in ("format_weight", "correctness_weight", "length_penalty", "language_weight")
    ]
    numbers = magistral.FORMAT, magistral.CORRECTNESS, magistral.LENGTH, magistral.LANGUAGE
    assert weights == list(numbers)
    default = inspect.signature(magistral_loss).parameters
    assert default["epsilon_low"].default == magistral.EPSILON_LOW
    assert default["epsilon_high"].default == magistral.EPSILON_HIGH
