"""AReaL 1.0: a loss for `TrainEngine.train_batch`, with the weight that belongs to it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given, row_mask, to_rows
from grpo_core.adapters._losses._mean import MeanFunction, read_mean, totals
from grpo_core.losses import constant_mean, sequence_mean, sequence_sum_mean, token_mean

_MEANS = dict.fromkeys((token_mean, sequence_mean, sequence_sum_mean, constant_mean))


class ArealLoss(NamedTuple):
    """What `TrainEngine.train_batch` takes: `engine.train_batch(data, **pair._asdict())`."""

    loss_fn: Callable[..., Tensor]
    """`f(logprobs, entropy, input_data, **kw)`: the mean over this micro-batch."""
    loss_weight_fn: Callable[[Mapping[str, Any]], Tensor]
    """`f(input_data)`: how much that mean weighs in the step: its valid tokens, or sequences."""


def areal_loss(loss: TokenLoss, *, mean: MeanFunction) -> ArealLoss:
    """A composed loss as the pair of functions that AReaL's engines train with.

    Who divides: a loss is the mean over its own micro-batch; the engine multiplies it by
    `loss_weight_fn(micro-batch) / (sum over micro-batches and ranks)` and by the data-parallel
    size, since gradients are averaged over ranks. So a mean of the step comes out if, and only if,
    the weight counts what the loss divided by. `PPOActor` passes the count of tokens whatever the
    loss is; this gives both together, tokens for `token_mean` and sequences for the other means.

    Args:
        loss: Of each token, from a `TokenBatch`, a sequence a row. `old_log_probs` are `prox_logp`
            where AReaL computed it, and `sampler_log_probs` are then `logprobs`, of the engine that
            sampled; without it `old_log_probs` are `logprobs`.
        mean: `token_mean`, `sequence_mean`, `sequence_sum_mean` or `partial(constant_mean,
            max_length=...)`.

    Returns:
        `loss_fn` and `loss_weight_fn`, by AReaL's names.

    Raises:
        ValueError: Here, if AReaL cannot take the mean; at the call, if packed input has no
            `cu_seqlens`, or holds `teacher_logp`, which AReaL's own loss distils and this does not.

    Example:
        >>> import torch
        >>> from grpo_core.adapters.areal import areal_loss
        >>> from grpo_core.losses import clipped_loss, log_ratio, token_mean
        >>> def loss(batch):
        ...     ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        ...     return clipped_loss(ratio, batch.advantages)
        >>> pair, x = areal_loss(loss, mean=token_mean), torch.zeros(5)
        >>> data = {"logprobs": x, "advantages": x + 1, "loss_mask": torch.tensor([1, 1, 0, 1, 1]),
        ...         "cu_seqlens": torch.tensor([0, 3, 5])}
        >>> pair.loss_fn(x, x, data), pair.loss_weight_fn(data)
        (tensor(-1.), tensor(4))
    """
    kind = read_mean(mean, "AReaL", _MEANS)

    def count(data: Mapping[str, Any]) -> Tensor:
        mask = _rows(data["loss_mask"].bool(), data) & _present(data)
        return mask.sum() if kind.function is token_mean else mask.any(1).sum()

    def loss_fn(
        logprobs: Tensor,
        entropy: Tensor,
        input_data: Mapping[str, Any],
        **_: object,  # extremes of the logits
    ) -> Tensor:
        if input_data.get("teacher_logp") is not None:
            raise ValueError("teacher_logp: AReaL's own loss distils from a teacher, this does not")
        sampled, proximal = input_data["logprobs"], input_data.get("prox_logp")
        batch = TokenBatch(
            trainer="AReaL",
            log_probs=_rows(logprobs, input_data),
            old_log_probs=_rows(sampled if proximal is None else proximal, input_data),
            advantages=_rows(input_data["advantages"], input_data),
            mask=_rows(input_data["loss_mask"].bool(), input_data) & _present(input_data),
            given=given(
                entropy=_rows(entropy, input_data),
                sampler_log_probs=None if proximal is None else _rows(sampled, input_data),
            ),
        )
        here = count(input_data)
        return kind.of(loss(batch), batch, totals(batch, tokens=here, sequences=here))

    return ArealLoss(loss_fn, count)


def _lengths(data: Mapping[str, Any]) -> list[int]:
    if "cu_seqlens" not in data:
        raise ValueError("packed input needs cu_seqlens, the ends of its sequences")
    ends: Tensor = data["cu_seqlens"]
    return ends.diff().tolist()


def _rows(values: Tensor, data: Mapping[str, Any]) -> Tensor:
    """A sequence a row, whether AReaL packed them or not."""
    return values if values.ndim == 2 else to_rows(values, _lengths(data))


def _present(data: Mapping[str, Any]) -> Tensor:
    mask: Tensor = data["loss_mask"]
    if mask.ndim == 2:
        return torch.ones_like(mask, dtype=torch.bool)
    return row_mask(_lengths(data), mask.device)
