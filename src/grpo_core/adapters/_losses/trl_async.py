"""TRL 1.16's experimental `AsyncGRPOTrainer` with a composed loss."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given, row_mask, to_rows
from grpo_core.adapters._losses._mean import MeanFunction, read_mean, totals
from grpo_core.adapters._losses._trl_options import ASYNC_REPLACED, check_defaults
from grpo_core.adapters._losses.trl import Metrics, default_metrics
from grpo_core.losses import constant_mean, sequence_mean, sequence_sum_mean, token_mean

_MEANS = dict.fromkeys((token_mean, sequence_mean, sequence_sum_mean, constant_mean))


@cache
def async_grpo_trainer(base: type | None = None) -> Any:
    """`trl.experimental.async_grpo.AsyncGRPOTrainer` with a composed loss.

    It takes `loss`, `mean` and `metrics` as `grpo_trainer` does; the rollout worker and the weight
    transfer stay TRL's, or the ones that you pass. A row of the batch is a completion.

    Who divides: TRL divides each micro-batch by its own tokens, over all ranks, and by the number
    of micro-batches: a mean of means. Here the Trainer's `get_batch_samples`, which holds all
    micro-batches of a step before its first gradient, counts the step, and the ranks' average is
    undone; micro-batches of any cut add up. TRL passes no groups: `group_token_mean` is refused.
    `old_log_probs` are those of the engine that sampled. TRL's own metrics stay, clip fractions at
    its epsilon among them; ours are beside them as `composed/...`.

    Args:
        base: A subclass of `AsyncGRPOTrainer` to extend; TRL's own by default.

    Returns:
        The class, the same one at each call. TRL is imported here, not before.

    Raises:
        ValueError: When it is made, if `epsilon` or `epsilon_high` is not at its default, if the
            model has an auxiliary loss, or if `mean` is none that TRL can take.

    Example:
        from grpo_core.adapters.trl import async_grpo_trainer

        trainer = async_grpo_trainer()(model, rewards, args, dataset, loss=loss, mean=token_mean)
    """
    from trl.experimental.async_grpo.async_grpo_config import (  # noqa: PLC0415 - the trainer
        AsyncGRPOConfig,
    )
    from trl.experimental.async_grpo.async_grpo_trainer import (  # noqa: PLC0415 - the trainer
        AsyncGRPOTrainer,
    )

    parent: Any = AsyncGRPOTrainer if base is None else base

    class ComposedAsyncGRPOTrainer(parent):
        """`AsyncGRPOTrainer` with `loss=` and `mean=`."""

        def __init__(
            self,
            *args: Any,
            loss: TokenLoss,
            mean: MeanFunction,
            metrics: Metrics = default_metrics,
            **kwargs: Any,
        ) -> None:
            self.composed = loss
            self.composed_mean = read_mean(mean, "TRL's async trainer", _MEANS)
            self.composed_metrics = metrics
            self._step_counts: Tensor | None = None
            super().__init__(*args, **kwargs)
            check_defaults(self.args, ASYNC_REPLACED, AsyncGRPOConfig)
            if getattr(self, "aux_loss_enabled", False):
                raise ValueError("the router's auxiliary loss is added by TRL's own loss alone")

        def get_batch_samples(
            self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
        ) -> tuple[list[Any], Any]:
            samples, items = super().get_batch_samples(epoch_iterator, num_batches, device)
            counts = torch.zeros(2, dtype=torch.long, device=self.accelerator.device)
            for inputs in samples:
                selected = inputs["token_index"] >= 0
                ids = inputs["segment_id"][selected]
                counts += torch.tensor([len(ids), len(ids.unique())], device=counts.device)
            self._step_counts = self.accelerator.reduce(counts, reduction="sum")
            return samples, items

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Tensor:
            seen = _Seen(model)
            # TRL's own loss does the forward pass, its metrics and its accounting; what the model
            # gave is kept, so that it runs once.
            super().compute_loss(seen, inputs, return_outputs, num_items_in_batch)
            batch = _token_batch(seen.outputs, inputs)
            assert self._step_counts is not None  # noqa: S101 - made before the step's first call
            tokens, sequences = self._step_counts
            total = totals(batch, tokens=tokens, sequences=sequences)
            loss = self.composed_mean.of(self.composed(batch), batch, total)
            with torch.no_grad():
                for name, mean in self.composed_metrics(batch).items():
                    both = torch.stack([mean.numerator.double(), mean.denominator.double()])
                    numerator, denominator = self.accelerator.reduce(both, reduction="sum").tolist()
                    if denominator:
                        self._metrics["train"][f"composed/{name}"].append(numerator / denominator)
            return loss * self.accelerator.num_processes

    return ComposedAsyncGRPOTrainer


class _Seen:
    """A model that keeps what it gave."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.outputs: Any = None

    def __call__(self, **inputs: Any) -> Any:
        self.outputs = self.model(**inputs)
        return self.outputs


def _token_batch(outputs: Any, inputs: dict[str, Any]) -> TokenBatch:
    """The terms of this rank's packed row, a completion a row."""
    selected = inputs["token_index"] >= 0
    index = inputs["token_index"][selected]
    ids = inputs["segment_id"][selected]
    # Terms of one completion may lie apart where a prefix is shared: sort them, in order.
    order = ids.argsort(stable=True)
    lengths: list[int] = torch.bincount(ids).tolist()

    def rows(values: Tensor) -> Tensor:
        return to_rows(values[order], lengths)

    return TokenBatch(
        trainer="TRL's async trainer",
        log_probs=rows(outputs.log_probs.flatten()[index]),
        old_log_probs=rows(inputs["old_log_probs"][selected]),
        advantages=rows(inputs["advantages"][selected]),
        mask=row_mask(lengths, ids.device),
        given=given(entropy=rows(outputs.entropy.flatten()[index])),
    )
