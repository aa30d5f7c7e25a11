"""Log-probs and entropies of sampled tokens from hidden states: the logits are never stored."""

from typing import Any, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grpo_core.losses._linear_engine import Backend, engine_of
from grpo_core.losses._linear_inputs import (
    Inputs,
    as_inputs,
    checked_inputs,
    new_gradients,
)
from grpo_core.losses._linear_passes import plan
from grpo_core.losses._log_probs import TokenStatistics


def linear_token_log_probs(
    hidden: Float[Tensor, "batch seq hidden"],
    weight: Float[Tensor, "vocab hidden"],
    tokens: Int[Tensor, "batch seq"],
    *,
    mask: Bool[Tensor, "batch seq"] | None = None,
    bias: Float[Tensor, " vocab"] | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    softcap: float | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "batch seq"]:
    r"""Log-probability of each sampled token, from the hidden states that the logits are made of.

    $$
    \log \pi(y_t) = \frac{z_{t, y_t}}{T} - \log \sum_c \exp \frac{z_{t, c}}{T}, \qquad
    z_t = W h_t + b
    $$

    What `token_log_probs(F.linear(hidden, weight, bias), tokens)` gives, but for two things: the
    logits are not rounded to 16 bits, and they exist a tile at a time. The backward computes them
    again, so any loss may be made of the result; `linear_token_loss` computes them once. Gradients
    reach `hidden`, `weight` and `bias`; a row whose log-prob gets no gradient gives none, whatever
    it holds. Scored without gradients, the same rows have the same log-probs bit for bit.

    Args:
        hidden: Last hidden states, after the final norm: `hidden[:, t]` predicts `tokens[:, t]`.
            Any strides; a slice is not copied whole.
        weight: Of the output layer, `lm_head.weight`. Under autocast, hidden and weight are
            cast to its dtype, as a linear layer's are.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        mask: True where a token counts. Elsewhere neither hidden states nor tokens are read, the
            log-prob is 0 and the gradient is 0. None: every token counts.
        bias: Of the output layer; -inf bans an id.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        softcap: Bound c of the logits, $c \tanh(z / c)$ (Gemma 2, arXiv:2408.00118, section 2),
            before the temperature; above 0.
        backend: `"torch"` is the reference, on any device; `"triton"` are kernels; `"auto"` is
            Triton where it can run.

    Returns:
        float32, or float64 if `hidden` or `weight` are, in nats.

    Raises:
        TypeError: If a dtype is not as annotated, or a tensor is sharded (a DTensor).
        ValueError: If a shape differs, the temperature or the softcap is not above 0, the backend
            is unknown or cannot do it.

    Example:
        >>> import torch
        >>> from grpo_core.losses import linear_token_log_probs
        >>> hidden, weight = torch.ones(1, 1, 2), torch.tensor([[0.0, 0.0], [1.0, 2.0]]).log1p()
        >>> linear_token_log_probs(hidden, weight, torch.tensor([[1]])).exp()  # 2 * 3 : 1
        tensor([[0.8571]])
    """
    return _statistics(
        hidden, weight, tokens, mask, bias, temperature, softcap, backend, entropy=False
    )[0]


def linear_token_statistics(
    hidden: Float[Tensor, "batch seq hidden"],
    weight: Float[Tensor, "vocab hidden"],
    tokens: Int[Tensor, "batch seq"],
    *,
    mask: Bool[Tensor, "batch seq"] | None = None,
    bias: Float[Tensor, " vocab"] | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    softcap: float | None = None,
    backend: Backend = "auto",
) -> TokenStatistics:
    r"""Log-probability of each sampled token, and the entropy at its position, in one pass.

    $$
    H_t = -\sum_c \pi(c) \log \pi(c)
    $$

    The log-prob is that of `linear_token_log_probs`, with its arguments. Both are differentiable,
    so that an entropy bonus is one more term of the loss, `per_token - coefficient * entropy`.

    Args:
        hidden: Last hidden states, after the final norm: `hidden[:, t]` predicts `tokens[:, t]`.
        weight: Of the output layer.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        mask: True where a token counts; elsewhere both are 0 and nothing is read.
        bias: Of the output layer; -inf bans an id.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        softcap: Bound of the logits, before the temperature; above 0.
        backend: As in `linear_token_log_probs`.

    Returns:
        Both as float32, or float64 if `hidden` or `weight` are, in nats.

    Raises:
        TypeError: If a dtype is not as annotated, or a tensor is sharded (a DTensor).
        ValueError: If a shape differs, the temperature or the softcap is not above 0, the backend
            is unknown or cannot do it.

    Example:
        >>> import torch
        >>> from grpo_core.losses import linear_token_statistics
        >>> hidden, weight = torch.zeros(1, 1, 8), torch.randn(4, 8)
        >>> linear_token_statistics(hidden, weight, torch.tensor([[2]])).entropy.exp()
        tensor([[4.]])
    """
    return TokenStatistics(
        *_statistics(
            hidden, weight, tokens, mask, bias, temperature, softcap, backend, entropy=True
        )
    )


def _statistics(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    temperature: float | Tensor,
    softcap: float | None,
    backend: Backend,
    *,
    entropy: bool,
) -> tuple[Tensor, Tensor]:
    inputs = checked_inputs(hidden, weight, tokens, mask, bias, temperature, softcap)
    engine = engine_of(inputs, backend)
    head_learns = inputs.weight.requires_grad or (
        inputs.bias is not None and inputs.bias.requires_grad
    )
    with torch.autocast(hidden.device.type, enabled=False):
        if torch.is_grad_enabled() and hidden.requires_grad and not (head_learns or entropy):
            log_probs = cast(
                "Tensor",
                _FrozenHead.apply(*inputs, engine),  # pyright: ignore[reportUnknownMemberType]
            )
            return log_probs, torch.zeros_like(log_probs)
        return cast(
            "tuple[Tensor, Tensor]",
            _LinearStatistics.apply(  # pyright: ignore[reportUnknownMemberType] - torch's, untyped
                *inputs, engine, entropy
            ),
        )


NO_SECOND = "log-probs and entropy have no second derivative here"


class _FrozenHead(torch.autograd.Function):
    """Log-probs with their own gradient, which is made while a chunk of logits is there.

    Two products, and a row scale in the backward: none of the logits is computed again.
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *fields, engine = arguments
        inputs = Inputs(*fields)
        unit = new_gradients(inputs, hidden=True, weight=False, bias=False)
        log_probs = inputs.hidden.new_empty(inputs.rows, dtype=inputs.dtype)
        rows = engine.frozen_rows(inputs)
        for start in range(0, inputs.rows, rows):
            stop = min(inputs.rows, start + rows)
            part = inputs.cut(start, stop)
            log_probs[start:stop], kept = engine.exponentials(part)
            ones = torch.ones_like(log_probs[start:stop])
            engine.gradients(part, kept, ones, unit.cut(start, stop), accumulate=False)
            del kept  # before the next one is made
        gradient, _, _ = as_inputs(inputs, unit)
        ctx.save_for_backward(gradient)
        return log_probs.view(inputs.hidden.shape[:2])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, log_probs_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(NO_SECOND)
        (gradient,) = ctx.saved_tensors
        g = log_probs_grad[..., None]
        # In the wider of the two dtypes, and selected: 0 * NaN would let padding in.
        scaled = torch.where(g == 0, 0.0, gradient * g).to(gradient.dtype)
        return (scaled, *(None for _ in range(8)))


class _LinearStatistics(torch.autograd.Function):
    """Saves the inputs, which the caller holds anyway, and a few numbers a row."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        *fields, engine, with_entropy = arguments
        inputs = Inputs(*fields)
        log_probs, entropy, state = engine.statistics(inputs, with_entropy=with_entropy)
        ctx.save_for_backward(
            inputs.hidden, inputs.weight, inputs.bias, inputs.tokens, inputs.mask,
            inputs.per_token, state, entropy,
        )  # fmt: skip
        ctx.numbers = inputs.temperature, inputs.softcap
        ctx.engine, ctx.with_entropy = engine, with_entropy
        shape = inputs.hidden.shape[:2]
        return log_probs.view(shape), entropy.view(shape)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, log_probs_grad: Tensor, entropy_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(NO_SECOND)
        hidden, weight, bias, tokens, mask, per_token, state, entropy = ctx.saved_tensors
        temperature, softcap = ctx.numbers
        inputs = Inputs(hidden, weight, bias, tokens, mask, temperature, per_token, softcap)
        wants = ctx.needs_input_grad[:3]
        grads = new_gradients(inputs, *wants)
        _, lean = plan(ctx.engine, inputs, "auto")
        with torch.autocast(hidden.device.type, enabled=False):
            ctx.engine.backward(
                inputs,
                state,
                entropy.flatten(),
                log_probs_grad.flatten(),
                entropy_grad.flatten() if ctx.with_entropy else None,
                grads,
                accumulate=False,
                lean=lean,
            )
        return (*as_inputs(inputs, grads), *(None for _ in range(7)))
