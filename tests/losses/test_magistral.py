"""magistral_loss is its pieces, and its pieces are the report's."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.advantages import group_advantages, informative_groups
from grpo_core.losses import clipped_loss, group_token_mean, log_ratio, magistral_loss
from variants import random_batch, sequences

steps = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from([3, 8]), st.sampled_from([0.0, 0.1, 1.0])),
    min_size=2,
    max_size=8,
)


@given(seed=st.integers(0, 99), step=steps)
def test_it_is_the_reports_equation(seed, step):
    batch = random_batch(seed, [s[0] for s in step], [s[1] for s in step])
    groups, rewards = [s[1] for s in step], [s[2] for s in step]
    new = batch.new.clone().requires_grad_()
    tensor = torch.tensor(rewards, dtype=torch.float64)
    loss = magistral_loss(new, batch.old, tensor, batch.group_ids, batch.mask)
    loss.backward()

    # In floats: groups that teach are kept before anything is averaged.
    kept = [
        i
        for rows in oracles.members(groups).values()
        for i in rows
        if len({rewards[j] for j in rows}) > 1
    ]
    expected = 0.0
    if kept:
        advantages = oracles.batch_std_advantages(
            [rewards[i] for i in kept], [groups[i] for i in kept], 0, 1e-6
        )
        rows = sequences(batch)
        tokens = [
            [
                oracles.clipped(r, a, 0.2, 0.28)
                for r in oracles.token_ratios(rows[i].new, rows[i].old)
            ]
            for i, a in zip(kept, advantages, strict=True)
        ]
        expected = oracles.group_token_mean(tokens, [groups[i] for i in kept])
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)

    # And the composition that its docstring promises, bit for bit.
    pieces = batch.new.clone().requires_grad_()
    informative = informative_groups(tensor, batch.group_ids)
    advantages = group_advantages(tensor, batch.group_ids, mask=informative, scale="batch_std")
    mask = batch.mask & informative[:, None]
    per_token = clipped_loss(
        log_ratio(pieces, batch.old, mask), advantages[:, None].expand_as(pieces)
    )
    composed = group_token_mean(per_token, mask, batch.group_ids)
    composed.backward()
    assert torch.equal(composed, loss)
    assert torch.equal(pieces.grad, new.grad)


def test_the_correction_reaches_the_deviation():
    new, mask = torch.zeros(4, 1), torch.ones(4, 1, dtype=torch.bool)
    rewards, groups = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4, dtype=torch.long)
    for correction in (0, 1):
        x = new.clone().requires_grad_()
        magistral_loss(x, new, rewards, groups, mask, correction=correction).backward()
        deviation = oracles.std([0.75, -0.25, -0.25, -0.25], correction)
        assert x.grad[0].item() == pytest.approx(-0.75 / deviation / 4, rel=1e-5)


def test_the_epsilons_reach_the_clip():
    new = torch.tensor([[math.log(1.5)], [0.0]], dtype=torch.float64)
    old, mask = torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.bool)
    rewards, groups = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0, 0])
    for high, first in [(0.28, 1.28), (0.6, 1.5)]:
        loss = magistral_loss(new, old, rewards, groups, mask, epsilon_high=high)
        assert loss.item() == pytest.approx((-first + 1.0) / 2, rel=1e-5)
    shrunk = magistral_loss(-new, old, 1 - rewards, groups, mask, epsilon_low=0.5)
    assert shrunk.item() == pytest.approx((1 / 1.5 - 1.0) / 2, rel=1e-5)
