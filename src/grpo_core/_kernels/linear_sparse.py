r"""Gradients from exponentials that leave out what holds next to nothing, with a bound on it.

The exponentials are those of `linear`, all of them, and so are the log-probs. Of each row, entries
of the gradient of its log-prob by its logits are left out that add up to no more than a given
share, counted as in `linear_sparse_lists`; a row whose slope is 0 has none. What was left out is
added up on the device, and nobody waits for a list: a grid covers what there is at most.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from grpo_core._kernels import linear_config
from grpo_core._kernels.linear import _operator
from grpo_core._kernels.linear_config import Tiles
from grpo_core._kernels.linear_factors import weigh_kernel
from grpo_core._kernels.linear_launch import STATE_COLUMNS, add_product, readable, summed
from grpo_core._kernels.linear_sparse_lists import (
    CELL,
    cells_kernel,
    order_kernel,
    rows_kernel,
    tally_kernel,
    unpack_kernel,
)
from grpo_core._kernels.linear_sparse_products import sparse_hidden_kernel, sparse_weight_kernel
from grpo_core._kernels.shared import on

CELL_IDS = int(CELL.value)
HIDDEN = Tiles(rows=128, columns=128, depth=64, warps=4, stages=3)
WEIGHT = Tiles(rows=128, columns=128, depth=64, warps=4, stages=3)  # its rows are ids
SPLITS = 16


class _Lists(NamedTuple):
    """What the products read."""

    entries: Tensor  # [lists, longest] int32
    counts: Tensor  # [lists] int32
    order: Tensor  # [lists] int32


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
        by_tile, sizes = _rows_of_tiles(sums, state, factor, columns, share)
        by_block, cell_sizes = by_tile, sizes
        if hidden_grad is not None:
            by_block, cell_sizes = _cells_of_blocks(
                whole, by_tile, state, factor, vocab, columns, share
            )
        tally_kernel[(1,)](
            sizes, cell_sizes, by_tile.counts, by_block.counts, tally, rows, len(by_tile.counts),
            *by_block.entries.shape, SPLITS=SPLITS, HAS_HIDDEN=hidden_grad is not None,
            HAS_WEIGHT=weight_grad is not None, BLOCK=1024,
        )  # fmt: skip
        if weight_grad is not None:
            _weight_product(whole, scaled, by_tile, weight_grad, columns, accumulate=accumulate)
        if bias_grad is not None:
            column, kept = factor.to(whole.dtype)[:, None], whole[:, :vocab].t()
            add_product(kept, column, bias_grad[:, None], None, accumulate=accumulate)
        if hidden_grad is not None:
            _hidden_product(whole, readable(weight), by_block, factor, hidden_grad)
    return tally


@gradients.operator.register_fake
def _(_: Any, __: Any, state: Tensor, *___: Any) -> Tensor:
    return state.new_empty(4)


def _lists(lists: int, longest: int, like: Tensor) -> _Lists:
    """Unwritten."""
    return _Lists(
        like.new_empty((lists, longest), dtype=torch.int32),
        *(like.new_empty(lists, dtype=torch.int32) for _ in range(2)),
    )


def _ordered(lists: _Lists) -> _Lists:
    n = len(lists.counts)
    order_kernel[(triton.cdiv(n, 64),)](lists.counts, lists.order, n, BLOCK=64)
    return lists


def _rows_of_tiles(
    sums: Tensor, state: Tensor, factor: Tensor, columns: int, share: float
) -> tuple[_Lists, Tensor]:
    """The rows that each tile of ids needs; of entries left out and of all, the sizes by tile."""
    tiles, rows = sums.shape
    lists, sizes = _lists(tiles, rows, state), state.new_empty((tiles, 2))
    rows_kernel[(tiles,)](
        sums, state, factor, lists.entries, lists.counts, sizes, rows, share / tiles,
        COLUMNS=columns, BLOCK=1024,
    )  # fmt: skip
    return _ordered(lists), sizes


def _cells_of_blocks(
    whole: Tensor, by_tile: _Lists, state: Tensor, factor: Tensor, vocab: int, columns: int,
    share: float,
) -> tuple[_Lists, Tensor]:  # fmt: skip
    """The cells that each block of rows needs; of entries left out, the sizes by part of a tile."""
    tiles, rows = by_tile.entries.shape
    blocks, bits = triton.cdiv(rows, HIDDEN.rows), columns // CELL_IDS
    lists = _lists(blocks, triton.cdiv(vocab, CELL_IDS), state)
    words = torch.zeros((blocks, tiles), dtype=torch.int32, device=state.device)
    sizes = state.new_empty((tiles, SPLITS))
    cells_kernel[(tiles, SPLITS)](
        whole, state, factor, by_tile.entries, by_tile.counts, words, sizes, whole.stride(0), rows,
        vocab, share / tiles / bits, ROWS=HIDDEN.rows, COLUMNS=columns, SPLITS=SPLITS, STEP=32,
    )  # fmt: skip
    unpack_kernel[(blocks,)](
        words, lists.entries, lists.counts, tiles, lists.entries.shape[1], BITS=bits, BLOCK=1024
    )
    return _ordered(lists), sizes


def _weight_product(
    whole: Tensor, scaled: Tensor, lists: _Lists, out: Tensor, columns: int, *, accumulate: bool
) -> None:
    (tiles, rows), (vocab, width) = lists.entries.shape, out.shape
    target = out if out.stride(1) == 1 else out.contiguous()
    sparse_weight_kernel[(tiles * (columns // WEIGHT.rows) * triton.cdiv(width, WEIGHT.columns),)](
        whole, scaled, *lists, target, whole.stride(0), target.stride(0), rows, vocab, width,
        ACCUMULATE=accumulate, COLUMNS=columns, BLOCK_M=WEIGHT.rows, BLOCK_N=WEIGHT.columns,
        BLOCK_K=WEIGHT.depth, num_warps=WEIGHT.warps, num_stages=WEIGHT.stages,
    )  # fmt: skip
    if target is not out:
        out.copy_(target)


def _hidden_product(
    whole: Tensor, weight: Tensor, lists: _Lists, factor: Tensor, out: Tensor
) -> None:
    rows, width = out.shape
    sparse_hidden_kernel[(len(lists.counts) * triton.cdiv(width, HIDDEN.columns),)](
        whole, weight, *lists, factor, out, whole.stride(0), weight.stride(0), out.stride(0), rows,
        weight.shape[0], width, BLOCK_M=HIDDEN.rows, BLOCK_N=HIDDEN.columns, BLOCK_K=HIDDEN.depth,
        num_warps=HIDDEN.warps, num_stages=HIDDEN.stages,
    )  # fmt: skip
