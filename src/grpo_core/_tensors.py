"""What the torch doors share: checks of shape and dtype, widening, and sums over ids."""

import math
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

HAS_TRITON = find_spec("triton") is not None  # asked once: a compiler does not trace the question


def widen(values: Tensor) -> Tensor:
    """float32, or float64 where it is already float64: `gradcheck` needs the latter to stay."""
    return values if values.dtype == torch.float64 else values.float()


def check_same_shape(**tensors: Tensor) -> None:
    """Raise `ValueError` unless all have the first one's shape: nothing here broadcasts."""
    (first, *others) = tensors
    for name in others:
        if tensors[name].shape != tensors[first].shape:
            raise ValueError(
                f"{name} must have the shape of {first}, {tuple(tensors[first].shape)}, "
                f"got {tuple(tensors[name].shape)}"
            )


def check_ndim(ndim: int, **tensors: Tensor) -> None:
    """Raise `ValueError` unless each has `ndim` axes."""
    for name, tensor in tensors.items():
        if tensor.ndim != ndim:
            raise ValueError(f"{name} must have {ndim} axes, got shape {tuple(tensor.shape)}")


def check_scalar(**tensors: Tensor) -> None:
    """Raise unless each is a tensor without axes: what a function of the caller's returned."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"{name} must return a tensor without axes, got {type(tensor).__name__}"
            )
        if tensor.ndim != 0:
            raise ValueError(
                f"{name} must return a tensor without axes, got shape {tuple(tensor.shape)}"
            )


def check_float(**tensors: Tensor) -> None:
    """Raise `TypeError` unless each is of a floating-point dtype."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be of a floating-point dtype, got {tensor.dtype}")


def check_integer(**tensors: Tensor) -> None:
    """Raise `TypeError` unless each is of an integer dtype."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f"{name} must be of an integer dtype, got {tensor.dtype}")


def check_bool(**tensors: Tensor) -> None:
    """Raise `TypeError` unless each is bool: 0.5 in a float mask would be a silent weight."""
    for name, tensor in tensors.items():
        if tensor.dtype != torch.bool:
            raise TypeError(f"{name} must be bool, got {tensor.dtype}")


def check_choice(value: str, choices: Sequence[str], name: str) -> None:
    """Raise `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_ratio_bounds(*, ratio_min: float = 0.0, ratio_max: float) -> None:
    """Raise `ValueError` unless 0 <= ratio_min < ratio_max: bounds are absolute, never offsets."""
    if not 0 <= ratio_min < ratio_max:
        raise ValueError(f"need 0 <= ratio_min < ratio_max, got {ratio_min}, {ratio_max}")


def check_positive(**numbers: int | float) -> None:
    """Raise `ValueError` unless each is a finite number above 0."""
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise ValueError(f"{name} must be finite and above 0, got {number}")


def dense_ids(ids: Int[Tensor, "*rows n"]) -> Int[Tensor, "*rows n"]:
    """Ids along the last axis, renamed to 0, 1, 2, ... in order of value.

    By stable sort and cumulative sum: `torch.unique` has a size that only the host knows.
    """
    ordered, order = ids.sort(dim=-1, stable=True)
    # The first entry meets the last one here: they differ unless there is one id in all.
    starts = (ordered != ordered.roll(1, -1)).long()
    return torch.empty_like(order).scatter(-1, order, starts.cumsum(-1) - starts[..., :1])


def sum_by_slot(values: Tensor, slots: Int[Tensor, " n"]) -> Tensor:
    """Sums of `values` [n] by slot, one entry for each of at most n slots."""
    return torch.zeros_like(values).index_add(0, slots, values)


class _Chunk(threading.local):
    """Tokens may be a chunk [1, n] of a batch: of rows of this width, or, at 0, cut anywhere."""

    width: int | None = None


_chunk = _Chunk()


@contextmanager
def chunk_of(width: int) -> Generator[None]:
    """What is called inside gets a chunk of a batch: whole rows of this width, or, at 0, any."""
    outer, _chunk.width = _chunk.width, width  # the user's function in between need not know
    try:
        yield
    finally:
        _chunk.width = outer


def check_whole_batch(name: str) -> None:
    """Raise `ValueError` inside `chunk_of`, for what needs the whole batch to be right."""
    if _chunk.width is not None:
        raise ValueError(
            f"{name} needs the whole batch and sees a chunk of it here: call it outside of loss_fn "
            "and give what it returns as a per-token tensor, or as mean="
        )


def _rows_of_chunk(values: Tensor) -> Tensor:
    """A chunk [1, n] as the rows of the batch that it is made of."""
    if _chunk.width == 0:
        raise ValueError(
            "a chunk may cut a sequence here: what couples the tokens of a sequence needs "
            "whole_sequences=True"
        )
    return values.reshape(-1, max(1, _chunk.width or 0))


def sequence_slots(segment_ids: Int[Tensor, "batch seq"]) -> Int[Tensor, " batch*seq"]:
    """A number of its own for each (row, segment), below batch * seq."""
    check_integer(segment_ids=segment_ids)
    batch, seq = segment_ids.shape
    rows = torch.arange(batch, device=segment_ids.device)[:, None]
    return (rows * seq + dense_ids(segment_ids)).flatten()


def sequence_sum(
    values: Float[Tensor, "batch seq"] | Int[Tensor, "batch seq"],
    segment_ids: Int[Tensor, "batch seq"] | None,
) -> Float[Tensor, "batch seq"] | Int[Tensor, "batch seq"]:
    """Sum over the sequence of each token, given back at each token: a row, or a segment of it."""
    if segment_ids is not None:
        check_same_shape(values=values, segment_ids=segment_ids)
    shape = values.shape
    if _chunk.width is not None:
        values = _rows_of_chunk(values)
        segment_ids = None if segment_ids is None else _rows_of_chunk(segment_ids)
    if segment_ids is None:
        return values.sum(1, keepdim=True).expand_as(values).reshape(shape)
    slots = sequence_slots(segment_ids)
    return sum_by_slot(values.flatten(), slots)[slots].view(shape)


def count_sequences(
    mask: Bool[Tensor, "batch seq"], segment_ids: Int[Tensor, "batch seq"] | None
) -> Int[Tensor, ""]:
    """How many sequences have a valid token: rows, or segments of rows."""
    check_whole_batch("a count of sequences")
    if segment_ids is None:
        return mask.any(1).sum()
    check_same_shape(mask=mask, segment_ids=segment_ids)
    tokens = sum_by_slot(mask.flatten().long(), sequence_slots(segment_ids))
    return (tokens > 0).sum()
