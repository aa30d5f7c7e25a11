"""A row's reference before the product of exponentials, and its sums after it."""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import (
    REFERENCE,
    SCALE,
    SHIFT,
    STATE,
    TOKEN,
    TOTAL,
    capped,
)
from grpo_core._kernels.shared import LN2, LOG2E, log1p

# A sum above this, 2^100, takes the row to the repair: E, and the row factors, which are smaller by
# as much, stay inside bfloat16's range.
MAX_TOTAL: tl.constexpr = tl.constexpr(1267650600228229401496703205376.0)
# The reference of a row off the mask, whose exponentials then are 0; finite, since 0 * inf is NaN.
FAR: tl.constexpr = tl.constexpr(1e30)
# With a hidden state below it no logit comes near FAR; above it, NaN too, such a row is masked.
TAME: tl.constexpr = tl.constexpr(1e10)


@triton.jit
def target_kernel(
    hidden_ptr,  # [rows, width], row stride below
    weight_ptr,  # [vocab, width], row stride below
    tokens_ptr,  # [rows] int64
    mask_ptr,  # [rows] bool
    temperature_ptr,  # [rows] float32
    bias_ptr,  # [vocab]
    state_ptr,  # [rows, STATE] float32
    marks_ptr,  # [row blocks, 1 + tiles] int32, zeros
    hidden_stride,
    weight_stride,
    vocab,
    width,
    tiles,
    temperature,
    softcap,
    HAS_MASK: tl.constexpr,
    HAS_TEMPERATURE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Target logit, state, and which tiles need a mask: the target's, and all of a broken row's.

    Of a row block, mark 0 says that all its tiles are to be masked, 1 + i that tile i is.
    """
    row = tl.program_id(0).to(tl.int64)
    state_ptr += row * STATE
    k = LOG2E / tl.load(temperature_ptr + row) if HAS_TEMPERATURE else LOG2E / temperature
    y = tl.load(tokens_ptr + row)
    known = (y >= 0) & (y < vocab)
    y = tl.where(known, y, 0)
    acc = tl.zeros((BLOCK,), tl.float32)
    tame = tl.full((BLOCK,), 1, tl.int1)
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        a = tl.load(hidden_ptr + row * hidden_stride + at, mask=at < width, other=0.0)
        b = tl.load(weight_ptr + y * weight_stride + at, mask=at < width, other=0.0)
        acc += a.to(tl.float32) * b.to(tl.float32)
        if HAS_MASK:
            tame = tame & (tl.abs(a.to(tl.float32)) < TAME)
    z = tl.sum(acc)
    if HAS_BIAS:
        z += tl.load(bias_ptr + y).to(tl.float32)
    if HAS_SOFTCAP:
        z, _ = capped(z, softcap)
    token = y.to(tl.float32)
    reference = z * k
    # An unknown id has no logit, and one of +inf no distribution.
    reference = tl.where(known & (z < float("inf")), reference, float("nan"))
    if HAS_MASK:
        counts = tl.load(mask_ptr + row) != 0
        k = tl.where(counts, k, 1.0)
        reference = tl.where(counts, reference, FAR)
        wild = tl.max((tame == 0).to(tl.int32))
        token = tl.where(counts, token, -1.0 - wild)
    tl.store(state_ptr + REFERENCE, reference)
    tl.store(state_ptr + TOTAL, 0.0)
    tl.store(state_ptr + SHIFT, 0.0)
    tl.store(state_ptr + SCALE, k)
    tl.store(state_ptr + TOKEN, token)
    at = marks_ptr + row // BLOCK_M * (tiles + 1)
    at += tl.where(token < 0, 0, 1 + token.to(tl.int32) // BLOCK_N)
    tl.store(at, 1, mask=token != -1.0)


@triton.jit
def mark_kernel(
    state_ptr,  # [rows, STATE] float32
    marks_ptr,  # [row blocks, 1 + tiles] int32, zeros
    rows,
    tiles,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The marks of `target_kernel` from the state that it left."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(state_ptr + row * STATE + TOKEN, mask=row < rows, other=-1.0).to(tl.int32)
    at = marks_ptr + row // BLOCK_M * (tiles + 1) + tl.where(y < 0, 0, 1 + y // BLOCK_N)
    tl.store(at, 1, mask=(y >= 0) | (y == -2))


@triton.jit
def _column_sums(sums_ptr, row, inside, rows, tiles, STEP: tl.constexpr, BLOCK: tl.constexpr):
    """The sum over tiles for each of a block of rows, in an order that no other row changes."""
    total = tl.zeros((STEP, BLOCK), tl.float32)
    for start in range(0, tiles, STEP):
        tile = (start + tl.arange(0, STEP)).to(tl.int64)
        live = (tile < tiles)[:, None] & inside[None, :]
        total += tl.load(sums_ptr + tile[:, None] * rows + row[None, :], mask=live, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def totals_kernel(
    sums_ptr,  # [2 or 3, tiles, rows] float32: S, X if wanted, and what the repair leaves
    state_ptr,  # [rows, STATE] float32
    broken_ptr,  # [1 + rows] int32: how many rows left the range, and which
    log_probs_ptr,  # [rows] float32
    entropy_ptr,  # [rows] float32
    rows,
    tiles,
    WITH_ENTROPY: tl.constexpr,
    REPAIRED: tl.constexpr,  # the second look, after the repair
    STEP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    if REPAIRED:  # noqa: SIM102 - the outer is decided when the kernel is compiled
        if tl.load(broken_ptr) == 0:
            return
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    live = inside & (tl.load(state_ptr + row * STATE + TOKEN, mask=inside, other=-1.0) >= 0)
    total = _column_sums(sums_ptr, row, inside, rows, tiles, STEP, BLOCK)
    shift = tl.zeros((BLOCK,), tl.float32)
    if REPAIRED:
        broken = live & ((tl.load(state_ptr + row * STATE + TOTAL, mask=live) < MAX_TOTAL) == 0)
        at = sums_ptr + (2 if WITH_ENTROPY else 1) * tl.cast(tiles, tl.int64) * rows + row
        reference = tl.load(at, mask=broken, other=0.0)
        shift = tl.load(state_ptr + row * STATE + REFERENCE, mask=broken, other=0.0) - reference
        tl.store(state_ptr + row * STATE + REFERENCE, reference, mask=broken)
        tl.store(state_ptr + row * STATE + SHIFT, shift, mask=broken)
    else:
        broken = live & ((total < MAX_TOTAL) == 0)
        # In any order: what is made of a row does not depend on its place.
        place = tl.atomic_add(broken_ptr + row * 0, 1, mask=broken)
        tl.store(broken_ptr + 1 + place, row, mask=broken)
    target = tl.exp2(shift)
    log_total = tl.where(shift == 0.0, log1p(total), tl.log(total + target))
    tl.store(state_ptr + row * STATE + TOTAL, total, mask=inside)
    tl.store(log_probs_ptr + row, tl.where(live, shift * LN2 - log_total, 0.0), mask=inside)
    entropy = tl.zeros((BLOCK,), tl.float32)
    if WITH_ENTROPY:
        sums_ptr += tl.cast(tiles, tl.int64) * rows
        mean = _column_sums(sums_ptr, row, inside, rows, tiles, STEP, BLOCK)
        mean += tl.where(target > 0.0, target * shift, 0.0)
        entropy = tl.where(live, log_total - LN2 * mean / (total + target), 0.0)
    tl.store(entropy_ptr + row, entropy, mask=inside)
