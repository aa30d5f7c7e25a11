"""SkyRL 0.4: a policy loss for its registry."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grpo_core._tensors import check_same_shape
from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given
from grpo_core.adapters._losses._mean import Mean, MeanFunction, agree, read_mean
from grpo_core.adapters._losses._metrics import distances
from grpo_core.losses import (
    constant_mean,
    group_token_mean,
    sequence_mean,
    token_mean,
)

_REDUCTIONS: dict[MeanFunction, str] = {
    token_mean: "token_mean",
    sequence_mean: "sequence_mean",
    constant_mean: "seq_mean_token_sum_norm",
    group_token_mean: "prompt_mean",
}

_CORRECTIONS = (
    "tis_ratio_type", "sequence_mask_metric",
    "outlier_token_is_threshold_low", "outlier_token_is_threshold_high",
    "token_mask_is_threshold_low", "token_mask_is_threshold_high",
)  # fmt: skip

PolicyLoss = Callable[..., tuple[Tensor, dict[str, float]]]


def skyrl_loss(loss: TokenLoss, *, mean: MeanFunction, sequences: int | None = None) -> PolicyLoss:
    """A composed loss as a policy loss of SkyRL, for `register_policy_loss(name)`.

    Who divides: the trainer divides the **advantages** of a mini-batch by what `loss_reduction`
    says, before it is cut; a policy loss is the plain sum over valid tokens; the worker multiplies
    by the data-parallel size, since gradients are averaged over ranks, and micro-batches add up.
    Whatever is not proportional to the advantage, a KL term say, is then never divided. With
    `sequences` the division is undone: the loss sees the advantages as they were, and each token's
    loss is weighted, whole. It needs a weight that this call can know: of `sequence_mean` and
    `constant_mean`. Without `sequences` (and for `token_mean` and `group_token_mean`, whose counts
    SkyRL does not pass on) the sum is taken as it is, and a loss that is not proportional to the
    advantages raises. The ratio, its clips, `cispo_loss`, `sapo_loss` and off-policy weights are;
    KL to the reference is SkyRL's own (`use_kl_loss`).

    Args:
        loss: Of each token, from a `TokenBatch`. `sampler_log_probs` are the `rollout_logprobs`.
        mean: `token_mean` ("token_mean"), `sequence_mean` ("sequence_mean"),
            `partial(constant_mean, max_length=...)` ("seq_mean_token_sum_norm", with `max_seq_len`
            of the same length) or `group_token_mean` ("prompt_mean").
        sequences: Rows of a mini-batch over all ranks, `policy_mini_batch_size *
            n_samples_per_prompt`, at least 1: to undo the division.

    Returns:
        `f(log_probs, old_log_probs, advantages, config, loss_mask=None, rollout_logprobs=None)`,
        giving the sum and SkyRL's metrics. Set `policy_loss_type` to the name.

    Raises:
        ValueError: Here, if SkyRL has no such mean or `sequences` cannot undo it; at the call, if
            `loss_reduction` or `max_seq_len` contradict it, if `loss_mask` is missing, if
            `off_policy_correction` asks for what the loss replaces, or if the loss is not
            proportional to the advantages (its gradient is compared at each call, with advantages
            of another size, at another policy).

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from grpo_core.adapters.skyrl import skyrl_loss
        >>> from grpo_core.losses import clipped_loss, log_ratio, token_mean
        >>> def loss(batch):
        ...     ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        ...     return clipped_loss(ratio, batch.advantages)
        >>> x, config = torch.zeros(2, 3), SimpleNamespace(loss_reduction="token_mean")
        >>> skyrl_loss(loss, mean=token_mean)(x, x, torch.ones(2, 3) / 6, config, x == 0)[0]
        tensor(-1.)
    """
    kind = read_mean(mean, "SkyRL", _REDUCTIONS)
    if sequences is not None:
        if kind.function not in (sequence_mean, constant_mean):
            raise ValueError(
                f"sequences undoes sequence_mean and constant_mean alone, got {kind.name}: SkyRL "
                "passes no count of a mini-batch's tokens or groups"
            )
        if sequences < 1:
            raise ValueError(f"sequences must be at least 1, got {sequences}")

    def policy_loss(
        log_probs: Tensor,
        old_log_probs: Tensor,
        advantages: Tensor,
        config: Any,
        loss_mask: Tensor | None = None,
        rollout_logprobs: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        _check_config(config, kind)
        if loss_mask is None:
            raise ValueError("SkyRL gave no loss_mask: padding would count")
        mask = loss_mask.bool()
        weights = _weights(kind, mask, sequences)
        batch = TokenBatch(
            trainer="SkyRL",
            log_probs=log_probs,
            old_log_probs=old_log_probs,
            advantages=torch.where(mask, advantages, 0.0) / weights,
            mask=mask,
            given=given(sampler_log_probs=rollout_logprobs),
        )
        losses = loss(batch)
        check_same_shape(**{"loss_mask": mask, "the loss of each token": losses})
        values = torch.where(mask, losses, 0.0)
        if sequences is None:
            _check_proportional(loss, batch)
        return (values * weights).sum(), _metrics(batch)

    return policy_loss


def _weights(kind: Mean, mask: Tensor, sequences: int | None) -> Tensor:
    """What the trainer multiplied each token's advantage by, as far as this call can know."""
    one = torch.ones((), device=mask.device)
    if sequences is None:
        return one
    if kind.max_length is not None:
        return one / (sequences * kind.max_length)
    return one / (sequences * mask.sum(1, keepdim=True).clamp(min=1))


def _check_config(config: Any, kind: Mean) -> None:
    agree("SkyRL", "loss_reduction", config.loss_reduction, _REDUCTIONS[kind.function], kind)
    if kind.max_length is not None:
        agree("SkyRL", "max_seq_len", config.max_seq_len, kind.max_length, kind)
    correction = getattr(config, "off_policy_correction", None)
    for name in _CORRECTIONS:
        value = getattr(correction, name, None)
        if value is not None:
            raise ValueError(
                f"off_policy_correction.{name}={value!r} is for SkyRL's own losses: leave it None "
                "and use batch.sampler_log_probs with grpo_core.off_policy"
            )


def _check_proportional(loss: TokenLoss, batch: TokenBatch) -> None:
    """Raise unless larger advantages give a gradient that is larger by the same factor.

    The trainer's numbers hide what is wrong: its advantages have been divided, so that no clamp of
    them acts, and at a ratio of 1, in the first micro-batch of a step, a KL term is 0 still. So the
    advantages are brought to 100 to 200, and the policy away from the one that sampled.
    """
    largest = _largest(torch.where(batch.mask, batch.advantages, 0.0)).clamp(min=1e-12)
    factor = 2 * (100 / largest).log2().ceil().clamp(min=0).exp2()  # a power of 2 rounds nothing
    # Tokens in turn more probable and less, and none more probable than 1.
    odd = torch.arange(batch.mask.numel(), device=batch.mask.device).view_as(batch.mask) % 2 == 1
    away = torch.where(odd, 0.8 * batch.log_probs, 1.2 * batch.log_probs - 0.05).detach()
    once, more = (_gradient(loss, batch, away, f) for f in (torch.ones_like(factor), factor))
    if ((more - factor * once).abs() > 1e-4 * _largest(more)).any():
        raise ValueError(
            "the loss is not proportional to the advantages, which SkyRL has divided by the count "
            "of the mini-batch: its other terms would not be divided. Take sequence_mean or "
            "constant_mean with sequences=, or SkyRL's own use_kl_loss"
        )


def _largest(values: Tensor) -> Tensor:
    """0 of no rows."""
    return torch.cat([values.abs().flatten(), values.new_zeros(1)]).amax()


def _gradient(loss: TokenLoss, batch: TokenBatch, log_probs: Tensor, factor: Tensor) -> Tensor:
    """Of the loss of each token, at these log-probs, with the advantages times `factor`."""
    log_probs = log_probs.detach().requires_grad_()
    scaled = TokenBatch(
        trainer=batch.trainer,
        log_probs=log_probs,
        old_log_probs=batch.old_log_probs,
        advantages=factor * batch.advantages,
        mask=batch.mask,
        given=batch.given,
    )
    with torch.enable_grad():
        total = torch.where(batch.mask, loss(scaled), 0.0).sum()
    if not total.requires_grad:
        return torch.zeros_like(log_probs)
    return torch.autograd.grad(total, log_probs)[0]


def _metrics(batch: TokenBatch) -> dict[str, float]:
    # SkyRL wants floats, and averages them over micro-batches by itself.
    return {name: value.item() for name, value in distances(batch).items()}
