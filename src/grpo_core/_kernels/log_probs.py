r"""Log-prob of each sampled token, and entropy, from logits: one pass forward, one backward.

A row's exponentials are taken against a reference that is known before the row is read: the larger
of the target's logit and the largest logit of the first block. With $x_c = k (z_c - z_\text{ref})$,
$k = \log_2(e) / T$, the sums $S = \sum_{c \ne y} 2^{x_c}$ and $X = \sum_{c \ne y} 2^{x_c} x_c$ give
log-prob and entropy, and no running maximum is needed. Where the target is the reference, as for
every probable token, $\log \pi = -\operatorname{log1p}(S)$ has no cancellation. A piece of a row
whose reference was so low that $S$ overflows or $X$ cancels is read once more, against its maximum.
Each program's sums depend on its piece alone: any batch gives the same bits. A token outside the
vocabulary reads nothing and has log-prob NaN.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)
LN2: tl.constexpr = tl.constexpr(0.6931471805599453)
# Mean of x, in bits, above which the entropy would lose digits against this reference.
MAX_MEAN: tl.constexpr = tl.constexpr(4.0)
# Measured on an H100 at 8192 x 151936: four pieces of a row in blocks of 4096 by four warps, four
# loads in flight, take 0.81 ms, one piece 0.95, two loads 0.94, one 1.10.
PIECES, BLOCK, STAGES, WARPS = 4, 4096, 4, 4
BACKWARD_BLOCK, BACKWARD_WARPS = 8192, 8


@triton.jit
def _log1p(s):
    # The device's logarithm loses its digits near 1; there the series has them.
    small = s * (1 - s * (1 / 2 - s * (1 / 3 - s * (1 / 4 - s * (1 / 5 - s * (1 / 6))))))
    return tl.where(s < 0.0625, small, tl.log(1.0 + s))


@triton.jit
def _columns(c, stride, UNIT: tl.constexpr):
    """Offsets of columns; int64 where they are apart, since vocab * stride overflows int32."""
    return c if UNIT else c.to(tl.int64) * stride


@triton.jit
def _load(
    row_ptr, kept_ptr, c, end, stride, kept_stride, k, UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr
):
    """The scaled logits of a block of columns, -inf from `end` on and outside the support."""
    at = _columns(c, stride, UNIT)
    z = tl.load(row_ptr + at, mask=c < end, other=-float("inf")).to(tl.float32) * k
    if HAS_SUPPORT:
        kept = tl.load(kept_ptr + c.to(tl.int64) * kept_stride, mask=c < end, other=0)
        z = tl.where(kept != 0, z, -float("inf"))
    return z


@triton.jit
def _add(total, mean, x, is_target, WITH_ENTROPY: tl.constexpr):
    e = tl.where(is_target, 0.0, tl.exp2(x))
    total += e
    if WITH_ENTROPY:
        mean += e * tl.maximum(x, -150.0)  # 2^-150 is 0, and 0 * -inf would be NaN
    return total, mean


@triton.jit
def forward_kernel(
    logits_ptr,  # [batch, seq, vocab], strides below
    tokens_ptr,  # [rows] int64
    mask_ptr,  # [rows] bool
    temperature_ptr,  # [rows] float32
    support_ptr,  # [batch, seq, vocab] bool
    sums_ptr,  # [rows, PIECES, 6] float32: reference in bits, S; both for entropy, X; target
    seq,
    vocab,
    piece,  # columns of a piece, a multiple of BLOCK
    stride_b,
    stride_t,
    stride_v,
    support_stride_b,
    support_stride_t,
    support_stride_v,
    temperature,
    UNIT: tl.constexpr,
    HAS_MASK: tl.constexpr,
    HAS_TEMPERATURE: tl.constexpr,
    HAS_SUPPORT: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    PIECES: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    row = (tl.program_id(0) // PIECES).to(tl.int64)
    first = tl.program_id(0) % PIECES * piece
    sums_ptr += tl.program_id(0).to(tl.int64) * 6
    if HAS_MASK:  # noqa: SIM102 - the outer is decided when the kernel is compiled
        if tl.load(mask_ptr + row) == 0:
            for i in tl.static_range(6):
                tl.store(sums_ptr + i, 0.0)
            return
    k = LOG2E / tl.load(temperature_ptr + row) if HAS_TEMPERATURE else LOG2E / temperature
    # int64: rows * vocab overflows int32 at real sizes
    row_ptr = logits_ptr + (row // seq) * stride_b + (row % seq) * stride_t
    kept_ptr = support_ptr + (row // seq) * support_stride_b + (row % seq) * support_stride_t
    y = tl.load(tokens_ptr + row)
    y = tl.where((y >= 0) & (y < vocab), y, vocab).to(tl.int32)  # an unknown id is of no column
    end = tl.maximum(tl.minimum(first + piece, vocab), first)
    o = tl.arange(0, BLOCK)

    c = first + o
    z = _load(row_ptr, kept_ptr, c, end, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
    z_y = _load(row_ptr, kept_ptr, y, vocab, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
    reference = tl.maximum(tl.max(z), z_y)
    reference = tl.where(reference == -float("inf"), 0.0, reference)
    total = tl.zeros((BLOCK,), tl.float32)
    mean = tl.zeros((BLOCK,), tl.float32)
    total, mean = _add(total, mean, z - reference, c == y, WITH_ENTROPY)
    full = first + (end - first) // BLOCK * BLOCK
    for start in tl.range(first + BLOCK, full, BLOCK, num_stages=STAGES):
        c = start + o
        # no mask: masked loads take a third longer here
        z = tl.load(row_ptr + _columns(c, stride_v, UNIT)).to(tl.float32) * k
        if HAS_SUPPORT:
            kept = tl.load(kept_ptr + c.to(tl.int64) * support_stride_v)
            z = tl.where(kept != 0, z, -float("inf"))
        total, mean = _add(total, mean, z - reference, c == y, WITH_ENTROPY)
    if (first < full) & (full < end):
        c = full + o
        z = _load(row_ptr, kept_ptr, c, end, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
        total, mean = _add(total, mean, z - reference, c == y, WITH_ENTROPY)
    s = tl.sum(total)
    m = tl.sum(mean)

    other, other_s = reference, s
    if not ((s < float("inf")) & (m <= MAX_MEAN * s)):
        top = tl.full((BLOCK,), -float("inf"), tl.float32)
        for start in range(first, end, BLOCK):
            c = start + o
            z = _load(row_ptr, kept_ptr, c, end, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
            top = tl.maximum(top, z)
        other = tl.maximum(tl.max(top), z_y)
        total = tl.zeros((BLOCK,), tl.float32)
        mean = tl.zeros((BLOCK,), tl.float32)
        for start in range(first, end, BLOCK):
            c = start + o
            z = _load(row_ptr, kept_ptr, c, end, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
            total, mean = _add(total, mean, z - other, c == y, WITH_ENTROPY)
        other_s = tl.sum(total)
        m = tl.sum(mean)
    # The log-prob keeps the first sums unless they overflowed, with the entropy or without it.
    overflowed = (s < float("inf")) == 0
    tl.store(sums_ptr, tl.where(overflowed, other, reference))
    tl.store(sums_ptr + 1, tl.where(overflowed, other_s, s))
    tl.store(sums_ptr + 2, other)
    tl.store(sums_ptr + 3, other_s)
    tl.store(sums_ptr + 4, m)
    tl.store(sums_ptr + 5, tl.where(y < vocab, z_y, float("nan")))


@triton.jit
def _reference(sums_ptr, rows, live, at: tl.constexpr, PIECES: tl.constexpr, BLOCK: tl.constexpr):
    """The largest reference of a row's pieces."""
    top = tl.full((BLOCK,), -float("inf"), tl.float32)
    for j in tl.static_range(PIECES):
        here = tl.load(sums_ptr + (rows * PIECES + j) * 6 + at, mask=live, other=0.0)
        # NaN must win: a maximum of it and a number is either
        top = tl.where(here > top, here, top) + (here - here)
    return top


@triton.jit
def combine_kernel(
    mask_ptr,
    sums_ptr,  # [rows, PIECES, 6]
    log_probs_ptr,  # [rows] float32
    entropy_ptr,  # [rows] float32
    log_norm_ptr,  # [rows] float32, in bits
    rows,
    HAS_MASK: tl.constexpr,
    PIECES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    live = row < rows
    counts = live
    if HAS_MASK:
        counts = live & (tl.load(mask_ptr + row, mask=live, other=0) != 0)
    # As it was compared with the reference: computed again, it might be rounded otherwise.
    z_y = tl.load(sums_ptr + row * PIECES * 6 + 5, mask=counts, other=0.0)
    reference = _reference(sums_ptr, row, counts, 0, PIECES, BLOCK)
    other = _reference(sums_ptr, row, counts, 2, PIECES, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    other_total = tl.zeros((BLOCK,), tl.float32)
    mean = tl.zeros((BLOCK,), tl.float32)
    for j in tl.static_range(PIECES):
        at = sums_ptr + (row * PIECES + j) * 6
        scale = tl.exp2(tl.load(at, mask=counts, other=0.0) - reference)
        total += scale * tl.load(at + 1, mask=counts, other=0.0)
        shift = tl.load(at + 2, mask=counts, other=0.0) - other
        scale = tl.exp2(shift)
        s = tl.load(at + 3, mask=counts, other=0.0)
        m = tl.load(at + 4, mask=counts, other=0.0)
        other_total += scale * s
        mean += tl.where(scale > 0.0, scale * (m + shift * s), 0.0)
    x_y = z_y - reference
    log_norm = tl.where(x_y == 0.0, _log1p(total), tl.log(total + tl.exp2(x_y)))  # in nats
    log_prob = x_y * LN2 - log_norm
    x_y = z_y - other
    e_y = tl.exp2(x_y)
    mean += tl.where(e_y > 0.0, e_y * x_y, 0.0)
    entropy = tl.where(x_y == 0.0, _log1p(other_total), tl.log(other_total + e_y))
    entropy -= LN2 * mean / (other_total + e_y)
    tl.store(log_probs_ptr + row, tl.where(counts, log_prob, 0.0), mask=live)
    tl.store(entropy_ptr + row, tl.where(counts, entropy, 0.0), mask=live)
    tl.store(log_norm_ptr + row, reference + log_norm * LOG2E, mask=live)


@triton.jit
def backward_kernel(
    logits_ptr,  # [batch, seq, vocab]
    grad_ptr,  # [batch, seq, vocab], may be the logits
    tokens_ptr,
    mask_ptr,
    temperature_ptr,
    support_ptr,
    log_probs_ptr,
    entropy_ptr,
    log_norm_ptr,
    log_probs_grad_ptr,  # [rows] float32
    entropy_grad_ptr,  # [rows] float32
    seq,
    vocab,
    stride_b,
    stride_t,
    stride_v,
    grad_stride_b,
    grad_stride_t,
    grad_stride_v,
    support_stride_b,
    support_stride_t,
    support_stride_v,
    temperature,
    UNIT: tl.constexpr,
    HAS_MASK: tl.constexpr,
    HAS_TEMPERATURE: tl.constexpr,
    HAS_SUPPORT: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = c < vocab
    grad_ptr += (row // seq) * grad_stride_b + (row % seq) * grad_stride_t
    grad_ptr += c.to(tl.int64) * grad_stride_v
    g = tl.load(log_probs_grad_ptr + row)
    h = tl.load(entropy_grad_ptr + row) if WITH_ENTROPY else 0.0
    live = (g != 0.0) | (h != 0.0)
    if HAS_MASK:
        live = live & (tl.load(mask_ptr + row) != 0)
    if not live:  # selected, not multiplied: 0 * NaN would let padding in
        zero = tl.zeros((BLOCK,), logits_ptr.dtype.element_ty)
        tl.store(grad_ptr, zero, mask=inside)
        return
    t = tl.load(temperature_ptr + row) if HAS_TEMPERATURE else temperature
    row_ptr = logits_ptr + (row // seq) * stride_b + (row % seq) * stride_t
    kept_ptr = support_ptr + (row // seq) * support_stride_b + (row % seq) * support_stride_t
    k = LOG2E / t
    y = tl.load(tokens_ptr + row).to(tl.int32)
    z = _load(row_ptr, kept_ptr, c, vocab, stride_v, support_stride_v, k, UNIT, HAS_SUPPORT)
    log_p = z - tl.load(log_norm_ptr + row)
    p = tl.exp2(log_p)
    log_p_y = tl.load(log_probs_ptr + row)
    # 1 - p of the target without cancellation
    u = -log_p_y
    rest = tl.where(u < 1e-3, u * (1.0 - u * (0.5 - u * (1.0 / 6.0))), 1.0 - tl.exp(log_p_y))
    out = tl.where(c == y, g * rest, -g * p)
    if WITH_ENTROPY:
        surprise = tl.where(p > 0.0, log_p * LN2 + tl.load(entropy_ptr + row), 0.0)
        out -= h * p * surprise
    if HAS_SUPPORT:
        out = tl.where(z == -float("inf"), 0.0, out)
    tl.store(grad_ptr, (out / t).to(logits_ptr.dtype.element_ty), mask=inside)


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


def _on(tensor: Tensor) -> AbstractContextManager[None]:
    """Triton launches on the current device, whatever its arguments are on."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


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
    with _on(logits):
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
    with _on(logits):
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
