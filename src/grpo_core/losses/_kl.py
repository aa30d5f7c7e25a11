"""Penalties for leaving a reference policy."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from grpo_core._tensors import check_choice, check_same_shape, widen


def kl_penalty(
    log_ratio: Float[Tensor, "batch seq"],
    *,
    value: Literal["k1", "k2", "k3"] = "k3",
    gradient: Literal["naive", "score", "importance"] = "score",
    policy_log_ratio: Float[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq"]:
    r"""Estimate of KL(policy || reference) at each token: which value, and which gradient.

    With $x = \log \pi_\theta - \log \pi_\text{ref}$, of tokens sampled from the policy:

    $$
    k_1 = x, \qquad k_2 = \tfrac{1}{2} x^2, \qquad k_3 = e^{-x} - 1 + x
    $$

    (Schulman, "Approximating KL divergence", 2020; $k_3$ is the one of GRPO, arXiv:2402.03300,
    eq. 4). Sampling depends on the policy too, so the gradient of the estimator is not the
    gradient of what it estimates; in expectation, on policy:

    | gradient | descends, with k1 | with k2 | with k3 |
    |---|---|---|---|
    | "naive": $\nabla k$ | nothing | KL(policy ‖ ref) | KL(ref ‖ policy) |
    | "score": $\nabla k + k \nabla \log \pi$ | KL(policy ‖ ref) | E[k2], no KL | KL(policy ‖ ref) |
    | "importance": $\nabla(r\, k)$ | as "score", off policy too | as "score" | as "score" |

    Gradients reach `log_ratio` and, for "importance", `policy_log_ratio`.

    Args:
        log_ratio: $x$: `log_ratio(log_probs, ref_log_probs, mask)`.
        value: "k1" is unbiased and may be negative; "k2" and "k3" never are, "k2" is biased.
        gradient: What is descended, by the table above.
        policy_log_ratio: $\log r$, `log_ratio(log_probs, old_log_probs, mask)`; for "importance",
            which multiplies by $r$, and for nothing else.

    Returns:
        The penalty of each token, 0 off the mask; the value is that of `value` for "naive" and
        "score", and $r k$ for "importance".

    Raises:
        ValueError: If an option is unknown, if "importance" has no `policy_log_ratio` or another
            gradient has one, or if the shapes differ.

    Example:
        >>> import torch
        >>> from grpo_core.losses import kl_penalty
        >>> x = torch.tensor([[0.5]], requires_grad=True)
        >>> for gradient in ["naive", "score"]:
        ...     (slope,) = torch.autograd.grad(kl_penalty(x, gradient=gradient).sum(), x)
        ...     print(gradient, slope)
        naive tensor([[0.3935]])
        score tensor([[0.5000]])
    """
    check_choice(value, ("k1", "k2", "k3"), "value")
    check_choice(gradient, ("naive", "score", "importance"), "gradient")
    if (gradient == "importance") != (policy_log_ratio is not None):
        raise ValueError(
            "gradient='importance' needs policy_log_ratio, and nothing else takes it; "
            f"got gradient={gradient!r} {'with' if policy_log_ratio is not None else 'without'} it"
        )
    x = widen(log_ratio)
    if value == "k1":
        k = x
    elif value == "k2":
        k = x.square() / 2
    else:
        k = (-x).expm1() + x
    if policy_log_ratio is not None:
        check_same_shape(log_ratio=log_ratio, policy_log_ratio=policy_log_ratio)
        return k * widen(policy_log_ratio).exp()
    return k + k.detach() * (x - x.detach()) if gradient == "score" else k
