"""Losses as functions on tensors: ratio, surrogate, weight and mean, each a line of yours.

A loss is ratio x surrogate x weights x mean, over advantages; the weights that correct for another
policy are in `grpo_core.off_policy`. The mask goes in once, where a
log-ratio is made, and comes out once, in the mean; between them padding is inert. Tensors of
tokens are `[batch, seq]`, never broadcast. Nothing here waits for the GPU but `check_batch`.
"""

from grpo_core.losses._aggregate import (
    StepTotals,
    constant_mean,
    group_token_mean,
    sequence_mean,
    sequence_sum_mean,
    step_totals,
    token_mean,
    token_weights,
)
from grpo_core.losses._check import check_batch
from grpo_core.losses._fused import logits_token_loss
from grpo_core.losses._kl import kl_penalty
from grpo_core.losses._linear import linear_token_log_probs, linear_token_statistics
from grpo_core.losses._linear_loss import linear_token_loss
from grpo_core.losses._log_probs import token_log_probs, token_statistics
from grpo_core.losses._magistral import magistral_loss
from grpo_core.losses._policy import (
    cispo_loss,
    clipped_loss,
    divergence_masked_loss,
    policy_gradient_loss,
    sapo_loss,
)
from grpo_core.losses._ratio import geometric_log_ratio, log_ratio, sequence_log_ratio

__all__ = [
    "StepTotals",
    "check_batch",
    "cispo_loss",
    "clipped_loss",
    "constant_mean",
    "divergence_masked_loss",
    "geometric_log_ratio",
    "group_token_mean",
    "kl_penalty",
    "linear_token_log_probs",
    "linear_token_loss",
    "linear_token_statistics",
    "log_ratio",
    "logits_token_loss",
    "magistral_loss",
    "policy_gradient_loss",
    "sapo_loss",
    "sequence_log_ratio",
    "sequence_mean",
    "sequence_sum_mean",
    "step_totals",
    "token_log_probs",
    "token_mean",
    "token_statistics",
    "token_weights",
]
