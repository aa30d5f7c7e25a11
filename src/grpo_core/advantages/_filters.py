"""What teaches nothing, or the wrong thing: groups, truncated answers, tokens without a choice."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_same_shape,
    check_whole_batch,
    sequence_slots,
    widen,
)
from grpo_core.advantages._groups import check_groups, detached, differs


def informative_groups(
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    *,
    tolerance: float = 1e-6,
    mask: Bool[Tensor, " batch"] | None = None,
) -> Bool[Tensor, " batch"]:
    r"""True for the rows of groups whose rewards are not all equal.

    $\max_g r - \min_g r > \text{tolerance}$: the others have advantage 0, and are left out before
    the batch is formed and before its standard deviation is taken (arXiv:2506.10910, section 2.1).
    The report's rule is on the rewards. With length or language terms a group that is all right or
    all wrong can still have unequal rewards; to filter by correctness only, pass correctness:
    `informative_groups(correct, group_ids)`, with 1 and 0 as `correct`. No gradient.

    Args:
        rewards: Of each sequence. A group with one that is not finite is not informative.
        group_ids: Equal for samples of one prompt, in any order and number.
        tolerance: The largest difference that still counts as equal, in units of reward, >= 0.
        mask: Rows outside it are False and enter no group; None: all.

    Returns:
        One for each row; `mask & informative[:, None]` takes the others out of a token mask.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or `tolerance` is negative.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import informative_groups
        >>> informative_groups(torch.tensor([1.0, 0.1, 0.1, 0.1]), torch.tensor([4, 2, 4, 2]))
        tensor([ True, False,  True, False])
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    slots, mask = check_groups(rewards, group_ids, mask)
    return differs(detached(rewards), slots, mask, tolerance)


def overlong_mask(
    tokens: Int[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    end_ids: Sequence[int],
    segment_ids: Int[Tensor, "batch seq"] | None = None,
) -> Bool[Tensor, "batch seq"]:
    """The mask without the sequences that were cut off: whose last valid token ends nothing.

    Overlong filtering of DAPO (arXiv:2503.14476, section 3.4): a reward for an answer that was cut
    at the limit is noise. The sequences that are left out count in no denominator. No gradient.

    Args:
        tokens: Sampled ids.
        mask: True where a token counts, the token that ends a completion included: where that is
            off the mask, every sequence looks cut off.
        end_ids: Ids that end a completion (end of sequence, end of turn), at least one.
        segment_ids: For packed rows: equal for the tokens of one sequence of a row.

    Returns:
        `mask`, with False throughout every sequence that was cut off.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or `end_ids` is empty.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import overlong_mask
        >>> tokens = torch.tensor([[5, 2, 0], [5, 6, 7]])
        >>> overlong_mask(tokens, torch.tensor([[True, True, False]] + [[True] * 3]), end_ids=[2])
        tensor([[ True,  True, False],
                [False, False, False]])
    """
    check_whole_batch("overlong_mask")
    if not end_ids:
        raise ValueError(f"end_ids must name at least one id, got {list(end_ids)}")
    check_ndim(2, tokens=tokens)
    check_integer(tokens=tokens)
    check_bool(mask=mask)
    check_same_shape(tokens=tokens, mask=mask)
    ends = torch.zeros_like(mask)
    for end_id in end_ids:
        ends = ends | (tokens == end_id)
    if segment_ids is None:
        slots = torch.arange(mask.shape[0], device=mask.device)[:, None].expand_as(mask).flatten()
    else:
        check_same_shape(tokens=tokens, segment_ids=segment_ids)
        slots = sequence_slots(segment_ids)
    # The place of the last valid token, and of the last valid token that ends: equal or cut off.
    place = torch.arange(mask.numel(), device=mask.device)
    last, last_end = (
        torch.full_like(place, -1).scatter_reduce(
            0, slots, torch.where(valid.flatten(), place, -1), "amax"
        )[slots]
        for valid in (mask, mask & ends)
    )
    return mask & (last == last_end).view_as(mask)


def high_entropy_mask(
    entropy: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"], *, quantile: float = 0.8
) -> Bool[Tensor, "batch seq"]:
    """True for the valid tokens whose entropy is at or above a quantile of all valid ones.

    "Beyond the 80/20 rule" (arXiv:2506.01939): the fifth of the tokens at which the policy
    had a choice carries the learning. There a token left out still counts in the denominator:
    `torch.where(high_entropy_mask(entropy, mask), per_token, 0.0)`, then the mean under the full
    mask. The quantile is of these rows, linearly interpolated; take it over the whole step. No
    gradient.

    Args:
        entropy: Of each token, in nats, as `token_statistics` gives it.
        mask: True where a token counts.
        quantile: Share of the valid tokens that is left out, in [0, 1).

    Returns:
        False off the mask.

    Raises:
        TypeError: If a dtype is not as annotated.
        ValueError: If the shapes differ or `quantile` is out of range.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import high_entropy_mask
        >>> entropy = torch.tensor([[0.1, 2.0, 0.3, 9.0]])
        >>> mask = torch.tensor([[True, True, True, False]])
        >>> high_entropy_mask(entropy, mask, quantile=0.5)
        tensor([[False,  True,  True, False]])
    """
    check_whole_batch("high_entropy_mask")
    if not 0 <= quantile < 1:
        raise ValueError(f"quantile must be in [0, 1), got {quantile}")
    check_ndim(2, entropy=entropy)
    check_float(entropy=entropy)
    check_bool(mask=mask)
    check_same_shape(entropy=entropy, mask=mask)
    entropy = widen(entropy).detach()
    # Padding sorts behind every entropy; one more entry keeps an empty batch indexable.
    ordered = torch.where(mask, entropy, torch.inf).flatten().sort().values
    ordered = torch.cat([ordered, ordered.new_full((1,), torch.inf)])
    place = quantile * (mask.sum() - 1).clamp(min=0).to(entropy.dtype)
    # Not `ordered[place]`: an index of no axes is read back to the host.
    low, high = (ordered.gather(0, p.long()[None]) for p in (place.floor(), place.ceil()))
    threshold = torch.where(low == high, low, low + (high - low) * (place - place.floor()))
    return mask & (entropy >= threshold)
