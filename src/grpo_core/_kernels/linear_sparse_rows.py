r"""What of E the sparse products read, by tile of ids: the rows; and an order for both sides.

An entry of the gradient of a row's log-prob by its logits is $p_c$ in size, $1 - p_y$ at the
token. The weight's gradient leaves out a row in a tile of ids where its entries add up to less than
the tile's part of what may be left out; the others are listed. Sums over a tile are those that the
log-prob was made of: E itself is not read.

The gradient of hidden states is made by blocks of rows. A row that needs many tiles would make its
whole block read them: such rows are put together.
"""

import triton
import triton.language as tl

from grpo_core._kernels.linear_gemm import SHIFT, STATE, TOKEN, TOTAL


@triton.jit
def rows_kernel(
    sums_ptr,  # [tiles, rows] float32: of the exponentials of others than the target
    state_ptr,  # [rows, STATE] float32
    factor_ptr,  # [rows] float32: of a row of E; 0 where it has no gradient
    list_ptr,  # [tiles, rows] int32: the rows that a tile needs, in order
    counts_ptr,  # [tiles] int32
    tiles_ptr,  # [rows] int32, zeros: the tiles that need a row
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
        tl.atomic_add(tiles_ptr + row, 1, mask=needed, sem="relaxed")  # in any order
        count += tl.sum(needed.to(tl.int32), 0)
        size = tl.where(live, tl.abs(factor) * here, 0.0)
        whole += size
        left_out += tl.where(needed, 0.0, size)
    tl.store(counts_ptr + tile, count)
    tl.store(sizes_ptr + tile * 2, tl.sum(left_out, 0))
    tl.store(sizes_ptr + tile * 2 + 1, tl.sum(whole, 0))


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
def group_kernel(
    tiles_ptr,  # [rows] int32: the tiles that need a row
    row_ptr,  # [rows] int32: the row at each place
    place_ptr,  # [rows] int32: the place of each row
    rows,
    BLOCK: tl.constexpr,
):
    """Rows that need many tiles first, by powers of two; neighbours stay neighbours otherwise.

    Program i places the rows of 2^i - 1 tiles up to twice that.
    """
    low = (1 << tl.program_id(0)) - 1
    high = 2 * low + 1
    count = 0
    for start in range(0, rows, BLOCK):
        row = start + tl.arange(0, BLOCK)
        tiles = tl.load(tiles_ptr + row, mask=row < rows, other=-1)
        count += tl.sum((tiles >= high).to(tl.int32), 0)
    for start in range(0, rows, BLOCK):
        row = start + tl.arange(0, BLOCK)
        tiles = tl.load(tiles_ptr + row, mask=row < rows, other=-1)
        mine = (tiles >= low) & (tiles < high)
        place = count + tl.cumsum(mine.to(tl.int32), 0) - 1
        tl.store(row_ptr + place, row, mask=mine)
        tl.store(place_ptr + row, place, mask=mine)
        count += tl.sum(mine.to(tl.int32), 0)
