"""A look at the contents of a batch, once, before training: the only function here that waits."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_float,
    check_integer,
    check_ndim,
    check_same_shape,
    dense_ids,
)


def check_batch(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    advantages: Float[Tensor, "batch seq"] | None = None,
    rewards: Float[Tensor, " batch"] | None = None,
    group_ids: Int[Tensor, " batch"] | None = None,
    ref_log_probs: Float[Tensor, "batch seq"] | None = None,
    first_step: bool = False,
    tolerance: float = 0.1,
) -> None:
    """Raise on tensors that would train on garbage; call it on the first batch, then leave it out.

    The losses check shapes and dtypes, never contents, since that would stop the GPU at every
    step. This reads contents back to the host: valid log-probs must be finite and at most 0 (a
    probability above 1 is a logit or a positive log-prob), valid advantages finite, and every
    group of at least two samples. No gradient.

    Args:
        log_probs: Under the policy being trained, in nats.
        old_log_probs: Under the policy that sampled, in nats.
        mask: True where a token counts.
        advantages: Of each token.
        rewards: Of each sequence; those of rows with a valid token must be finite.
        group_ids: Equal for samples of one prompt.
        ref_log_probs: Under the frozen reference, in nats.
        first_step: The policy has not moved since it sampled, so that every ratio must be 1: a
            wrong shift, temperature, chat template or adapter shows here.
        tolerance: With `first_step`, how far the mean of |log-ratio| over valid tokens may lie
            from 0, in nats; engines that differ in precision reach 0.01 to 0.05.

    Raises:
        TypeError: If `mask` is not bool or `group_ids` are not integers.
        ValueError: If the shapes differ or a content is not as above, with where and what it is.

    Example:
        >>> import torch
        >>> from grpo_core.losses import check_batch
        >>> log_probs, mask = torch.tensor([[-0.5, 3.0]]), torch.tensor([[True, False]])
        >>> check_batch(log_probs, log_probs, mask)  # what is off the mask does not matter
        >>> check_batch(log_probs, log_probs, torch.ones_like(mask))
        Traceback (most recent call last):
        ...
        ValueError: log_probs must be finite and at most 0 where mask is True, got 3.0 at [0, 1]
    """
    check_ndim(2, log_probs=log_probs)
    check_bool(mask=mask)
    given = {"log_probs": log_probs, "old_log_probs": old_log_probs, "ref_log_probs": ref_log_probs}
    for name, values in given.items():
        if values is not None:
            check_float(**{name: values})
            check_same_shape(mask=mask, **{name: values})
            good = torch.isfinite(values) & (values <= 1e-4)
            _raise_at(good | ~mask, values, f"{name} must be finite and at most 0")
    if advantages is not None:
        check_same_shape(mask=mask, advantages=advantages)
        _raise_at(torch.isfinite(advantages) | ~mask, advantages, "advantages must be finite")
    rows = mask.any(1)
    if rewards is not None:
        check_same_shape(**{"mask.any(1)": rows, "rewards": rewards})
        _raise_at(torch.isfinite(rewards) | ~rows, rewards, "rewards must be finite")
    if group_ids is not None:
        check_integer(group_ids=group_ids)
        check_same_shape(**{"mask.any(1)": rows, "group_ids": group_ids})
        sizes = torch.bincount(dense_ids(group_ids))
        if (sizes == 1).any():
            alone = group_ids[(sizes == 1)[dense_ids(group_ids)]][0].item()
            raise ValueError(f"a group needs at least 2 samples, got 1 in group {alone}")
    if first_step:
        error = (log_probs.detach() - old_log_probs)[mask].abs().double().mean().item()
        if error > tolerance:
            raise ValueError(
                f"before the first update every ratio must be 1, got a mean |log-ratio| of "
                f"{error:.3g}, above {tolerance}: look for a shift, a temperature or other weights"
            )


def _raise_at(good: Tensor, values: Tensor, message: str) -> None:
    if not good.all():
        at = [int(index) for index in (~good).nonzero()[0]]
        raise ValueError(f"{message} where mask is True, got {values[tuple(at)].item()} at {at}")
