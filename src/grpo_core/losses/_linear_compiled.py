"""The functions of `_linear_torch` as operators that a compiler calls as they are.

Traced, their loops over tiles would be unrolled into thousands of operations.
"""

from typing import Any, cast

import torch
from torch import Tensor

from grpo_core.losses import _linear_torch
from grpo_core.losses._linear_inputs import Gradients, Inputs
from grpo_core.losses._linear_torch import (
    Kept,
    chunk_rows,
    frozen_rows,
    kept_bytes,
    lean_rows,
    rescale,
    summing,
)

__all__ = ["chunk_rows", "frozen_rows", "kept_bytes", "lean_rows", "rescale", "summing"]


@torch.library.custom_op("grpo_core::plain_linear_statistics", mutates_args=())
def _statistics(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
    with_entropy: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = Inputs(hidden, weight, bias, tokens, mask, temperature, per_token, softcap)
    return _linear_torch.statistics(inputs, with_entropy=with_entropy)


@torch.library.custom_op("grpo_core::plain_linear_exponentials", mutates_args=())
def _exponentials(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = Inputs(hidden, weight, bias, tokens, mask, temperature, per_token, softcap)
    log_probs, kept = _linear_torch.exponentials(inputs)
    return log_probs, kept.log_p, kept.log_norm


_GRADIENTS = ("hidden_grad", "weight_grad", "bias_grad")


@torch.library.custom_op("grpo_core::plain_linear_gradients", mutates_args=("log_p", *_GRADIENTS))
def _gradients(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
    log_p: Tensor,
    log_norm: Tensor,
    log_probs_grad: Tensor,
    hidden_grad: Tensor | None,
    weight_grad: Tensor | None,
    bias_grad: Tensor | None,
    accumulate: bool,
) -> None:
    inputs = Inputs(hidden, weight, bias, tokens, mask, temperature, per_token, softcap)
    into = Gradients(hidden_grad, weight_grad, bias_grad)
    kept = Kept(log_p, log_norm)
    _linear_torch.gradients(inputs, kept, log_probs_grad, into, accumulate=accumulate)


@torch.library.custom_op("grpo_core::plain_linear_backward", mutates_args=_GRADIENTS)
def _backward(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
    log_norm: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    hidden_grad: Tensor | None,
    weight_grad: Tensor | None,
    bias_grad: Tensor | None,
    accumulate: bool,
) -> None:
    inputs = Inputs(hidden, weight, bias, tokens, mask, temperature, per_token, softcap)
    into = Gradients(hidden_grad, weight_grad, bias_grad)
    of_rows = log_norm, entropy, log_probs_grad, entropy_grad
    _linear_torch.backward(inputs, *of_rows, into, accumulate=accumulate, lean=True)


@_statistics.register_fake  # pyright: ignore[reportUnknownMemberType] - torch types it in part
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    inputs = Inputs(*arguments[:8])
    like = inputs.hidden.new_empty(inputs.rows, dtype=inputs.dtype)
    return like, torch.empty_like(like), torch.empty_like(like)


@_exponentials.register_fake  # pyright: ignore[reportUnknownMemberType] - torch types it in part
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    inputs = Inputs(*arguments)
    like = inputs.hidden.new_empty(inputs.rows, dtype=inputs.dtype)
    return like, like.new_empty((inputs.rows, inputs.vocab)), torch.empty_like(like)


@_gradients.register_fake  # pyright: ignore[reportUnknownMemberType] - torch types it in part
def _(*_: Any) -> None: ...


@_backward.register_fake  # pyright: ignore[reportUnknownMemberType] - torch types it in part
def _(*_: Any) -> None: ...


def statistics(inputs: Inputs, *, with_entropy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """As in `_linear_torch`."""
    return cast("Any", _statistics)(*inputs, with_entropy)


def exponentials(inputs: Inputs) -> tuple[Tensor, Kept]:
    """As in `_linear_torch`."""
    log_probs, *kept = cast("Any", _exponentials)(*inputs)
    return log_probs, Kept(*kept)


def gradients(
    inputs: Inputs,
    kept: Kept,
    log_probs_grad: Tensor,
    into: Gradients,
    *,
    accumulate: bool,
    chunk: int = 0,  # noqa: ARG001 - sums are not narrow here
    chunks: int = 1,  # noqa: ARG001
) -> None:
    """As in `_linear_torch`."""
    cast("Any", _gradients)(*inputs, *kept, log_probs_grad, *into[:3], accumulate)


def backward(
    inputs: Inputs,
    log_norm: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    into: Gradients,
    *,
    accumulate: bool,
    lean: bool,  # noqa: ARG001 - always
) -> None:
    """As in `_linear_torch`."""
    of_rows = log_norm, entropy, log_probs_grad, entropy_grad
    cast("Any", _backward)(*inputs, *of_rows, *into[:3], accumulate)
