"""verl 0.9: a policy loss and an advantage estimator for its registries."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given
from grpo_core.adapters._losses._mean import MeanFunction, agree, read_mean, totals
from grpo_core.adapters._losses._metrics import distances
from grpo_core.losses import (
    constant_mean,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)

_MODES: dict[MeanFunction, str] = {
    token_mean: "token-mean",
    sequence_mean: "seq-mean-token-mean",
    sequence_sum_mean: "seq-mean-token-sum",
    constant_mean: "seq-mean-token-sum-norm",
}

PolicyLoss = Callable[..., tuple[Tensor, dict[str, float]]]


def verl_loss(loss: TokenLoss, *, mean: MeanFunction) -> PolicyLoss:
    """A composed loss as a policy loss of verl, for `register_policy_loss(name)`.

    Who divides: the engine counts the mini-batch over all data-parallel ranks
    (`batch_num_tokens`, `global_batch_size`), the loss divides by that, and multiplies by `dp_size`
    because FSDP and Megatron average gradients over ranks; micro-batches add up. So this divides
    once, by verl's own counts, and multiplies by `dp_size`; nothing else is left to do.
    `global_batch_size` counts rows without a token too. `loss_agg_mode` also averages verl's own
    entropy and KL terms, so that it must name the same mean. Groups are not passed:
    `group_token_mean` cannot be had here.

    Args:
        loss: Of each token, from a `TokenBatch`. `batch.weights` are verl's `rollout_is_weights`,
            where `rollout_correction` makes them: multiply by them, or it raises.
        mean: `token_mean` ("token-mean"), `sequence_mean` ("seq-mean-token-mean"),
            `sequence_sum_mean` ("seq-mean-token-sum") or `partial(constant_mean, max_length=...)`
            ("seq-mean-token-sum-norm" with `loss_scale_factor` of the same length: without it verl
            divides by the padded width of each micro-batch).

    Returns:
        `f(old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config,
        rollout_is_weights)`, giving the loss and verl's metrics. Set `policy_loss.loss_mode` to the
        name, and have the workers import the file (`actor_rollout_ref.model.external_lib`).

    Raises:
        ValueError: Here if verl has no such mean; at the call if `loss_agg_mode` or
            `loss_scale_factor` contradict it, if a count of the step is missing, or if importance
            weights were given and not read.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> from grpo_core.adapters.verl import verl_loss
        >>> from grpo_core.losses import clipped_loss, log_ratio, token_mean
        >>> def loss(batch):
        ...     ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
        ...     return clipped_loss(ratio, batch.advantages)
        >>> policy_loss = verl_loss(loss, mean=token_mean)
        >>> x = torch.zeros(2, 3)
        >>> step = {"dp_size": 2, "batch_num_tokens": 12, "global_batch_size": 4}
        >>> config = SimpleNamespace(global_batch_info=step)
        >>> policy_loss(x, x, x + 1, x == 0, "token-mean", config)[0]
        tensor(-1.)
    """
    kind = read_mean(mean, "verl", _MODES)

    def policy_loss(
        old_log_prob: Tensor,
        log_prob: Tensor,
        advantages: Tensor,
        response_mask: Tensor,
        loss_agg_mode: str = "token-mean",
        config: Any = None,
        rollout_is_weights: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        if config is None:
            raise ValueError("verl's actor config is needed: its global_batch_info counts the step")
        agree("verl", "loss_agg_mode", loss_agg_mode, _MODES[kind.function], kind)
        step: dict[str, Any] = config.global_batch_info
        if kind.max_length is not None:
            factor = step.get("loss_scale_factor")
            agree("verl", "loss_scale_factor", factor, kind.max_length, kind)
        batch = TokenBatch(
            trainer="verl",
            log_probs=log_prob,
            old_log_probs=old_log_prob,
            advantages=advantages,
            mask=response_mask.bool(),
            given=given(weights=rollout_is_weights),
        )
        count = "batch_num_tokens" if kind.function is token_mean else "global_batch_size"
        if step.get(count) is None or step.get("dp_size") is None:
            raise ValueError(
                f"global_batch_info needs {count} and dp_size, or micro-batches would be averaged "
                f"each by itself; got {step}"
            )
        total = totals(batch, tokens=step[count], sequences=step[count])
        value = kind.of(loss(batch), batch, total) * step["dp_size"]
        if rollout_is_weights is not None and "weights" not in batch.read:
            raise ValueError(
                "rollout_correction gives importance weights and the loss read no batch.weights: "
                "multiply by them or turn rollout_is off"
            )
        return value, _metrics(batch)

    return policy_loss


def _metrics(batch: TokenBatch) -> dict[str, float]:
    # verl wants floats, and averages them over micro-batches by itself.
    found = distances(batch)
    return {
        "actor/ppo_kl": found["approximate_kl"].item(),
        "actor/ratio_error": found["ratio_error"].item(),
    }


Estimator = Callable[..., tuple[Tensor, Tensor]]


def verl_advantages(estimator: Callable[[Tensor, Tensor], Tensor]) -> Estimator:
    """An advantage function as an estimator of verl, for `register_adv_est(name)`.

    Args:
        estimator: Of `rewards` [batch] and `group_ids` [batch], giving advantages [batch]:
            `group_advantages` of `grpo_core.advantages`, or a `partial` of it.

    Returns:
        `f(token_level_rewards, response_mask, index=, config=, **kw)`, giving advantages and
        returns [batch, seq], which are the same tensor, 0 off the mask. A reward is the sum of its
        row's, and a group the rows of equal `index` (verl's `uid`).

    Raises:
        ValueError: At the call, if verl passes no `index`.

    Example:
        >>> import torch
        >>> from grpo_core.adapters.verl import verl_advantages
        >>> from grpo_core.advantages import group_advantages
        >>> rewards, mask = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.ones(2, 2)
        >>> verl_advantages(group_advantages)(rewards, mask, index=["a", "a"])[0]
        tensor([[ 1.0000,  1.0000],
                [-1.0000, -1.0000]])
    """

    @torch.no_grad()
    def compute(
        token_level_rewards: Tensor,
        response_mask: Tensor,
        index: Sequence[object] | None = None,
        config: object = None,  # noqa: ARG001 - verl passes it by name
        **_: object,
    ) -> tuple[Tensor, Tensor]:
        if index is None:
            raise ValueError("verl gave no index (the uid of each row's prompt)")
        mask = response_mask.bool()
        rewards = torch.where(mask, token_level_rewards, 0.0).sum(-1)
        names: dict[object, int] = {}
        ids = [names.setdefault(name, len(names)) for name in index]
        advantages = estimator(rewards, torch.tensor(ids, device=rewards.device))
        per_token = torch.where(mask, advantages[:, None], 0.0)
        return per_token, per_token

    return compute
