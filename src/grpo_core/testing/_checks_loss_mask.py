"""Rules of a loss about the mask: what it leaves out, and what is left when it leaves out all."""

from random import Random

import torch

from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import PER_TOKEN, Broken, Loss, filled, rows_of

JUNK = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, -800.0)
STALE = (-1e30, -1000.0, -100.0, 100.0, 1000.0, 1e30)


def padding_is_inert(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 1: what lies under the mask changes no bit, and how wide it is changes nothing."""
    clean = filled(batch, lambda: 0.0)
    dirty = filled(batch, lambda: chance.choice(JUNK))
    value, gradient = loss.gradient(clean)
    junk_value, junk_gradient = loss.gradient(dirty)
    if not torch.equal(value, junk_value):
        return f"is {value.item():g}, and {junk_value.item():g} with junk under the mask", dirty
    if not torch.equal(gradient, junk_gradient):
        return f"has gradient {gradient.tolist()}, and {junk_gradient.tolist()} with junk", dirty
    if not bool((gradient[~batch.mask] == 0).all()):
        return f"has gradient {gradient[~batch.mask].tolist()} under the mask", dirty
    wide = _wider(dirty)
    value, gradient = loss.gradient(wide)
    if not torch.allclose(value, junk_value, rtol=1e-9, atol=1e-9):
        return f"is {junk_value.item():g}, and {value.item():g} with a column of padding more", wide
    if not torch.allclose(gradient[:, :-1], junk_gradient, rtol=1e-9, atol=1e-9):
        return f"has another gradient with a column of padding more: {gradient.tolist()}", wide
    return None


def _wider(batch: TokenBatch) -> TokenBatch:
    columns = {n: torch.cat([v, v[:, :1]], 1) for n in PER_TOKEN for v in [getattr(batch, n)]}
    empty = torch.zeros_like(batch.mask[:, :1])
    return batch._replace(**columns, mask=torch.cat([batch.mask, empty], 1))


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
    empty = rows_of(empty, torch.arange(rows))
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
