"""Loss from logits, with its gradient made in the same pass: the clipped surrogate, aggregated."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core._tensors import check_bool, check_float, check_same_shape, check_scalar
from grpo_core.losses._aggregate import StepTotals, token_mean, token_weights
from grpo_core.losses._log_probs import Backend, checked_tokens, has_kernel, token_log_probs
from grpo_core.losses._policy import check_clips, clipped_loss
from grpo_core.losses._ratio import log_ratio


class LogitsTokenLoss(NamedTuple):
    """What `logits_token_loss` gives."""

    loss: Float[Tensor, ""]
    """Aggregated, differentiable."""
    log_probs: Float[Tensor, "batch seq"]
    """Of the sampled tokens, detached, 0 off the mask: what the metrics are made of."""


def logits_token_loss(
    logits: Float[Tensor, "batch seq vocab"],
    tokens: Int[Tensor, "batch seq"],
    old_log_probs: Float[Tensor, "batch seq"] | None,
    advantages: Float[Tensor, "batch seq"],
    *,
    mask: Bool[Tensor, "batch seq"],
    total: StepTotals | None,
    mean: Callable[..., Tensor] = token_mean,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.28,
    ratio_max: float | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    support: Bool[Tensor, "batch seq vocab"] | None = None,
    overwrite_logits: bool = False,
    backend: Backend = "auto",
) -> LogitsTokenLoss:
    r"""Clipped surrogate loss straight from logits, whose gradient is made in the same pass.

    $$
    L = \sum_t w_t \ell_t, \qquad
    \frac{\partial L}{\partial z_{t, c}} = w_t \frac{\partial \ell_t}{\partial \log \pi(y_t)}
        \cdot \frac{[c = y_t] - \pi(c)}{T}
    $$

    with $\ell_t$ of `clipped_loss` on `log_ratio` of `token_log_probs`, and the weights $w_t$ of
    `mean` (`token_weights`). It is these four functions in a line, which is what `backend="torch"`
    computes; in Triton the logits are read once and their gradient is written once, in forward,
    and the backward multiplies it by the gradient from above, which costs nothing if that is 1.
    So the backward runs once, and another term of the loss that needs the logits' gradient (an
    entropy bonus, a KL to a reference) is not part of it: for these, compose the functions. A
    weight that is not negative and gets no gradient (`truncated_weights`) may be multiplied into
    the advantages: it commutes with the minimum. Gradients reach `logits` alone.

    Args:
        logits: Of any floating dtype and any strides: `logits[:, t]` predicts `tokens[:, t]`.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        old_log_probs: Under the policy that sampled, in nats. None: this very policy sampled, so
            that the ratio is 1, with its gradient.
        advantages: Of each token; `expand_as` gives a sequence's to all of its tokens.
        mask: True where a token counts. Elsewhere nothing is read and the gradient is 0.
        total: Of the whole step, from `step_totals`; None says that this call holds it all.
        mean: Aggregation: one of this module's, with `functools.partial` for what else it takes,
            or a function of (values, mask, total=) that is linear in values.
        epsilon_low: How far below 1 the ratio may fall, in [0, 1].
        epsilon_high: How far above 1 the ratio may rise, at least 0; infinity clips nothing.
        ratio_max: Largest ratio that a negative advantage is charged for, as in `clipped_loss`.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        support: True for the ids that a truncated sampler kept, as in `token_log_probs`.
        overwrite_logits: Write the gradient over the logits, in Triton already in forward: nothing
            of their size is allocated. Only where nobody reads them later, not even a metric, and
            where they are no leaf (PyTorch copies the gradient of a leaf).
        backend: `"torch"` is the reference; `"triton"` one kernel, in float32; `"auto"` is Triton
            on CUDA for bfloat16 and float32. In float16 it composes `token_log_probs` and the
            rest: a gradient that is stored before a loss scale multiplies it would underflow.

    Returns:
        Loss, and log-probs for metrics, `ratio_mean(log_ratio(log_probs, old_log_probs, mask),
        mask)`: float32, or float64 if `logits` are. Without a valid token the loss is a 0 that is
        attached to the graph.

    Raises:
        TypeError: If a dtype is not as annotated, or `mean` returns no tensor.
        ValueError: If a shape differs (that of what `mean` returns, too), a bound or the
            temperature is out of range, the backend is unknown or cannot do it (Triton has no
            float64), or logits to be overwritten share memory.

    Example:
        >>> import torch
        >>> from functools import partial
        >>> from grpo_core.losses import constant_mean, logits_token_loss
        >>> logits = torch.zeros(1, 2, 4, requires_grad=True)
        >>> tokens, mask = torch.tensor([[3, 0]]), torch.tensor([[True, False]])
        >>> advantages, dr_grpo = torch.tensor([[2.0, 9.0]]), partial(constant_mean, max_length=2)
        >>> result = logits_token_loss(
        ...     logits, tokens, None, advantages, mask=mask, total=None, mean=dr_grpo
        ... )
        >>> result.loss.backward()
        >>> result.loss.item(), logits.grad
        (-1.0, tensor([[[ 0.2500,  0.2500,  0.2500, -0.7500],
                        [ 0.0000,  0.0000,  0.0000,  0.0000]]]))
    """
    safe = checked_tokens(logits, tokens, mask, temperature, support, overwrite_logits, backend)
    check_clips(epsilon_low, epsilon_high, ratio_max)
    check_same_shape(tokens=tokens, advantages=advantages, mask=mask)
    check_bool(mask=mask)
    check_float(advantages=advantages)
    if old_log_probs is not None:
        check_same_shape(tokens=tokens, old_log_probs=old_log_probs)
        check_float(old_log_probs=old_log_probs)
    wanted = backend == "auto" and has_kernel(logits) and logits.dtype != torch.float16
    if backend != "triton" and not wanted:
        log_probs = token_log_probs(
            logits,
            tokens,
            mask=mask,
            temperature=temperature,
            support=support,
            overwrite_logits=overwrite_logits,
            backend=backend,
        )
        ratio = log_ratio(log_probs, log_probs if old_log_probs is None else old_log_probs, mask)
        per_token = clipped_loss(
            ratio,
            advantages,
            epsilon_low=epsilon_low,
            epsilon_high=epsilon_high,
            ratio_max=ratio_max,
        )
        loss = mean(per_token, mask, total=total)
        check_scalar(mean=loss)
        return LogitsTokenLoss(loss, log_probs.detach())
    if logits.dtype == torch.float64:
        raise ValueError("backend 'triton' computes in float32, got float64 logits")
    from grpo_core._kernels import logits_loss as kernels  # noqa: PLC0415 - Triton

    per_token_temperature = isinstance(temperature, Tensor)
    arguments = (
        safe.long().contiguous(),
        None if old_log_probs is None else _plain(old_log_probs),
        _plain(advantages),
        _plain(token_weights(mean, mask, total=total)),
        mask.contiguous(),
        1.0 if per_token_temperature else float(temperature),
        _plain(temperature) if per_token_temperature else None,
        support,
        float(epsilon_low),
        float(epsilon_high),
        float("inf") if ratio_max is None else float(ratio_max),
    )
    if not (torch.is_grad_enabled() and logits.requires_grad):
        losses, log_probs = kernels.logits_loss(None, logits, *arguments)
        return LogitsTokenLoss(losses.sum(), log_probs)
    return LogitsTokenLoss(
        *cast(
            "tuple[Tensor, Tensor]",
            kernels.LogitsLoss.apply(  # pyright: ignore[reportUnknownMemberType] - torch's, untyped
                logits, overwrite_logits, *arguments
            ),
        )
    )


def _plain(values: Tensor) -> Tensor:
    return values.detach().float().contiguous()
