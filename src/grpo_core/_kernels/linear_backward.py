"""The products of the backward: in Triton where that is faster, else by cuBLAS."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from grpo_core._kernels import linear_config
from grpo_core._kernels.linear_config import INTERPRETED, Tiles, processors
from grpo_core._kernels.linear_factors import scale_kernel
from grpo_core._kernels.linear_launch import descriptor, readable
from grpo_core._kernels.linear_product import product_kernel

# Below so many rows, the weight's gradient is made of short sums: cuBLAS has more ways to cut them.
SHORT = 2048
FULL = 0.95  # share of the multiprocessors at work in the mean, below which cuBLAS cuts better


def hidden_product(kept: Tensor, weight: Tensor, factor: Tensor, out: Tensor) -> None:
    """The product kept @ weight, its rows scaled, rounded once."""
    tiles, weight = linear_config.plan(out, weight).hidden, readable(weight)
    if tiles is not None and share_at_work(out, tiles) >= FULL and readable(out) is out:
        triton_product(kept, weight, out, tiles, factor=factor)
    else:
        rows, width = out.shape
        product = _mm(kept, weight)
        scale_kernel[(rows,)](product, factor, out, out.stride(0), width, BLOCK=1024)


def share_at_work(out: Tensor, tiles: Tiles) -> float:
    """The share of the multiprocessors that have a tile, over all rounds of them."""
    blocks = triton.cdiv(out.shape[0], tiles.rows) * triton.cdiv(out.shape[1], tiles.columns)
    programs = processors(out.device)
    return blocks / (triton.cdiv(blocks, programs) * programs)


class Term(NamedTuple):
    """Which term of a sum over chunks a product is; see `linear_product`."""

    index: int
    count: int
    exponents: Tensor  # [blocks of columns, rows] uint8, of the sums so far

    @property
    def reads(self) -> bool:
        """Whether earlier terms are there."""
        return self.index > 0

    @property
    def keeps(self) -> bool:
        """Whether later ones will come."""
        return self.index < self.count - 1


def sum_tiles(hidden: Tensor, weight: Tensor) -> Tiles:
    """Of a sum over chunks for the weight's gradient."""
    plan = linear_config.plan(hidden, weight)
    return plan.weight or plan.exponentials


def triton_product(
    left: Tensor,
    right: Tensor,
    out: Tensor,
    tiles: Tiles,
    *,
    factor: Tensor | None = None,
    transposed: bool = False,
    term: Term | None = None,
) -> None:
    """`out` = left (transposed) @ right, rows times `factor`; or one term of such a sum."""
    depth, columns = right.shape
    rows = left.shape[1 if transposed else 0]
    blocks = triton.cdiv(rows, tiles.rows) * triton.cdiv(columns, tiles.columns)
    programs = min(processors(left.device), blocks)
    block = (tiles.depth, tiles.rows) if transposed else (tiles.rows, tiles.depth)
    reads, keeps = (False, False) if term is None else (term.reads, term.keeps)
    sums, parts = out, 2
    if term is not None:
        sums, parts = out.view(torch.float16)[:, :columns], 4
        if sums.stride(0) != columns and not keeps:
            sums = sums.clone()  # the interpreter's float32 cannot be written in place
    product_kernel[(programs,)](
        descriptor(left, *block), descriptor(right, tiles.depth, tiles.columns),
        descriptor(sums if keeps else out, tiles.rows, tiles.columns // parts),
        out if factor is None else factor, descriptor(sums, tiles.rows, tiles.columns),
        out if term is None else term.exponents, rows, columns, depth,
        TRANSPOSED=transposed, SCALED=factor is not None, READS=reads, KEEPS=keeps,
        ROWS_FIRST=tiles.rows_first, GROUP=tiles.group, PROGRAMS=programs,
        BLOCK_M=tiles.rows, BLOCK_N=tiles.columns, BLOCK_K=tiles.depth, num_warps=tiles.warps,
        num_stages=min(tiles.stages, 3) if reads else tiles.stages,  # sums take one's memory
    )  # fmt: skip


def _mm(a: Tensor, b: Tensor) -> Tensor:
    """The product in float32."""
    if INTERPRETED and not a.is_cuda:
        return a.float() @ b.float()
    return torch.mm(a, b, out_dtype=torch.float32)


def add_product(
    a: Tensor, b: Tensor, out: Tensor, unit: Tensor | None, *, accumulate: bool
) -> None:
    """`out` (+)= a @ b (times unit), added up in float32 and rounded once."""
    if unit is None and out.dtype == a.dtype and not (INTERPRETED and not a.is_cuda):
        if accumulate:
            torch.addmm(out, a, b, out=out)
        else:
            torch.mm(a, b, out=out)
    elif unit is None and accumulate and out.is_cuda:
        torch.addmm(out, a, b, out_dtype=torch.float32, out=out)
    elif unit is None and out.is_cuda:
        torch.mm(a, b, out_dtype=torch.float32, out=out)
    else:
        product = _mm(a, b)
        if unit is not None:
            product *= unit
        out.copy_(product + out if accumulate else product)
