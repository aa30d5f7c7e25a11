"""Means of per-token values over a whole optimiser step: the one place where the mask comes out."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_same_shape,
    check_scalar,
    check_whole_batch,
    count_sequences,
    dense_ids,
    sequence_sum,
    sum_by_slot,
    widen,
)


class StepTotals(NamedTuple):
    """What a whole optimiser step counts: the denominators of every mean.

    Made once by `step_totals`, before the step is cut into micro-batches or spread over ranks, so
    that every cut gives the same gradient. Rows, sequences and groups without a valid token count
    nowhere.
    """

    tokens: Int[Tensor, ""]
    """Valid tokens of the step."""
    sequences: Int[Tensor, ""]
    """Sequences with a valid token."""
    groups: Int[Tensor, ""]
    """Groups with a valid token."""
    group_tokens: Int[Tensor, " batch"] | Int[Tensor, "batch seq"]
    """Valid tokens of each row's group (packed: of each token's group), aligned with the rows."""

    def rows(self, rows: slice | Int[Tensor, " rows"]) -> "StepTotals":
        """The same totals for some rows of the step: what a micro-batch or a rank passes on."""
        return StepTotals(self.tokens, self.sequences, self.groups, self.group_tokens[rows])


def step_totals(
    mask: Bool[Tensor, "batch seq"],
    group_ids: Int[Tensor, " batch"] | Int[Tensor, "batch seq"],
    *,
    segment_ids: Int[Tensor, "batch seq"] | None = None,
) -> StepTotals:
    """Count the tokens, sequences and groups of a whole optimiser step.

    Take uninformative groups out of the mask first, `mask & informative[:, None]`: they then count
    in no denominator. Nothing is read back to the host, and there is no gradient.

    Args:
        mask: True where a token counts, of all rows of the step.
        group_ids: Equal for samples of one prompt, in any order; one for each row, or for each
            token of packed rows.
        segment_ids: For packed rows: equal for the tokens of one sequence of a row.

    Returns:
        Counts as int64 tensors, `group_tokens` in the shape of `group_ids`.

    Raises:
        TypeError: If `mask` is not bool or the ids are not integers.
        ValueError: If the shapes differ, or only one of the two says that rows are packed.

    Example:
        >>> import torch
        >>> from grpo_core.losses import step_totals
        >>> mask = torch.tensor([[True, True], [True, False], [False, False]])
        >>> total = step_totals(mask, torch.tensor([7, 7, 3]))
        >>> total.tokens.item(), total.sequences.item(), total.groups.item(), total.group_tokens
        (3, 2, 1, tensor([3, 3, 0]))
    """
    check_ndim(2, mask=mask)
    check_bool(mask=mask)
    check_integer(group_ids=group_ids)
    if (segment_ids is None) != (group_ids.ndim == 1):
        raise ValueError(
            "packed rows need segment_ids and the group of each token, others neither: got "
            f"segment_ids {None if segment_ids is None else tuple(segment_ids.shape)} and "
            f"group_ids {tuple(group_ids.shape)}"
        )
    groups, group_tokens = _count_groups(mask, group_ids)
    return StepTotals(mask.sum(), count_sequences(mask, segment_ids), groups, group_tokens)


def token_mean(
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    total: StepTotals | None = None,
) -> Float[Tensor, ""]:
    r"""Mean over the valid tokens of the step.

    $$
    \frac{1}{\sum_i |o_i|} \sum_i \sum_{t=1}^{|o_i|} v_{i,t}
    $$

    DAPO (arXiv:2503.14476, eq. 8) and BNPO. Gradients reach `values` alone.

    Args:
        values: Of each token; what lies off the mask is not read.
        mask: True where a token counts.
        total: Of the whole step, from `step_totals`, where this call holds a part of it; None says
            that this call holds it all.

    Returns:
        The part of the mean that these rows give: parts of a step add up. Without a valid token,
        a 0 that is attached to the graph.

    Raises:
        TypeError: If `mask` is not bool.
        ValueError: If the shapes differ.

    Example:
        Two micro-batches, 1 and 3 tokens long, add up to the mean of the 4:

        >>> import torch
        >>> from grpo_core.losses import step_totals, token_mean
        >>> values = torch.tensor([[4.0, 0.0, 0.0], [1.0, 2.0, 5.0]])
        >>> mask = torch.tensor([[True, False, False], [True, True, True]])
        >>> total = step_totals(mask, torch.tensor([0, 0]))
        >>> first = token_mean(values[:1], mask[:1], total=total)
        >>> first + token_mean(values[1:], mask[1:], total=total)
        tensor(3.)
    """
    values = _masked(values, mask)
    tokens = mask.sum() if total is None else total.tokens
    return values.sum() / tokens.clamp(min=1)


def sequence_mean(
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    segment_ids: Int[Tensor, "batch seq"] | None = None,
    total: StepTotals | None = None,
) -> Float[Tensor, ""]:
    r"""Mean over the sequences of the step of each one's mean over its tokens.

    $$
    \frac{1}{N} \sum_{i=1}^{N} \frac{1}{|o_i|} \sum_{t=1}^{|o_i|} v_{i,t}
    $$

    GRPO (arXiv:2402.03300, eq. 3) and, with `sequence_log_ratio`, GSPO (arXiv:2507.18071, eq. 5).
    A token of a long answer counts less than one of a short answer. A sequence must lie whole in
    one call. Gradients reach `values` alone.

    Args:
        values: Of each token; what lies off the mask is not read.
        mask: True where a token counts.
        segment_ids: For packed rows: equal for the tokens of one sequence of a row.
        total: Of the whole step, from `step_totals`; None says that this call holds it all.

    Returns:
        The part of the mean that these rows give; 0, attached to the graph, without a valid token.

    Raises:
        TypeError: If `mask` is not bool.
        ValueError: If the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.losses import sequence_mean
        >>> values = torch.tensor([[4.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        >>> sequence_mean(values, torch.tensor([[True, False, False], [True, True, True]]))
        tensor(3.)
    """
    values = _masked(values, mask)
    values = values / sequence_sum(mask.long(), segment_ids).clamp(min=1)
    sequences = count_sequences(mask, segment_ids) if total is None else total.sequences
    return values.sum() / sequences.clamp(min=1)


def sequence_sum_mean(
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    segment_ids: Int[Tensor, "batch seq"] | None = None,
    total: StepTotals | None = None,
) -> Float[Tensor, ""]:
    r"""Mean over the sequences of the step of each one's sum over its tokens.

    $$
    \frac{1}{N} \sum_{i=1}^{N} \sum_{t=1}^{|o_i|} v_{i,t}
    $$

    LUSPO (arXiv:2602.05261): with a sequence ratio, what takes GSPO's bias on length away.
    Gradients reach `values` alone.

    Args:
        values: Of each token; what lies off the mask is not read.
        mask: True where a token counts.
        segment_ids: For packed rows without `total`, to count the sequences.
        total: Of the whole step, from `step_totals`; None says that this call holds it all.

    Returns:
        The part of the mean that these rows give; 0, attached to the graph, without a valid token.

    Raises:
        TypeError: If `mask` is not bool.
        ValueError: If the shapes differ, or `segment_ids` come with `total`.

    Example:
        >>> import torch
        >>> from grpo_core.losses import sequence_sum_mean
        >>> values = torch.tensor([[4.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        >>> sequence_sum_mean(values, torch.tensor([[True, False, False], [True, True, True]]))
        tensor(5.)
    """
    if total is not None and segment_ids is not None:
        raise ValueError("total has counted the sequences: give it or segment_ids, not both")
    values = _masked(values, mask)
    sequences = count_sequences(mask, segment_ids) if total is None else total.sequences
    return values.sum() / sequences.clamp(min=1)


def group_token_mean(
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    group_ids: Int[Tensor, " batch"] | Int[Tensor, "batch seq"],
    *,
    total: StepTotals | None = None,
) -> Float[Tensor, ""]:
    r"""Mean over the groups of the step of each one's mean over all of its tokens.

    $$
    \frac{1}{N_\text{groups}} \sum_g \frac{1}{\sum_{i \in g} |o_i|}
        \sum_{i \in g} \sum_{t=1}^{|o_i|} v_{i,t}
    $$

    Magistral (arXiv:2506.10910, section 2.1). Not DAPO's normaliser, which is the batch's: here a
    group of short answers weighs as much as a group of long ones. Gradients reach `values` alone.

    Args:
        values: Of each token; what lies off the mask is not read.
        mask: True where a token counts.
        group_ids: Equal for samples of one prompt, in any order and number; one for each row, or
            for each token of packed rows.
        total: Of the whole step, from `step_totals`, cut to these rows by `total.rows`; None says
            that this call holds the whole step.

    Returns:
        The part of the mean that these rows give; 0, attached to the graph, without a valid token.

    Raises:
        TypeError: If `mask` is not bool or `group_ids` are not integers.
        ValueError: If the shapes differ; if `total` was not cut to these rows.

    Example:
        The group of 1 token weighs as much as the group of 4:

        >>> import torch
        >>> from grpo_core.losses import group_token_mean
        >>> values = torch.tensor([[4.0, 0.0], [1.0, 1.0], [3.0, 3.0]])
        >>> mask = torch.tensor([[True, False], [True, True], [True, True]])
        >>> group_token_mean(values, mask, torch.tensor([5, 8, 8]))
        tensor(3.)
    """
    values = _masked(values, mask)
    check_integer(group_ids=group_ids)
    if total is None:
        groups, group_tokens = _count_groups(mask, group_ids)
    else:
        groups, group_tokens = total.groups, total.group_tokens
        check_same_shape(group_ids=group_ids, **{"total.group_tokens": group_tokens})
    per_token = group_tokens if group_ids.ndim == 2 else group_tokens[:, None].expand_as(values)
    check_same_shape(values=values, group_ids=per_token)
    return (values / per_token.clamp(min=1)).sum() / groups.clamp(min=1)


def constant_mean(
    values: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    max_length: int,
    *,
    segment_ids: Int[Tensor, "batch seq"] | None = None,
    total: StepTotals | None = None,
) -> Float[Tensor, ""]:
    r"""Mean over the sequences of the step of each one's sum over a constant length.

    $$
    \frac{1}{N\, L_\text{max}} \sum_{i=1}^{N} \sum_{t=1}^{|o_i|} v_{i,t}
    $$

    Dr. GRPO (arXiv:2503.20783, section 3.2): no answer's length enters, so
    neither long wrong nor short right answers are favoured. Gradients reach `values` alone.

    Args:
        values: Of each token; what lies off the mask is not read.
        mask: True where a token counts.
        max_length: In tokens, at least 1: the longest completion that sampling allows, not the
            width of this batch.
        segment_ids: For packed rows without `total`, to count the sequences.
        total: Of the whole step, from `step_totals`; None says that this call holds it all.

    Returns:
        The part of the mean that these rows give; 0, attached to the graph, without a valid token.

    Raises:
        TypeError: If `mask` is not bool.
        ValueError: If the shapes differ, `max_length` is below 1, or `segment_ids` come with
            `total`.

    Example:
        >>> import torch
        >>> from grpo_core.losses import constant_mean
        >>> values = torch.tensor([[4.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        >>> constant_mean(values, torch.tensor([[True, False, False], [True, True, True]]), 10)
        tensor(0.5000)
    """
    if not max_length >= 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    return sequence_sum_mean(values, mask, segment_ids=segment_ids, total=total) / max_length


def token_weights(
    mean: Callable[..., Tensor],
    mask: Bool[Tensor, "batch seq"],
    *args: Tensor | int,
    total: StepTotals | None = None,
    **options: Tensor | int,
) -> Float[Tensor, "batch seq"]:
    r"""Weight of each token in a mean: $w$ with $\operatorname{mean}(v) = \sum w_{i,t} v_{i,t}$.

    Means are linear, so their weights are their gradient at ones. A fused loss takes them in place
    of an aggregation; a plot of them shows which tokens a mean favours.

    Args:
        mean: One of this module's, or a function of (values, mask, ...) that is linear in values.
        mask: True where a token counts.
        *args: What `mean` takes after the mask: `group_ids` or `max_length`.
        total: Passed on to `mean`.
        **options: Passed on to `mean`: `segment_ids`, or `max_length=` by name.

    Returns:
        In torch's default dtype, 0 off the mask.

    Raises:
        TypeError: If `mean` returns no tensor.
        ValueError: If `mean` returns a tensor with axes, or as `mean` does.

    Example:
        >>> import torch
        >>> from grpo_core.losses import sequence_mean, token_weights
        >>> token_weights(sequence_mean, torch.tensor([[True, False], [True, True]]))
        tensor([[0.5000, 0.0000],
                [0.2500, 0.2500]])
    """
    check_whole_batch("token_weights")

    def weighted(values: Tensor) -> Tensor:
        result = mean(values, mask, *args, total=total, **options)
        check_scalar(mean=result)
        return result

    ones = torch.ones(mask.shape, device=mask.device)
    return torch.func.grad(weighted)(ones)


def _count_groups(mask: Tensor, group_ids: Tensor) -> tuple[Tensor, Tensor]:
    """How many groups have a valid token, and the valid tokens of each row's or token's group."""
    tokens = mask.long().sum(1) if group_ids.ndim == 1 else mask.long()
    check_same_shape(mask=tokens, group_ids=group_ids)
    slots = dense_ids(group_ids.flatten())
    per_group = sum_by_slot(tokens.flatten(), slots)
    return (per_group > 0).sum(), per_group[slots].view_as(group_ids)


def _masked(values: Tensor, mask: Tensor) -> Tensor:
    check_whole_batch("a mean")
    check_ndim(2, values=values)
    check_same_shape(values=values, mask=mask)
    check_float(values=values)
    check_bool(mask=mask)
    return torch.where(mask, widen(values), 0.0)
