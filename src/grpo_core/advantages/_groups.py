"""Sums and ranges of a batch by group, without a host synchronisation."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_same_shape,
    dense_ids,
    sum_by_slot,
    widen,
)


def check_groups(rewards: Tensor, group_ids: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Check shapes and dtypes; give the slot of each row's group and the mask, or all True."""
    check_ndim(1, group_ids=group_ids)
    check_float(rewards=rewards)
    check_integer(group_ids=group_ids)
    mask = torch.ones_like(group_ids, dtype=torch.bool) if mask is None else mask
    check_bool(mask=mask)
    check_same_shape(group_ids=group_ids, rewards=rewards, mask=mask)
    return dense_ids(group_ids), mask


def check_numbers(correction: int, eps: float, tolerance: float) -> None:
    """Raise `ValueError` unless the numbers of an advantage are in range."""
    if correction not in (0, 1):
        raise ValueError(f"correction must be 0 or 1, got {correction}")
    if not (eps >= 0 and tolerance >= 0):
        raise ValueError(f"eps and tolerance must be at least 0, got {eps}, {tolerance}")


def group_sum(
    values: Float[Tensor, " batch"] | Int[Tensor, " batch"], slots: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"] | Int[Tensor, " batch"]:
    """Sum over the group of each row, given back at each row."""
    return sum_by_slot(values, slots)[slots]


def group_range(
    rewards: Float[Tensor, " batch"], slots: Int[Tensor, " batch"], mask: Bool[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Largest minus smallest over the group of each row; -inf where the mask leaves none."""
    lowest = torch.full_like(rewards, -torch.inf)
    high, low = (
        lowest.scatter_reduce(0, slots, torch.where(mask, x, -torch.inf), "amax")
        for x in (rewards, -rewards)
    )
    return (high + low)[slots]


def differs(
    rewards: Float[Tensor, " batch"],
    slots: Int[Tensor, " batch"],
    mask: Bool[Tensor, " batch"],
    tolerance: float,
) -> Bool[Tensor, " batch"]:
    """True for the rows in the mask whose group teaches: finite rewards that are not all equal."""
    spread = group_range(rewards, slots, mask)
    return mask & (spread > tolerance) & (spread < torch.inf)


def over_batch_std(
    centred: Float[Tensor, " batch"], mask: Bool[Tensor, " batch"], correction: int, eps: float
) -> Float[Tensor, " batch"]:
    """(A - mean(A)) / (std(A) + eps) over the rows in the mask, of values that are 0 off it.

    They are centred in each group, so that their mean over the batch is 0 but for rounding, and
    subtracting that would give a group of equal rewards another advantage than 0.
    """
    count = (mask.sum() - correction).clamp(min=1)
    std = (centred.square().sum() / count).sqrt()
    return torch.where(std > 0, centred / (std + eps), 0.0)


def detached(rewards: Tensor) -> Tensor:
    """Advantages are constants of the loss."""
    return widen(rewards).detach()
