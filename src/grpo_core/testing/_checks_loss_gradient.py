"""Rules of a loss about its gradient: whom it reaches, and which way it goes."""

from random import Random

import torch

from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import PER_TOKEN, Broken, Loss, with_old


def gradient_reaches_the_policy_alone(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Gradients reach `log_probs`, and neither the sampler, the reference nor the advantages."""
    del chance
    names = [name for name in PER_TOKEN if name in loss.names]
    values = {name: getattr(batch, name).detach().clone().requires_grad_() for name in names}
    value = loss.of(batch._replace(**values))
    if not value.requires_grad:
        return "is cut off from the graph", batch
    value.backward()
    for name in names:
        gradient = values[name].grad
        if name != "log_probs" and gradient is not None and bool((gradient != 0).any()):
            return f"has a gradient with respect to {name}: {gradient.tolist()}", batch
    own = values["log_probs"].grad
    if own is None:
        return "is cut off from log_probs", batch
    return None


def advantages_set_the_direction(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """On policy, each valid token gets likelier if its advantage is positive, and else less."""
    if not batch.mask.any():
        return None
    rows = torch.tensor([chance.choice((-10.0, 10.0)) for _ in batch.mask])
    signs = rows[:, None].to(batch.log_probs.dtype).expand_as(batch.log_probs).contiguous()
    even = with_old(batch, 0.0, 1.0)._replace(advantages=signs)
    _, gradient = loss.gradient(even)
    push = (-gradient * signs)[batch.mask]
    if bool((push < 0).any()):
        return f"goes against the advantages {rows.tolist()} on policy: {gradient.tolist()}", even
    if "rewards" not in loss.names and bool((push == 0).any()):
        return f"leaves a valid token where it is, on policy: {gradient.tolist()}", even
    return None


def what_went_the_wrong_way_is_pulled_back(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """A clip ends the gradient of what went too far the right way, and never only of the other.

    A mask that drops what is far from the sampler on both sides, or on one, is no such clip.
    """
    del chance
    if not batch.mask.any():
        return None
    for sign in (1.0, -1.0):
        _, wrong = loss.gradient(with_old(batch, -sign, sign))
        _, right = loss.gradient(with_old(batch, sign, sign))
        if bool((wrong != 0).any()) or not bool((right != 0).any()):
            return None
    return "has no gradient where the policy went the wrong way, and has where the right", batch
