"""Log-probs from hidden states in PyTorch, and their gradients: the truth that kernels are held to.

Logits exist in tiles, in float32 (float64 where an input is), whatever the inputs' dtypes. A row's
log-prob is made by the same operations on the same rows in every use, so that scoring and training
agree bit for bit.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from grpo_core.losses._linear_inputs import Gradients, Inputs

# Elements of a tile: 64 MiB in float32. A few such temporaries exist at a time.
_TILE = 1 << 24
# Elements of the log-probs that one pass keeps: 1 GiB in float32.
_CHUNK = 1 << 28

# A product of two matrices of 16 bits with sums and result of 32.
_HAS_WIDE_PRODUCT = "dtype" in torch.ops.aten.mm.overloads()


class Kept(NamedTuple):
    """What one pass keeps of a chunk, from its log-probs to its gradients."""

    log_p: Tensor  # [rows, vocab], of all ids
    log_norm: Tensor  # [rows]


def chunk_rows(inputs: Inputs, *, whole_sequences: bool) -> int | None:
    """Rows of a chunk of the fast one pass; None if it cannot have them."""
    block = _block_rows(inputs)
    rows = max(block, _CHUNK // max(1, inputs.vocab) // block * block)
    # Chunks off the blocks' borders would round a log-prob otherwise than scoring does.
    return None if whole_sequences and inputs.rows > rows else rows


def lean_rows(inputs: Inputs, *, whole_sequences: bool) -> int | None:  # noqa: ARG001
    """None: lean is two passes here."""
    return None


def frozen_rows(inputs: Inputs) -> int:
    """Rows of a chunk that is scored and differentiated, and used later: 256 MiB of it."""
    block = _block_rows(inputs)
    return max(block, _CHUNK // 4 // max(1, inputs.vocab) // block * block)


def kept_bytes(inputs: Inputs, rows: int) -> int:
    """Of what one pass keeps of so many rows."""
    return rows * inputs.vocab * inputs.dtype.itemsize


def statistics(inputs: Inputs, *, with_entropy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log-prob, entropy and log of the normaliser of each row."""
    like = inputs.hidden.new_zeros(inputs.rows, dtype=inputs.dtype)
    log_probs, entropy, log_norm = like, torch.zeros_like(like), torch.zeros_like(like)
    for start, stop in _blocks(inputs.rows, _block_rows(inputs)):
        part = inputs.cut(start, stop)
        log_p, log_norm[start:stop] = _log_softmax(part)
        log_probs[start:stop] = log_p.gather(-1, part.tokens[:, None])[:, 0]
        if with_entropy:
            # A banned id has p = 0, and 0 * -inf would be NaN.
            p = log_p.exp()
            entropy[start:stop] = -p.mul_(log_p.clamp_(min=torch.finfo(p.dtype).min)).sum(-1)
            del p
        del log_p  # before the next one is made
    return _on(inputs.mask, log_probs), _on(inputs.mask, entropy), log_norm


def exponentials(inputs: Inputs) -> tuple[Tensor, Kept]:
    """Log-prob of each row of a chunk, and what `gradients` needs."""
    log_p = inputs.hidden.new_empty((inputs.rows, inputs.vocab), dtype=inputs.dtype)
    log_norm = inputs.hidden.new_empty(inputs.rows, dtype=inputs.dtype)
    for start, stop in _blocks(inputs.rows, _block_rows(inputs)):
        log_p[start:stop], log_norm[start:stop] = _log_softmax(inputs.cut(start, stop))
    log_probs = log_p.gather(-1, inputs.tokens[:, None])[:, 0]
    return _on(inputs.mask, log_probs), Kept(log_p, log_norm)


def summing(inputs: Inputs, into: Gradients) -> Gradients:  # noqa: ARG001
    """The same: sums over chunks are float32 or wider here."""
    return into


def gradients(
    inputs: Inputs,
    kept: Kept,
    log_probs_grad: Tensor,
    into: Gradients,
    *,
    accumulate: bool,
    chunk: int = 0,  # noqa: ARG001 - sums are not narrow here
    chunks: int = 1,  # noqa: ARG001
) -> None:
    """Gradients of a chunk, of what one pass kept, which is overwritten."""

    def tile(start: int, stop: int, first: int, last: int) -> Tensor:
        return kept.log_p[start:stop, first:last]

    _sweep(inputs, tile, kept.log_norm, log_probs_grad, None, None, into, accumulate)


def backward(
    inputs: Inputs,
    log_norm: Tensor,
    entropy: Tensor,
    log_probs_grad: Tensor,
    entropy_grad: Tensor | None,
    into: Gradients,
    *,
    accumulate: bool,
    lean: bool,  # noqa: ARG001 - always
) -> None:
    """Gradients of all rows, of logits computed again."""

    def tile(start: int, stop: int, first: int, last: int) -> Tensor:
        part = inputs.cut(start, stop)
        return _scaled_logits(part, first, last).sub_(log_norm[start:stop, None])

    _sweep(inputs, tile, log_norm, log_probs_grad, entropy_grad, entropy, into, accumulate)


def rescale(values: Tensor, factor: Tensor) -> None:
    """Multiply in place."""
    values.mul_(factor)


def _block_rows(inputs: Inputs) -> int:
    return max(1, _TILE // max(1, inputs.vocab))


def _blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, size):
        yield start, min(total, start + size)


def _on(mask: Tensor | None, values: Tensor) -> Tensor:
    return values if mask is None else torch.where(mask, values, 0.0)


def _log_softmax(part: Inputs) -> tuple[Tensor, Tensor]:
    """Log-probs of all ids of a block of rows, and the logs of their normalisers."""
    scaled = _scaled_logits(part, 0, part.vocab)
    log_norm = scaled.logsumexp(-1)
    return scaled.sub_(log_norm[:, None]), log_norm


def _scaled_logits(part: Inputs, first: int, last: int) -> Tensor:
    """Logits of some ids, capped, over the temperature."""
    hidden, dtype = part.hidden[0], part.dtype
    if _is_wide(hidden, part.weight, dtype):
        logits = _product(hidden, part.weight[first:last].t(), dtype)
    else:  # a copy of the whole weight would not be small
        logits = hidden.new_empty((part.rows, last - first), dtype=dtype)
        hidden = hidden.to(dtype)
        for start, stop in _blocks(last - first, _block_columns(part)):
            block = part.weight[first + start : first + stop].to(dtype)
            logits[:, start:stop] = torch.mm(hidden, block.t())
    if part.bias is not None:
        logits.add_(part.bias[first:last].to(dtype))
    if part.softcap is not None:
        logits.div_(part.softcap).tanh_().mul_(part.softcap)
    return logits.div_(part.temperature if part.per_token is None else part.per_token[:, None])


def _is_wide(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether `_product` needs no copy of its factors."""
    return a.dtype == b.dtype and (a.dtype == dtype or (a.is_cuda and _HAS_WIDE_PRODUCT))


def _product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """A matrix product with sums and result of `dtype`."""
    if a.dtype != dtype and _is_wide(a, b, dtype):
        return torch.mm(a, b, out_dtype=dtype)
    return torch.mm(a.to(dtype), b.to(dtype))


def _block_columns(inputs: Inputs) -> int:
    """Ids whose weights fill a tile."""
    return max(1, min(inputs.vocab, _TILE // max(1, inputs.weight.shape[1])))


class _Factors(NamedTuple):
    """The gradient of a row's logits is `scale` times one of size about 1, 0 where not `live`."""

    live: Tensor  # [rows] bool
    scale: Tensor  # [rows]
    log_probs_grad: Tensor  # [rows], over the scale
    entropy_grad: Tensor | None
    entropy: Tensor | None


def _factors(inputs: Inputs, g: Tensor, h: Tensor | None, entropy: Tensor | None) -> _Factors:
    size = g.abs() if h is None else torch.maximum(g.abs(), h.abs())
    # A row without a gradient stays out by selection: 0 * NaN would let padding in.
    live = size != 0
    live = live if inputs.mask is None else live & inputs.mask
    unit = torch.where(live, size, 1.0)
    over = inputs.temperature if inputs.per_token is None else inputs.per_token
    return _Factors(
        live,
        torch.where(live, size / over, 0.0),
        torch.where(live, g, 0.0) / unit,
        None if h is None else torch.where(live, h, 0.0) / unit,
        entropy,
    )


def _sweep(
    inputs: Inputs,
    tile_of: Callable[[int, int, int, int], Tensor],
    log_norm: Tensor,
    g: Tensor,
    h: Tensor | None,
    entropy: Tensor | None,
    into: Gradients,
    accumulate: bool,
) -> None:
    """Gradients, a tile of log-probs at a time; a block of the weight's is summed, then written."""
    dtype, width = inputs.dtype, inputs.weight.shape[1]
    factors = _factors(inputs, g, h, entropy)
    # Of 16 bits where the product is fast in them: scaled, so that none is lost below their range.
    narrow = inputs.hidden.dtype != dtype and _is_wide(inputs.hidden, inputs.weight, dtype)
    unit = factors.scale.amax() if narrow and inputs.rows > 0 else factors.scale.new_ones(())
    unit = torch.where(unit == 0, 1.0, unit)
    low = inputs.hidden.dtype if narrow else dtype
    hidden_grad = into.hidden
    if hidden_grad is not None and hidden_grad.dtype != dtype:
        hidden_grad = hidden_grad.new_empty(hidden_grad.shape, dtype=dtype)
    if hidden_grad is not None:
        hidden_grad.zero_()
    columns = _block_columns(inputs)
    for first, last in _blocks(inputs.vocab, columns):
        weight = inputs.weight[first:last].to(low)
        weight_grad = inputs.hidden.new_zeros((last - first, width), dtype=dtype)
        bias_grad = inputs.hidden.new_zeros(last - first, dtype=dtype)
        for start, stop in _blocks(inputs.rows, max(1, _TILE // columns)):
            part = inputs.cut(start, stop)
            of = _Factors(*(None if x is None else x[start:stop] for x in factors))  # pyright: ignore[reportArgumentType]
            dz = _logits_gradient(
                tile_of(start, stop, first, last), part.tokens - first, of, log_norm[start:stop],
                part,
            )  # fmt: skip
            if into.bias is not None:
                bias_grad += of.scale @ dz
            dz = dz.to(low)
            if hidden_grad is not None:
                hidden_grad[start:stop] += _product(dz, weight, dtype) * of.scale[:, None]
            if into.weight is not None:
                hidden = torch.where(of.live[:, None], part.hidden[0], 0.0).to(dtype)
                scaled = (hidden * (of.scale / unit)[:, None]).to(low)
                weight_grad += _product(dz.t(), scaled, dtype) * unit
        _write(into.weight, first, last, weight_grad, accumulate)
        _write(into.bias, first, last, bias_grad, accumulate)
    if hidden_grad is not None and into.hidden is not hidden_grad and into.hidden is not None:
        into.hidden.copy_(hidden_grad)


def _write(out: Tensor | None, first: int, last: int, values: Tensor, accumulate: bool) -> None:
    if out is not None:
        out[first:last] = out[first:last] + values if accumulate else values


def _logits_gradient(
    log_p: Tensor, index: Tensor, of: _Factors, log_norm: Tensor, part: Inputs
) -> Tensor:
    """Gradient of a tile of logits over the rows' scales; overwrites the log-probs."""
    slope = None
    if part.softcap is not None:
        over = part.temperature if part.per_token is None else part.per_token[:, None]
        slope = 1 - ((log_p + log_norm[:, None]) * over / part.softcap).square_()
    inside = (index >= 0) & (index < log_p.shape[1])
    at_token = torch.where(inside, of.log_probs_grad, 0.0)[:, None]
    index = torch.where(inside, index, 0)[:, None]
    if of.entropy_grad is None or of.entropy is None:
        dz = log_p.exp_().mul_(-of.log_probs_grad[:, None])
    else:
        p = log_p.exp()
        # log p of a banned id is -inf, its p is 0
        dz = log_p.clamp_(min=torch.finfo(p.dtype).min).add_(of.entropy[:, None])
        dz.mul_(of.entropy_grad[:, None]).add_(of.log_probs_grad[:, None]).mul_(p).neg_()
    dz.scatter_add_(-1, index, at_token)
    if slope is not None:
        dz.mul_(slope)
    return dz.masked_fill_(~of.live[:, None], 0.0)
