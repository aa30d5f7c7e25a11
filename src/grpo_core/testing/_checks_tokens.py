"""A loss of each token, as `linear_token_loss` calls it: on chunks that are cut anywhere."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from grpo_core._tensors import chunk_of
from grpo_core.losses import token_mean
from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import Broken, Loss
from grpo_core.testing._checks_once import ordinary

_OF_TOKENS = ("log_probs", "old_log_probs", "ref_log_probs", "advantages", "mask")


@dataclass(frozen=True)
class Averaged:
    """A loss of each token as a scalar: what `linear_token_loss` makes of it by `token_mean`.

    Args:
        function: The user's.
        names: Of its parameters.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]

    def __call__(self, **values: Any) -> Tensor:
        mask: Tensor = values["mask"]
        found = {name: values[name] for name in self.names}
        found["log_probs"] = torch.where(mask, found["log_probs"], 0.0)
        return token_mean(self.function(**found), mask, total=values["total"])


def averaged(loss: Loss) -> Loss:
    """The same if it gives a scalar; of one that gives `batch seq`, the mean."""
    batch = ordinary()
    try:
        value = loss.of(batch)
    except Exception:  # noqa: BLE001 - the rules will say so, each for itself
        return loss
    if value.shape != batch.mask.shape:
        return loss
    others = tuple(name for name in ("mask", "total") if name not in loss.names)
    return Loss(Averaged(loss.function, loss.names), (*loss.names, *others))


def tokens_are_apart(loss: Loss, batch: TokenBatch, chance: Random) -> Broken:
    """Each token's loss and gradient are the same in any chunk of the batch.

    One that couples a sequence by this library's pieces may do so: it needs `whole_sequences=True`,
    and chunks are then of whole rows.
    """
    del chance
    each = loss.function
    assert isinstance(each, Averaged)  # noqa: S101 - it is asked of no other
    unknown = [name for name in each.names if name not in _OF_TOKENS]
    if unknown:
        return f"takes {', '.join(unknown)}, which no chunk of tokens can have", batch
    seq = batch.mask.shape[1]
    try:
        width = 0
        whole = _in_chunks(each, batch, batch.mask.numel(), width)
    except ValueError as error:
        if "whole_sequences=True" not in str(error):
            raise
        width = seq
        whole = _in_chunks(each, batch, batch.mask.numel(), width)
    alone = _in_chunks(each, batch, width or 1, width)
    for what, one, other in zip(("loss", "gradient"), whole, alone, strict=True):
        same = torch.isclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True) | ~batch.mask
        if not bool(same.all()):
            row, column = (~same).nonzero()[0].tolist()
            values = one[row, column].item(), other[row, column].item()
            others = "tokens" if width == 0 else "rows"
            message = (
                f"gives token [{row}, {column}] the {what} {values[0]:g} beside other {others} and "
                f"{values[1]:g} without them: it couples tokens, so that chunks change it"
            )
            return message, batch
    return None


def _in_chunks(each: Averaged, batch: TokenBatch, size: int, width: int) -> tuple[Tensor, Tensor]:
    """Loss and gradient of each token, computed so many tokens at a time."""
    flat = {name: getattr(batch, name).flatten() for name in each.names}
    flat["log_probs"] = torch.where(batch.mask, batch.log_probs, 0.0).flatten()
    losses: list[Tensor] = []
    gradients: list[Tensor] = []
    for start in range(0, batch.mask.numel(), max(1, size)):
        part = {name: values[start : start + size][None] for name, values in flat.items()}
        leaf = part["log_probs"] = part["log_probs"].detach().clone().requires_grad_()
        with chunk_of(width):
            values = each.function(**part)
        valid = batch.mask.flatten()[start : start + size][None]
        torch.where(valid, values, 0.0).sum().backward()
        losses.append(values.detach())
        gradients.append(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)
    shape = batch.mask.shape
    return torch.cat(losses, 1).view(shape), torch.cat(gradients, 1).view(shape)


def pasted(called: str, names: tuple[str, ...]) -> list[str]:
    """Lines of a test that fails if tokens are coupled."""
    given = ", ".join(f"{name}={name}.flatten()[None, some]" for name in names)
    return [
        "    cuts = [slice(None), *(slice(at, at + 1) for at in range(mask.numel()))]",
        f"    whole, *alone = [{called}({given}) for some in cuts]",
        "    both = whole, torch.cat(alone, 1)",
        "    assert torch.allclose(*both, equal_nan=True)",
        "    gradients = [torch.autograd.grad(x.sum(), log_probs)[0] for x in both]",
        "    assert torch.allclose(*gradients, equal_nan=True)",
    ]
