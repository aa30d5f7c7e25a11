"""Rewards of a batch into advantages of its sequences."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import check_choice, check_ndim
from grpo_core.advantages._groups import (
    check_groups,
    check_numbers,
    detached,
    differs,
    group_sum,
    over_batch_std,
)


def group_advantages(
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    *,
    mask: Bool[Tensor, " batch"] | None = None,
    baseline: Literal["mean", "leave_one_out"] = "mean",
    scale: Literal["none", "group_std", "batch_std"] = "batch_std",
    correction: int = 0,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
) -> Float[Tensor, " batch"]:
    r"""Advantage of each sequence over the others of its group.

    $$
    A_i = \frac{r_i - b_i}{\sigma_i + \text{eps}}, \qquad
    b_i = \frac{1}{|g|} \sum_{j \in g} r_j
    \quad\text{or}\quad \frac{1}{|g| - 1} \sum_{j \in g,\, j \ne i} r_j
    $$

    with $\sigma_i$ of the group's rewards ("group_std": GRPO, arXiv:2402.03300, section 4.1.2), of
    the batch's centred rewards ("batch_std": Magistral, arXiv:2506.10910, section 2.1, with `mask`
    the informative groups, and REINFORCE++-baseline, arXiv:2501.03262, without a mask; the batch
    mean that both subtract is 0 once every group is centred), or left out ("none": Dr. GRPO,
    arXiv:2503.20783; with "leave_one_out", RLOO, arXiv:2402.14740). The standard deviation is
    always of values centred on the mean. No gradient.

    Args:
        rewards: Of each sequence. One that is not finite gives its whole group 0: take what could
            not be graded out of the mask, and the others keep theirs.
        group_ids: Equal for samples of one prompt, in any order and number.
        mask: Rows outside it get 0 and enter no statistic, whatever their reward holds; None: all.
        baseline: "leave_one_out" leaves each row out of its own baseline: |g| / (|g| - 1) times
            "mean", unbiased.
        scale: What to divide by.
        correction: 0 for the population's standard deviation, 1 for Bessel's; the report does not
            say which.
        eps: Added to the standard deviation, in units of reward, at least 0.
        tolerance: A group whose largest and smallest reward differ by no more gets exactly 0, in
            units of reward, at least 0: rounding is no signal.

    Returns:
        float32, or float64 if `rewards` are. A group of one gets 0.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or an option is out of range.

    Example:
        The second group teaches nothing, and its rows do not touch the scale of the first:

        >>> import torch
        >>> from grpo_core.advantages import group_advantages, informative_groups
        >>> rewards, group_ids = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([3, 3, 5, 5])
        >>> informative = informative_groups(rewards, group_ids)
        >>> group_advantages(rewards, group_ids, mask=informative)
        tensor([ 1.0000, -1.0000,  0.0000,  0.0000])
    """
    check_choice(baseline, ("mean", "leave_one_out"), "baseline")
    check_choice(scale, ("none", "group_std", "batch_std"), "scale")
    check_numbers(correction, eps, tolerance)
    slots, mask = check_groups(rewards, group_ids, mask)
    rewards = torch.where(mask, detached(rewards), 0.0)
    count = group_sum(mask.long(), slots)
    informative = differs(rewards, slots, mask, tolerance)
    centred = rewards - group_sum(rewards, slots) / count.clamp(min=1)
    centred = torch.where(informative, centred, 0.0)
    advantages = centred
    if baseline == "leave_one_out":
        advantages = centred * count / (count - 1).clamp(min=1)
    if scale == "group_std":
        squares = group_sum(centred.square(), slots)
        std = (squares / (count - correction).clamp(min=1)).sqrt()
        advantages = torch.where(std > 0, advantages / (std + eps), 0.0)
    elif scale == "batch_std":
        advantages = over_batch_std(advantages, mask, correction, eps)
    return advantages


def maxrl_advantages(
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    *,
    mask: Bool[Tensor, " batch"] | None = None,
) -> Float[Tensor, " batch"]:
    r"""Advantages that ascend the log of the success rate, up to the order of the group's size.

    $$
    A_i = \frac{r_i - \bar r_g}{\bar r_g}, \qquad 0 \text{ where } \bar r_g = 0
    $$

    MaxRL (arXiv:2602.02710): the mean of $\nabla \log \pi$ over the successes of a group, less its
    mean over the group. The rarer the success, the more it counts. No gradient.

    Args:
        rewards: Of each sequence, 1 for a success and 0 for a failure. A group without a success,
            or with a reward that is not finite, gets 0.
        group_ids: Equal for samples of one prompt, in any order and number.
        mask: Rows outside it get 0 and enter no statistic; None: all.

    Returns:
        float32, or float64 if `rewards` are.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import maxrl_advantages
        >>> maxrl_advantages(torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0, 0, 0, 0]))
        tensor([ 3., -1., -1., -1.])
    """
    slots, mask = check_groups(rewards, group_ids, mask)
    rewards = torch.where(mask, detached(rewards), 0.0)
    mean = group_sum(rewards, slots) / group_sum(mask.long(), slots).clamp(min=1)
    return torch.where(mask & (mean > 0) & (mean < torch.inf), (rewards - mean) / mean, 0.0)


def gdpo_advantages(
    rewards: Float[Tensor, "batch rewards"],
    group_ids: Int[Tensor, " batch"],
    *,
    weights: Sequence[float] | None = None,
    mask: Bool[Tensor, " batch"] | None = None,
    correction: int = 0,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
) -> Float[Tensor, " batch"]:
    r"""Several rewards, each normalised in its group, then summed, then normalised over the batch.

    $$
    S_i = \sum_k w_k
        \frac{r_{i,k} - \operatorname{mean}_g(r_k)}{\operatorname{std}_g(r_k) + \text{eps}},
    \qquad A_i = \frac{S_i - \operatorname{mean}(S)}{\operatorname{std}(S) + \text{eps}}
    $$

    GDPO (arXiv:2601.05242): summing first would give different mixtures of rewards one advantage.
    No gradient.

    Args:
        rewards: Of each sequence, a column a reward.
        group_ids: Equal for samples of one prompt, in any order and number.
        weights: $w_k$, one a column; None: 1 each.
        mask: Rows outside it get 0 and enter no statistic; None: all.
        correction: 0 for the population's standard deviation, 1 for Bessel's.
        eps: Added to each standard deviation, in units of reward, at least 0.
        tolerance: A reward that differs by no more within a group gives 0 there.

    Returns:
        float32, or float64 if `rewards` are.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes or the number of weights differ, or an option is out of range.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import gdpo_advantages
        >>> rewards = torch.tensor([[1.0, 0.1], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0]])
        >>> gdpo_advantages(rewards, torch.tensor([0, 0, 0, 0]))
        tensor([ 1.5382,  0.2380, -0.8881, -0.8881])
    """
    check_ndim(2, rewards=rewards)
    columns = rewards.shape[1]
    weights = [1.0] * columns if weights is None else weights
    if len(weights) != columns or columns == 0:
        raise ValueError(f"need a weight for each of {columns} rewards, got {len(weights)}")
    check_numbers(correction, eps, tolerance)
    total = rewards.new_zeros(())
    for column, weight in enumerate(weights):
        total = total + weight * group_advantages(
            rewards[:, column],
            group_ids,
            mask=mask,
            scale="group_std",
            correction=correction,
            eps=eps,
            tolerance=tolerance,
        )
    _, mask = check_groups(rewards[:, 0], group_ids, mask)
    return over_batch_std(total, mask, correction, eps)
