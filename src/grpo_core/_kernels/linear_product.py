"""The two products of the backward in Triton, where they beat cuBLAS; row factors in the epilogue.

Persistent, operands and result through the tensor memory accelerator.
"""

import triton
import triton.language as tl


@triton.jit
def product_kernel(
    left,  # descriptor of [rows, depth], or of [depth, rows] where TRANSPOSED
    right,  # descriptor of [depth, columns]
    out,  # descriptor of [rows, columns]
    factor_ptr,  # [rows] float32
    rows,
    columns,
    depth,
    TRANSPOSED: tl.constexpr,
    SCALED: tl.constexpr,
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
        if SCALED:
            row = at_m + tl.arange(0, BLOCK_M)
            factor = tl.load(factor_ptr + row, mask=row < rows, other=0.0)[:, None]
            # Selected: a row without a gradient may hold NaN.
            acc = tl.where(factor == 0.0, 0.0, acc * factor)
        one, two = tl.split(tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1)))
        out.store([at_m, at_n], one.to(out.dtype))
        out.store([at_m, at_n + BLOCK_N // 2], two.to(out.dtype))
