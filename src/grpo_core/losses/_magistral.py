"""The Magistral loss in one call, for a step that fits one call."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core.advantages import group_advantages, informative_groups
from grpo_core.losses._aggregate import group_token_mean
from grpo_core.losses._policy import clipped_loss
from grpo_core.losses._ratio import log_ratio


def magistral_loss(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    mask: Bool[Tensor, "batch seq"],
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.28,
    correction: int = 0,
) -> Float[Tensor, ""]:
    r"""Loss of a whole Magistral step, from rewards and log-probs.

    $$
    -\frac{1}{N_\text{groups}} \sum_g \frac{1}{\sum_{i \in g} |o_i|} \sum_{i \in g} \sum_t
        \min\bigl(r_{i,t} \hat A_i,\; \operatorname{clip}(r_{i,t},\,
            1 - \epsilon_\text{low},\, 1 + \epsilon_\text{high})\, \hat A_i\bigr)
    $$

    (arXiv:2506.10910, section 2.1.) A convenience: exactly the six lines below, each of which is
    yours to change. It takes the rewards of the whole optimiser step, since the standard deviation
    and the informative groups are the step's; to cut a step into micro-batches, write the lines
    out, advantages and `step_totals` first. Gradients reach `log_probs` alone.

    Args:
        log_probs: Under the policy being trained, in nats.
        old_log_probs: Under the policy that sampled, in nats.
        rewards: Of each completion; a group whose rewards are all equal teaches nothing.
        group_ids: Equal for samples of one prompt, in any order.
        mask: True where a token counts.
        epsilon_low: How far below 1 the ratio may fall, in [0, 1]; the report does not print it.
        epsilon_high: How far above 1 the ratio may rise; the report's 0.26 to 0.3.
        correction: 0 for the population's standard deviation, 1 for Bessel's; not printed either.

    Returns:
        The loss; 0, attached to the graph, if no group is informative.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or an epsilon is out of range.

    Example:
        >>> import torch
        >>> from grpo_core.losses import magistral_loss
        >>> log_probs = torch.full((4, 2), -1.0, requires_grad=True)
        >>> rewards, group_ids = torch.tensor([1.0, 0.1, 1.0, 1.0]), torch.tensor([0, 0, 1, 1])
        >>> mask = torch.ones(4, 2, dtype=torch.bool)
        >>> magistral_loss(log_probs, log_probs.detach(), rewards, group_ids, mask).backward()
        >>> log_probs.grad[:, 0]
        tensor([-0.2500,  0.2500,  0.0000,  0.0000])
    """
    informative = informative_groups(rewards, group_ids)
    advantages = group_advantages(rewards, group_ids, mask=informative, correction=correction)
    mask = mask & informative[:, None]
    ratio = log_ratio(log_probs, old_log_probs, mask)
    per_token = clipped_loss(
        ratio,
        advantages[:, None].expand_as(ratio),
        epsilon_low=epsilon_low,
        epsilon_high=epsilon_high,
    )
    return group_token_mean(per_token, mask, group_ids)
