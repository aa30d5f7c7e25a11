"""Row factors: what turns exponentials into the gradient of the logits, once a slope is known."""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import REFERENCE, SCALE, SHIFT, STATE, TOKEN, TOTAL
from grpo_core._kernels.shared import LN2, log1p


@triton.jit
def probability_kernel(
    state_ptr,  # [rows, STATE] float32
    entropy_ptr,  # [rows] float32
    log_probs_grad_ptr,  # [rows] float32
    entropy_grad_ptr,  # [rows] float32
    known_ptr,  # [rows, STATE] float32: state with the log-normaliser as reference
    factors_ptr,  # [rows, 2] float32
    rows,
    lift,
    WITH_ENTROPY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """What makes the exponentials probabilities, times 1 + h/g (log p + entropy) if wanted."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    at = state_ptr + row * STATE
    total = tl.load(at + TOTAL, mask=inside, other=0.0)
    total += tl.exp2(tl.load(at + SHIFT, mask=inside, other=0.0))
    reference = tl.load(at + REFERENCE, mask=inside, other=0.0) + tl.log2(total)
    tl.store(known_ptr + row * STATE + REFERENCE, reference, mask=inside)
    for i in tl.static_range(TOTAL, STATE):
        tl.store(known_ptr + row * STATE + i, tl.load(at + i, mask=inside, other=0.0), mask=inside)
    if WITH_ENTROPY:
        g = tl.load(log_probs_grad_ptr + row, mask=inside, other=0.0)
        h = tl.load(entropy_grad_ptr + row, mask=inside, other=0.0)
        entropy = tl.load(entropy_ptr + row, mask=inside, other=0.0)
        unit = tl.maximum(tl.abs(g), tl.abs(h))
        unit = tl.where(unit == 0.0, 1.0, unit)
        first = (g + h * (entropy - lift * LN2)) / unit
        tl.store(factors_ptr + row * 2, first, mask=inside)
        tl.store(factors_ptr + row * 2 + 1, h * LN2 / unit, mask=inside)


@triton.jit
def _factor(
    state, entropy_ptr, log_probs_grad_ptr, entropy_grad_ptr, row, lift, softcap,
    PROBABILITY: tl.constexpr, WITH_ENTROPY: tl.constexpr, HAS_SOFTCAP: tl.constexpr,
):  # fmt: skip
    """What a row of E is to be multiplied by, and E of its target."""
    others = tl.load(state + TOTAL)
    shift = tl.load(state + SHIFT)
    k = tl.load(state + SCALE)
    g = tl.load(log_probs_grad_ptr + row)
    total = others + tl.exp2(shift)
    lifted = tl.exp2(total * 0.0 + lift)
    unit = g
    target = -others
    if PROBABILITY:
        target = lifted * (-others / total)
    if WITH_ENTROPY:
        h = tl.load(entropy_grad_ptr + row)
        unit = tl.maximum(tl.abs(g), tl.abs(h))
        log_total = tl.where(shift == 0.0, log1p(others), tl.log(total))
        surprise = shift * LN2 - log_total + tl.load(entropy_ptr + row)
        p = tl.exp2(shift) / total
        target = target * g + tl.where(p > 0.0, lifted * p * h * surprise, 0.0)
        target = target / tl.where(unit == 0.0, 1.0, unit)
    if HAS_SOFTCAP:
        z = (tl.load(state + REFERENCE) + shift) / k / softcap
        target = target * (1.0 - z * z)
    factor = -unit * (k * LN2)
    factor = factor / lifted if PROBABILITY else factor / total
    return tl.where(unit == 0.0, 0.0, factor), target


@triton.jit
def weigh_kernel(
    kept_ptr,  # [rows, vocab]: E
    hidden_ptr,  # [rows, width]
    scaled_ptr,  # [rows, width]: hidden times its row's factor
    state_ptr,  # [rows, STATE] float32
    entropy_ptr,  # [rows] float32
    log_probs_grad_ptr,  # [rows] float32
    entropy_grad_ptr,  # [rows] float32
    factor_ptr,  # [rows] float32
    unit_ptr,  # [1] float32, what is taken out of the factors of `scaled`
    kept_stride,
    hidden_stride,
    vocab,
    width,
    lift,
    softcap,
    PROBABILITY: tl.constexpr,  # E is a probability times 2^lift
    WITH_ENTROPY: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
    HAS_UNIT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Complete E at the target, and scale the row of hidden; a row without factor gives zeros."""
    row = tl.program_id(0).to(tl.int64)
    state = state_ptr + row * STATE
    y = tl.load(state + TOKEN).to(tl.int32)
    factor, target = _factor(
        state, entropy_ptr, log_probs_grad_ptr, entropy_grad_ptr, row, lift, softcap,
        PROBABILITY, WITH_ENTROPY, HAS_SOFTCAP,
    )  # fmt: skip
    factor = tl.where(y >= 0, factor, 0.0)
    tl.store(factor_ptr + row, factor)
    live = factor != 0.0
    kept_ptr += row * kept_stride
    if live:
        tl.store(kept_ptr + y, target.to(kept_ptr.dtype.element_ty))
    broken = ((target < float("inf")) & (target > -float("inf"))) == 0
    if (y >= 0) & (factor == 0.0) & broken:
        # E may hold inf or NaN, and 0 times that would be NaN in every row of the weight.
        for start in range(0, vocab, BLOCK):
            at = start + tl.arange(0, BLOCK)
            tl.store(kept_ptr + at, tl.zeros((BLOCK,), kept_ptr.dtype.element_ty), mask=at < vocab)
    if HAS_UNIT:
        factor = factor / tl.load(unit_ptr)
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        h = tl.load(hidden_ptr + row * hidden_stride + at, mask=at < width, other=0.0)
        scaled = tl.where(live, h.to(tl.float32) * factor, 0.0)
        tl.store(scaled_ptr + row * width + at, scaled.to(h.dtype), mask=at < width)


@triton.jit
def scale_kernel(
    product_ptr,  # [rows, width] float32
    factor_ptr,  # [rows] float32
    out_ptr,  # [rows, width], row stride below
    out_stride,
    width,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    factor = tl.load(factor_ptr + row)
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        value = tl.load(product_ptr + row * width + at, mask=at < width, other=0.0)
        value = tl.where(factor == 0.0, 0.0, value * factor)
        out = value.to(out_ptr.dtype.element_ty)
        tl.store(out_ptr + row * out_stride + at, out, mask=at < width)


@triton.jit
def rescale_kernel(grad_ptr, factor_ptr, size, PROGRAMS: tl.constexpr, BLOCK: tl.constexpr):
    """Multiply in place by a number that is nearly always 1, which the host need not wait for."""
    factor = tl.load(factor_ptr).to(tl.float32)
    if factor == 1.0:
        return
    # int64: vocab * width overflows int32 at 262144 x 8192
    start = tl.program_id(0).to(tl.int64) * BLOCK
    while start < size:
        at = start + tl.arange(0, BLOCK)
        value = tl.load(grad_ptr + at, mask=at < size, other=0.0).to(tl.float32) * factor
        tl.store(grad_ptr + at, value.to(grad_ptr.dtype.element_ty), mask=at < size)
        start += PROGRAMS * BLOCK
