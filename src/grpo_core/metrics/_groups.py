"""How much of a batch teaches anything."""

from jaxtyping import Bool, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_integer,
    check_same_shape,
    dense_ids,
    sum_by_slot,
)
from grpo_core.metrics._sums import Mean, token_average


def informative_group_fraction(
    informative: Bool[Tensor, " batch"], group_ids: Int[Tensor, " batch"]
) -> Mean:
    """Share of the groups that are informative, each counted once whatever its size.

    Groups must not be spread over the parts that are added up: a group in two ranks counts twice.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import informative_group_fraction
        >>> informative = torch.tensor([True, True, True, False])
        >>> informative_group_fraction(informative, torch.tensor([1, 1, 1, 2])).value()
        tensor(0.5000)
    """
    check_bool(informative=informative)
    check_integer(group_ids=group_ids)
    check_same_shape(informative=informative, group_ids=group_ids)
    slots = dense_ids(group_ids)
    kept, members = sum_by_slot(informative.long(), slots), sum_by_slot(slots * 0 + 1, slots)
    return Mean((kept > 0).sum().float(), (members > 0).sum())


def informative_token_fraction(
    informative: Bool[Tensor, " batch"], mask: Bool[Tensor, "batch seq"]
) -> Mean:
    """Share of the valid tokens that belong to informative groups.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import informative_token_fraction
        >>> mask = torch.tensor([[True, True, True], [True, False, False]])
        >>> informative_token_fraction(torch.tensor([True, False]), mask).value()
        tensor(0.7500)
    """
    check_bool(informative=informative)
    kept = informative[:, None].expand(-1, mask.shape[1])
    return token_average(kept.float(), mask)
