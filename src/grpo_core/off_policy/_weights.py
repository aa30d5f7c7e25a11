"""Importance weights for samples of another policy: constants that multiply a token's loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from grpo_core._tensors import check_ratio_bounds, widen


def truncated_weights(
    log_ratio: Float[Tensor, "batch seq"], *, ratio_max: float = 2.0
) -> Float[Tensor, "batch seq"]:
    r"""Truncated importance sampling: $w_t = \operatorname{sg}[\min(r_t,\, r_\text{max})]$.

    Ionides (2008); for the mismatch of sampler and trainer, TIS (Yao et al., "Your Efficient RL
    Framework Secretly Brings You Off-Policy RL Training", 2025). Pass the log-ratio of the
    trainer's old policy to the sampler's for TIS, of the proximal to the behaviour policy for
    decoupled PPO (arXiv:2110.00641), from `log_ratio` or `sequence_log_ratio`. No gradient.

    Args:
        log_ratio: Of the policy whose loss it is to the policy that sampled.
        ratio_max: The bound itself, above 0; biased towards 0 beyond it.

    Returns:
        The weight of each token, 1 off the mask.

    Raises:
        ValueError: If `ratio_max` is not above 0.

    Example:
        >>> import torch
        >>> from grpo_core.off_policy import truncated_weights
        >>> truncated_weights(torch.tensor([[0.5, 1.0, 8.0]]).log())
        tensor([[0.5000, 1.0000, 2.0000]])
    """
    check_ratio_bounds(ratio_max=ratio_max)
    return widen(log_ratio).detach().exp().clamp(max=ratio_max)


def masked_weights(
    log_ratio: Float[Tensor, "batch seq"], *, ratio_min: float = 0.5, ratio_max: float = 5.0
) -> Float[Tensor, "batch seq"]:
    r"""Masked importance sampling: the ratio inside its bounds, 0 outside.

    $$
    w_t = \operatorname{sg}\bigl[r_t\, \mathbb{1}[r_\text{min} \le r_t \le r_\text{max}]\bigr]
    $$

    IcePop (Ring-1T, arXiv:2510.18855): a token on which two engines disagree that much is noise,
    and truncating it would keep the noise. No gradient.

    Args:
        log_ratio: Of the policy whose loss it is to the policy that sampled.
        ratio_min: Smallest ratio that is kept, at least 0.
        ratio_max: Largest ratio that is kept, above `ratio_min`.

    Returns:
        The weight of each token, 0 or within the bounds. A token of weight 0 stays in every
        denominator; leave it out of the mask to take it out of both.

    Raises:
        ValueError: Unless 0 <= ratio_min < ratio_max.

    Example:
        >>> import torch
        >>> from grpo_core.off_policy import masked_weights
        >>> masked_weights(torch.tensor([[0.4, 0.5, 2.0, 8.0]]).log())
        tensor([[0.0000, 0.5000, 2.0000, 0.0000]])
    """
    ratio = widen(log_ratio).detach().exp()
    return ratio * rejection_weights(log_ratio, ratio_min=ratio_min, ratio_max=ratio_max)


def rejection_weights(
    log_ratio: Float[Tensor, "batch seq"], *, ratio_min: float, ratio_max: float
) -> Float[Tensor, "batch seq"]:
    r"""1 where the ratio lies within its bounds, 0 elsewhere.

    $$
    w_t = \mathbb{1}[r_\text{min} \le r_t \le r_\text{max}]
    $$

    Of `sequence_log_ratio` it accepts or rejects whole sequences by the geometric mean of their
    token ratios (the sequence mask of verl's rollout correction, and of Liu et al., "When Speed
    Kills Stability", 2025). A product of ratios would reject every long row, however faithful. The
    rejected share is `1 - token_average(weights, mask)` of `grpo_core.metrics`. No gradient.

    Args:
        log_ratio: Of the policy whose loss it is to the policy that sampled.
        ratio_min: Smallest ratio that is accepted, at least 0.
        ratio_max: Largest ratio that is accepted, above `ratio_min`. Geometric means lie near 1:
            0.99 and 1.01 are usual there.

    Returns:
        The weight of each token, 0 or 1. A rejected token stays in every denominator.

    Raises:
        ValueError: Unless 0 <= ratio_min < ratio_max.

    Example:
        >>> import torch
        >>> from grpo_core.off_policy import rejection_weights
        >>> rejection_weights(torch.tensor([[0.5, 1.0, 8.0]]).log(), ratio_min=0.9, ratio_max=1.1)
        tensor([[0., 1., 0.]])
    """
    check_ratio_bounds(ratio_min=ratio_min, ratio_max=ratio_max)
    # One rounding of exp is forgiven: a bound of 0.5 accepts the ratio 0.5.
    ratio = widen(log_ratio).detach().exp()
    slack = 4 * torch.finfo(ratio.dtype).eps
    within = (ratio >= ratio_min * (1 - slack)) & (ratio <= ratio_max * (1 + slack))
    return within.to(ratio.dtype)
