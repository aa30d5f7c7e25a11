r"""What of E the sparse products read: lists of rows, and lists of cells of eight ids.

An entry of the gradient of a row's log-prob by its logits is $p_c$ in size, $1 - p_y$ at the
token. The weight's gradient leaves out a row in a tile of ids where its entries add up to less than
the tile's part of what may be left out. Of the others, listed rows, cells of eight ids (16 bytes)
are looked at one by one, for the gradient of hidden states: it leaves out a cell that no listed row
of a block of rows needs. Sums over a tile are those that the log-prob was made of, so E is read
where it is listed and nowhere else.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import SHIFT, STATE, TOKEN, TOTAL

CELL: tl.constexpr = tl.constexpr(8)


@triton.jit
def rows_kernel(
    sums_ptr,  # [tiles, rows] float32: of the exponentials of others than the target
    state_ptr,  # [rows, STATE] float32
    factor_ptr,  # [rows] float32: of a row of E; 0 where it has no gradient
    list_ptr,  # [tiles, rows] int32: the rows that a tile needs, in order
    counts_ptr,  # [tiles] int32
    sizes_ptr,  # [tiles, 2] float32: of entries left out, and of all
    rows,
    allowed,  # of a row's entries in a tile, over the row's total
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    tile = tl.program_id(0)
    sums_ptr += tile.to(tl.int64) * rows
    list_ptr += tile.to(tl.int64) * rows
    count = 0
    left_out = tl.zeros((BLOCK,), tl.float32)
    whole = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, rows, BLOCK):
        row = start + tl.arange(0, BLOCK)
        inside = row < rows
        state = state_ptr + row * STATE
        factor = tl.load(factor_ptr + row, mask=inside, other=0.0)
        others = tl.load(state + TOTAL, mask=inside, other=0.0)
        total = others + tl.exp2(tl.load(state + SHIFT, mask=inside, other=0.0))
        y = tl.load(state + TOKEN, mask=inside, other=-1.0).to(tl.int32)
        here = tl.load(sums_ptr + row, mask=inside, other=0.0)
        here += tl.where((y >= 0) & (y // COLUMNS == tile), others, 0.0)
        live = factor != 0.0
        needed = live & ((here < allowed * total) == 0)  # NaN is needed, to be seen
        place = count + tl.cumsum(needed.to(tl.int32), 0) - 1
        tl.store(list_ptr + place, row, mask=needed)
        count += tl.sum(needed.to(tl.int32), 0)
        size = tl.where(live, tl.abs(factor) * here, 0.0)
        whole += size
        left_out += tl.where(needed, 0.0, size)
    tl.store(counts_ptr + tile, count)
    tl.store(sizes_ptr + tile * 2, tl.sum(left_out, 0))
    tl.store(sizes_ptr + tile * 2 + 1, tl.sum(whole, 0))


@triton.jit
def cells_kernel(
    kept_ptr,  # [rows, vocab], row stride below: E, complete
    state_ptr,  # [rows, STATE] float32
    factor_ptr,  # [rows] float32
    list_ptr,  # [tiles, rows] int32
    counts_ptr,  # [tiles] int32
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
        tl.atomic_or(words_ptr + row // ROWS * tiles + tile, word, mask=word != 0, sem="relaxed")
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
def order_kernel(
    counts_ptr,  # [n] int32
    order_ptr,  # [n] int32: the longest list first
    n,
    BLOCK: tl.constexpr,
):
    """Whoever starts last should have little to do."""
    mine = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    count = tl.load(counts_ptr + mine, mask=mine < n, other=-1)
    place = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, n, BLOCK):
        other = start + tl.arange(0, BLOCK)
        than = tl.load(counts_ptr + other, mask=other < n, other=-1)[None, :]
        ahead = (than > count[:, None]) | (
            (than == count[:, None]) & (other[None, :] < mine[:, None])
        )
        place += tl.sum((ahead & (other < n)[None, :]).to(tl.int32), 1)
    tl.store(order_ptr + place, mine, mask=mine < n)


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
