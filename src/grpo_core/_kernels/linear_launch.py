"""The kernels of `linear` with their grids, tiles and scratch, for tensors as they come."""

from typing import Any

import torch
import triton
from torch import Tensor

from grpo_core._kernels import linear_config
from grpo_core._kernels.linear_config import INTERPRETED, processors
from grpo_core._kernels.linear_factors import probability_kernel
from grpo_core._kernels.linear_gemm import SCALE, STATE, exponentials_kernel
from grpo_core._kernels.linear_repair import largest_kernel, repair_kernel
from grpo_core._kernels.linear_sums import mark_kernel, target_kernel, totals_kernel
from grpo_core._kernels.shared import on

STATE_COLUMNS = int(STATE.value)
LIFT = 12  # p |log p + entropy| stays below 14 for any vocabulary: 2^12 times that fits float16


def readable(tensor: Tensor) -> Tensor:
    """The tensor itself where the copy engine can read it: 16-byte aligned rows."""
    fits = tensor.stride(1) == 1 and tensor.stride(0) % 8 == 0 and tensor.data_ptr() % 16 == 0
    return tensor if fits else tensor.clone(memory_format=torch.contiguous_format)


def descriptor(tensor: Tensor, rows: int, columns: int) -> Any:
    return linear_config.TensorDescriptor(
        tensor, list(tensor.shape), list(tensor.stride()), [rows, columns]
    )


def lift_of(dtype: torch.dtype) -> int:
    """The power of two that probabilities are multiplied by."""
    return LIFT if dtype == torch.float16 else 0


def _product(
    hidden: Tensor,
    weight: Tensor,
    state: Tensor,
    marks: Tensor,
    bias: Tensor | None,
    softcap: float | None,
    *,
    out: Tensor | None = None,
    sums: Tensor | None = None,
    factors: Tensor | None = None,
    lift: int = 0,
    sums_of: int = 0,
) -> None:
    """Launch the product: what is given is written."""
    (rows, width), vocab = hidden.shape, weight.shape[0]
    tiles = linear_config.plan(hidden, weight).exponentials
    blocks = triton.cdiv(rows, tiles.rows) * triton.cdiv(vocab, tiles.columns)
    programs = min(processors(hidden.device), blocks)
    read = descriptor(hidden, tiles.rows, tiles.depth)
    written = read
    if out is not None:
        written = descriptor(out, tiles.rows, tiles.columns // 2)
    exponentials_kernel[(programs,)](
        read, descriptor(weight, tiles.columns, tiles.depth), written, state,
        state if factors is None else factors, state if bias is None else bias,
        state if sums is None else sums, marks,
        rows, vocab, width, float(lift), 1.0 if softcap is None else softcap,
        GROUP=tiles.group, PROGRAMS=programs,
        BLOCK_M=tiles.rows, BLOCK_N=tiles.columns, BLOCK_K=tiles.depth,
        STORE=out is not None, FACTOR=factors is not None, SUMS=sums_of,
        HAS_BIAS=bias is not None, HAS_SOFTCAP=softcap is not None,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip


def _marks_of(hidden: Tensor, weight: Tensor, state: Tensor) -> Tensor:
    """Which tiles of the product need a mask."""
    tiles = linear_config.plan(hidden, weight).exponentials
    rows, across = hidden.shape[0], triton.cdiv(weight.shape[0], tiles.columns)
    marks = hidden.new_zeros(triton.cdiv(rows, tiles.rows) * (across + 1), dtype=torch.int32)
    mark_kernel[(triton.cdiv(rows, 128),)](
        state, marks, rows, across, BLOCK_M=tiles.rows, BLOCK_N=tiles.columns, BLOCK=128
    )
    return marks


def empty_kept(hidden: Tensor, weight: Tensor) -> Tensor:
    """[rows, vocab] in rows of a multiple of 64, as the copy engine and cuBLAS like them."""
    rows, vocab = hidden.shape[0], weight.shape[0]
    stride = (vocab + 63) // 64 * 64
    return hidden.new_empty_strided((rows, vocab), (stride, 1))


def summed(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float,
    per_token: Tensor | None,
    softcap: float | None,
    kept: Tensor | None,
    *,
    with_entropy: bool,
    sums: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs, entropies and state; E goes to `kept`, its sums by tile to `sums` if given."""
    (rows, width), vocab = hidden.shape, weight.shape[0]
    log_probs, entropy = (hidden.new_empty(rows, dtype=torch.float32) for _ in range(2))
    state = hidden.new_empty((rows, STATE_COLUMNS), dtype=torch.float32)
    if rows == 0:
        return log_probs, entropy, state
    tiles = linear_config.plan(hidden, weight).exponentials
    across = triton.cdiv(vocab, tiles.columns)
    sums_of = 2 if with_entropy else 1
    if sums is None:
        sums = hidden.new_empty((sums_of + 1, across, rows), dtype=torch.float32)
    # Marks and the list of broken rows, each from 16 bytes on: kernels are compiled for that.
    size = triton.cdiv(triton.cdiv(rows, tiles.rows) * (across + 1), 4) * 4
    marks, broken = hidden.new_zeros(size + 1 + rows, dtype=torch.int32).tensor_split([size])
    strides = hidden.stride(0), weight.stride(0)
    cap = 1.0 if softcap is None else softcap
    modes = {"HAS_BIAS": bias is not None, "HAS_SOFTCAP": softcap is not None}
    with on(hidden):
        target_kernel[(rows,)](
            hidden, weight, tokens, state if mask is None else mask,
            state if per_token is None else per_token, state if bias is None else bias, state,
            marks, *strides, vocab, width, across, temperature, cap, HAS_MASK=mask is not None,
            HAS_TEMPERATURE=per_token is not None, **modes, BLOCK_M=tiles.rows,
            BLOCK_N=tiles.columns, BLOCK=1024,
        )  # fmt: skip
        _product(hidden, weight, state, marks, bias, softcap, out=kept, sums=sums, sums_of=sums_of)

        def totals(*, repaired: bool) -> None:
            totals_kernel[(triton.cdiv(rows, 32),)](
                sums, state, broken, log_probs, entropy, rows, across,
                WITH_ENTROPY=with_entropy, REPAIRED=repaired, STEP=32, BLOCK=32,
            )  # fmt: skip

        totals(repaired=False)
        # From here on, every program returns at once unless a row left the range.
        given = hidden, weight, state if bias is None else bias, state, broken
        sizes = rows, vocab, width, cap
        # With a softcap, 64 rows would not fit in registers.
        many = 16 if INTERPRETED else 64 if softcap is None else 32
        block = {"ROWS": many, "COLUMNS": tiles.columns, "DEPTH": 32}
        block["num_warps"] = 8
        modes["SUMS"] = sums_of
        largest_kernel[(across,)](*given, sums, *strides, *sizes, **modes, **block)
        stored = sums if kept is None else kept
        repair_kernel[(across,)](
            *given, sums, stored, *strides, stored.stride(0), *sizes, STORE=kept is not None,
            **modes, **block,
        )  # fmt: skip
        totals(repaired=True)
    return log_probs, entropy, state


def again(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    softcap: float | None,
    state: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    kept: Tensor,
) -> None:
    """E once more, from known sums."""
    rows = hidden.shape[0]
    lift = lift_of(hidden.dtype)
    factors = None
    if entropy_grad is not None or lift:
        known = torch.empty_like(state)
        if entropy_grad is not None:
            factors = state.new_empty((rows, 2))
        probability_kernel[(triton.cdiv(rows, 128),)](
            state, entropy, log_probs_grad, entropy if entropy_grad is None else entropy_grad,
            known, state if factors is None else factors, rows, float(lift),
            WITH_ENTROPY=factors is not None, BLOCK=128,
        )  # fmt: skip
        state = known
    marks = _marks_of(hidden, weight, state)
    _product(hidden, weight, state, marks, bias, softcap, out=kept, factors=factors, lift=lift)


def power_of_two(state: Tensor, log_probs_grad: Tensor, entropy_grad: Tensor | None) -> Tensor:
    """About the largest row factor, as a power of two; 1 if there is none."""
    top = log_probs_grad.abs().amax()
    if entropy_grad is not None:
        top = torch.maximum(top, entropy_grad.abs().amax())
    top = top * state[:, int(SCALE.value)].amax()
    return torch.where(top > 0, top, 1.0).log2().sub(LIFT).floor().exp2().reshape(1)
