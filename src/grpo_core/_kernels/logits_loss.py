"""Loss from logits as operators of PyTorch: sizes, launches, and a gradient made beforehand."""

from typing import Any

import torch
import triton
from torch import Tensor

from grpo_core._kernels.logits_loss_kernels import loss_kernel, scale_kernel
from grpo_core._kernels.shared import on

# Measured on an H100 at 8192 x 151936: 1.91 ms; 16 warps 1.99, blocks of 8192 2.12, of 32768 2.23,
# two programs a multiprocessor 2.58; a row over 2, 4 or 8 of them, which exchange sums, 2.31 to
# 2.69; the next row's sums in the same loop as this row's gradient 2.54; a part of the row kept in
# registers 1.97 and more. At 65536 x 8000 blocks of 8192 take 1.52, of 16384 1.97.
BLOCK, COLUMNS_PER_WARP = 16384, 512
SCALE_BLOCK, SCALE_WARPS, SCALE_PROGRAMS = 8192, 8, 8


def _programs(tensor: Tensor) -> int:
    """As many as there are multiprocessors; a few in the interpreter."""
    if not tensor.is_cuda:
        return 2
    return torch.cuda.get_device_properties(tensor.device).multi_processor_count


@torch.library.custom_op("grpo_core::logits_loss", mutates_args=("grad",))
def logits_loss(
    grad: Tensor | None,
    logits: Tensor | None,
    tokens: Tensor,
    old_log_probs: Tensor | None,
    advantages: Tensor,
    weights: Tensor,
    mask: Tensor,
    temperature: float,
    per_token: Tensor | None,
    support: Tensor | None,
    epsilon_low: float,
    epsilon_high: float,
    ratio_max: float,
) -> tuple[Tensor, Tensor]:
    """Weighted losses and log-probs; the gradient of their sum into `grad`, if it is given.

    Without logits, `grad` holds them and is overwritten. All of [batch, seq] is contiguous.
    """
    z = grad if logits is None else logits
    batch, seq, vocab = z.shape
    losses, log_probs = (z.new_empty((batch, seq), dtype=torch.float32) for _ in range(2))
    if batch * seq == 0:
        return losses, log_probs
    out = z if grad is None else grad
    kept = (0, 0, 0) if support is None else support.stride()
    strides = (*z.stride(), *out.stride())
    unit = z.stride(2) == out.stride(2) == 1
    wide = unit and all(stride % 16 == 0 for stride in strides if stride != 1)
    # the smallest that holds a small vocabulary; beside a support, registers are short
    block = BLOCK if support is None else BLOCK // 2
    block = min(block, triton.next_power_of_2(max(vocab, 16)))
    warps = max(1, block // COLUMNS_PER_WARP)
    fold = 16 // z.element_size() if wide else 8
    # a multiprocessor has several small rows in flight, but one large one
    programs = _programs(z) * (BLOCK // block if vocab <= block else 1)
    with on(z):
        loss_kernel[(min(batch * seq, programs),)](
            z, out, tokens, losses if old_log_probs is None else old_log_probs, advantages,
            weights, mask, losses if per_token is None else per_token,
            mask if support is None else support, losses, log_probs, batch * seq, seq, vocab,
            *strides, *kept, temperature, 1 - epsilon_low, 1 + epsilon_high,
            ratio_max, UNIT=unit, WIDE=wide,
            HAS_OLD=old_log_probs is not None, HAS_TEMPERATURE=per_token is not None,
            HAS_SUPPORT=support is not None, WITH_GRADIENT=grad is not None,
            BLOCK=block, FOLD=fold, num_warps=warps,
        )  # fmt: skip
    return losses, log_probs


@logits_loss.register_fake
def _(*args: Any) -> tuple[Tensor, Tensor]:
    tokens = args[2]
    losses = torch.empty(tokens.shape, dtype=torch.float32, device=tokens.device)
    return losses, torch.empty_like(losses)


@torch.library.custom_op("grpo_core::scale", mutates_args=("grad",))
def scale(grad: Tensor, factor: Tensor) -> None:
    """Multiply by a scalar that only the device knows; nothing is touched if it is 1."""
    batch, seq, vocab = grad.shape
    if grad.numel() == 0:
        return
    with on(grad):
        scale_kernel[(SCALE_PROGRAMS * _programs(grad),)](
            grad, factor, batch * seq, seq, vocab, *grad.stride(),
            BLOCK=SCALE_BLOCK, num_warps=SCALE_WARPS,
        )  # fmt: skip


class LogitsLoss(torch.autograd.Function):
    """Loss and log-probs; the gradient is there after forward, and backward gives it away."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, overwrite: bool, *args: Any) -> tuple[Tensor, Tensor]:
        grad = logits.detach() if overwrite else torch.empty_like(logits)
        losses, log_probs = logits_loss(grad, None if overwrite else logits, *args)
        ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(log_probs)
        return losses.sum(), log_probs

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, loss_grad: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError("the loss of logits has no second derivative here")
        (grad,) = ctx.saved_tensors
        scale(grad, loss_grad)
        return grad, *(None,) * 12
