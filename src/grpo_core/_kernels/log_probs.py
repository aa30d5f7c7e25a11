"""Log-probs and entropies of sampled tokens as operators of PyTorch: sizes, launches, autograd."""

from typing import Any

import torch
import triton
from torch import Tensor

from grpo_core._kernels.log_probs_kernels import backward_kernel, combine_kernel, forward_kernel
from grpo_core._kernels.shared import on

# Measured on an H100 at 8192 x 151936: four pieces of a row in blocks of 4096 by four warps, four
# loads in flight, take 0.81 ms, one piece 0.95, two loads 0.94, one 1.10.
PIECES, BLOCK, STAGES, WARPS = 4, 4096, 4, 4
BACKWARD_BLOCK, BACKWARD_WARPS = 8192, 8


def _options(
    logits: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    support: Tensor | None,
    other: Tensor,
) -> dict[str, Any]:
    """What every kernel takes; `other` stands for the pointers that are not read."""
    stride_b, stride_t, stride_v = logits.stride()
    kept_b, kept_t, kept_v = (0, 0, 0) if support is None else support.stride()
    return {
        "mask_ptr": other if mask is None else mask,
        "temperature_ptr": other if per_token is None else per_token,
        "support_ptr": other if support is None else support,
        "seq": logits.shape[1],
        "stride_b": stride_b,
        "stride_t": stride_t,
        "stride_v": stride_v,
        "support_stride_b": kept_b,
        "support_stride_t": kept_t,
        "support_stride_v": kept_v,
        "temperature": temperature,
        "HAS_MASK": mask is not None,
        "HAS_TEMPERATURE": per_token is not None,
        "HAS_SUPPORT": support is not None,
    }


@torch.library.custom_op("grpo_core::token_statistics", mutates_args=())
def token_statistics(
    logits: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    support: Tensor | None,
    with_entropy: bool,
    overwrite: bool,  # noqa: ARG001 - for the backward
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs, entropies and log-normalisers in bits; all but logits and support contiguous."""
    batch, seq, vocab = logits.shape
    log_probs, entropy, log_norm = (
        logits.new_empty((batch, seq), dtype=torch.float32) for _ in range(3)
    )
    sums = logits.new_empty((batch * seq, PIECES, 6), dtype=torch.float32)
    if batch * seq == 0:
        return log_probs, entropy, log_norm
    options = _options(logits, mask, temperature, per_token, support, sums)
    piece = triton.cdiv(vocab, PIECES * BLOCK) * BLOCK
    with on(logits):
        forward_kernel[(batch * seq * PIECES,)](
            logits, tokens, sums_ptr=sums, vocab=vocab, piece=piece, **options,
            UNIT=logits.stride(2) == 1, WITH_ENTROPY=with_entropy,
            PIECES=PIECES, BLOCK=BLOCK, STAGES=STAGES, num_warps=WARPS,
        )  # fmt: skip
        combine_kernel[(triton.cdiv(batch * seq, 128),)](
            sums if mask is None else mask, sums, log_probs, entropy, log_norm, batch * seq,
            HAS_MASK=mask is not None, PIECES=PIECES, BLOCK=128,
        )  # fmt: skip
    return log_probs, entropy, log_norm


@token_statistics.register_fake
def _(logits: Tensor, tokens: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    like = logits.new_empty(tokens.shape, dtype=torch.float32)
    return like, torch.empty_like(like), torch.empty_like(like)


@torch.library.custom_op("grpo_core::token_statistics_backward", mutates_args=("grad",))
def token_statistics_backward(
    grad: Tensor,
    logits: Tensor | None,
    tokens: Tensor,
    mask: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    support: Tensor | None,
    log_probs: Tensor,
    entropy: Tensor,
    log_norm: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
) -> None:
    """Write the gradient of the logits; without logits, `grad` holds them and is overwritten."""
    logits = grad if logits is None else logits
    batch, seq, vocab = logits.shape
    if logits.numel() == 0:
        return
    grad_b, grad_t, grad_v = grad.stride()
    with on(logits):
        backward_kernel[(batch * seq, triton.cdiv(vocab, BACKWARD_BLOCK))](
            logits, grad, tokens, log_probs_ptr=log_probs, entropy_ptr=entropy,
            log_norm_ptr=log_norm, log_probs_grad_ptr=log_probs_grad,
            entropy_grad_ptr=log_probs_grad if entropy_grad is None else entropy_grad,
            vocab=vocab, grad_stride_b=grad_b, grad_stride_t=grad_t, grad_stride_v=grad_v,
            **_options(logits, mask, temperature, per_token, support, log_norm),
            UNIT=logits.stride(2) == 1, WITH_ENTROPY=entropy_grad is not None,
            BLOCK=BACKWARD_BLOCK, num_warps=BACKWARD_WARPS,
        )  # fmt: skip


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    logits, tokens, mask, ctx.temperature, per_token, support, ctx.with_entropy, ctx.overwrite = (
        inputs
    )
    ctx.save_for_backward(logits, tokens, mask, per_token, support, *output)
    ctx.mark_non_differentiable(output[2])


def _backward(
    ctx: Any, log_probs_grad: Tensor, entropy_grad: Tensor, _: Tensor
) -> tuple[Tensor | None, ...]:
    logits, tokens, mask, per_token, support, *output = ctx.saved_tensors
    grad = logits if ctx.overwrite else torch.empty_like(logits)
    token_statistics_backward(
        grad, None if ctx.overwrite else logits, tokens, mask, ctx.temperature, per_token,
        support, *output, log_probs_grad.contiguous(),
        entropy_grad.contiguous() if ctx.with_entropy else None,
    )  # fmt: skip
    return grad, None, None, None, None, None, None, None


token_statistics.register_autograd(_backward, setup_context=_save)
