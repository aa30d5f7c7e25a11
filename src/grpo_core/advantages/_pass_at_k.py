"""Advantages for the best of k samples in place of the average one."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import check_choice
from grpo_core.advantages._groups import (
    check_groups,
    check_numbers,
    detached,
    differs,
    group_sum,
    over_batch_std,
)


def pass_at_k_advantages(
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    *,
    k: int,
    mask: Bool[Tensor, " batch"] | None = None,
    scale: Literal["none", "subset_std", "batch_std"] = "subset_std",
    correction: int = 0,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
) -> Float[Tensor, " batch"]:
    r"""Advantage of each sequence for the largest reward among k samples of its group.

    With $M(S)$ the largest reward of a subset $S$ of the group, all subsets of size $k$ alike:

    $$
    A_i = \frac{\operatorname{E}[M(S) \mid i \in S] - \operatorname{E}[M(S)]}
        {\operatorname{std}[M(S)] + \text{eps}}
    $$

    For rewards of 0 and 1 with $n_-$ failures among $n$ this is Pass@k Training (arXiv:2508.10751,
    its analytical advantages): $\operatorname{E}[M] = 1 - \binom{n_-}{k} / \binom{n}{k}$, and
    $\operatorname{E}[M \mid i]$ is 1 for a success and
    $1 - \binom{n_- - 1}{k - 1} / \binom{n - 1}{k - 1}$ for a failure. For other rewards it is the
    same statement about the best of k, exact by order statistics. `k=1` gives `group_advantages`.
    A group of k rows has one subset and teaches nothing; PKPO (arXiv:2505.15201) has estimators
    for that. No gradient.

    Args:
        rewards: Of each sequence.
        group_ids: Equal for samples of one prompt, in any order and number.
        k: Samples of which the best counts, at least 1. A group of k or fewer gets 0.
        mask: Rows outside it get 0 and enter no statistic; None: all.
        scale: "subset_std" divides by the standard deviation of $M(S)$ over all subsets, as
            Pass@k Training does; "batch_std" normalises over the batch as Magistral does.
        correction: For "batch_std": 0 for the population's standard deviation, 1 for Bessel's.
        eps: Added to the standard deviation, in units of reward, at least 0.
        tolerance: A group whose rewards differ by no more, or are not all finite, gets 0.

    Returns:
        float32, or float64 if `rewards` are. Computed in float64.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or an option is out of range.

    Example:
        One success in four, two tries: half of the pairs hold it.

        >>> import torch
        >>> from grpo_core.advantages import pass_at_k_advantages
        >>> rewards, group_ids = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0, 0, 0, 0])
        >>> pass_at_k_advantages(rewards, group_ids, k=2, scale="none")
        tensor([ 0.5000, -0.1667, -0.1667, -0.1667])
    """
    check_choice(scale, ("none", "subset_std", "batch_std"), "scale")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    check_numbers(correction, eps, tolerance)
    slots, mask = check_groups(rewards, group_ids, mask)
    teaches = differs(detached(rewards), slots, mask, tolerance)
    dtype = detached(rewards).dtype
    # Rows off the mask rank below all others, and are not counted.
    rewards = torch.where(mask, detached(rewards).double(), -torch.inf)
    count = group_sum(mask.long(), slots)
    order = rewards.argsort(stable=True)
    order = order[slots[order].argsort(stable=True)]
    members = group_sum(torch.ones_like(slots), slots)
    first = torch.cat([slots.new_zeros(1), (slots[order].diff() != 0).cumsum(0)])[: len(order)]
    starts = torch.zeros_like(order).scatter_reduce(
        0, first, torch.arange(len(order), device=order.device), "amin", include_self=False
    )[first]
    position = torch.empty_like(order).scatter(
        0, order, torch.arange(len(order), device=order.device) - starts
    )
    rank = position - (members - count)  # from 0, among the rows in the mask
    valid = teaches & (count >= k)
    rewards = torch.where(valid, rewards, 0.0)

    # C(rank, k-1) / C(n-1, k-1): how many subsets with i have i as their largest.
    largest = _falling_ratio(rank, count - 1, k - 1)
    # C(rank-1, k-2) / C(n-1, k-1): how many subsets with i have this other row as their largest.
    other = _falling_ratio(rank - 1, count - 2, k - 2) * (k - 1) / (count - 1).clamp(min=1)
    other = other if k > 1 else torch.zeros_like(rewards)
    weight = torch.where(valid, largest * k / count.clamp(min=1), 0.0)
    expected = group_sum(weight * rewards, slots)

    # Centred first, so that the sums over higher ranks lose nothing to cancellation.
    centred = torch.where(valid, rewards - expected, 0.0)
    in_order = torch.where(valid, centred * other, 0.0)[order]
    cumulative = in_order.cumsum(0)
    above = group_sum(torch.where(valid, centred * other, 0.0), slots)[order] - (
        cumulative - (cumulative - in_order)[starts]
    )
    above = torch.empty_like(above).scatter(0, order, above)
    advantages = torch.where(valid, centred * largest + above, 0.0)

    if scale == "subset_std":
        std = group_sum(weight * centred.square(), slots).sqrt()
        advantages = torch.where(std > 0, advantages / (std + eps), 0.0)
    elif scale == "batch_std":
        advantages = over_batch_std(advantages, mask, correction, eps)
    return advantages.to(dtype)


def _falling_ratio(upper: Tensor, lower: Tensor, terms: int) -> Tensor:
    """C(upper, terms) / C(lower, terms), 0 where upper < terms, as a product of `terms` factors."""
    ratio = torch.ones_like(upper, dtype=torch.float64)
    for i in range(max(terms, 0)):
        ratio = ratio * (upper - i).clamp(min=0) / (lower - i).clamp(min=1)
    return ratio
