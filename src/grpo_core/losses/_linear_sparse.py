"""One pass whose gradients leave out what holds next to nothing, and how much that was."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grpo_core.losses._linear_inputs import Gradients, Inputs


@dataclass(frozen=True, eq=False)
class Sparsity:
    """What `linear_token_loss(sparse=...)` left out, in sums: add the parts of a step with `+`.

    Over ranks, all-reduce all four with SUM.

    Example:
        >>> import torch
        >>> from grpo_core.losses._linear_sparse import Sparsity
        >>> one = Sparsity(*torch.tensor([0.25, 100.0, 30.0, 1000.0]))
        >>> (one + one).left_out_share(), (one + one).work_share()
        (tensor(0.0025), tensor(0.0300))
    """

    left_out: Float[Tensor, ""]
    """Of the gradient of the logits, the sum of the sizes of what either product left out."""
    gradient: Float[Tensor, ""]
    """The sum of the sizes of all of it."""
    made: Float[Tensor, ""]
    """Products of a row with the weight, or of an id with the hidden states, that were made."""
    dense: Float[Tensor, ""]
    """As many as there are without `sparse`."""

    def __add__(self, other: "Sparsity") -> "Sparsity":
        """Of both."""
        return Sparsity(
            self.left_out + other.left_out,
            self.gradient + other.gradient,
            self.made + other.made,
            self.dense + other.dense,
        )

    def left_out_share(self) -> Float[Tensor, ""]:
        """The share of the logits' gradient, in absolute values, left out; NaN of none."""
        return self.left_out / self.gradient

    def work_share(self) -> Float[Tensor, ""]:
        """The share of the work of the two gradient products that was done."""
        return self.made / self.dense


class SparseOnePass:
    """What one pass calls, and what it left out so far."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._tallies: list[Tensor] = []

    def exponentials(self, inputs: Inputs) -> tuple[Tensor, Any]:
        """As in `_linear_triton`."""
        return _kernels().sparse_exponentials(inputs)

    def summing(self, inputs: Inputs, into: Gradients) -> Gradients:  # noqa: ARG002
        """The same: a chunk adds to what it holds something of, and to that alone."""
        return into

    def gradients(
        self,
        inputs: Inputs,
        kept: Any,
        log_probs_grad: Tensor,
        into: Gradients,
        *,
        accumulate: bool,
        chunk: int = 0,  # noqa: ARG002 - sums have the gradient's dtype here
        chunks: int = 1,  # noqa: ARG002
    ) -> None:
        """As in `_linear_triton`."""
        self._tallies.append(
            _kernels().sparse_gradients(
                inputs, kept, log_probs_grad, into, accumulate=accumulate, share=self._share
            )
        )

    def sparsity(self) -> Sparsity:
        """Of all chunks."""
        return Sparsity(*torch.stack(self._tallies).sum(0).unbind())


def _kernels() -> Any:
    from grpo_core.losses import _linear_triton  # noqa: PLC0415 - needs Triton

    return _linear_triton
