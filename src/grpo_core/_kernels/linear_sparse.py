r"""Gradients from exponentials that leave out what holds next to nothing, with a bound on it.

The exponentials are those of `linear`, all of them, and so are the log-probs. Of each row, entries
of the gradient of its log-prob by its logits are left out that add up to no more than a given
share, in the units of `linear_sparse_rows` and `linear_sparse_cells`; a row of slope 0 needs none.
What was left out is added up on the device, and nobody waits for a list: a grid covers what there
is at most.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from grpo_core._kernels import linear_config
from grpo_core._kernels.linear import _operator
from grpo_core._kernels.linear_backward import add_product
from grpo_core._kernels.linear_config import Tiles
from grpo_core._kernels.linear_factors import weigh_kernel
from grpo_core._kernels.linear_launch import STATE_COLUMNS, readable, summed
from grpo_core._kernels.linear_sparse_cells import (
    CELL,
    cells_kernel,
    tally_kernel,
    units_kernel,
    unpack_kernel,
)
from grpo_core._kernels.linear_sparse_products import (
    add_units_kernel,
    sparse_hidden_kernel,
    sparse_weight_kernel,
)
from grpo_core._kernels.linear_sparse_rows import group_kernel, order_kernel, rows_kernel
from grpo_core._kernels.shared import on

CELL_IDS = int(CELL.value)
# Measured on an H100 SXM. Blocks of 64 rows need fewer cells: 0.2 ms less at 8192 rows of a thin
# tail; those of 128 are faster where there is more to do.
HIDDEN = Tiles(rows=128, columns=256, depth=64, warps=8, stages=3)
WEIGHT = Tiles(rows=128, columns=128, depth=32, warps=4, stages=4)  # its rows are ids
SPLITS = 16
EXTRA = 32  # units of work beside one for each block of rows
SHORTEST = 512  # cells of a unit, where a block has more than one


class _Rows(NamedTuple):
    """What tiles of ids need."""

    entries: Tensor  # [tiles, rows] int32
    counts: Tensor  # [tiles] int32
    order: Tensor  # [tiles] int32
    row: Tensor  # [rows] int32: at each place of the blocks of rows
    place: Tensor  # [rows] int32
    sizes: Tensor  # [tiles, 2] float32


class _Cells(NamedTuple):
    """What blocks of rows need."""

    entries: Tensor  # [blocks, cells] int32
    counts: Tensor  # [blocks] int32
    sizes: Tensor  # [tiles, SPLITS] float32


@_operator("linear_sparse_exponentials")
def exponentials(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probs [rows], state [rows, 5], E in rows of a multiple of 64, and its sums by tile."""
    hidden, weight = readable(hidden), readable(weight)
    whole, planes = _new_kept(hidden, weight, planes=2)  # the second is the repair's
    vocab = weight.shape[0]
    if vocab % CELL_IDS:
        whole[:, vocab:] = 0  # read with the last cell
    log_probs, _, state = summed(
        hidden, weight, tokens, mask, bias, temperature, per_token, softcap, whole[:, :vocab],
        with_entropy=False, sums=planes,
    )  # fmt: skip
    return log_probs, state, whole, planes[0]


def _new_kept(hidden: Tensor, weight: Tensor, *, planes: int) -> tuple[Tensor, Tensor]:
    """Unwritten: E, and its sums by tile."""
    rows, vocab = hidden.shape[0], weight.shape[0]
    # A plan is looked up by sizes, which a compiler does not know: all cut the ids alike.
    tiles = triton.cdiv(vocab, linear_config.DEFAULT.exponentials.columns)
    return (
        hidden.new_empty((rows, (vocab + 63) // 64 * 64)),
        hidden.new_empty((planes, tiles, rows), dtype=torch.float32),
    )


@exponentials.operator.register_fake
def _(hidden: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = hidden.shape[0]
    whole, planes = _new_kept(hidden, weight, planes=1)
    return (
        hidden.new_empty(rows, dtype=torch.float32),
        hidden.new_empty((rows, STATE_COLUMNS), dtype=torch.float32),
        whole,
        planes[0],
    )


@_operator("linear_sparse_gradients", "whole", "hidden_grad", "weight_grad", "bias_grad")
def gradients(
    whole: Tensor,
    sums: Tensor,
    state: Tensor,
    log_probs_grad: Tensor,
    hidden: Tensor,
    weight: Tensor,
    softcap: float | None,
    hidden_grad: Tensor | None,
    weight_grad: Tensor | None,
    bias_grad: Tensor | None,
    accumulate: bool,
    share: float,
) -> Tensor:
    """Write the gradient of hidden; write the others, or add to them. The bias's is exact.

    Gives four numbers: of the entries of the logits' gradient, the sizes of those left out and of
    all, and the products made and in all, in those of one row with the weight.
    """
    (rows, width), vocab = hidden.shape, weight.shape[0]
    if rows == 0:
        if not accumulate:
            for grad in (weight_grad, bias_grad):
                if grad is not None:
                    grad.zero_()
        return state.new_zeros(4)
    factor, scaled = state.new_empty(rows), hidden.new_empty((rows, width))
    columns = linear_config.DEFAULT.exponentials.columns
    tally = state.new_empty(4)
    with on(hidden):
        weigh_kernel[(rows,)](
            whole, hidden, scaled, state, factor, log_probs_grad, factor, factor, factor,
            whole.stride(0), hidden.stride(0), vocab, width, 0.0,
            1.0 if softcap is None else softcap, PROBABILITY=False, WITH_ENTROPY=False,
            HAS_SOFTCAP=softcap is not None, HAS_UNIT=False, BLOCK=1024,
        )  # fmt: skip
        tiles = _rows_of_tiles(sums, state, factor, columns, share)
        blocks = None
        if hidden_grad is not None:
            blocks = _cells_of_blocks(whole, tiles, state, factor, vocab, columns, share)
        counted = tiles if blocks is None else blocks
        tally_kernel[(1,)](
            tiles.sizes, counted.sizes, tiles.counts, counted.counts, tally, rows, len(sums),
            *counted.entries.shape, SPLITS=SPLITS, HAS_HIDDEN=blocks is not None,
            HAS_WEIGHT=weight_grad is not None, BLOCK=1024,
        )  # fmt: skip
        if weight_grad is not None:
            _weight_product(whole, scaled, tiles, weight_grad, columns, accumulate=accumulate)
        if bias_grad is not None:
            column, kept = factor.to(whole.dtype)[:, None], whole[:, :vocab].t()
            add_product(kept, column, bias_grad[:, None], None, accumulate=accumulate)
        del scaled
        if hidden_grad is not None and blocks is not None:
            _hidden_product(whole, readable(weight), blocks, tiles.row, factor, hidden_grad)
    return tally


@gradients.operator.register_fake
def _(_: Any, __: Any, state: Tensor, *___: Any) -> Tensor:
    return state.new_empty(4)


def _rows_of_tiles(
    sums: Tensor, state: Tensor, factor: Tensor, columns: int, share: float
) -> _Rows:
    """The rows that each tile of ids needs, and the places of rows among blocks of them."""
    tiles, rows = sums.shape

    def new(*shape: int) -> Tensor:
        return state.new_empty(shape, dtype=torch.int32)

    found = _Rows(
        new(tiles, rows), new(tiles), new(tiles), new(rows), new(rows), state.new_empty((tiles, 2))
    )
    tiles_of_rows = state.new_zeros(rows, dtype=torch.int32)
    rows_kernel[(tiles,)](
        sums, state, factor, found.entries, found.counts, tiles_of_rows, found.sizes, rows,
        share / tiles, COLUMNS=columns, BLOCK=1024,
    )  # fmt: skip
    order_kernel[(triton.cdiv(tiles, 64),)](found.counts, found.order, tiles, BLOCK=64)
    group_kernel[((tiles + 1).bit_length(),)](
        tiles_of_rows, found.row, found.place, rows, BLOCK=1024
    )
    return found


def _cells_of_blocks(
    whole: Tensor, of_tiles: _Rows, state: Tensor, factor: Tensor, vocab: int, columns: int,
    share: float,
) -> _Cells:  # fmt: skip
    """The cells that each block of rows needs."""
    tiles, rows = of_tiles.entries.shape
    blocks, bits = triton.cdiv(rows, HIDDEN.rows), columns // CELL_IDS
    cells = triton.cdiv(vocab, CELL_IDS)
    words = state.new_zeros((blocks, tiles), dtype=torch.int32)
    found = _Cells(
        words.new_empty((blocks, cells)), words.new_empty(blocks), state.new_empty((tiles, SPLITS))
    )
    cells_kernel[(tiles, SPLITS)](
        whole, state, factor, of_tiles.entries, of_tiles.counts, of_tiles.place, words,
        found.sizes, whole.stride(0), rows, vocab, share / tiles / bits, ROWS=HIDDEN.rows,
        COLUMNS=columns, SPLITS=SPLITS, STEP=32,
    )  # fmt: skip
    unpack_kernel[(blocks,)](
        words, found.entries, found.counts, tiles, cells, BITS=bits, BLOCK=1024
    )
    return found


def _weight_product(
    whole: Tensor, scaled: Tensor, tiles: _Rows, out: Tensor, columns: int, *, accumulate: bool
) -> None:
    (count, rows), (vocab, width) = tiles.entries.shape, out.shape
    target = out if out.stride(1) == 1 else out.contiguous()
    sparse_weight_kernel[(count * (columns // WEIGHT.rows) * triton.cdiv(width, WEIGHT.columns),)](
        whole, scaled, *tiles[:3], target, whole.stride(0), target.stride(0), rows, vocab, width,
        ACCUMULATE=accumulate, COLUMNS=columns, BLOCK_M=WEIGHT.rows, BLOCK_N=WEIGHT.columns,
        BLOCK_K=WEIGHT.depth, num_warps=WEIGHT.warps, num_stages=WEIGHT.stages,
    )  # fmt: skip
    if target is not out:
        out.copy_(target)


def _hidden_product(
    whole: Tensor, weight: Tensor, blocks: _Cells, row: Tensor, factor: Tensor, out: Tensor
) -> None:
    (rows, width), count = out.shape, len(blocks.counts)
    units, parts = row.new_empty((4, count + EXTRA)), row.new_empty((2, count))
    units_kernel[(1,)](
        blocks.counts, units, parts, count, EXTRA=EXTRA, SHORTEST=SHORTEST,
        STEP=HIDDEN.depth // CELL_IDS, BLOCK=256,
    )  # fmt: skip
    sums = factor.new_empty((2 * EXTRA, HIDDEN.rows, width))
    sparse_hidden_kernel[(units.shape[1] * triton.cdiv(width, HIDDEN.columns),)](
        whole, weight, blocks.entries, units, row, factor, sums, out, whole.stride(0),
        weight.stride(0), out.stride(0), rows, weight.shape[0], width, BLOCK_M=HIDDEN.rows,
        BLOCK_N=HIDDEN.columns, BLOCK_K=HIDDEN.depth, num_warps=HIDDEN.warps,
        num_stages=HIDDEN.stages,
    )  # fmt: skip
    add_units_kernel[(count, triton.cdiv(width, 64))](
        parts, row, factor, sums, out, out.stride(0), rows, width, BLOCK_M=HIDDEN.rows, BLOCK_N=64
    )
