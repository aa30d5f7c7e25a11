"""prime-rl 0.8: the custom loss of `[trainer.loss]`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grpo_core._tensors import check_same_shape
from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given
from grpo_core.adapters._losses._mean import MeanFunction, read_mean
from grpo_core.adapters._losses._metrics import distances
from grpo_core.losses import group_token_mean, token_mean

_AGGREGATIONS: dict[MeanFunction, str] = {token_mean: "token", group_token_mean: "prompt"}


def prime_rl_loss(loss: TokenLoss, *, mean: MeanFunction) -> Callable[..., Any]:
    """A composed loss as prime-rl's custom loss, named by `import_path` of `[trainer.loss]`.

    Who divides: a loss is the sum over the valid tokens of one sequence, each times its weight; the
    trainer adds up the sequences and divides by the step's sum of weights over all ranks. Without
    weights that is the number of tokens (`loss_aggregation = "token"`, our `token_mean`); with
    "prompt" each token weighs one over the tokens of its group (our `group_token_mean`). So this
    divides by nothing. A mean over sequences cannot be had.

    Args:
        loss: Of each token, from a `TokenBatch` of one row. `old_log_probs` are the inference
            engine's: prime-rl scores no others.
        mean: `token_mean` or `group_token_mean`, as `loss_aggregation` says.

    Returns:
        `f(inputs)` on prime-rl's `LossInputs`, giving its `LossOutputs`.

    Raises:
        ValueError: Here, if prime-rl cannot take the mean; at the call, if the weights that came
            are those of the other mean.

    Example:
        # my_losses.py, with import_path = "my_losses.clipped"
        from grpo_core.adapters.prime_rl import prime_rl_loss
        from grpo_core.losses import clipped_loss, log_ratio, token_mean

        def of_tokens(batch):
            ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
            return clipped_loss(ratio, batch.advantages)

        clipped = prime_rl_loss(of_tokens, mean=token_mean)
    """
    kind = read_mean(mean, "prime-rl", _AGGREGATIONS)

    def custom_loss(inputs: Any) -> Any:
        from prime_rl.trainer.rl.loss import (  # noqa: PLC0415 - the trainer
            LossOutputs,
        )

        mask, weights = inputs.loss_mask[None], inputs.loss_weights
        _check_weights(weights, inputs.loss_mask, prompt=kind.function is group_token_mean)
        batch = TokenBatch(
            trainer="prime-rl",
            log_probs=inputs.trainer_logprobs[None],
            old_log_probs=inputs.inference_logprobs[None],
            advantages=inputs.advantages[None],
            mask=mask,
            given=given(
                ref_log_probs=None if inputs.ref_logprobs is None else inputs.ref_logprobs[None]
            ),
        )
        losses = loss(batch)
        check_same_shape(**{"loss_mask": mask, "the loss of each token": losses})
        values = torch.where(mask, losses, 0.0)
        if weights is not None:
            values = values * weights[None]
        return LossOutputs(loss=values.sum(), metrics=distances(batch))

    return custom_loss


def _check_weights(weights: Tensor | None, mask: Tensor, *, prompt: bool) -> None:
    if prompt and weights is None:
        raise ValueError(
            'mean=group_token_mean needs weights: set loss_aggregation = "prompt", so that a token '
            "weighs one over the tokens of its group"
        )
    if not prompt and weights is not None:
        whole = (weights == 1) | (weights == 0) | ~mask
        if not whole.all():
            raise ValueError(
                'mean=token_mean contradicts weights other than 0 and 1: set loss_aggregation = "'
                'token", or mean=group_token_mean for "prompt"'
            )
