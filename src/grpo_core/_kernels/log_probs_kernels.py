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

import triton
import triton.language as tl

from grpo_core._kernels.shared import LN2, LOG2E, columns, log1p

# Mean of x, in bits, above which the entropy would lose digits against this reference.
MAX_MEAN: tl.constexpr = tl.constexpr(4.0)


@triton.jit
def _load(
    row_ptr, kept_ptr, c, end, stride, kept_stride, k, UNIT: tl.constexpr, HAS_SUPPORT: tl.constexpr
):
    """The scaled logits of a block of columns, -inf from `end` on and outside the support."""
    at = columns(c, stride, UNIT)
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
        z = tl.load(row_ptr + columns(c, stride_v, UNIT)).to(tl.float32) * k
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
    log_norm = tl.where(x_y == 0.0, log1p(total), tl.log(total + tl.exp2(x_y)))  # in nats
    log_prob = x_y * LN2 - log_norm
    x_y = z_y - other
    e_y = tl.exp2(x_y)
    mean += tl.where(e_y > 0.0, e_y * x_y, 0.0)
    entropy = tl.where(x_y == 0.0, log1p(other_total), tl.log(other_total + e_y))
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
