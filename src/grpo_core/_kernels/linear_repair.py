"""Rows whose sum left the range, once more, against their largest logit.

They are few or none: every program reads how many, and returns at once if there are none. A row's
largest logit lies in a tile whose sum is no less than the average, and those are few: only there
is the product made again, of rows that are gathered. What stands in the other tiles is scaled.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import REFERENCE, SCALE, STATE, TOKEN, TOTAL, capped

# 2^120: what is scaled instead of made again has been stored in bfloat16, whose infinity is near.
MAX_STORED: tl.constexpr = tl.constexpr(1329227995784915872903807060280344576.0)


@triton.jit
def _is_hot(sums_ptr, state_ptr, row, live, tiles):
    """Which rows' largest logit may lie in this tile; `sums_ptr` is of the tile."""
    total = tl.load(state_ptr + row * STATE + TOTAL, mask=live, other=0.0)
    here = tl.load(sums_ptr + row, mask=live, other=0.0)
    cold = (here * tiles < total) & (here < MAX_STORED)  # not for NaN
    return live & (cold == 0)


@triton.jit
def _logits(
    hidden_ptr, weight_ptr, bias_ptr, row, live, column, inside, hidden_stride, weight_stride,
    width, softcap, HAS_BIAS: tl.constexpr, HAS_SOFTCAP: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Logits of some rows and columns, and what a softcap makes of their gradient."""
    acc = tl.zeros((ROWS, COLUMNS), tl.float32)
    a_ptr = hidden_ptr + row.to(tl.int64)[:, None] * hidden_stride
    b_ptr = weight_ptr + column.to(tl.int64)[None, :] * weight_stride
    for start in range(0, width, DEPTH):
        at = start + tl.arange(0, DEPTH)
        here = at < width
        a = tl.load(a_ptr + at[None, :], mask=live[:, None] & here[None, :], other=0.0)
        b = tl.load(b_ptr + at[:, None], mask=inside[None, :] & here[:, None], other=0.0)
        acc = tl.dot(a, b, acc)
    if HAS_BIAS:
        acc += tl.load(bias_ptr + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    slope = acc
    if HAS_SOFTCAP:
        acc, slope = capped(acc, softcap)
    return acc, slope


@triton.jit
def largest_kernel(
    hidden_ptr,  # [rows, width], row stride below
    weight_ptr,  # [vocab, width], row stride below
    bias_ptr,  # [vocab]
    state_ptr,  # [rows, STATE] float32
    broken_ptr,  # [1 + rows] int32: how many, and which
    sums_ptr,  # [SUMS + 1, tiles, rows] float32: the sums, and what is written here
    hidden_stride,
    weight_stride,
    rows,
    vocab,
    width,
    softcap,
    SUMS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """The largest logit of others than the target, in bits, in each tile of columns."""
    count = tl.load(broken_ptr)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < vocab
    tiles = tl.cdiv(vocab, COLUMNS)
    plane = tl.cast(tiles, tl.int64) * rows  # int64: it overflows int32 at a million rows
    sums_ptr += tl.program_id(0).to(tl.int64) * rows
    for first in range(0, count, ROWS):
        at = first + tl.arange(0, ROWS)
        live = at < count
        row = tl.load(broken_ptr + 1 + at, mask=live, other=0)
        hot = _is_hot(sums_ptr, state_ptr, row, live, tiles)
        top = tl.full((ROWS,), -float("inf"), tl.float32)
        if tl.max(hot.to(tl.int32)) != 0:
            y = tl.load(state_ptr + row * STATE + TOKEN, mask=live, other=-1.0).to(tl.int32)
            k = tl.load(state_ptr + row * STATE + SCALE, mask=live, other=0.0)
            z, _ = _logits(
                hidden_ptr, weight_ptr, bias_ptr, row, live, column, inside, hidden_stride,
                weight_stride, width, softcap, HAS_BIAS, HAS_SOFTCAP, ROWS, COLUMNS, DEPTH,
            )  # fmt: skip
            keep = inside[None, :] & (column[None, :] != y[:, None])
            z = tl.max(tl.where(keep, z * k[:, None], -float("inf")), 1)
            top = tl.where(hot, z, top)
        tl.store(sums_ptr + SUMS * plane + row, top, mask=live)


@triton.jit
def repair_kernel(
    hidden_ptr,  # [rows, width], row stride below
    weight_ptr,  # [vocab, width], row stride below
    bias_ptr,  # [vocab]
    state_ptr,  # [rows, STATE] float32
    broken_ptr,  # [1 + rows] int32
    sums_ptr,  # [SUMS + 1, tiles, rows] float32: the sums, and the largest logits
    kept_ptr,  # [rows, vocab], row stride below
    hidden_stride,
    weight_stride,
    kept_stride,
    rows,
    vocab,
    width,
    softcap,
    STORE: tl.constexpr,
    SUMS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Exponentials and sums against a new reference, which is left in the first tile's place."""
    count = tl.load(broken_ptr)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < vocab
    tiles = tl.cdiv(vocab, COLUMNS)
    plane = tl.cast(tiles, tl.int64) * rows
    for first in range(0, count, ROWS):
        at = first + tl.arange(0, ROWS)
        live = at < count
        row = tl.load(broken_ptr + 1 + at, mask=live, other=0)
        state = state_ptr + row * STATE
        old = tl.load(state + REFERENCE, mask=live, other=0.0)
        top = tl.full((32, ROWS), -float("inf"), tl.float32)
        for start in range(0, tiles, 32):
            tile = (start + tl.arange(0, 32)).to(tl.int64)
            there = sums_ptr + SUMS * plane + tile[:, None] * rows + row[None, :]
            known = (tile < tiles)[:, None] & live[None, :]
            top = tl.maximum(top, tl.load(there, mask=known, other=-float("inf")))
        reference = tl.maximum(old, tl.max(top, 0))
        sums = sums_ptr + tl.program_id(0).to(tl.int64) * rows
        hot = _is_hot(sums, state_ptr, row, live, tiles)
        sums += row
        shift = old - reference
        scale = tl.exp2(shift)
        total = tl.load(sums, mask=live, other=0.0)
        new_total = tl.where(hot, 0.0, scale * total)
        new_mean = new_total
        if SUMS > 1:
            mean = tl.load(sums + plane, mask=live, other=0.0) + shift * total
            new_mean = tl.where(hot | (scale == 0.0), 0.0, scale * mean)
        kept = kept_ptr + row.to(tl.int64)[:, None] * kept_stride + column[None, :]
        stored = live[:, None] & inside[None, :]
        if STORE:
            e = tl.load(kept, mask=stored & (hot == 0)[:, None], other=0.0).to(tl.float32)
            e = e * scale[:, None]
            tl.store(kept, e.to(kept_ptr.dtype.element_ty), mask=stored & (hot == 0)[:, None])
        if tl.max(hot.to(tl.int32)) != 0:
            y = tl.load(state + TOKEN, mask=live, other=-1.0).to(tl.int32)
            k = tl.load(state + SCALE, mask=live, other=0.0)
            z, slope = _logits(
                hidden_ptr, weight_ptr, bias_ptr, row, live, column, inside, hidden_stride,
                weight_stride, width, softcap, HAS_BIAS, HAS_SOFTCAP, ROWS, COLUMNS, DEPTH,
            )  # fmt: skip
            keep = inside[None, :] & (column[None, :] != y[:, None])
            x = tl.where(keep, z * k[:, None] - reference[:, None], -200.0)
            e = tl.exp2(x)
            new_total = tl.where(hot, tl.sum(e, 1), new_total)
            if SUMS > 1:
                new_mean = tl.where(hot, tl.sum(e * tl.maximum(x, -200.0), 1), new_mean)
            if STORE:
                if HAS_SOFTCAP:
                    e = tl.where(keep, e * slope, 0.0)
                tl.store(kept, e.to(kept_ptr.dtype.element_ty), mask=stored & hot[:, None])
        tl.store(sums, new_total, mask=live)
        if SUMS > 1:
            tl.store(sums + plane, new_mean, mask=live)
        if tl.program_id(0) == 0:  # no other logit is larger: who reads it sees the same maximum
            tl.store(sums_ptr + SUMS * plane + row, reference, mask=live)
