"""Rows whose sum left the range, once more, against their largest logit.

They are few or none: every program reads how many, and returns at once if there are none. What
there is is gathered, so that the weight is read once for many rows.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import REFERENCE, SCALE, SHIFT, STATE, TOKEN, capped


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
    largest_ptr,  # [tiles, rows] float32
    hidden_stride,
    weight_stride,
    rows,
    vocab,
    width,
    softcap,
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
    for first in range(0, count, ROWS):
        at = first + tl.arange(0, ROWS)
        live = at < count
        row = tl.load(broken_ptr + 1 + at, mask=live, other=0)
        y = tl.load(state_ptr + row * STATE + TOKEN, mask=live, other=-1.0).to(tl.int32)
        k = tl.load(state_ptr + row * STATE + SCALE, mask=live, other=0.0)
        z, _ = _logits(
            hidden_ptr, weight_ptr, bias_ptr, row, live, column, inside, hidden_stride,
            weight_stride, width, softcap, HAS_BIAS, HAS_SOFTCAP, ROWS, COLUMNS, DEPTH,
        )  # fmt: skip
        keep = inside[None, :] & (column[None, :] != y[:, None])
        top = tl.max(tl.where(keep, z * k[:, None], -float("inf")), 1)
        # int64: tiles * rows overflows int32 at a million rows
        tl.store(largest_ptr + tl.program_id(0).to(tl.int64) * rows + row, top, mask=live)


@triton.jit
def repair_kernel(
    hidden_ptr,  # [rows, width], row stride below
    weight_ptr,  # [vocab, width], row stride below
    bias_ptr,  # [vocab]
    state_ptr,  # [rows, STATE] float32: reference and shift are written
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
    """Exponentials and sums of these rows, as `exponentials_kernel` makes those of the others."""
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
        target = tl.load(state + REFERENCE, mask=live, other=0.0)
        # Another program may have written it: the largest of it and the others is the same.
        reference = target
        here = sums_ptr + SUMS * plane + row
        for _ in range(tiles):
            reference = tl.maximum(reference, tl.load(here, mask=live, other=-float("inf")))
            here += rows
        y = tl.load(state + TOKEN, mask=live, other=-1.0).to(tl.int32)
        k = tl.load(state + SCALE, mask=live, other=0.0)
        z, slope = _logits(
            hidden_ptr, weight_ptr, bias_ptr, row, live, column, inside, hidden_stride,
            weight_stride, width, softcap, HAS_BIAS, HAS_SOFTCAP, ROWS, COLUMNS, DEPTH,
        )  # fmt: skip
        keep = inside[None, :] & (column[None, :] != y[:, None])
        x = tl.where(keep, z * k[:, None] - reference[:, None], -200.0)
        e = tl.exp2(x)
        sums = sums_ptr + tl.program_id(0).to(tl.int64) * rows + row
        tl.store(sums, tl.sum(e, 1), mask=live)
        if SUMS > 1:
            tl.store(sums + plane, tl.sum(e * tl.maximum(x, -200.0), 1), mask=live)
        if STORE:
            if HAS_SOFTCAP:
                e = tl.where(keep, e * slope, 0.0)
            out = kept_ptr + row.to(tl.int64)[:, None] * kept_stride + column[None, :]
            tl.store(out, e.to(kept_ptr.dtype.element_ty), mask=live[:, None] & inside[None, :])
        if tl.program_id(0) == 0:
            tl.store(state + SHIFT, target - reference, mask=live)
            tl.store(state + REFERENCE, reference, mask=live)
