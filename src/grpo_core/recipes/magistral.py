r"""A step of Magistral (arXiv:2506.10910), from rewards to gradients, in the order of the report.

    reward = magistral_reward(problem, completion, reference)          # of each completion, 2.2
    rewards = with_length(rewards, right_format, lengths, ...)         # 2.2.3
    step = prepare(rewards, group_ids, mask)                           # 2.1: filter, advantages
    for rows in micro_batches(lengths, max_tokens=...):                # 3
        micro_batch_loss(log_probs, old_log_probs[rows], step.rows(rows)).backward()

Each function is a few calls into the library, to be read and changed. What the report does not
print (the lower clip, whether the standard deviation is corrected) is an argument.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core.advantages import group_advantages, informative_groups, soft_length_penalty
from grpo_core.batching import first_fit_decreasing
from grpo_core.losses import StepTotals, clipped_loss, group_token_mean, log_ratio, step_totals
from grpo_core.recipes._numbers import (
    BATCHES,
    COMPILE_SECONDS,
    CORRECTNESS,
    EPSILON_HIGH,
    EPSILON_LOW,
    FORMAT,
    LANGUAGE,
    LENGTH,
    MEMORY_MB,
    TEST_SECONDS,
    TESTS,
    UNPENALISED_LENGTHS,
)

__all__ = [
    "BATCHES", "COMPILE_SECONDS", "CORRECTNESS", "EPSILON_HIGH", "EPSILON_LOW", "FORMAT",
    "LANGUAGE", "LENGTH", "MEMORY_MB", "TESTS", "TEST_SECONDS", "UNPENALISED_LENGTHS", "Step",
    "micro_batch_loss", "micro_batches", "prepare", "with_length",
]  # fmt: skip


class Step(NamedTuple):
    """What the loss of any rows of an optimiser step needs beside their log-probs."""

    advantages: Float[Tensor, " batch"]
    """Normalised over the informative groups; 0 elsewhere."""
    group_ids: Int[Tensor, " batch"]
    mask: Bool[Tensor, "batch seq"]
    """True where a token counts: none of an uninformative group."""
    total: StepTotals
    """Counts of the whole step."""

    def rows(self, rows: Int[Tensor, " rows"] | slice) -> "Step":
        """The same step for some of its rows: a micro-batch, or a rank's share."""
        return Step(
            self.advantages[rows], self.group_ids[rows], self.mask[rows], self.total.rows(rows)
        )


def with_length(
    rewards: Float[Tensor, " batch"],
    right_format: Bool[Tensor, " batch"],
    lengths: Int[Tensor, " batch"],
    *,
    max_length: int,
    buffer: int,
    penalty: float = LENGTH,
) -> Float[Tensor, " batch"]:
    """Rewards with the soft length penalty (section 2.2.3), added here and nowhere else.

    Args:
        rewards: Totals of `magistral_reward`, called without a length.
        right_format: Which completions passed `verify_format`; the others keep exactly 0.
        lengths: Of each completion in tokens.
        max_length: As in `soft_length_penalty`.
        buffer: As in `soft_length_penalty`.
        penalty: As in `soft_length_penalty`.

    Returns:
        The rewards.

    Raises:
        ValueError: If a limit is out of range or the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.recipes.magistral import with_length
        >>> rewards, lengths = torch.tensor([1.0, 0.1, 0.0]), torch.tensor([100, 90, 100])
        >>> with_length(rewards, rewards > 0, lengths, max_length=100, buffer=20)
        tensor([0.9000, 0.0500, 0.0000])
    """
    terms = soft_length_penalty(lengths, max_length=max_length, buffer=buffer, penalty=penalty)
    return torch.where(right_format, rewards + terms.to(rewards), 0.0)


def prepare(
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    mask: Bool[Tensor, "batch seq"],
    *,
    correction: int = 0,
) -> Step:
    """Drop the groups that teach nothing, then centre by group and normalise (section 2.1).

    Args:
        rewards: Of each completion of the whole optimiser step.
        group_ids: Equal for samples of one problem, in any order.
        mask: True where a token counts.
        correction: 0 for the population's standard deviation, 1 for Bessel's; not printed.

    Returns:
        Advantages, mask and totals of the step.

    Raises:
        ValueError: If the shapes differ.

    Example:
        The second group is all right, and counts nowhere:

        >>> import torch
        >>> from grpo_core.recipes.magistral import prepare
        >>> rewards, group_ids = torch.tensor([1.0, 0.1, 1.0, 1.0]), torch.tensor([7, 7, 8, 8])
        >>> step = prepare(rewards, group_ids, torch.ones(4, 3, dtype=torch.bool))
        >>> step.advantages, step.total.tokens
        (tensor([ 1.0000, -1.0000,  0.0000,  0.0000]), tensor(6))
    """
    informative = informative_groups(rewards, group_ids)
    advantages = group_advantages(rewards, group_ids, mask=informative, correction=correction)
    mask = mask & informative[:, None]
    return Step(advantages, group_ids, mask, step_totals(mask, group_ids))


def micro_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """The rows of each micro-batch, by length and first fit (section 3).

    Args:
        lengths: Of each row in tokens; leave out the rows of groups that teach nothing.
        max_tokens: Of one micro-batch.

    Returns:
        The rows of each.

    Raises:
        ValueError: If a row does not fit.

    Example:
        >>> from grpo_core.recipes.magistral import micro_batches
        >>> micro_batches([3, 6, 5], max_tokens=10)
        [[1, 0], [2]]
    """
    return first_fit_decreasing(lengths, max_tokens=max_tokens)


def micro_batch_loss(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    step: Step,
    *,
    epsilon_low: float = EPSILON_LOW,
    epsilon_high: float = EPSILON_HIGH,
) -> Float[Tensor, ""]:
    """The clipped loss without KL, by group and then over groups (section 2.1).

    The losses of a step's micro-batches add up to the step's: accumulate gradients, divide nothing.
    Gradients reach `log_probs` alone.

    Args:
        log_probs: Of these rows, under the policy being trained, in nats.
        old_log_probs: Of these rows, under the policy that sampled, in nats.
        step: `prepare(...).rows(...)` of these rows.
        epsilon_low: How far below 1 the ratio may fall, in [0, 1].
        epsilon_high: How far above 1 the ratio may rise, at least 0.

    Returns:
        These rows' share of the loss.

    Raises:
        ValueError: If the shapes differ or an epsilon is out of range.

    Example:
        >>> import torch
        >>> from grpo_core.recipes.magistral import micro_batch_loss, prepare
        >>> log_probs = torch.full((2, 3), -1.0, requires_grad=True)
        >>> rewards, group_ids = torch.tensor([1.0, 0.1]), torch.tensor([0, 0])
        >>> step = prepare(rewards, group_ids, torch.ones(2, 3, dtype=torch.bool))
        >>> for row in ([0], [1]):
        ...     part = step.rows(torch.tensor(row))
        ...     micro_batch_loss(log_probs[row], log_probs[row].detach(), part).backward()
        >>> log_probs.grad[:, 0]
        tensor([-0.1667,  0.1667])
    """
    ratio = log_ratio(log_probs, old_log_probs, step.mask)
    per_token = clipped_loss(
        ratio,
        step.advantages[:, None].expand_as(ratio),
        epsilon_low=epsilon_low,
        epsilon_high=epsilon_high,
    )
    return group_token_mean(per_token, step.mask, step.group_ids, total=step.total)
