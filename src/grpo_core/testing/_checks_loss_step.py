"""Rules of a loss about the optimiser step: however it is cut, ordered or named, it is the same."""

from random import Random

import torch

from grpo_core.losses import step_totals
from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import Broken, Loss, rows_of


def micro_batches_add_up(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 2: with the step's `total`, losses and gradients of any partition add up."""
    rows = len(batch.mask)
    where = [chance.randrange(3) for _ in range(rows)]
    total = step_totals(batch.mask, batch.group_ids)
    value, gradient = loss.gradient(batch, total)
    parts, sums = torch.zeros_like(gradient), torch.zeros_like(value)
    for part in sorted(set(where)):
        chosen = torch.tensor([row for row in range(rows) if where[row] == part])
        one, some = loss.gradient(rows_of(batch, chosen), total.rows(chosen))
        sums += one
        parts[chosen] = some
    if not torch.allclose(sums, value, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {sums.item():g} in the parts {where}", batch
    if not torch.allclose(parts, gradient, rtol=1e-9, atol=1e-9):
        return f"has gradient {gradient.tolist()}, and {parts.tolist()} in the parts {where}", batch
    return None


def a_step_twice_over_is_the_same(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 2: the loss is a mean of the step, whose `total` is its denominator."""
    del chance
    if "rewards" in loss.names:  # statistics may have a correction
        return None
    copies = batch._replace(group_ids=batch.group_ids + batch.group_ids.max() + 1)
    twice = TokenBatch(*(torch.cat(both) for both in zip(batch, copies, strict=True)))
    value, gradient = loss.gradient(batch)
    other, doubled = loss.gradient(twice)
    if not torch.allclose(value, other, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {other.item():g} of all rows twice", batch
    if not torch.allclose(gradient / 2, doubled[: len(batch.mask)], rtol=1e-9, atol=1e-9):
        return f"has gradient {gradient.tolist()}, and {doubled.tolist()} of all rows twice", batch
    return None


def order_and_names_do_not_matter(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Rule 4: rows may come in any order, and groups have any names."""
    order = torch.tensor(chance.sample(range(len(batch.mask)), len(batch.mask)))
    names = {g: chance.choice((-(2**40), 7, 2**62)) + g for g in set(batch.group_ids.tolist())}
    if len(set(names.values())) < len(names):
        names = {g: g + 7 for g in names}
    renamed = torch.tensor([names[g] for g in batch.group_ids.tolist()])
    value, gradient = loss.gradient(batch)
    other, moved = loss.gradient(rows_of(batch._replace(group_ids=renamed), order))
    if not torch.allclose(value, other, rtol=1e-9, atol=1e-9):
        return f"is {value.item():g}, and {other.item():g} with rows as {order.tolist()}", batch
    if not torch.allclose(gradient[order], moved, rtol=1e-9, atol=1e-9):
        return f"has gradient {gradient[order].tolist()}, and {moved.tolist()} in that order", batch
    return None
