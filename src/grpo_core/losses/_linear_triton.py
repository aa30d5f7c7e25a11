"""The kernels on hidden states, as the modules of losses call them: chunks, dtypes and sums."""

from typing import Any

import torch
from torch import Tensor

from grpo_core.losses._linear_inputs import Gradients, Inputs

# Bytes of exponentials that one chunk may have: in fast mode, and in lean mode.
_FAST_BYTES, _LEAN_BYTES = 4 << 30, 600 << 20


def _kernels() -> Any:
    from grpo_core._kernels import linear  # noqa: PLC0415 - needs Triton

    return linear


def _sparse_kernels() -> Any:
    from grpo_core._kernels import linear_sparse  # noqa: PLC0415 - needs Triton

    return linear_sparse


def unsupported(inputs: Inputs) -> str | None:
    """Why the kernels cannot do it, or None."""
    return _kernels().unsupported(inputs.hidden, inputs.weight)


def chunk_rows(inputs: Inputs, *, whole_sequences: bool) -> int | None:
    """Rows of a chunk of the fast one pass; None if a sequence is longer."""
    rows, width = inputs.rows, inputs.weight.shape[1]
    # One chunk needs no float32 sums of the weight's gradient: below this it is smaller, too.
    if not (kept_bytes(inputs, rows) <= _FAST_BYTES or rows < 2 * width + 4096):
        rows = _kernels().FAST_ROWS
    return _of_sequences(inputs, rows) if whole_sequences else rows


def lean_rows(inputs: Inputs, *, whole_sequences: bool) -> int | None:
    """Rows of a chunk of the lean one pass; None if a sequence is longer."""
    rows = _kernels().LEAN_ROWS
    while rows > 128 and kept_bytes(inputs, rows) > _LEAN_BYTES:
        rows //= 2
    return _of_sequences(inputs, rows) if whole_sequences else rows


def frozen_rows(inputs: Inputs) -> int:
    """Rows of a chunk that is scored and differentiated, and used later."""
    return lean_rows(inputs, whole_sequences=False) or 1


def _of_sequences(inputs: Inputs, rows: int) -> int | None:
    seq = max(1, inputs.hidden.shape[1])
    return rows // seq * seq or None


def kept_bytes(inputs: Inputs, rows: int) -> int:
    """Of what one pass keeps of so many rows."""
    return rows * inputs.vocab * inputs.weight.dtype.itemsize


def statistics(inputs: Inputs, *, with_entropy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log-prob, entropy and the kernels' own numbers of each row."""
    return _kernels().statistics(*_of(inputs), with_entropy)


def exponentials(inputs: Inputs) -> tuple[Tensor, Any]:
    """Log-prob of each row of a chunk, and what `gradients` needs."""
    log_probs, state, kept = _kernels().exponentials(*_of(inputs))
    return log_probs, (state, kept)


def summing(inputs: Inputs, into: Gradients) -> Gradients:
    """The same gradients, with what sums over chunks need to keep their digits in 16 bits."""
    given = into.weight, inputs.hidden, inputs.weight
    return into._replace(exponents=_kernels().exponents_of(*given))


def gradients(
    inputs: Inputs,
    kept: Any,
    log_probs_grad: Tensor,
    into: Gradients,
    *,
    accumulate: bool,
    chunk: int = 0,
    chunks: int = 1,
) -> None:
    """Gradients of a chunk, of what one pass kept, which is overwritten."""
    state, exponential = kept
    hidden, weight, *_ = _of(inputs)
    # The entropy is not read where it has no gradient.
    _kernels().gradients(
        exponential, state, log_probs_grad, log_probs_grad, None, hidden, weight, inputs.softcap,
        *into[:3], accumulate, into.exponents, chunk, chunks,
    )  # fmt: skip


def sparse_exponentials(inputs: Inputs) -> tuple[Tensor, Any]:
    """The same log-probs, and what `sparse_gradients` needs."""
    log_probs, *kept = _sparse_kernels().exponentials(*_of(inputs))
    return log_probs, kept


def sparse_gradients(
    inputs: Inputs,
    kept: Any,
    log_probs_grad: Tensor,
    into: Gradients,
    *,
    accumulate: bool,
    share: float,
) -> Tensor:
    """Gradients of a chunk that leave out up to a share of each row; and four sums of what."""
    state, whole, sums = kept
    hidden, weight, *_ = _of(inputs)
    return _sparse_kernels().gradients(
        whole, sums, state, log_probs_grad, hidden, weight, inputs.softcap, *into[:3], accumulate,
        share,
    )  # fmt: skip


def backward(
    inputs: Inputs,
    state: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    into: Gradients,
    *,
    accumulate: bool,
    lean: bool,
) -> None:
    """Gradients of all rows, of exponentials computed again, a chunk at a time."""
    rows = (lean_rows if lean else chunk_rows)(inputs, whole_sequences=False) or 1
    target = into
    wide = into.weight is None or into.weight.dtype == torch.float32
    starts = range(0, max(1, inputs.rows), rows)
    if len(starts) > 1 and lean:
        target = summing(inputs, into)
    elif len(starts) > 1 and not wide and into.weight is not None:
        target = into._replace(weight=torch.empty_like(into.weight, dtype=torch.float32))
    for chunk, start in enumerate(starts):
        stop = min(inputs.rows, start + rows)
        hidden, weight, *_ = _of(inputs.cut(start, stop))
        of_rows = (
            state[start:stop],
            entropy[start:stop].contiguous(),
            log_probs_grad[start:stop].contiguous(),
            None if entropy_grad is None else entropy_grad[start:stop].contiguous(),
        )
        kept = _kernels().recompute(hidden, weight, inputs.bias, inputs.softcap, *of_rows)
        _kernels().gradients(
            kept, *of_rows, hidden, weight, inputs.softcap, *target.cut(start, stop)[:3],
            accumulate or start > 0, target.exponents, chunk, len(starts),
        )  # fmt: skip
        del kept  # before the next one is made
    if target.weight is not into.weight and into.weight is not None and target.weight is not None:
        into.weight.copy_(target.weight)


def rescale(values: Tensor, factor: Tensor) -> None:
    """Multiply in place; nothing is read where the factor is 1."""
    _kernels().rescale(values, factor)


def _of(inputs: Inputs) -> tuple[Any, ...]:
    """The inputs as the kernels take them: rows of hidden states, rows of weights."""
    hidden, weight = inputs.cut(0, inputs.rows).hidden[0], inputs.weight
    return (
        hidden if hidden.stride(1) == 1 else hidden.contiguous(),
        weight if weight.stride(1) == 1 else weight.contiguous(),
        inputs.tokens,
        inputs.mask,
        inputs.bias,
        inputs.temperature,
        inputs.per_token,
        inputs.softcap,
    )
