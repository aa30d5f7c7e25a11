r"""Log-probs, entropies and gradients from hidden states and the head's weight, without logits.

`statistics` is one product and stores nothing of the vocabulary's size. `exponentials` is the same
product and keeps $E = 2^{k z - R}$, so that, once the caller knows the slope $g_n$ of its loss, the
gradients are two more products and nothing is computed twice: with $S_n = \sum_{c \ne y} E_{nc}$,
$p_c = E_c / (1 + S)$ and $1 - p_y = S / (1 + S)$, $E_{ny} := -S$ and the row factor
$-g_n / (T (1 + S))$ make $E$ the gradient of the logits. `recompute` makes $E$ again for a
backward that comes later. A row whose $S$ leaves the range is listed on the device and redone
against its largest logit; nobody waits for the list.

float16 cannot hold $E$: there, it is a probability times 2^12, from a product of its own.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import triton
from torch import Tensor

from grpo_core._kernels import linear_backward, linear_config
from grpo_core._kernels.linear_backward import (
    Term,
    add_product,
    hidden_product,
    sum_tiles,
    triton_product,
)
from grpo_core._kernels.linear_config import unsupported
from grpo_core._kernels.linear_factors import rescale_kernel, weigh_kernel
from grpo_core._kernels.linear_launch import (
    STATE_COLUMNS,
    again,
    empty_kept,
    lift_of,
    power_of_two,
    readable,
    summed,
)
from grpo_core._kernels.shared import on

__all__ = [
    "FAST_ROWS",
    "LEAN_ROWS",
    "exponentials",
    "exponents_of",
    "gradients",
    "recompute",
    "rescale",
    "statistics",
    "unsupported",
]

LEAN_ROWS, FAST_ROWS = 2048, 8192


def _operator(name: str, *mutated: str) -> Callable[[Callable[..., Any]], Any]:
    """One operator to a compiler; called as it is otherwise: torch's way there takes 0.1 ms."""

    def register(function: Callable[..., Any]) -> Any:
        operator = torch.library.custom_op(f"grpo_core::{name}", function, mutates_args=mutated)

        @wraps(function)
        def call(*args: Any) -> Any:
            return operator(*args) if torch.compiler.is_compiling() else function(*args)

        call.operator = operator
        return call

    return register


@_operator("linear_statistics")
def statistics(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
    with_entropy: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs [rows], entropies [rows] and the state [rows, 5] that the backward needs."""
    return summed(
        readable(hidden), readable(weight), tokens, mask, bias, temperature, per_token, softcap,
        None, with_entropy=with_entropy,
    )  # fmt: skip


@statistics.operator.register_fake
def _(hidden: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    rows = hidden.shape[0]
    return (
        hidden.new_empty(rows, dtype=torch.float32),
        hidden.new_empty(rows, dtype=torch.float32),
        hidden.new_empty((rows, STATE_COLUMNS), dtype=torch.float32),
    )


@_operator("linear_exponentials")
def exponentials(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs [rows], state [rows, 5], and E [rows, vocab], which `gradients` completes."""
    hidden, weight = readable(hidden), readable(weight)
    kept = empty_kept(hidden, weight)
    lifted = lift_of(hidden.dtype) > 0
    log_probs, entropy, state = summed(
        hidden, weight, tokens, mask, bias, temperature, per_token, softcap,
        None if lifted else kept, with_entropy=False,
    )  # fmt: skip
    if lifted and hidden.shape[0]:
        with on(hidden):
            again(hidden, weight, bias, softcap, state, entropy, entropy, None, kept)
    return log_probs, state, kept


@exponentials.operator.register_fake
def _(hidden: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    rows = hidden.shape[0]
    return (
        hidden.new_empty(rows, dtype=torch.float32),
        hidden.new_empty((rows, STATE_COLUMNS), dtype=torch.float32),
        empty_kept(hidden, weight),
    )


@_operator("linear_recompute")
def recompute(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    softcap: float | None,
    state: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
) -> Tensor:
    """E [rows, vocab] again; with a gradient of the entropy, times the factor that it brings."""
    hidden, weight = readable(hidden), readable(weight)
    kept = empty_kept(hidden, weight)
    if hidden.shape[0]:
        with on(hidden):
            again(hidden, weight, bias, softcap, state, entropy, log_probs_grad, entropy_grad, kept)
    return kept


@recompute.operator.register_fake
def _(hidden: Tensor, weight: Tensor, *_: Any) -> Tensor:
    return empty_kept(hidden, weight)


def exponents_of(weight_grad: Tensor | None, hidden: Tensor, weight: Tensor) -> Tensor | None:
    """What `gradients` needs to sum the weight's over chunks in 16 bits, unwritten."""
    if weight_grad is None or weight_grad.dtype not in linear_config.NARROW:
        return None
    vocab, width = weight.shape
    blocks = triton.cdiv(width, sum_tiles(hidden, weight).columns)
    return weight.new_empty((blocks, vocab), dtype=torch.uint8)


@_operator("linear_gradients", "kept", "hidden_grad", "weight_grad", "bias_grad", "exponents")
def gradients(
    kept: Tensor,
    state: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    hidden: Tensor,
    weight: Tensor,
    softcap: float | None,
    hidden_grad: Tensor | None,
    weight_grad: Tensor | None,
    bias_grad: Tensor | None,
    accumulate: bool,
    exponents: Tensor | None = None,
    chunk: int = 0,
    chunks: int = 1,
) -> None:
    """Write the gradient of hidden; write the others, or add to them.

    With `exponents`, the weight's is a sum over chunks in 16 bits, and itself after the last one.
    """
    rows, width = hidden.shape
    if rows == 0:
        if not accumulate:
            for grad in (weight_grad, bias_grad):
                if grad is not None:
                    grad.zero_()
        return
    lift = lift_of(hidden.dtype)
    factor, scaled = state.new_empty(rows), hidden.new_empty((rows, width))
    # float16 could not hold the scaled rows of a small loss: a power of two is taken out.
    unit = power_of_two(state, log_probs_grad, entropy_grad) if lift else None
    with on(hidden):
        weigh_kernel[(rows,)](
            kept, hidden, scaled, state, entropy, log_probs_grad,
            entropy if entropy_grad is None else entropy_grad, factor,
            factor if unit is None else unit, kept.stride(0), hidden.stride(0), weight.shape[0],
            width, float(lift), 1.0 if softcap is None else softcap,
            PROBABILITY=lift > 0 or entropy_grad is not None,
            WITH_ENTROPY=entropy_grad is not None, HAS_SOFTCAP=softcap is not None,
            HAS_UNIT=unit is not None, BLOCK=1024,
        )  # fmt: skip
        if weight_grad is not None:
            tiles = linear_config.plan(hidden, weight).weight
            fits = not accumulate and unit is None and rows >= linear_backward.SHORT
            fits = fits and weight_grad.dtype == kept.dtype and readable(weight_grad) is weight_grad
            if exponents is not None:
                tiles, term = sum_tiles(hidden, weight), Term(chunk, chunks, exponents)
                triton_product(kept, scaled, weight_grad, tiles, transposed=True, term=term)
            elif tiles is None or not fits:
                add_product(kept.t(), scaled, weight_grad, unit, accumulate=accumulate)
            else:
                triton_product(kept, scaled, weight_grad, tiles, transposed=True)
        if bias_grad is not None:
            column = (factor if unit is None else factor / unit).to(kept.dtype)[:, None]
            add_product(kept.t(), column, bias_grad[:, None], unit, accumulate=accumulate)
        del scaled
        if hidden_grad is not None:
            hidden_product(kept, weight, factor, hidden_grad)


@gradients.operator.register_fake
def _(*_: Any) -> None:
    return None


@_operator("linear_rescale", "grad")
def rescale(grad: Tensor, factor: Tensor) -> None:
    """Multiply a contiguous gradient by a number on the device; nothing is touched if it is 1."""
    if grad.numel() == 0:
        return
    with on(grad):
        programs = min(triton.cdiv(grad.numel(), 4096), 8 * linear_config.processors(grad.device))
        rescale_kernel[(programs,)](
            grad, factor, grad.numel(), PROGRAMS=programs, BLOCK=4096, num_warps=8
        )


@rescale.operator.register_fake
def _(*_: Any) -> None:
    return None
