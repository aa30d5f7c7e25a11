"""What the losses on hidden states share: checked and flattened inputs, and pieces of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_positive,
    check_same_shape,
    widen,
)


class Inputs(NamedTuple):
    """A head and the positions that it scores. Rows are the positions, of a batch or of a part."""

    hidden: Tensor  # [batch, seq, hidden], of any strides; of a part, [1, rows, hidden]
    weight: Tensor  # [vocab, hidden]
    bias: Tensor | None  # [vocab]
    tokens: Tensor  # [rows] int64, 0 off the mask
    mask: Tensor | None  # [rows] bool
    temperature: float
    per_token: Tensor | None  # [rows]: temperatures in place of the one
    softcap: float | None

    @property
    def dtype(self) -> torch.dtype:
        """Of log-probs and sums."""
        wide = torch.float64 in (self.hidden.dtype, self.weight.dtype)
        return torch.float64 if wide else torch.float32

    @property
    def rows(self) -> int:
        return self.tokens.shape[0]

    @property
    def vocab(self) -> int:
        return self.weight.shape[0]

    def cut(self, start: int, stop: int) -> "Inputs":
        """Rows from `start` to `stop`."""
        return self._replace(
            hidden=_rows(self.hidden, start, stop)[None],
            tokens=self.tokens[start:stop],
            mask=None if self.mask is None else self.mask[start:stop],
            per_token=None if self.per_token is None else self.per_token[start:stop],
        )


def _rows(hidden: Tensor, start: int, stop: int) -> Tensor:
    """Rows of [batch, seq, hidden]: a view where strides allow one, else a copy of these rows."""
    _, seq, width = hidden.shape
    if start >= stop:
        return hidden.new_empty((0, width))
    if hidden.shape[0] == 1:
        return hidden[0, start:stop]
    if hidden.stride(0) == seq * hidden.stride(1):
        return hidden.flatten(0, 1)[start:stop]
    first, last = start // max(1, seq), (stop - 1) // max(1, seq)
    if last - first > 1:
        offset = first * seq
        return hidden[first : last + 1].flatten(0, 1)[start - offset : stop - offset]
    parts = [
        hidden[row, max(0, start - row * seq) : min(seq, stop - row * seq)]
        for row in range(first, last + 1)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Gradients(NamedTuple):
    """Where gradients are written; None where nobody wants one."""

    hidden: Tensor | None  # [rows, hidden]
    weight: Tensor | None  # [vocab, hidden], of the weight's dtype or wider
    bias: Tensor | None  # [vocab], of the dtype of sums
    exponents: Tensor | None = None  # the engine's, of a weight's that is summed in 16 bits

    def cut(self, start: int, stop: int) -> "Gradients":
        """Those of rows from `start` to `stop`."""
        return self._replace(hidden=None if self.hidden is None else self.hidden[start:stop])


def checked_inputs(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float | Tensor,
    softcap: float | None,
) -> Inputs:
    """Raise on what is wrong; under autocast, both factors in its dtype, as a linear layer has."""
    check_ndim(3, hidden=hidden)
    check_ndim(2, weight=weight)
    check_float(hidden=hidden, weight=weight)
    if hidden.shape[2] != weight.shape[1]:
        raise ValueError(
            "hidden must be as wide as weight: [batch, seq, hidden] and [vocab, hidden], got "
            f"{tuple(hidden.shape)} and {tuple(weight.shape)}"
        )
    for name, values in {"hidden": hidden, "weight": weight, "bias": bias}.items():
        if hasattr(values, "full_tensor"):  # a DTensor, of FSDP 2 or of tensor parallelism
            raise TypeError(
                f"{name} must be a plain tensor, got a DTensor: give its full_tensor(), whose "
                "gradient goes back to the shards, or call this where the module has gathered it"
            )
    check_integer(tokens=tokens)
    check_same_shape(**{"hidden[..., 0]": hidden[..., 0], "tokens": tokens})
    if mask is not None:
        check_bool(mask=mask)
        check_same_shape(tokens=tokens, mask=mask)
        tokens = torch.where(mask, tokens, 0)
    if bias is not None:
        check_float(bias=bias)
        check_same_shape(**{"weight[:, 0]": weight[:, 0], "bias": bias})
    per_token = None
    if isinstance(temperature, Tensor):
        check_float(temperature=temperature)
        check_same_shape(tokens=tokens, temperature=temperature)
        if temperature.requires_grad:
            raise ValueError("temperature gets no gradient: detach it, got requires_grad=True")
        per_token, temperature = widen(temperature).flatten(), 1.0
    check_positive(temperature=temperature)
    if softcap is not None:
        check_positive(softcap=softcap)
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        hidden, weight = (x if x.dtype == torch.float64 else x.to(dtype) for x in (hidden, weight))
    return Inputs(
        hidden,
        weight,
        bias,
        tokens.flatten().long(),
        None if mask is None else mask.flatten(),
        float(temperature),
        per_token,
        softcap,
    )


def new_gradients(
    inputs: Inputs,
    hidden: bool,
    weight: bool,
    bias: bool,
    *,
    wide: bool = False,
    weight_grad: Tensor | None = None,
) -> Gradients:
    """Unwritten gradients of what is wanted; the weight's in its dtype, wide, or the one given."""
    if weight and weight_grad is None:
        dtype = inputs.dtype if wide else inputs.weight.dtype
        weight_grad = inputs.weight.new_empty(inputs.weight.shape, dtype=dtype)
    return Gradients(
        inputs.hidden.new_empty((inputs.rows, inputs.hidden.shape[2])) if hidden else None,
        weight_grad if weight else None,
        inputs.weight.new_zeros(inputs.vocab, dtype=inputs.dtype) if bias else None,
    )


def as_inputs(inputs: Inputs, grads: Gradients) -> tuple[Tensor | None, ...]:
    """The gradients in the shapes and dtypes of hidden, weight and bias."""
    return (
        None if grads.hidden is None else grads.hidden.view(inputs.hidden.shape),
        None if grads.weight is None else grads.weight.to(inputs.weight.dtype),
        None if grads.bias is None or inputs.bias is None else grads.bias.to(inputs.bias.dtype),
    )
