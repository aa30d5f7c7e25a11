"""Surrogate losses of a token: log-ratio and advantage in, loss out, nothing masked or averaged."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from grpo_core._tensors import check_choice, check_positive, check_same_shape, widen


def clipped_loss(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.28,
    ratio_max: float | None = None,
) -> Float[Tensor, "batch seq"]:
    r"""Clipped surrogate loss of each token, with separate lower and upper clips.

    $$
    \ell_t = -\min\bigl(r_t A_t,\;
        \operatorname{clip}(r_t,\, 1 - \epsilon_\text{low},\, 1 + \epsilon_\text{high})\, A_t\bigr)
    $$

    "Clip-Higher" of DAPO (arXiv:2503.14476, section 3.1); with `epsilon_low == epsilon_high`,
    PPO's objective (arXiv:1707.06347, eq. 7), negated. With `ratio_max`, $r_t$ is first capped at
    it: dual-clip PPO (arXiv:1912.09729), which binds for negative advantages only. Gradients
    reach `log_ratio` alone.

    Args:
        log_ratio: $\log r_t$, from `log_ratio` or, for GSPO, `sequence_log_ratio`.
        advantages: Of each token; `expand_as` gives a sequence's to all of its tokens.
        epsilon_low: How far below 1 the ratio may fall, in [0, 1].
        epsilon_high: How far above 1 the ratio may rise, at least 0; infinity clips nothing.
        ratio_max: Largest ratio that a negative advantage is charged for, at least
            `1 + epsilon_high`; None for no bound.

    Returns:
        The loss of each token, padding included: the mean that takes it takes the mask.

    Raises:
        ValueError: If an epsilon or `ratio_max` is out of range or the shapes differ.

    Example:
        A ratio of 2 earns the upper clip and no more, but costs its full 2:

        >>> import torch
        >>> from grpo_core.losses import clipped_loss
        >>> clipped_loss(torch.tensor([[2.0, 2.0]]).log(), torch.tensor([[1.0, -1.0]]))
        tensor([[-1.2800,  2.0000]])
    """
    check_clips(epsilon_low, epsilon_high, ratio_max)
    ratio, advantages = _ratio_and_advantages(log_ratio, advantages)
    clipped = ratio.clamp(1 - epsilon_low, 1 + epsilon_high)
    if ratio_max is not None:
        ratio = ratio.clamp(max=ratio_max)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def check_clips(epsilon_low: float, epsilon_high: float, ratio_max: float | None) -> None:
    """Raise `ValueError` unless the bounds of a ratio are in order."""
    if not (0 <= epsilon_low <= 1 and epsilon_high >= 0):
        raise ValueError(
            f"need 0 <= epsilon_low <= 1 and epsilon_high >= 0, got {epsilon_low}, {epsilon_high}"
        )
    if ratio_max is not None and not ratio_max >= 1 + epsilon_high:
        raise ValueError(
            f"ratio_max must be at least 1 + epsilon_high, {1 + epsilon_high}, got {ratio_max}"
        )


def cispo_loss(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    *,
    ratio_max: float = 5.0,
) -> Float[Tensor, "batch seq"]:
    r"""REINFORCE with a truncated importance weight: every token keeps its gradient.

    $$
    \ell_t = -\operatorname{sg}\bigl[\min(r_t,\, r_\text{max})\bigr]\, A_t \log r_t
    $$

    CISPO (MiniMax-M1, arXiv:2506.13585, eq. 4, with its upper bound alone). $\log r_t$ stands where
    the paper has $\log \pi_\theta$: the gradient is the same, since the old policy is a constant,
    and padding stays masked. So compare gradients with a peer, not values. Gradients reach
    `log_ratio` alone.

    Args:
        log_ratio: $\log r_t$, from `log_ratio`.
        advantages: Of each token.
        ratio_max: The weight's bound itself, not an offset from 1; above 0. ScaleRL
            (arXiv:2510.13786) found 4 to 8 to work alike.

    Returns:
        The loss of each token, padding included.

    Raises:
        ValueError: If `ratio_max` is not above 0 or the shapes differ.

    Example:
        A ratio of 8 is weighted 5, and its gradient does not vanish:

        >>> import torch
        >>> from grpo_core.losses import cispo_loss
        >>> log_ratio = torch.tensor([[8.0]]).log().requires_grad_()
        >>> cispo_loss(log_ratio, torch.tensor([[1.0]])).sum().backward()
        >>> log_ratio.grad
        tensor([[-5.]])
    """
    if not ratio_max > 0:
        raise ValueError(f"ratio_max must be above 0, got {ratio_max}")
    ratio, advantages = _ratio_and_advantages(log_ratio, advantages)
    return -ratio.detach().clamp(max=ratio_max) * advantages * widen(log_ratio)


def sapo_loss(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    *,
    tau_positive: float = 1.0,
    tau_negative: float = 1.05,
) -> Float[Tensor, "batch seq"]:
    r"""Soft trust region: a sigmoid gate in place of the clip.

    $$
    \ell_t = -\frac{4}{\tau}\, \sigma\bigl(\tau (r_t - 1)\bigr)\, A_t,
    \qquad \tau = \tau_\text{positive} \text{ where } A_t > 0, \text{ else } \tau_\text{negative}
    $$

    SAPO (arXiv:2511.20347). At $r_t = 1$ the gradient is REINFORCE's, and it fades on
    both sides. Gradients reach `log_ratio` alone.

    Args:
        log_ratio: $\log r_t$, from `log_ratio`.
        advantages: Of each token.
        tau_positive: Steepness where the advantage is positive, above 0.
        tau_negative: Steepness elsewhere, above 0; larger fades faster.

    Returns:
        The loss of each token, padding included.

    Raises:
        ValueError: If a tau is not above 0 or the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.losses import sapo_loss
        >>> sapo_loss(torch.zeros(1, 2), torch.tensor([[1.0, -1.0]]))
        tensor([[-2.0000,  1.9048]])
    """
    check_positive(tau_positive=tau_positive, tau_negative=tau_negative)
    ratio, advantages = _ratio_and_advantages(log_ratio, advantages)
    tau = torch.full_like(ratio, tau_negative).masked_fill(advantages > 0, tau_positive)
    return -(4 / tau) * torch.sigmoid(tau * (ratio - 1)) * advantages


def policy_gradient_loss(
    log_ratio: Float[Tensor, "batch seq"], advantages: Float[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq"]:
    r"""REINFORCE's loss of each token, without importance weight or clip.

    $$
    \ell_t = -A_t \log r_t, \qquad \nabla_\theta \ell_t = -A_t \nabla_\theta \log \pi_\theta(o_t)
    $$

    Williams (1992), with $\log r_t$ in place of $\log \pi_\theta$ so that padding stays masked: the
    same gradient, another value. At a ratio of 1 every loss of this module has this gradient.
    Gradients reach `log_ratio` alone.

    Args:
        log_ratio: $\log r_t$, from `log_ratio`.
        advantages: Of each token.

    Returns:
        The loss of each token, padding included.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.losses import policy_gradient_loss
        >>> log_ratio = torch.zeros(1, 2, requires_grad=True)
        >>> policy_gradient_loss(log_ratio, torch.tensor([[1.0, -3.0]])).sum().backward()
        >>> log_ratio.grad
        tensor([[-1.,  3.]])
    """
    _, advantages = _ratio_and_advantages(log_ratio, advantages)
    return -advantages * widen(log_ratio)


def divergence_masked_loss(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"],
    *,
    divergence: Literal["tv", "kl"],
    threshold: float,
    ratio_max: float | None = None,
) -> Float[Tensor, "batch seq"]:
    r"""Policy gradient that stops where a token has left the sampler by more than a divergence.

    $$
    \ell_t = -M_t\, r_t A_t, \qquad M_t = 0 \text{ where } D_t > \delta \text{ and }
        A_t (r_t - 1) > 0, \text{ else } 1
    $$

    with $\mu = \pi_\text{old}(o_t)$, $\pi = r_t \mu$, and $D_t$ either $|\pi - \mu|$ ("tv") or
    $\mu \log\frac{\mu}{\pi} + (1 - \mu) \log\frac{1 - \mu}{1 - \pi}$ ("kl"): the divergences of the
    two-outcome distribution (this token, any other) of DPPO (arXiv:2602.04879). Unlike a ratio
    clip it leaves rare tokens free to move and holds frequent ones. Steps back towards the sampler
    are never masked, and a rare token's ratio is bounded by nothing else: `ratio_max` truncates it
    in the value and as the factor of the gradient, $\min(r_t, r_\text{max}) \nabla \log \pi$.
    Gradients reach `log_ratio` alone.

    Args:
        log_ratio: $\log r_t$ against the policy that sampled, from `log_ratio`.
        advantages: Of each token.
        old_log_probs: The same sampler's, in nats; off the mask it may hold anything.
        divergence: "tv" or "kl".
        threshold: $\delta$, above 0: a probability for "tv" (0.15 is usual), nats for "kl" (0.05).
        ratio_max: The largest weight of a token, above 1; None for no bound.

    Returns:
        The loss of each token, padding included.

    Raises:
        ValueError: If `divergence` is unknown, `threshold` is not above 0, `ratio_max` is not above
            1, or the shapes differ.

    Example:
        Both ratios are 2, but one moved 0.0001 of probability and the other 0.4:

        >>> import torch
        >>> from grpo_core.losses import divergence_masked_loss
        >>> old = torch.tensor([[0.0001, 0.4]]).log()
        >>> log_ratio = torch.full((1, 2), 2.0).log()
        >>> advantages = torch.ones(1, 2)
        >>> divergence_masked_loss(log_ratio, advantages, old, divergence="tv", threshold=0.15)
        tensor([[-2., -0.]])
    """
    check_choice(divergence, ("tv", "kl"), "divergence")
    check_positive(threshold=threshold)
    if ratio_max is not None and not ratio_max > 1:
        raise ValueError(f"ratio_max must be above 1, got {ratio_max}")
    check_same_shape(log_ratio=log_ratio, old_log_probs=old_log_probs)
    ratio, advantages = _ratio_and_advantages(log_ratio, advantages)
    old = widen(old_log_probs).detach()
    moved = _divergence(old, old + widen(log_ratio).detach(), divergence) > threshold
    # Off the mask the ratio is 1, so no garbage in `old` or `advantages` can reach `leaves`.
    leaves = ((advantages > 0) & (ratio > 1)) | ((advantages < 0) & (ratio < 1))
    if ratio_max is not None:
        x = widen(log_ratio)
        ratio = ratio.detach().clamp(max=ratio_max) * (1 + x - x.detach())
    return -torch.where(moved & leaves, 0.0, ratio) * advantages


def _divergence(old: Tensor, new: Tensor, divergence: str) -> Tensor:
    if divergence == "tv":
        return (new.exp() - old.exp()).abs()
    # A probability of 1 leaves nothing for the other outcome: keep log(1 - p) finite.
    old, new = (p.clamp(max=-torch.finfo(p.dtype).eps) for p in (old, new))
    rest_old, rest_new = -torch.expm1(old), -torch.expm1(new)
    return old.exp() * (old - new) + rest_old * (rest_old.log() - rest_new.log())


def _ratio_and_advantages(log_ratio: Tensor, advantages: Tensor) -> tuple[Tensor, Tensor]:
    check_same_shape(log_ratio=log_ratio, advantages=advantages)
    ratio = widen(log_ratio).exp()
    return ratio, advantages.detach().to(ratio.dtype)
