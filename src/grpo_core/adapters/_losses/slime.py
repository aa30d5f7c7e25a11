"""slime: the function of `--custom-loss-function-path`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grpo_core._tensors import check_same_shape
from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given, row_mask, to_rows
from grpo_core.adapters._losses._mean import Mean, MeanFunction, agree, read_mean
from grpo_core.adapters._losses._metrics import distances
from grpo_core.losses import sequence_mean, token_mean

_PER_TOKEN: dict[MeanFunction, bool] = {token_mean: True, sequence_mean: False}

Reducer = Callable[[Tensor], Tensor]
CustomLoss = Callable[[Any, Any, Tensor, Reducer], tuple[Tensor, dict[str, Tensor]]]


def slime_loss(loss: TokenLoss, *, mean: MeanFunction) -> CustomLoss:
    """A composed loss as slime's custom loss (`--loss-type custom_loss`).

    Who divides: `sum_of_sample_mean` sums over the samples of a micro-batch each one's mean over
    its tokens, or with `--calculate-per-token-loss` the tokens themselves. slime then multiplies
    by micro-batches and data-parallel size and divides by the step's samples (or Megatron by the
    step's tokens), which undoes the averages of Megatron. So this hands it the loss of each token
    and divides by nothing: `sequence_mean` without that flag, `token_mean` with it. A rollout that
    was cut into several samples is one mean in slime.

    Args:
        loss: Of each token, from a `TokenBatch`, a sample a row. `old_log_probs` are slime's
            `log_probs`, or with `--use-rollout-logprobs` those of the engine that sampled; where
            slime scored none, the policy's own. `sampler_log_probs` and `ref_log_probs` come where
            the batch has them.
        mean: `sequence_mean`, or `token_mean` with `--calculate-per-token-loss`.

    Returns:
        `f(args, batch, logits, sum_of_sample_mean)`, giving the loss and slime's metrics.

    Raises:
        ValueError: Here, if slime cannot take the mean; at the call, if `calculate_per_token_loss`
            contradicts it, if an option asks for what slime's own loss would add (`entropy_coef`,
            `use_kl_loss`, `use_tis`, `use_opsm`), or if context parallelism cuts the samples.

    Example:
        # my_losses.py, with --custom-loss-function-path my_losses.clipped
        from grpo_core.adapters.slime import slime_loss
        from grpo_core.losses import clipped_loss, log_ratio, sequence_mean

        def of_tokens(batch):
            ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
            return clipped_loss(ratio, batch.advantages)

        clipped = slime_loss(of_tokens, mean=sequence_mean)
    """
    kind = read_mean(mean, "slime", _PER_TOKEN)

    def custom_loss(
        args: Any, batch: Any, logits: Tensor, sum_of_sample_mean: Reducer
    ) -> tuple[Tensor, dict[str, Tensor]]:
        _check_args(args, kind)
        lengths: list[int] = batch["response_lengths"]
        tokens = _token_batch(args, batch, _score(args, batch, logits), lengths)
        # slime multiplies by its mask: what lies under it must be finite.
        losses = loss(tokens)
        check_same_shape(**{"mask": tokens.mask, "the loss of each token": losses})
        values = torch.where(tokens.mask, losses, 0.0)[row_mask(lengths, logits.device)]
        value = sum_of_sample_mean(values)
        if not values.numel():
            value = value + 0 * logits.sum()
        return value, {"loss": value.detach(), **distances(tokens)}

    return custom_loss


def _score(args: Any, batch: Any, logits: Tensor) -> dict[str, list[Tensor]]:
    """Slime's own log-probs and entropies: they know its tensor parallelism and temperature."""
    from slime.backends.megatron_utils.loss import (  # noqa: PLC0415 - the trainer
        get_log_probs_and_entropy,
    )

    _, scores = get_log_probs_and_entropy(
        logits,
        args=args,
        unconcat_tokens=batch["unconcat_tokens"],
        total_lengths=batch["total_lengths"],
        response_lengths=batch["response_lengths"],
        with_entropy=True,
    )
    return scores


def _token_batch(
    args: Any, batch: Any, scores: dict[str, list[Tensor]], lengths: list[int]
) -> TokenBatch:
    def rows(parts: list[Tensor] | None) -> Tensor | None:
        return to_rows(torch.cat(parts), lengths) if parts else None

    log_probs = to_rows(torch.cat(scores["log_probs"]), lengths)
    sampled = rows(batch.get("rollout_log_probs"))
    old = sampled if args.use_rollout_logprobs else rows(batch.get("log_probs"))
    return TokenBatch(
        trainer="slime",
        log_probs=log_probs,
        old_log_probs=log_probs.detach() if old is None else old,
        advantages=to_rows(torch.cat(batch["advantages"]), lengths),
        mask=to_rows(torch.cat(batch["loss_masks"]).bool(), lengths),
        given=given(
            entropy=rows(scores.get("entropy")),
            ref_log_probs=rows(batch.get("ref_log_probs")),
            sampler_log_probs=sampled,
        ),
    )


def _check_args(args: Any, kind: Mean) -> None:
    flag: bool = args.calculate_per_token_loss
    agree("slime", "calculate_per_token_loss", flag, _PER_TOKEN[kind.function], kind)
    for name in ("entropy_coef", "use_kl_loss", "use_tis", "use_opsm"):
        value = getattr(args, name, None)
        if value:
            raise ValueError(
                f"{name}={value!r} is for slime's own loss, and the custom one replaces that: "
                "leave it off and write it into the loss"
            )
    if getattr(args, "context_parallel_size", 1) > 1:
        raise ValueError(
            f"context_parallel_size={args.context_parallel_size} cuts samples over ranks, and a "
            "composed loss takes them whole: set it to 1"
        )
    if getattr(args, "rollout_top_p", 1.0) != 1.0:
        raise ValueError(
            f"rollout_top_p={args.rollout_top_p}: ratios against a truncated sampler are biased by "
            "the mass that it dropped; sample with 1.0"
        )
