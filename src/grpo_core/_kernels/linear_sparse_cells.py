"""What of E the sparse products read, by block of rows: cells of eight ids, 16 bytes.

Where a tile lists a row, each cell of it holds less than its part of what may be left out, or is
needed by the row's block. A block with a long list is cut into units of work.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import SHIFT, STATE, TOTAL

CELL: tl.constexpr = tl.constexpr(8)


@triton.jit
def cells_kernel(
    kept_ptr,  # [rows, vocab], row stride below: E, complete
    state_ptr,  # [rows, STATE] float32
    factor_ptr,  # [rows] float32
    list_ptr,  # [tiles, rows] int32
    counts_ptr,  # [tiles] int32
    place_ptr,  # [rows] int32: of each row, among the blocks
    words_ptr,  # [row blocks, tiles] int32, zeros: bit i says that cell i of the tile is needed
    sizes_ptr,  # [tiles, SPLITS] float32: of entries left out
    kept_stride,
    rows,
    vocab,
    allowed,  # of a row's entries in a cell, over the row's total
    ROWS: tl.constexpr,  # of a block
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    STEP: tl.constexpr,
):
    tile = tl.program_id(0)
    tiles = tl.num_programs(0)
    count = tl.load(counts_ptr + tile)
    list_ptr += tile.to(tl.int64) * rows
    bit = tl.arange(0, COLUMNS // CELL)
    cells = tl.cdiv(vocab, CELL)
    column = tile * COLUMNS + tl.arange(0, COLUMNS)
    left_out = tl.zeros((STEP,), tl.float32)
    for start in range(tl.program_id(1) * STEP, count, SPLITS * STEP):
        at = start + tl.arange(0, STEP)
        listed = at < count
        row = tl.load(list_ptr + at, mask=listed, other=0)
        state = state_ptr + row * STATE
        factor = tl.abs(tl.load(factor_ptr + row, mask=listed, other=0.0))
        total = tl.load(state + TOTAL, mask=listed, other=0.0)
        total += tl.exp2(tl.load(state + SHIFT, mask=listed, other=0.0))
        # Whole cells: what lies beyond the vocabulary in the last is 0.
        e = tl.load(
            kept_ptr + row.to(tl.int64)[:, None] * kept_stride + column[None, :],
            mask=listed[:, None] & (column // CELL < cells)[None, :],
            other=0.0,
        )
        e = tl.reshape(tl.abs(e.to(tl.float32)), (STEP, COLUMNS // CELL, CELL))
        here = tl.sum(e, 2)
        needed = listed[:, None] & ((here < (allowed * total)[:, None]) == 0)
        needed = needed & (tile * (COLUMNS // CELL) + bit < cells)[None, :]
        word = tl.sum(needed.to(tl.int32) << bit[None, :], 1)
        # In any order: of bits that are set, none is lost.
        block = tl.load(place_ptr + row, mask=listed, other=0) // ROWS
        tl.atomic_or(words_ptr + block * tiles + tile, word, mask=word != 0, sem="relaxed")
        left_out += tl.sum(tl.where(needed, 0.0, factor[:, None] * here), 1)
    tl.store(sizes_ptr + tile * SPLITS + tl.program_id(1), tl.sum(left_out, 0))


@triton.jit
def unpack_kernel(
    words_ptr,  # [row blocks, tiles] int32
    list_ptr,  # [row blocks, cells] int32: the cells that a block of rows needs, in order
    counts_ptr,  # [row blocks] int32
    tiles,
    cells,
    BITS: tl.constexpr,  # of a word that are in use
    BLOCK: tl.constexpr,
):
    block = tl.program_id(0)
    words_ptr += block * tiles
    list_ptr += block.to(tl.int64) * cells
    count = 0
    for start in range(0, tiles * BITS, BLOCK):
        cell = start + tl.arange(0, BLOCK)
        word = tl.load(words_ptr + cell // BITS, mask=cell < tiles * BITS, other=0)
        needed = (word >> (cell % BITS)) & 1
        place = count + tl.cumsum(needed, 0) - 1
        tl.store(list_ptr + place, cell, mask=needed != 0)
        count += tl.sum(needed, 0)
    tl.store(counts_ptr + block, count)


@triton.jit
def units_kernel(
    counts_ptr,  # [row blocks] int32: cells of each
    units_ptr,  # [4, units] int32: block or -1, first cell and one past the last, slot or -1
    parts_ptr,  # [2, row blocks] int32: units of a block, and the first one's slot
    blocks,
    EXTRA: tl.constexpr,  # units beside one for each block
    SHORTEST: tl.constexpr,
    STEP: tl.constexpr,  # cells that a product takes at a time
    BLOCK: tl.constexpr,
):
    """One program. A block of several units needs a slot of its own for the sums of each.

    There are at most 2 EXTRA slots: with more than one unit of a block, each is half full at least.
    """
    units = blocks + EXTRA
    total = tl.full((), 0, tl.int64)
    for start in range(0, blocks, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.sum(tl.load(counts_ptr + at, mask=at < blocks, other=0).to(tl.int64), 0)
    size = tl.maximum(tl.cdiv(total, EXTRA), SHORTEST).to(tl.int32)
    size = tl.cdiv(size, STEP) * STEP
    unit = 0
    slot = 0
    for start in range(0, blocks, BLOCK):
        at = start + tl.arange(0, BLOCK)
        count = tl.load(counts_ptr + at, mask=at < blocks, other=0)
        parts = tl.where(at < blocks, tl.maximum(tl.cdiv(count, size), 1), 0)
        slots = tl.where(parts > 1, parts, 0)
        first = unit + tl.cumsum(parts, 0) - parts
        first_slot = slot + tl.cumsum(slots, 0) - slots
        tl.store(parts_ptr + at, parts, mask=at < blocks)
        tl.store(parts_ptr + blocks + at, first_slot, mask=at < blocks)
        for i in range(tl.max(parts, 0)):
            to = units_ptr + first + i
            tl.store(to, at, mask=i < parts)
            tl.store(to + units, i * size + 0 * at, mask=i < parts)
            tl.store(to + 2 * units, tl.minimum(i * size + size, count), mask=i < parts)
            tl.store(to + 3 * units, tl.where(parts > 1, first_slot + i, -1), mask=i < parts)
        unit += tl.sum(parts, 0)
        slot += tl.sum(slots, 0)
    for start in range(unit, units, BLOCK):
        at = start + tl.arange(0, BLOCK)
        tl.store(units_ptr + at, -1, mask=at < units)


@triton.jit
def tally_kernel(
    sizes_ptr,  # [tiles, 2] float32: of `rows_kernel`
    cell_sizes_ptr,  # [tiles, SPLITS] float32: of `cells_kernel`
    rows_counts_ptr,  # [tiles] int32
    cells_counts_ptr,  # [row blocks] int32
    tally_ptr,  # [4] float32: entries left out, all; products made, all
    rows,
    tiles,
    blocks,
    cells,
    SPLITS: tl.constexpr,
    HAS_HIDDEN: tl.constexpr,
    HAS_WEIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program: sums in an order of their own."""
    left_out = tl.zeros((BLOCK,), tl.float32)
    whole = tl.zeros((BLOCK,), tl.float32)
    listed = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, tiles, BLOCK):
        at = start + tl.arange(0, BLOCK)
        left_out += tl.load(sizes_ptr + at * 2, mask=at < tiles, other=0.0)
        whole += tl.load(sizes_ptr + at * 2 + 1, mask=at < tiles, other=0.0)
        listed += tl.load(rows_counts_ptr + at, mask=at < tiles, other=0).to(tl.float32)
    made = 0.0
    sides = 0.0
    if HAS_WEIGHT:
        made += tl.sum(listed, 0) / tiles
        sides += 1.0
    if HAS_HIDDEN:
        for start in range(0, tiles * SPLITS, BLOCK):
            at = start + tl.arange(0, BLOCK)
            left_out += tl.load(cell_sizes_ptr + at, mask=at < tiles * SPLITS, other=0.0)
        listed = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, blocks, BLOCK):
            at = start + tl.arange(0, BLOCK)
            listed += tl.load(cells_counts_ptr + at, mask=at < blocks, other=0).to(tl.float32)
        made += tl.sum(listed, 0) / blocks / cells * rows
        sides += 1.0
    tl.store(tally_ptr, tl.sum(left_out, 0))
    tl.store(tally_ptr + 1, tl.sum(whole, 0))
    tl.store(tally_ptr + 2, made)
    tl.store(tally_ptr + 3, sides * rows)
