"""Rules of a loss about its tensors: their types and shapes, where they are, and who owns them."""

from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from grpo_core.losses import step_totals
from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import PER_TOKEN, Broken, Loss, filled


def half_precision_is_widened(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rules 7 and 9: bfloat16 gives float32 and loses nothing more; float64 stays float64."""
    del chance
    value = loss.of(batch)
    if value.dtype != torch.float64:
        return f"is {value.dtype} of float64", batch
    narrow = TokenBatch(*(t.bfloat16() if t.is_floating_point() else t for t in batch))
    wide = TokenBatch(*(t.double() if t.is_floating_point() else t for t in narrow))
    half = loss.of(narrow)
    if half.dtype not in (torch.float32, torch.float64):
        return f"is {half.dtype} of bfloat16", narrow
    exact = loss.of(wide)
    if exact.isfinite() and not torch.allclose(half.double(), exact, rtol=1e-4, atol=1e-5):
        return f"is {half.item():g} in bfloat16, where {exact.item():g} is right", narrow
    return None


def wrong_shapes_raise(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 6: nothing broadcasts, and a mask is bool."""
    if batch.mask.shape[1] < 2 or not batch.mask.any():
        return None
    name = chance.choice([n for n in (*PER_TOKEN, "mask") if n in loss.names])
    column = batch._replace(**{name: getattr(batch, name)[:, :1]})
    try:
        loss.of(column, step_totals(batch.mask, batch.group_ids))
    except Exception:  # noqa: BLE001 - that it raises is what is asked
        return None
    shapes = list(getattr(column, name).shape), list(batch.mask.shape)
    return f"takes {name} of shape {shapes[0]} for {shapes[1]}", column


class _ReadError(RuntimeError):
    """A tensor was read back to the host."""


class _NoReads(TorchDispatchMode):
    _BAD = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "is_nonzero", "bincount")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if by_mask or any(bad in name for bad in self._BAD):
            raise _ReadError(f"{name}, with a bool mask" if by_mask else name)
        return func(*args, **(kwargs or {}))


def nothing_is_read_back(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 5: no operation whose result, or its size, the host must wait for."""
    del chance
    total = step_totals(batch.mask, batch.group_ids)
    log_probs = batch.log_probs.detach().clone().requires_grad_()
    try:
        with _NoReads():
            loss.of(batch._replace(log_probs=log_probs), total).backward()
    except _ReadError as read:
        return f"waits for the device, by {read}", batch
    return None


def nothing_is_written_into(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """What the caller gives is the caller's: no operation in place."""
    dirty = filled(batch, lambda: chance.choice((0.0, 1e30, -800.0)))
    before = TokenBatch(*(tensor.clone() for tensor in dirty))
    total = step_totals(dirty.mask, dirty.group_ids)
    given = {n: total if n == "total" else getattr(dirty, n) for n in loss.names}
    loss.function(**given | {"log_probs": dirty.log_probs.clone().requires_grad_()})
    for name in loss.names:
        if name != "total" and not torch.equal(getattr(before, name), getattr(dirty, name)):
            return f"writes into {name}, which is {getattr(dirty, name).tolist()} after it", before
    return None
