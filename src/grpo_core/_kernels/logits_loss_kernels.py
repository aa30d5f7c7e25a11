r"""Clipped surrogate loss from logits, and its gradient on them, in one pass over memory.

What the gradient on a token's log-prob needs beside that log-prob (old log-prob, advantage, weight
in the mean) is known beforehand. So a program reads a row, has its log-prob, and rewrites the row
as its gradient while it still lies in the L2 cache: one read and one write of memory, the least
there is. One program runs on each multiprocessor, which keeps the rows in flight below the size
of that cache; the row is kept in it by eviction hints and read backwards the second time, what was
read last first.

The target's logit is the reference of the exponentials: with $x_c = k (z_c - z_y)$, $k = \log_2(e)
/ T$ and $S = \sum_{c \ne y} 2^{x_c}$, $\log \pi = -\operatorname{log1p}(S)$ and $1 - \pi = S / (1 +
S)$ have no cancellation. A row whose target is so low that digits would be lost is summed once
more, against its maximum. A row's result depends on that row alone: any batch gives the same bits.
"""

import triton
import triton.language as tl

from grpo_core._kernels.shared import LN2, LOG2E, columns, log1p

# exp(20), as in `losses.log_ratio`.
BOUND: tl.constexpr = tl.constexpr(20.0)
# Largest S, 1 / pi of the target: far above the reference, x has few bits left for its fraction.
MAX_SUM: tl.constexpr = tl.constexpr(16777216.0)


@triton.jit
def _read(
    row_ptr, kept_ptr, c, vocab, stride, kept_stride,
    UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr, WHOLE: tl.constexpr, POLICY: tl.constexpr,
):  # fmt: skip
    """A block of logits, -inf from `vocab` on and outside the support."""
    at = columns(c, stride, UNIT)
    if WHOLE:  # masked loads are slower
        z = tl.load(row_ptr + at, eviction_policy=POLICY)
    else:
        z = tl.load(row_ptr + at, mask=c < vocab, other=-float("inf"), eviction_policy=POLICY)
    z = z.to(tl.float32)
    if HAS_SUPPORT:
        kept = tl.load(kept_ptr + c.to(tl.int64) * kept_stride, mask=c < vocab, other=0)
        z = tl.where(kept != 0, z, -float("inf"))
    return z


@triton.jit
def _fold(e, FOLD: tl.constexpr, WIDE: tl.constexpr):
    """Sums of what one thread holds: fewer registers for what is added up.

    Read 16 bytes at a time, it holds neighbours; else, columns that are far apart.
    """
    if WIDE:
        return tl.sum(tl.reshape(e, (e.shape[0] // FOLD, FOLD)), 1)
    return tl.sum(tl.reshape(e, (FOLD, e.shape[0] // FOLD)), 0)


@triton.jit
def _sum(
    row_ptr, kept_ptr, vocab, stride, kept_stride, y, k, reference, o,
    UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr, BLOCK: tl.constexpr, FOLD: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """S: the sum of 2^(k z - reference) over all columns but y; the tail first."""
    total = tl.zeros((BLOCK // FOLD,), tl.float32)
    full = vocab // BLOCK * BLOCK
    if full < vocab:
        c = full + o
        z = _read(
            row_ptr, kept_ptr, c, vocab, stride, kept_stride, UNIT, HAS_SUPPORT, False, "evict_last"
        )
        total += _fold(tl.where(c == y, 0.0, tl.exp2(z * k - reference)), FOLD, WIDE)
    for start in range(0, full, BLOCK):
        c = start + o
        z = _read(
            row_ptr, kept_ptr, c, vocab, stride, kept_stride, UNIT, HAS_SUPPORT, True, "evict_last"
        )
        e = tl.exp2(z * k - reference)
        if (start <= y) & (y < start + BLOCK):  # one branch for all is cheaper than a select
            e = tl.where(c == y, 0.0, e)
        total += _fold(e, FOLD, WIDE)
    return tl.sum(total)


@triton.jit
def _largest(
    row_ptr, kept_ptr, vocab, stride, kept_stride, k, o,
    UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr, BLOCK: tl.constexpr, FOLD: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    top = tl.full((BLOCK // FOLD,), -float("inf"), tl.float32)
    for start in range(0, vocab, BLOCK):
        z = _read(
            row_ptr, kept_ptr, start + o, vocab, stride, kept_stride, UNIT, HAS_SUPPORT, False,
            "evict_last",
        )  # fmt: skip
        if WIDE:
            z = tl.max(tl.reshape(z, (BLOCK // FOLD, FOLD)), 1)
        else:
            z = tl.max(tl.reshape(z, (FOLD, BLOCK // FOLD)), 0)
        top = tl.maximum(top, z * k)
    return tl.max(top)


@triton.jit
def _surrogate(log_prob, old, advantage, low, high, ratio_max):
    """Clipped loss of a token and its slope by the log-prob, both as autograd has them.

    By comparisons that are false for NaN, since a minimum here would swallow it.
    """
    x = log_prob - old
    bounded = tl.where(x > BOUND, BOUND, tl.where(x < -BOUND, -BOUND, x))
    ratio = tl.exp(bounded)
    clipped = tl.where(ratio > high, high, tl.where(ratio < low, low, ratio))
    plain = tl.where(ratio > ratio_max, ratio_max, ratio) * advantage
    other = clipped * advantage
    # A minimum of two that are equal gives each half of the gradient.
    share = tl.where(plain == other, 0.5, tl.where(plain < other, 1.0, 0.0))
    slope = tl.where(ratio <= ratio_max, share, 0.0)
    slope += tl.where((ratio >= low) & (ratio <= high), 1.0 - share, 0.0)
    slope *= -ratio * advantage
    within = (x >= -BOUND) & (x <= BOUND)
    return -tl.where(other < plain, other, plain), tl.where(within, slope, 0.0)


@triton.jit
def _write(
    row_ptr, kept_ptr, grad_ptr, vocab, stride, kept_stride, grad_stride, k, log_norm, slope, o,
    UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """-slope times the probabilities, from the last block, which was read last, to the first."""
    dtype = grad_ptr.dtype.element_ty
    full = vocab // BLOCK * BLOCK
    for i in range(full // BLOCK):
        c = full - (i + 1) * BLOCK + o
        z = _read(
            row_ptr, kept_ptr, c, vocab, stride, kept_stride, UNIT, HAS_SUPPORT, True, "evict_first"
        )
        out = -slope * tl.exp2(z * k - log_norm)
        at = columns(c, grad_stride, UNIT)
        tl.store(grad_ptr + at, out.to(dtype), eviction_policy="evict_first")
    if full < vocab:
        c = full + o
        z = _read(
            row_ptr, kept_ptr, c, vocab, stride, kept_stride, UNIT, HAS_SUPPORT, False,
            "evict_first",
        )  # fmt: skip
        out = -slope * tl.exp2(z * k - log_norm)
        at = columns(c, grad_stride, UNIT)
        tl.store(grad_ptr + at, out.to(dtype), mask=c < vocab, eviction_policy="evict_first")


@triton.jit
def _clear(grad_ptr, vocab, grad_stride, o, UNIT: tl.constexpr, BLOCK: tl.constexpr):
    for start in range(0, vocab, BLOCK):
        c = start + o
        zero = tl.zeros((BLOCK,), grad_ptr.dtype.element_ty)
        tl.store(grad_ptr + columns(c, grad_stride, UNIT), zero, mask=c < vocab)


@triton.jit(do_not_specialize=["rows", "seq"])
def loss_kernel(
    logits_ptr,  # [batch, seq, vocab], strides below
    grad_ptr,  # [batch, seq, vocab], may be the logits
    tokens_ptr,  # [rows] int64, as all that follow
    old_ptr,  # float32
    advantages_ptr,  # float32
    weights_ptr,  # float32
    mask_ptr,  # bool
    temperature_ptr,  # float32
    support_ptr,  # [batch, seq, vocab] bool
    losses_ptr,  # float32, weighted
    log_probs_ptr,  # float32
    rows,
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
    low,
    high,
    ratio_max,
    UNIT: tl.constexpr,
    HAS_OLD: tl.constexpr,
    HAS_TEMPERATURE: tl.constexpr,
    HAS_SUPPORT: tl.constexpr,
    WITH_GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
    FOLD: tl.constexpr,
    WIDE: tl.constexpr,
):
    o = tl.arange(0, BLOCK)
    for at in range(tl.program_id(0), rows, tl.num_programs(0)):
        row = tl.cast(at, tl.int64)  # rows * vocab overflows int32 at real sizes
        b, t = row // seq, row % seq
        z_ptr = logits_ptr + b * stride_b + t * stride_t
        g_ptr = grad_ptr + b * grad_stride_b + t * grad_stride_t
        kept_ptr = support_ptr + b * support_stride_b + t * support_stride_t
        loss = 0.0
        log_prob = 0.0
        slope = 0.0
        if tl.load(mask_ptr + row) != 0:
            # All that is known of the row is asked for before the long wait.
            advantage = tl.load(advantages_ptr + row)
            weight = tl.load(weights_ptr + row)
            old = tl.load(old_ptr + row) if HAS_OLD else 0.0
            heat = tl.load(temperature_ptr + row) if HAS_TEMPERATURE else temperature
            k = LOG2E / heat
            y = tl.load(tokens_ptr + row)
            inside = (y >= 0) & (y < vocab)
            y = tl.where(inside, y, vocab).to(tl.int32)  # an unknown id is of no column
            z_y = k * _read(
                z_ptr, kept_ptr, y, vocab, stride_v, support_stride_v, UNIT, HAS_SUPPORT, False, ""
            )
            z_y = tl.where(inside, z_y, float("nan"))
            reference = z_y
            s = _sum(
                z_ptr, kept_ptr, vocab, stride_v, support_stride_v, y, k, reference, o,
                UNIT, HAS_SUPPORT, BLOCK, FOLD, WIDE,
            )  # fmt: skip
            if not (s < MAX_SUM):  # as NaN is not
                reference = _largest(
                    z_ptr, kept_ptr, vocab, stride_v, support_stride_v, k, o,
                    UNIT, HAS_SUPPORT, BLOCK, FOLD, WIDE,
                )  # fmt: skip
                s = _sum(
                    z_ptr, kept_ptr, vocab, stride_v, support_stride_v, y, k, reference, o,
                    UNIT, HAS_SUPPORT, BLOCK, FOLD, WIDE,
                )  # fmt: skip
            x_y = z_y - reference
            e_y = tl.exp2(x_y)
            log_norm = tl.where(x_y == 0.0, log1p(s), tl.log(s + e_y))
            log_prob = x_y * LN2 - log_norm
            old = old if HAS_OLD else log_prob
            loss, slope = _surrogate(log_prob, old, advantage, low, high, ratio_max)
            loss *= weight
            slope *= weight / heat
            if WITH_GRADIENT:  # noqa: SIM102 - decided when the kernel is compiled
                if slope != 0.0:  # NaN is not 0
                    _write(
                        z_ptr, kept_ptr, g_ptr, vocab, stride_v, support_stride_v, grad_stride_v,
                        k, reference + log_norm * LOG2E, slope, o, UNIT, HAS_SUPPORT, BLOCK,
                    )  # fmt: skip
                    # 1 - p of the target without cancellation, over what its block has stored
                    tl.debug_barrier()
                    at_y = columns(y, grad_stride_v, UNIT)
                    out = slope * (s / (s + e_y))
                    tl.store(g_ptr + at_y, out.to(grad_ptr.dtype.element_ty), mask=inside)
        tl.store(losses_ptr + row, loss)
        tl.store(log_probs_ptr + row, log_prob)
        if WITH_GRADIENT:  # noqa: SIM102
            if slope == 0.0:  # stored, not multiplied: 0 * NaN would let padding in
                _clear(g_ptr, vocab, grad_stride_v, o, UNIT, BLOCK)


@triton.jit(do_not_specialize=["rows", "seq"])
def scale_kernel(
    grad_ptr,  # [batch, seq, vocab]
    factor_ptr,  # [] float32
    rows,
    seq,
    vocab,
    stride_b,
    stride_t,
    stride_v,
    BLOCK: tl.constexpr,
):
    factor = tl.load(factor_ptr)
    if factor == 1.0:
        return
    blocks = tl.cdiv(vocab, BLOCK)
    for at in range(tl.program_id(0).to(tl.int64), rows.to(tl.int64) * blocks, tl.num_programs(0)):
        row = at // blocks
        c = (at % blocks * BLOCK).to(tl.int32) + tl.arange(0, BLOCK)
        ptr = grad_ptr + (row // seq) * stride_b + (row % seq) * stride_t
        ptr += c.to(tl.int64) * stride_v
        value = tl.load(ptr, mask=c < vocab).to(tl.float32)
        # A row without a gradient has none at an infinite scale, either.
        value = tl.where(value == 0.0, 0.0, value * factor)
        tl.store(ptr, value.to(grad_ptr.dtype.element_ty), mask=c < vocab)
