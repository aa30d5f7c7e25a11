"""The two products of the backward in Triton, where they beat cuBLAS; row factors in the epilogue.

Persistent, operands and result through the tensor memory accelerator.

A product may be one term of a sum over chunks. In bfloat16 each term would cost the sum a rounding
to 8 bits. Until the last one the memory of the result holds float16 instead, of 11 bits, times a
power of two for each row of a tile, which puts the row's largest just below the end of float16's
range and is kept beside it. The last term writes what was asked for.
"""

import triton
import triton.language as tl


@triton.jit
def _power(biased):
    """The powers of two of rows with these bits of exponent; of 255, inf."""
    return (biased << 23).to(tl.float32, bitcast=True)[:, None]


@triton.jit
def _halves(x):
    return tl.split(tl.permute(tl.reshape(x, (x.shape[0], 2, x.shape[1] // 2)), (0, 2, 1)))


@triton.jit
def _store_halves(x, out, at_m, at_n):
    """In two halves: the first is on its way out while the second is converted."""
    one, two = _halves(x)
    out.store([at_m, at_n], one.to(out.dtype))
    out.store([at_m, at_n + one.shape[1]], two.to(out.dtype))


@triton.jit
def product_kernel(
    left,  # descriptor of [rows, depth], or of [depth, rows] where TRANSPOSED
    right,  # descriptor of [depth, columns]
    out,  # descriptor of [rows, columns]; of float16, for terms but the last
    factor_ptr,  # [rows] float32
    sums,  # descriptor of [rows, columns] float16, in the memory of `out`
    exponents_ptr,  # [blocks of columns, rows] uint8, biased: of what a row of sums is times
    rows,
    columns,
    depth,
    TRANSPOSED: tl.constexpr,
    SCALED: tl.constexpr,
    READS: tl.constexpr,  # earlier terms are there
    KEEPS: tl.constexpr,  # later ones will come
    ROWS_FIRST: tl.constexpr,  # tiles of GROUP rows of tiles share columns, else the reverse
    GROUP: tl.constexpr,
    PROGRAMS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    down = tl.cdiv(rows, BLOCK_M)
    across = tl.cdiv(columns, BLOCK_N)
    for tile in tl.range(tl.program_id(0), down * across, PROGRAMS, flatten=True):
        if ROWS_FIRST:
            wide = GROUP * across
            group = tile // wide
            size = min(down - group * GROUP, GROUP)
            tile_m = group * GROUP + (tile % wide) % size
            tile_n = (tile % wide) // size
        else:
            wide = GROUP * down
            group = tile // wide
            size = min(across - group * GROUP, GROUP)
            tile_n = group * GROUP + (tile % wide) % size
            tile_m = (tile % wide) // size
        at_m = tile_m * BLOCK_M
        at_n = tile_n * BLOCK_N
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for step in range(tl.cdiv(depth, BLOCK_K)):
            at_k = step * BLOCK_K
            b = right.load([at_k, at_n])
            if TRANSPOSED:
                a = left.load([at_k, at_m])
                acc = tl.dot(a.T, b, acc)
            else:
                a = left.load([at_m, at_k])
                acc = tl.dot(a, b, acc)
        row = at_m + tl.arange(0, BLOCK_M)
        if SCALED:
            factor = tl.load(factor_ptr + row, mask=row < rows, other=0.0)[:, None]
            # Selected: a row without a gradient may hold NaN.
            acc = tl.where(factor == 0.0, 0.0, acc * factor)
        at = exponents_ptr + tile_n.to(tl.int64) * rows + row
        if READS:
            exponents = tl.load(at, mask=row < rows, other=0).to(tl.int32)
            acc += sums.load([at_m, at_n]).to(tl.float32) * _power(exponents)
        if KEEPS:
            top = tl.maximum(tl.max(tl.abs(acc), 1).to(tl.int32, bitcast=True) >> 23, 15)
            acc *= _power(268 - top)
            # A row that holds inf is inf or NaN from then on.
            exponents = tl.where(top == 255, 255, top - 14).to(tl.uint8)
            tl.store(at, exponents, mask=row < rows)
        if READS or KEEPS:  # in smaller parts: a whole tile of sums takes memory
            one, two = _halves(acc)
            _store_halves(one, out, at_m, at_n)
            _store_halves(two, out, at_m, at_n + BLOCK_N // 2)
        else:
            _store_halves(acc, out, at_m, at_n)
