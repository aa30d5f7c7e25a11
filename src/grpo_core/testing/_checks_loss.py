"""The rules of a loss, each as a function of the loss and a batch that says what is broken."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from grpo_core.losses import StepTotals, step_totals
from grpo_core.testing._batches import TokenBatch

JUNK = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, -800.0)
STALE = (-1e30, -1000.0, -100.0, 100.0, 1000.0, 1e30)
_PER_TOKEN = ("log_probs", "old_log_probs", "ref_log_probs", "advantages")


@dataclass(frozen=True)
class Loss:
    """A loss that is called by the names of what it takes.

    Args:
        function: The user's.
        names: Of its parameters, out of the fields of `TokenBatch` and `total`.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]

    def of(self, batch: TokenBatch, total: StepTotals | None = None) -> Tensor:
        """The loss, with the totals of the batch itself unless others are given."""
        values: dict[str, Any] = {n: getattr(batch, n) for n in self.names if n != "total"}
        if "total" in self.names:
            values["total"] = step_totals(batch.mask, batch.group_ids) if total is None else total
        return self.function(**values)

    def gradient(self, batch: TokenBatch, total: StepTotals | None = None) -> tuple[Tensor, Tensor]:
        """The loss and its gradient with respect to the policy's log-probs."""
        log_probs = batch.log_probs.detach().clone().requires_grad_()
        loss = self.of(batch._replace(log_probs=log_probs), total)
        loss.backward()
        gradient = log_probs.grad
        return loss.detach(), torch.zeros_like(log_probs) if gradient is None else gradient


Broken = tuple[str, TokenBatch] | None
"""What is wrong with a loss, which is the subject of the sentence, and the batch that shows it."""
Rule = Callable[[Loss, TokenBatch, Random], Broken]


def padding_is_inert(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 1: what lies under the mask changes no bit."""
    clean = _filled(batch, lambda: 0.0)
    dirty = _filled(batch, lambda: chance.choice(JUNK))
    value, gradient = loss.gradient(clean)
    junk_value, junk_gradient = loss.gradient(dirty)
    if not torch.equal(value, junk_value):
        return f"is {value.item():g}, and {junk_value.item():g} with junk under the mask", dirty
    if not torch.equal(gradient, junk_gradient):
        return f"has gradient {gradient.tolist()}, and {junk_gradient.tolist()} with junk", dirty
    if not bool((gradient[~batch.mask] == 0).all()):
        return f"has gradient {gradient[~batch.mask].tolist()} under the mask", dirty
    return None


def stale_token_is_finite(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 1: one token that is valid and absurdly stale makes nothing infinite."""
    at = batch.mask.nonzero()
    if not len(at):
        return None
    row, column = chance.choice(at.tolist())
    for name in ("old_log_probs", "ref_log_probs"):
        if name in loss.names:
            values = getattr(batch, name).clone()
            values[row, column] = stale = chance.choice(STALE)
            value, gradient = loss.gradient(batch._replace(**{name: values}))
            if not (value.isfinite() and gradient.isfinite().all()):
                dirty = batch._replace(**{name: values})
                return f"is {value.item():g}, gradient {gradient.tolist()}, {name} {stale:g}", dirty
    return None


def micro_batches_add_up(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 2: with the step's `total`, losses and gradients of any partition add up."""
    if "total" not in loss.names:
        return None
    rows = len(batch.mask)
    where = [chance.randrange(3) for _ in range(rows)]
    total = step_totals(batch.mask, batch.group_ids)
    value, gradient = loss.gradient(batch, total)
    parts, sums = torch.zeros_like(gradient), torch.zeros_like(value)
    for part in sorted(set(where)):
        chosen = torch.tensor([row for row in range(rows) if where[row] == part])
        one, some = loss.gradient(_rows(batch, chosen), total.rows(chosen))
        sums += one
        parts[chosen] = some
    if not torch.allclose(sums, value, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {sums.item():g} in the parts {where}", batch
    if not torch.allclose(parts, gradient, rtol=1e-9, atol=1e-9):
        return f"has gradient {gradient.tolist()}, and {parts.tolist()} in the parts {where}", batch
    return None


def empty_rows_count_nowhere(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 2: a row without a valid token changes nothing, in a group of its own or not."""
    if not batch.mask.any():
        return None
    new_group = int(batch.group_ids.max()) + 1
    group = chance.choice([*batch.group_ids.tolist(), new_group])
    longer = TokenBatch(*(torch.cat([tensor, tensor[:1]]) for tensor in batch))
    longer.mask[-1] = False
    longer.group_ids[-1] = group
    value, gradient = loss.gradient(batch)
    other, longer_gradient = loss.gradient(longer)
    if not torch.allclose(value, other, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {other.item():g} beside a row without a token", longer
    if not torch.allclose(gradient, longer_gradient[:-1], rtol=1e-9, atol=1e-9):
        return (
            f"has gradient {gradient.tolist()}, and {longer_gradient.tolist()} beside such a row",
            longer,
        )
    return None


def nothing_gives_an_attached_zero(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 3: a batch without a valid token gives 0, and `backward` gives zeros."""
    empty = batch._replace(mask=torch.zeros_like(batch.mask))
    rows = chance.choice([len(batch.mask), 0])
    empty = _rows(empty, torch.arange(rows))
    log_probs = empty.log_probs.detach().clone().requires_grad_()
    value = loss.of(empty._replace(log_probs=log_probs))
    if value.item() != 0:
        return f"is {value.item():g} without a valid token in {rows} rows", empty
    if not value.requires_grad:
        return f"is cut off from the graph without a valid token in {rows} rows", empty
    value.backward()
    if log_probs.grad is None:
        return f"does not reach the log-probs without a valid token in {rows} rows", empty
    if not bool((log_probs.grad == 0).all()):
        return f"has gradient {log_probs.grad.tolist()} without a valid token", empty
    return None


def order_and_names_do_not_matter(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 4: rows may come in any order, and groups have any names."""
    order = torch.tensor(chance.sample(range(len(batch.mask)), len(batch.mask)))
    names = {g: chance.choice((-(2**40), 7, 2**62)) + g for g in set(batch.group_ids.tolist())}
    if len(set(names.values())) < len(names):
        names = {g: g + 7 for g in names}
    renamed = torch.tensor([names[g] for g in batch.group_ids.tolist()])
    value, gradient = loss.gradient(batch)
    other, moved = loss.gradient(_rows(batch._replace(group_ids=renamed), order))
    if not torch.allclose(value, other, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {other.item():g} with rows as {order.tolist()}", batch
    if not torch.allclose(gradient[order], moved, rtol=1e-9, atol=1e-9):
        return f"has gradient {gradient[order].tolist()}, and {moved.tolist()} in that order", batch
    return None


def gradient_reaches_the_policy_alone(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Gradients reach `log_probs`, and neither the sampler, the reference nor the advantages."""
    del chance
    names = [name for name in _PER_TOKEN if name in loss.names]
    values = {name: getattr(batch, name).detach().clone().requires_grad_() for name in names}
    value = loss.of(batch._replace(**values))
    if not value.requires_grad:
        return "is cut off from the graph", batch
    value.backward()
    for name in names[1:] if names[:1] == ["log_probs"] else names:
        gradient = values[name].grad
        if name != "log_probs" and gradient is not None and bool((gradient != 0).any()):
            return f"has a gradient with respect to {name}: {gradient.tolist()}", batch
    own = values["log_probs"].grad
    moves = batch.mask & (batch.advantages != 0)
    on_policy = torch.equal(batch.log_probs[batch.mask], batch.old_log_probs[batch.mask])
    if on_policy and bool(moves.any()) and (own is None or not bool((own != 0).any())):
        return "has no gradient on policy, with an advantage that is not 0", batch
    return None


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
    name = chance.choice([n for n in (*_PER_TOKEN, "mask") if n in loss.names])
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


def _filled(batch: TokenBatch, value: Callable[[], float]) -> TokenBatch:
    filled: dict[str, Tensor] = {}
    for name in _PER_TOKEN:
        values = getattr(batch, name).clone()
        for row, column in (~batch.mask).nonzero().tolist():
            values[row, column] = value()
        filled[name] = values
    return batch._replace(**filled)


def _rows(batch: TokenBatch, rows: Tensor) -> TokenBatch:
    return TokenBatch(*(tensor[rows] for tensor in batch))
