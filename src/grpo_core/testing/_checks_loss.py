"""A loss that is called by the names of what it takes, and changes to what it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from grpo_core.losses import StepTotals, step_totals
from grpo_core.testing._batches import TokenBatch

PER_TOKEN = ("log_probs", "old_log_probs", "ref_log_probs", "advantages")


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
        # Copies, so that a loss which writes into what it is given breaks one rule, not all.
        values = {n: v if v.requires_grad else v.clone() for n, v in values.items()}
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


def filled(batch: TokenBatch, value: Callable[[], float]) -> TokenBatch:
    """The batch with these values where the mask is not."""
    changed: dict[str, Tensor] = {}
    for name in PER_TOKEN:
        values = getattr(batch, name).clone()
        for row, column in (~batch.mask).nonzero().tolist():
            values[row, column] = value()
        changed[name] = values
    return batch._replace(**changed)


def rows_of(batch: TokenBatch, rows: Tensor) -> TokenBatch:
    """Some rows of a batch, in this order."""
    return TokenBatch(*(tensor[rows] for tensor in batch))


def with_old(batch: TokenBatch, step: Tensor | float, advantage: float) -> TokenBatch:
    """The batch after the policy took this step from the sampler, in log-ratios; all one advantage.

    The reference stays with the policy, so that a penalty of the distance to it has no gradient.
    """
    log_probs = torch.where(batch.mask, batch.log_probs.clamp(max=-2.0), batch.log_probs)
    return batch._replace(
        log_probs=log_probs, old_log_probs=log_probs - step, ref_log_probs=log_probs.clone(),
        advantages=torch.full_like(log_probs, advantage),
    )  # fmt: skip
