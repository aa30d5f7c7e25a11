"""The two products of the backward over listed rows, and over listed cells of eight ids.

Operands are gathered: runs of 16 bytes of E, and rows of the other side, by asynchronous copies.
The next step's part of the list is read a step ahead, so that no address is waited for.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_sparse_cells import CELL


@triton.jit
def _add(
    out_ptr, acc, ids, first, vocab, width, ACCUMULATE: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    column = first + tl.arange(0, COLUMNS)
    inside = (ids < vocab)[:, None] & (column < width)[None, :]
    if ACCUMULATE:
        acc += tl.load(out_ptr + column[None, :], mask=inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + column[None, :], acc.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def sparse_weight_kernel(
    kept_ptr,  # [rows, vocab], row stride below: E
    scaled_ptr,  # [rows, width]: hidden times its row's factor
    list_ptr,  # [tiles, rows] int32
    counts_ptr,  # [tiles] int32
    order_ptr,  # [tiles] int32: tiles, the longest list first
    out_ptr,  # [vocab, width], row stride below
    kept_stride,
    out_stride,
    rows,
    vocab,
    width,
    ACCUMULATE: tl.constexpr,
    COLUMNS: tl.constexpr,  # of a tile of E
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """E, transposed, times scaled, over the rows that a tile lists; zeros where it lists none."""
    across = tl.cdiv(width, BLOCK_N)
    parts: tl.constexpr = COLUMNS // BLOCK_M
    program = tl.program_id(0)
    tile = tl.load(order_ptr + program // (across * parts))
    count = tl.load(counts_ptr + tile)
    if ACCUMULATE:  # noqa: SIM102 - the outer is decided when the kernel is compiled
        if count == 0:
            return
    list_ptr += tile.to(tl.int64) * rows
    ids = tile * COLUMNS + program // across % parts * BLOCK_M + tl.arange(0, BLOCK_M)
    column = program % across * BLOCK_N + tl.arange(0, BLOCK_N)
    step = tl.arange(0, BLOCK_K)
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    row = tl.load(list_ptr + step, mask=step < count, other=0)
    for start in range(0, count, BLOCK_K):
        live = start + step < count
        a = tl.load(
            kept_ptr + row.to(tl.int64)[:, None] * kept_stride + ids[None, :],
            mask=live[:, None] & (ids < kept_stride)[None, :],
            other=0.0,
        )
        b = tl.load(
            scaled_ptr + row.to(tl.int64)[:, None] * width + column[None, :],
            mask=live[:, None] & (column < width)[None, :],
            other=0.0,
        )
        after = start + BLOCK_K + step
        row = tl.load(list_ptr + after, mask=after < count, other=0)
        acc = tl.dot(a.T, b, acc)
    # In two halves: beside all of what is there already, the sums would not fit in registers.
    one, two = tl.split(tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1)))
    first = program % across * BLOCK_N
    out_ptr += ids.to(tl.int64)[:, None] * out_stride
    _add(out_ptr, one, ids, first, vocab, width, ACCUMULATE, BLOCK_N // 2)
    _add(out_ptr, two, ids, first + BLOCK_N // 2, vocab, width, ACCUMULATE, BLOCK_N // 2)


@triton.jit
def sparse_hidden_kernel(
    kept_ptr,  # [rows, vocab], row stride below: E
    weight_ptr,  # [vocab, width], row stride below
    list_ptr,  # [row blocks, cells] int32
    units_ptr,  # [4, units] int32, see `units_kernel`
    row_ptr,  # [rows] int32: the rows, block by block
    factor_ptr,  # [rows] float32
    sums_ptr,  # [slots, BLOCK_M, width] float32
    out_ptr,  # [rows, width], row stride below
    kept_stride,
    weight_stride,
    out_stride,
    rows,
    vocab,
    width,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """E times weight over the cells of a unit; rows times their factor, or sums to be added up."""
    across = tl.cdiv(width, BLOCK_N)
    units = tl.num_programs(0) // across
    units_ptr += tl.program_id(0) // across
    block = tl.load(units_ptr)
    if block < 0:
        return
    first = tl.load(units_ptr + units)
    count = (tl.load(units_ptr + 2 * units) - first) * CELL
    slot = tl.load(units_ptr + 3 * units)
    list_ptr += block.to(tl.int64) * tl.cdiv(vocab, CELL) + first
    place = block * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = place < rows
    row = tl.load(row_ptr + place, mask=inside, other=0)
    column = tl.program_id(0) % across * BLOCK_N + tl.arange(0, BLOCK_N)
    step = tl.arange(0, BLOCK_K)
    kept_ptr += row.to(tl.int64)[:, None] * kept_stride
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    cell = tl.load(list_ptr + step // CELL, mask=step < count, other=0)
    for start in range(0, count, BLOCK_K):
        live = start + step < count
        ids = tl.max_contiguous(tl.multiple_of(cell * CELL + step % CELL, CELL), CELL)
        a = tl.load(kept_ptr + ids[None, :], mask=inside[:, None] & live[None, :], other=0.0)
        b = tl.load(
            weight_ptr + ids.to(tl.int64)[:, None] * weight_stride + column[None, :],
            mask=(live & (ids < vocab))[:, None] & (column < width)[None, :],
            other=0.0,
        )
        after = start + BLOCK_K + step
        cell = tl.load(list_ptr + after // CELL, mask=after < count, other=0)
        acc = tl.dot(a, b, acc)
    inside = inside[:, None] & (column < width)[None, :]
    if slot < 0:
        factor = tl.load(factor_ptr + row, mask=place < rows, other=0.0)[:, None]
        # Selected: a row without a gradient may hold NaN.
        acc = tl.where(factor == 0.0, 0.0, acc * factor)
        out = out_ptr + row.to(tl.int64)[:, None] * out_stride + column[None, :]
        tl.store(out, acc.to(out_ptr.dtype.element_ty), mask=inside)
    else:
        sums_ptr += slot.to(tl.int64) * BLOCK_M * width
        at = tl.arange(0, BLOCK_M)[:, None] * width + column[None, :]
        tl.store(sums_ptr + at, acc, mask=inside)


@triton.jit
def add_units_kernel(
    parts_ptr,  # [2, row blocks] int32, see `units_kernel`
    row_ptr,  # [rows] int32
    factor_ptr,  # [rows] float32
    sums_ptr,  # [slots, BLOCK_M, width] float32
    out_ptr,  # [rows, width], row stride below
    out_stride,
    rows,
    width,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Add up the sums of a block of several units, in order."""
    block = tl.program_id(0)
    parts = tl.load(parts_ptr + block)
    if parts < 2:
        return
    slot = tl.load(parts_ptr + tl.num_programs(0) + block)
    place = block * BLOCK_M + tl.arange(0, BLOCK_M)
    row = tl.load(row_ptr + place, mask=place < rows, other=0)
    column = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = (place < rows)[:, None] & (column < width)[None, :]
    at = tl.arange(0, BLOCK_M)[:, None] * width + column[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for i in range(parts):
        part = sums_ptr + (slot + i).to(tl.int64) * BLOCK_M * width
        acc += tl.load(part + at, mask=inside, other=0.0)
    factor = tl.load(factor_ptr + row, mask=place < rows, other=0.0)[:, None]
    acc = tl.where(factor == 0.0, 0.0, acc * factor)
    out = out_ptr + row.to(tl.int64)[:, None] * out_stride + column[None, :]
    tl.store(out, acc.to(out_ptr.dtype.element_ty), mask=inside)
