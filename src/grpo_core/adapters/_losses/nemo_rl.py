"""NeMo-RL: a loss function for its policies."""

from collections.abc import Mapping

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given
from grpo_core.adapters._losses._mean import MeanFunction, read_mean, totals
from grpo_core.losses import (
    constant_mean,
    log_ratio,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)
from grpo_core.metrics import Mean as Average
from grpo_core.metrics import approximate_kl, ratio_error

_MEANS = dict.fromkeys((token_mean, sequence_mean, sequence_sum_mean, constant_mean))


def nemo_rl_loss(loss: TokenLoss, *, mean: MeanFunction) -> "NemoRLLoss":
    """A composed loss as a `LossFunction` of NeMo-RL, to pass where `ClippedPGLossFn` stands.

    Who divides: the loss does, by `global_valid_toks` or `global_valid_seqs`, which count the
    global batch over all ranks and micro-batches; the policy worker undoes the ranks' average of
    gradients, and micro-batches add up. `loss_type` tells NeMo-RL which of the two it was: its
    split API passes ones and divides afterwards, and metrics are scaled back by
    `metric_normalizations`. So this divides once, by what it is given.

    Args:
        loss: Of each token, from a `TokenBatch`. `old_log_probs` are `prev_logprobs`, of the
            trainer before the step, `sampler_log_probs` are `generation_logprobs`, and
            `ref_log_probs` come where the batch has `reference_policy_logprobs`.
        mean: `token_mean` (token level), or `sequence_mean`, `sequence_sum_mean` or
            `partial(constant_mean, max_length=...)` (sequence level).

    Returns:
        A callable with `loss_type`, `input_type` and `metric_normalizations`, which pickles where
        `loss` does.

    Raises:
        ValueError: If NeMo-RL cannot take the mean: it passes no groups.
        ModuleNotFoundError: If `nemo_rl` is not installed: its enums are set here.

    Example:
        from grpo_core.adapters.nemo_rl import nemo_rl_loss
        from grpo_core.losses import clipped_loss, log_ratio, token_mean

        def of_tokens(batch):
            ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
            return clipped_loss(ratio, batch.advantages)

        loss_fn = nemo_rl_loss(of_tokens, mean=token_mean)
    """
    return NemoRLLoss(loss, mean)


class NemoRLLoss:
    """What `nemo_rl_loss` gives."""

    def __init__(self, loss: TokenLoss, mean: MeanFunction) -> None:
        self.loss = loss
        self.mean = read_mean(mean, "NeMo-RL", _MEANS)
        # Before the enums: a wrong mean is said without NeMo-RL, too.
        from nemo_rl.algorithms.loss import (  # noqa: PLC0415 - the trainer
            interfaces,
        )

        by_token = self.mean.function is token_mean
        kinds, counts = interfaces.LossType, interfaces.MetricNormalizer
        self.loss_type = kinds.TOKEN_LEVEL if by_token else kinds.SEQUENCE_LEVEL
        self.input_type = interfaces.LossInputType.LOGPROB
        self.metric_normalizations = {
            "loss": counts.TOKENS if by_token else counts.SEQUENCES,
            "approximate_kl": counts.TOKENS,
            "ratio_error": counts.TOKENS,
            "num_valid_samples": counts.NONE,
        }

    def __call__(
        self,
        next_token_logprobs: Tensor,
        data: Mapping[str, Tensor],
        global_valid_seqs: Tensor,
        global_valid_toks: Tensor,
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a micro-batch and its metrics, which add up over micro-batches and ranks."""
        batch = _token_batch(next_token_logprobs, data)
        total = totals(batch, tokens=global_valid_toks, sequences=global_valid_seqs)
        value = self.mean.of(self.loss(batch), batch, total)
        ratio = log_ratio(batch.log_probs.detach(), batch.old_log_probs, batch.mask)

        def share(average: Average) -> float:
            return (average.numerator / global_valid_toks.clamp(min=1)).item()

        return value, {
            "loss": value.item(),
            "approximate_kl": share(approximate_kl(ratio, batch.mask)),
            "ratio_error": share(ratio_error(ratio, batch.mask)),
            "num_valid_samples": data["sample_mask"].sum().item(),
        }


def _token_batch(log_probs: Tensor, data: Mapping[str, Tensor]) -> TokenBatch:
    """Everything in `data` is aligned with the tokens, and log-probs begin at the second one."""
    mask = data["token_mask"][:, 1:].bool() & data["sample_mask"].bool()[:, None]
    kept = data.get("curr_logprobs_keep_mask")  # what top-k or top-p filtered out again
    reference = data.get("reference_policy_logprobs")
    sampled = data.get("generation_logprobs")
    return TokenBatch(
        trainer="NeMo-RL",
        log_probs=log_probs,
        old_log_probs=data["prev_logprobs"][:, 1:],
        advantages=torch.where(mask, data["advantages"][:, 1:], 0.0),
        mask=mask if kept is None else mask & kept.bool(),
        given=given(
            ref_log_probs=None if reference is None else reference[:, 1:],
            sampler_log_probs=None if sampled is None else sampled[:, 1:],
        ),
    )
