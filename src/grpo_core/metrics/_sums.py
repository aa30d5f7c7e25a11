"""Statistics as sums, so that micro-batches and ranks add up to the statistic of the step."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import check_bool, check_float, check_same_shape, widen


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean as a sum and a count: add the parts of a step with `+`, then take `value()`.

    Over ranks, all-reduce both tensors with SUM.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import Mean
        >>> one = Mean(torch.tensor(3.0), torch.tensor(1))
        >>> five = Mean(torch.tensor(3.0), torch.tensor(5))
        >>> (one + five).value()
        tensor(1.)
    """

    numerator: Float[Tensor, ""]
    denominator: Float[Tensor, ""] | Int[Tensor, ""]

    def __add__(self, other: "Mean") -> "Mean":
        """The mean over what both counted."""
        return Mean(self.numerator + other.numerator, self.denominator + other.denominator)

    def value(self) -> Float[Tensor, ""]:
        """The mean; NaN where nothing was counted."""
        return self.numerator / self.denominator


@dataclass(frozen=True, eq=False)
class Range:
    """Smallest and largest: merge the parts of a step with `+`.

    Over ranks, all-reduce with MIN and MAX. Of nothing, it is (inf, -inf).
    """

    minimum: Float[Tensor, ""]
    maximum: Float[Tensor, ""]

    def __add__(self, other: "Range") -> "Range":
        """The range of what both saw."""
        return Range(
            torch.minimum(self.minimum, other.minimum), torch.maximum(self.maximum, other.maximum)
        )


def token_average(values: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Mean:
    """Mean of any value over the valid tokens: of the entropy, of a KL, of weights, of a mask.

    Detached; what lies off the mask is not read.

    Args:
        values: Of each token.
        mask: True where a token counts.

    Returns:
        Sum over the valid tokens, and their number.

    Raises:
        TypeError: If `mask` is not bool or `values` are not floating point.
        ValueError: If the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import token_average
        >>> entropy = torch.tensor([[0.5, 1.5, float("nan")]])
        >>> token_average(entropy, torch.tensor([[True, True, False]])).value()
        tensor(1.)
    """
    check_float(values=values)
    check_bool(mask=mask)
    check_same_shape(values=values, mask=mask)
    return Mean(torch.where(mask, widen(values).detach(), 0.0).sum(), mask.sum())
