"""What importance weights do to a batch: as they are, and as they are applied."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import check_bool, check_same_shape, widen
from grpo_core.metrics._sums import Mean, token_average


@dataclass(frozen=True, eq=False)
class EffectiveSampleSize:
    r"""Kish's effective sample size as sums: $(\sum w)^2 / \sum w^2$, and the tokens counted.

    Add the parts of a step with `+`. Over ranks, all-reduce the three tensors with SUM.
    """

    weight_sum: Float[Tensor, ""]
    square_sum: Float[Tensor, ""]
    tokens: Int[Tensor, ""]

    def __add__(self, other: "EffectiveSampleSize") -> "EffectiveSampleSize":
        """The sums over both."""
        return EffectiveSampleSize(
            self.weight_sum + other.weight_sum,
            self.square_sum + other.square_sum,
            self.tokens + other.tokens,
        )

    def value(self) -> Float[Tensor, ""]:
        """As a share of the tokens, in (0, 1]: 1 if all weights are equal; NaN if all are 0."""
        return self.weight_sum.square() / (self.square_sum * self.tokens)


@dataclass(frozen=True, eq=False)
class ImportanceWeights:
    """Mean weight before and after truncation, and the effective sample size of what is applied."""

    raw: Mean
    applied: Mean
    effective_sample_size: EffectiveSampleSize

    def __add__(self, other: "ImportanceWeights") -> "ImportanceWeights":
        """The sums over both."""
        return ImportanceWeights(
            self.raw + other.raw,
            self.applied + other.applied,
            self.effective_sample_size + other.effective_sample_size,
        )


def importance_weights(
    log_ratio: Float[Tensor, "batch seq"],
    weights: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
) -> ImportanceWeights:
    """Raw and applied importance weights of the valid tokens; a gap between the means is bias.

    Args:
        log_ratio: That the weights were made of; its `exp` is the raw weight.
        weights: As applied: of `truncated_weights`, `masked_weights`, `rejection_weights` or a
            product of them.
        mask: True where a token counts.

    Returns:
        Sums that add with `+`; each part has `value()`.

    Raises:
        TypeError: If `mask` is not bool.
        ValueError: If the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.off_policy import truncated_weights
        >>> from grpo_core.metrics import importance_weights
        >>> log_ratio, mask = torch.tensor([[0.5, 8.0]]).log(), torch.tensor([[True, True]])
        >>> report = importance_weights(log_ratio, truncated_weights(log_ratio), mask)
        >>> report.raw.value(), report.applied.value()
        (tensor(4.2500), tensor(1.2500))
    """
    check_bool(mask=mask)
    check_same_shape(log_ratio=log_ratio, weights=weights, mask=mask)
    applied = token_average(weights, mask)
    squares = torch.where(mask, widen(weights).detach(), 0.0).square().sum()
    return ImportanceWeights(
        raw=token_average(widen(log_ratio).exp(), mask),
        applied=applied,
        effective_sample_size=EffectiveSampleSize(applied.numerator, squares, mask.sum()),
    )
