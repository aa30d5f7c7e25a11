"""Log-ratios of two policies: the one place where the mask goes in."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import (
    check_bool,
    check_choice,
    check_float,
    check_ndim,
    check_same_shape,
    sequence_sum,
    widen,
)

# exp(20) is 4.9e8: far beyond any trust region, and its square still fits float32.
_BOUND = 20.0


def log_ratio(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
) -> Float[Tensor, "batch seq"]:
    r"""Log of the probability ratio of each token, 0 off the mask and within ±20 on it.

    $$
    \log r_t = \log \pi_\theta(o_t \mid q, o_{<t}) - \log \pi_\text{old}(o_t \mid q, o_{<t})
    $$

    The ratio of PPO (arXiv:1707.06347, section 3) and of GRPO (arXiv:2402.03300, eq. 3). What lies
    off the mask is never read: NaN or infinity there changes no bit of the value or the gradient.
    The bound keeps `exp` finite for a token that is valid and absurdly stale; beyond it the
    gradient is 0. NaN on the mask makes the loss NaN, and gives its token no gradient: take what
    the sampler could not score out of the mask, `mask & old_log_probs.isfinite()`. Gradients
    reach `log_probs` alone. `kl_penalty` takes the same function of the reference's log-probs.

    Args:
        log_probs: Under the policy being trained, in nats.
        old_log_probs: Under the policy that sampled (or the reference, or a proximal one), in nats.
        mask: True where a token counts.

    Returns:
        float32, or float64 if `log_probs` is.

    Raises:
        TypeError: If `mask` is not bool or the log-probs are not floating point.
        ValueError: If the shapes differ.

    Example:
        The second token is padding, the third is stale beyond reason:

        >>> import torch
        >>> from grpo_core.losses import log_ratio
        >>> new, old = torch.tensor([[-1.0, 0.0, -1.0]]), torch.tensor([[-1.5, torch.nan, -900.0]])
        >>> log_ratio(new, old, torch.tensor([[True, False, True]]))
        tensor([[ 0.5000,  0.0000, 20.0000]])
    """
    return _difference(log_probs, old_log_probs, mask).clamp(-_BOUND, _BOUND)


def sequence_log_ratio(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    gradient: Literal["sequence", "token"] = "sequence",
    segment_ids: Int[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq"]:
    r"""Log of the length-normalised ratio of each token's sequence, given at each of its tokens.

    $$
    \log s_i = \frac{1}{|o_i|} \sum_{t=1}^{|o_i|}
        \log \frac{\pi_\theta(o_{i,t} \mid q, o_{i,<t})}{\pi_\text{old}(o_{i,t} \mid q, o_{i,<t})}
    $$

    GSPO (arXiv:2507.18071, eq. 7). With `gradient="token"` the value is the same and the gradient
    is each token's own, $s_{i,t} = \operatorname{sg}[s_i] \cdot \pi_\theta(o_{i,t}) /
    \operatorname{sg}[\pi_\theta(o_{i,t})]$ (GSPO-token, eq. 14). Being a geometric mean of token
    ratios it is also the statistic by which whole sequences are rejected (`rejection_weights`).
    Gradients reach `log_probs` alone.

    Args:
        log_probs: Under the policy being trained, in nats.
        old_log_probs: Under the policy that sampled, in nats.
        mask: True where a token counts.
        gradient: "sequence" differentiates the mean, "token" each token's own log-prob.
        segment_ids: For packed rows: equal for the tokens of one sequence of a row.

    Returns:
        float32 or float64, 0 off the mask, within ±20: the bound comes after the mean.

    Raises:
        TypeError: If `mask` is not bool or `segment_ids` are not integers.
        ValueError: If the shapes differ or `gradient` is unknown.

    Example:
        >>> import torch
        >>> from grpo_core.losses import sequence_log_ratio
        >>> new, old = torch.tensor([[-1.0, -2.0, 0.0]]), torch.tensor([[-1.5, -3.5, 7.0]])
        >>> sequence_log_ratio(new, old, torch.tensor([[True, True, False]]))
        tensor([[1., 1., 0.]])
    """
    check_choice(gradient, ("sequence", "token"), "gradient")
    difference = _difference(log_probs, old_log_probs, mask)
    mean = _sequence_mean(difference, mask, segment_ids)
    bounded = mean.clamp(-_BOUND, _BOUND)
    if gradient == "token":
        # Beyond the bound a token's gradient is 0, as everywhere; inf - inf would be NaN.
        live = mask & (mean.abs() <= _BOUND)
        own = torch.where(live, difference, 0.0)
        bounded = bounded.detach() + (own - own.detach())
    return torch.where(mask, bounded, 0.0)


def geometric_log_ratio(
    log_probs: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    epsilon_low: float = 0.4,
    epsilon_high: float = 0.4,
    segment_ids: Int[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq"]:
    r"""Log of the geometric mean of token ratios, each clipped by the sign of its advantage.

    $$
    \log g_i = \frac{1}{|o_i|} \sum_t \begin{cases}
        \min(\log r_{i,t},\, \epsilon_\text{high}) & A_i > 0 \\
        \max(\log r_{i,t},\, -\epsilon_\text{low}) & \text{otherwise}
    \end{cases}
    $$

    GMPO (arXiv:2507.20673, with its clipping range $(e^{-0.4}, e^{0.4})$): clipping acts on tokens,
    in log space, before the mean. The loss is then unclipped, `clipped_loss` with
    `epsilon_low=1.0, epsilon_high=math.inf`. Gradients reach `log_probs` alone.

    Args:
        log_probs: Under the policy being trained, in nats.
        old_log_probs: Under the policy that sampled, in nats.
        advantages: Of each token; only their signs count here.
        mask: True where a token counts.
        epsilon_low: How far below 0 a log-ratio may fall, in nats, at least 0.
        epsilon_high: How far above 0 a log-ratio may rise, in nats, at least 0.
        segment_ids: For packed rows: equal for the tokens of one sequence of a row.

    Returns:
        float32 or float64, 0 off the mask, within ±20: the bound comes after the mean.

    Raises:
        TypeError: If `mask` is not bool or `segment_ids` are not integers.
        ValueError: If the shapes differ or an epsilon is negative.

    Example:
        A log-ratio of 2 counts 0.4 when it is rewarded and in full when it is punished:

        >>> import torch
        >>> from grpo_core.losses import geometric_log_ratio
        >>> new, old = torch.tensor([[-1.0, -1.0]] * 2), torch.tensor([[-3.0, -1.0]] * 2)
        >>> advantages = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
        >>> geometric_log_ratio(new, old, advantages, torch.ones(2, 2, dtype=torch.bool))
        tensor([[0.2000, 0.2000],
                [1.0000, 1.0000]])
    """
    if not (epsilon_low >= 0 and epsilon_high >= 0):
        raise ValueError(f"epsilons must be at least 0, got {epsilon_low}, {epsilon_high}")
    check_same_shape(log_probs=log_probs, advantages=advantages)
    difference = _difference(log_probs, old_log_probs, mask)
    clipped = torch.where(
        advantages > 0, difference.clamp(max=epsilon_high), difference.clamp(min=-epsilon_low)
    )
    mean = _sequence_mean(clipped, mask, segment_ids).clamp(-_BOUND, _BOUND)
    return torch.where(mask, mean, 0.0)


def _difference(log_probs: Tensor, old_log_probs: Tensor, mask: Tensor) -> Tensor:
    check_ndim(2, log_probs=log_probs)
    check_same_shape(log_probs=log_probs, old_log_probs=old_log_probs, mask=mask)
    check_float(log_probs=log_probs, old_log_probs=old_log_probs)
    check_bool(mask=mask)
    log_probs = widen(log_probs)
    return torch.where(mask, log_probs - old_log_probs.detach().to(log_probs.dtype), 0.0)


def _sequence_mean(values: Tensor, mask: Tensor, segment_ids: Tensor | None) -> Tensor:
    lengths = sequence_sum(mask.long(), segment_ids).clamp(min=1)
    return sequence_sum(values, segment_ids) / lengths
