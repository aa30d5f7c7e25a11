r"""Exponentials of logits straight out of the matrix product that would have stored the logits.

One persistent kernel, operands and result through the tensor memory accelerator. With a reference
$R_n$ in bits that is known before the product, here $k z_{n,y}$ with $k = \log_2(e) / T$, the
epilogue has no maximum to look for and nothing to rescale: it takes $x = k z - R_n$ from the
float32 accumulator, writes $E = 2^x$ in the operands' dtype, 0 at the target and beyond the
vocabulary, and adds up a row's $2^x$ (and $2^x x$, for the entropy) over its tile. Sums of a tile
depend on the row and the tile alone, stored or not: scoring and training give the same bits.
"""

import triton
import triton.language as tl

from grpo_core._kernels.shared import LOG2E

# Columns of a row of `state`: the reference in bits, the sum of the others' exponentials against
# it, the target's logit above it in bits (0 unless the row was repaired), k, and the token: -1 off
# the mask, -2 if such a row is not tame; exact as a float for any vocabulary below 2^24.
REFERENCE: tl.constexpr = tl.constexpr(0)
TOTAL: tl.constexpr = tl.constexpr(1)
SHIFT: tl.constexpr = tl.constexpr(2)
SCALE: tl.constexpr = tl.constexpr(3)
TOKEN: tl.constexpr = tl.constexpr(4)
STATE: tl.constexpr = tl.constexpr(5)
# In bits: 2 to this is 0, and 0 times it is no NaN, as 0 times -inf would be.
NOTHING: tl.constexpr = tl.constexpr(-200.0)


@triton.jit
def capped(z, softcap):
    """A tanh of height softcap, and its derivative; both keep their digits far out."""
    q = tl.exp2(tl.abs(z) * (-2.0 * LOG2E / softcap))
    tanh = (1.0 - q) / (1.0 + q)
    return softcap * tl.where(z < 0, -tanh, tanh), 4.0 * q / ((1.0 + q) * (1.0 + q))


@triton.jit
def _epilogue(
    acc, columns, y, masked, k, reference, first, second, bias_ptr, vocab, softcap,
    FACTOR: tl.constexpr, SUMS: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
):  # fmt: skip
    """What is stored of some columns of a tile, and the two partial sums of each of its rows."""
    if HAS_BIAS:
        acc += tl.load(bias_ptr + columns, mask=columns < vocab, other=0.0).to(tl.float32)[None, :]
    slope = acc
    if HAS_SOFTCAP:
        acc, slope = capped(acc, softcap)
    x = acc * k[:, None] - reference[:, None]
    if masked:
        # Selected, not multiplied: a row off the mask has no columns, and may hold NaN.
        end = tl.where(y < 0, 0, vocab)
        keep = (columns[None, :] != y[:, None]) & (columns[None, :] < end[:, None])
        x = tl.where(keep, x, NOTHING)
        if HAS_SOFTCAP:
            slope = tl.where(keep, slope, 0.0)
    e = tl.exp2(x)
    total = tl.sum(e, 1) if SUMS > 0 else reference
    if HAS_BIAS:
        x = tl.maximum(x, NOTHING)  # a banned id: 0 times -inf would be NaN
    mean = tl.sum(e * x, 1) if SUMS > 1 else reference
    if FACTOR:
        e = e * (first[:, None] + second[:, None] * x)
    if HAS_SOFTCAP:
        e = e * slope
    return e, total, mean


@triton.jit
def _tile(
    hidden, weight, out, state_ptr, factors_ptr, bias_ptr, sums_ptr,
    tile_m, tile_n, masked, rows, vocab, width, tiles, lift, softcap,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    STORE: tl.constexpr, FACTOR: tl.constexpr, SUMS: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
):  # fmt: skip
    at_m = tile_m * BLOCK_M
    at_n = tile_n * BLOCK_N
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(tl.cdiv(width, BLOCK_K)):
        a = hidden.load([at_m, step * BLOCK_K])
        b = weight.load([at_n, step * BLOCK_K])
        acc = tl.dot(a, b.T, acc)
    row = at_m + tl.arange(0, BLOCK_M)
    inside = row < rows
    y = tl.load(state_ptr + row * STATE + TOKEN, mask=inside, other=-1.0).to(tl.int32)
    k = tl.load(state_ptr + row * STATE + SCALE, mask=inside, other=0.0)
    # Where E is a probability it is lifted by a power of two, so that float16 can hold it.
    reference = tl.load(state_ptr + row * STATE + REFERENCE, mask=inside, other=0.0) - lift
    first = reference
    second = reference
    if FACTOR:
        first = tl.load(factors_ptr + row * 2, mask=inside, other=0.0)
        second = tl.load(factors_ptr + row * 2 + 1, mask=inside, other=0.0)
    # In two halves: the first is on its way out while the second is computed.
    left, right = tl.split(tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1)))
    columns = at_n + tl.arange(0, BLOCK_N // 2)
    e, total, mean = _epilogue(
        left, columns, y, masked, k, reference, first, second, bias_ptr, vocab, softcap,
        FACTOR, SUMS, HAS_BIAS, HAS_SOFTCAP,
    )  # fmt: skip
    if STORE:
        out.store([at_m, at_n], e.to(out.dtype))
    e, other_total, other_mean = _epilogue(
        right, columns + BLOCK_N // 2, y, masked, k, reference, first, second, bias_ptr, vocab,
        softcap, FACTOR, SUMS, HAS_BIAS, HAS_SOFTCAP,
    )  # fmt: skip
    if STORE:
        out.store([at_m, at_n + BLOCK_N // 2], e.to(out.dtype))
    total += other_total
    mean += other_mean
    # int64: tiles * rows overflows int32 at a million rows
    sums_ptr += tile_n.to(tl.int64) * rows
    if SUMS > 0:
        tl.store(sums_ptr + row, total, mask=inside)
    if SUMS > 1:
        tl.store(sums_ptr + tl.cast(tiles, tl.int64) * rows + row, mean, mask=inside)


@triton.jit
def exponentials_kernel(
    hidden,  # descriptor of [rows, width]
    weight,  # descriptor of [vocab, width]
    out,  # descriptor of [rows, vocab]
    state_ptr,  # [rows, STATE] float32
    factors_ptr,  # [rows, 2] float32: E is 2^x (first + second x)
    bias_ptr,  # [vocab]
    sums_ptr,  # [SUMS, tiles, rows] float32
    marks_ptr,  # [row blocks, 1 + tiles] int32, see `mark_kernel`
    rows,
    vocab,
    width,
    lift,
    softcap,
    GROUP: tl.constexpr,  # row blocks that share a block of the weight before the next is read
    PROGRAMS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    STORE: tl.constexpr,
    FACTOR: tl.constexpr,
    SUMS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_SOFTCAP: tl.constexpr,
):
    blocks = tl.cdiv(rows, BLOCK_M)
    tiles = tl.cdiv(vocab, BLOCK_N)
    wide = GROUP * tiles
    for t in tl.range(tl.program_id(0), blocks * tiles, PROGRAMS, flatten=True):
        group = t // wide
        size = min(blocks - group * GROUP, GROUP)
        tile_m = group * GROUP + (t % wide) % size
        tile_n = (t % wide) // size
        # Most of the epilogue is spared where no column has to be left out.
        marks = marks_ptr + tile_m * (tiles + 1)
        masked = (tl.load(marks) != 0) | (tl.load(marks + 1 + tile_n) != 0)
        masked = masked | ((tile_n + 1) * BLOCK_N > vocab)
        _tile(
            hidden, weight, out, state_ptr, factors_ptr, bias_ptr, sums_ptr,
            tile_m, tile_n, masked, rows, vocab, width, tiles, lift, softcap,
            BLOCK_M, BLOCK_N, BLOCK_K, STORE, FACTOR, SUMS, HAS_BIAS, HAS_SOFTCAP,
        )  # fmt: skip
