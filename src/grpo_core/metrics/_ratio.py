"""How far the policy has moved, from its log-ratio to the policy that sampled."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grpo_core._tensors import check_bool, check_same_shape, widen
from grpo_core.metrics._sums import Mean, Range, token_average


def ratio_mean(log_ratio: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Mean:
    """Mean of the ratio over the valid tokens.

    Of `log_ratio` it is 1 in expectation, however far the policy has moved, if the sampler drew
    from the whole distribution.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import ratio_mean
        >>> ratio_mean(torch.tensor([[0.5, 2.0]]).log(), torch.tensor([[True, True]])).value()
        tensor(1.2500)
    """
    return token_average(widen(log_ratio).exp(), mask)


def ratio_range(log_ratio: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Range:
    """Smallest and largest ratio of the valid tokens.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import ratio_range
        >>> ratio_range(torch.tensor([[0.5, 2.0]]).log(), torch.tensor([[True, True]])).maximum
        tensor(2.)
    """
    check_bool(mask=mask)
    check_same_shape(log_ratio=log_ratio, mask=mask)
    # One more entry keeps an empty batch reducible.
    ratio = widen(log_ratio).detach().exp().flatten()
    valid, nothing = mask.flatten(), ratio.new_full((1,), torch.inf)
    return Range(
        torch.cat([torch.where(valid, ratio, torch.inf), nothing]).amin(),
        torch.cat([torch.where(valid, ratio, -torch.inf), -nothing]).amax(),
    )


def ratio_error(log_ratio: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Mean:
    r"""Mean of $|r - 1|$ over the valid tokens: the check of the first step.

    Before the first update of a step the policy is the one that sampled, and this is 0 up to
    rounding (1e-6 with one engine in float32, 1e-2 with two engines in bfloat16). More means
    another temperature, template, adapter or shift. `check_batch(first_step=True)` raises on the
    mean of $|\log r|$, once.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import ratio_error
        >>> ratio_error(torch.tensor([[0.5, 2.0]]).log(), torch.tensor([[True, True]])).value()
        tensor(0.7500)
    """
    return token_average(widen(log_ratio).expm1().abs(), mask)


def approximate_kl(log_ratio: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]) -> Mean:
    r"""KL(old || policy) in nats: mean of $r - 1 - \log r$ over tokens that the old policy sampled.

    Schulman, "Approximating KL divergence" (2020): unbiased and never negative.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import approximate_kl
        >>> approximate_kl(torch.tensor([[1.0]]), torch.tensor([[True]])).value()
        tensor(0.7183)
    """
    return token_average(widen(log_ratio).expm1() - widen(log_ratio), mask)


def clip_fraction_low(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    epsilon_low: float = 0.2,
) -> Mean:
    """Share of the valid tokens without gradient for a ratio below `1 - epsilon_low`, A < 0.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import clip_fraction_low
        >>> log_ratio, advantages = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, -1.0]])
        >>> clip_fraction_low(log_ratio, advantages, torch.tensor([[True, True]])).value()
        tensor(0.5000)
    """
    check_same_shape(log_ratio=log_ratio, advantages=advantages)
    clipped = (widen(log_ratio).exp() < 1 - epsilon_low) & (advantages < 0)
    return token_average(clipped.float(), mask)


def clip_fraction_high(
    log_ratio: Float[Tensor, "batch seq"],
    advantages: Float[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    *,
    epsilon_high: float = 0.28,
) -> Mean:
    """Share of the valid tokens without gradient for a ratio above `1 + epsilon_high`, A > 0.

    Example:
        >>> import torch
        >>> from grpo_core.metrics import clip_fraction_high
        >>> log_ratio, advantages = torch.tensor([[2.0, 2.0]]).log(), torch.tensor([[1.0, -1.0]])
        >>> clip_fraction_high(log_ratio, advantages, torch.tensor([[True, True]])).value()
        tensor(0.5000)
    """
    check_same_shape(log_ratio=log_ratio, advantages=advantages)
    clipped = (widen(log_ratio).exp() > 1 + epsilon_high) & (advantages > 0)
    return token_average(clipped.float(), mask)
