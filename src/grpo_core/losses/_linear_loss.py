"""Loss and gradients of hidden states in one pass: logits are computed once and never stored."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast, get_args

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grpo_core._tensors import check_choice, check_same_shape, check_scalar, chunk_of
from grpo_core.losses._aggregate import StepTotals, token_mean
from grpo_core.losses._linear import linear_token_log_probs
from grpo_core.losses._linear_engine import Backend, engine_of
from grpo_core.losses._linear_inputs import (
    Gradients,
    Inputs,
    as_inputs,
    checked_inputs,
    new_gradients,
)
from grpo_core.losses._linear_passes import Attach, Memory, one_pass, plan, two_passes
from grpo_core.losses._linear_score import Score
from grpo_core.losses._linear_sparse import SparseOnePass


class TokenLoss(NamedTuple):
    """What `linear_token_loss` gives."""

    loss: Float[Tensor, ""]
    """Differentiable."""
    log_probs: Float[Tensor, "batch seq"]
    """Of the sampled tokens, detached; 0 off the mask."""
    metrics: dict[str, Any]
    """What the caller's function returned beside the losses, added up over chunks; and
    `"sparsity"`, where that was asked for."""


def linear_token_loss(
    loss_fn: Callable[..., Tensor | tuple[Tensor, dict[str, Any]]],
    hidden: Float[Tensor, "batch seq hidden"],
    weight: Float[Tensor, "vocab hidden"],
    tokens: Int[Tensor, "batch seq"],
    *per_token: Shaped[Tensor, "batch seq"],
    mask: Bool[Tensor, "batch seq"],
    total: StepTotals | None,
    mean: Callable[..., Tensor] = token_mean,
    bias: Float[Tensor, " vocab"] | None = None,
    temperature: float | Float[Tensor, "batch seq"] = 1.0,
    softcap: float | None = None,
    memory: Memory = "auto",
    whole_sequences: bool = False,
    weight_grad: Float[Tensor, "vocab hidden"] | None = None,
    sparse: float | None = None,
    backend: Backend = "auto",
) -> TokenLoss:
    r"""Loss of sampled tokens, with the gradients of hidden states and output layer in one pass.

    $$
    L = \sum_t w_t\, \ell(\log \pi(y_t), \ldots), \qquad
    \frac{\partial L}{\partial z_{t, c}} = w_t \frac{\partial \ell}{\partial \log \pi(y_t)}
        \cdot \frac{[c = y_t] - \pi(c)}{T}
    $$

    The loss of a token depends on the logits through its log-prob alone, so its derivative is
    known as soon as a chunk of rows is scored: the gradients are made then, of what is there, and
    the backward multiplies them by the gradient from above. Three matrix products where autograd
    with recomputed logits takes four; a side that needs no gradient (a frozen output layer) costs
    nothing. Under `torch.no_grad` only the scoring is done. Gradients reach `hidden`, `weight`
    and `bias`.

    `loss_fn(log_probs, *per_token)` gets chunks of shape [1, rows], any rows that lie side by side
    in `[batch, seq]`, and returns the loss of each token in that shape, made of this library's
    pieces or of any PyTorch; the mask is one of `per_token` if it needs it, as `log_ratio` does.
    It has no side effects and does not average: `mean` does. Losses that couple the tokens of a
    sequence (`sequence_log_ratio`, `geometric_log_ratio`) raise in it, unless `whole_sequences`.
    What couples tokens by PyTorch alone (`x.mean(-1)`, `cumsum(-1)`) cannot be seen here, and then
    depends on how rows are cut: `grpo_core.testing.check_loss(loss_fn)` finds it.

    Args:
        loss_fn: Gives the loss of each token, or (that, metrics). Metrics are a dict of what adds
            up over chunks with `+`: those of `grpo_core.metrics`; tensors without axes, and
            numbers, that are sums.
        hidden: Last hidden states, after the final norm: `hidden[:, t]` predicts `tokens[:, t]`.
        weight: Of the output layer, `lm_head.weight`.
        tokens: Sampled ids, in [0, vocab) where `mask` is True.
        *per_token: What `loss_fn` takes after the log-probs, each `batch seq`; no gradient
            reaches them.
        mask: True where a token counts. Elsewhere nothing is read, and gradients are 0.
        total: Of the whole step, from `step_totals`; None says that this call holds it all.
        mean: Aggregation, one of this module's or a function of (values, mask, total=) that is
            linear in values: `lambda v, m, total: group_token_mean(v, m, group_ids, total=total)`.
        bias: Of the output layer; -inf bans an id, where there is no softcap.
        temperature: What the sampler divided by, above 0; one for all, or one for each token.
        softcap: Bound c of the logits, $c \tanh(z / c)$, before the temperature; above 0.
        memory: What may exist beside the gradients. `"fast"`: a chunk of up to 4 GiB (PyTorch: 1
            GiB), and float32 sums of the weight's gradient where there are several chunks.
            `"lean"`: 0.65 GiB; see docs/losses.md for what it costs. `"auto"`: fast if that is
            at most 4 GiB in all, else lean.
        whole_sequences: Chunks hold whole rows of the batch, so that `loss_fn` may couple the
            tokens of a row, or of a segment of it (`segment_ids` as one of `per_token`).
        weight_grad: float32, `main_grad` of Megatron or FSDP: the weight's gradient is added to
            it when this function is called, and none reaches `weight`. The loss must then be
            differentiated as it is: any factor belongs into `loss_fn`. A gradient from above
            other than 1 fails an assertion on the device, since nothing is read back to the host.
            Activation checkpointing around this call would add it twice. The weight itself need
            not require a gradient, if something else does that the loss can be attached to.
        sparse: In (0, 1), such as 0.01: the gradients of `hidden` and `weight` may leave out ids of
            a token, as many as hold this share of its probability together at most (the token
            itself counts with 1 - p). Loss, log-probs and the gradient of `bias` stay what they
            are. For Triton alone, in one pass, not in float16. `metrics["sparsity"]` says what was
            left out, which is far less: of it, `left_out_share()` is a bound on the share of the
            logits' gradient, as a sum of absolute values, that either gradient lacks, and
            `work_share()` is the share of their products that was made. Without gradients there
            is no such entry. None: nothing is left out.
        backend: As in `linear_token_log_probs`.

    In float16, a gradient that is stored before a loss scale multiplies it would underflow: there,
    the loss is composed of `linear_token_log_probs`, which computes logits again in the backward,
    in its own chunks.

    Returns:
        Loss, log-probs and metrics; the log-probs are those of `linear_token_log_probs`, bit for
        bit on the same rows.

    Raises:
        TypeError: If a dtype is not as annotated, a tensor is sharded (a DTensor), or `loss_fn` or
            `mean` return something else.
        ValueError: If a shape differs (that of what `loss_fn` and `mean` return, too), an option is
            unknown or out of range, an input of `per_token` requires a gradient, `weight_grad`
            comes where nothing else does, the loss does not depend on the log-probs, `loss_fn`
            couples tokens of sequences that are cut, `sparse` is asked of what cannot do it, or
            `loss_fn` has a metric of its name.

    Example:
        >>> import torch
        >>> from grpo_core.losses import clipped_loss, linear_token_loss, log_ratio
        >>> hidden, weight = torch.ones(1, 2, 4, requires_grad=True), torch.zeros(3, 4)
        >>> mask, advantages = torch.tensor([[True, False]]), torch.tensor([[2.0, 0.0]])
        >>> old_log_probs = torch.full((1, 2), 1 / 3).log()
        >>> def per_token(log_probs, old_log_probs, advantages, mask):
        ...     return clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
        >>> result = linear_token_loss(
        ...     per_token, hidden, weight, torch.tensor([[1, 0]]), old_log_probs, advantages, mask,
        ...     mask=mask, total=None,
        ... )
        >>> result.loss
        tensor(-2., grad_fn=<AttachBackward>)
    """
    check_choice(memory, get_args(Memory), "memory")
    inputs = checked_inputs(hidden, weight, tokens, mask, bias, temperature, softcap)
    for index, values in enumerate(per_token):
        name = f"per_token[{index}]"
        check_same_shape(**{"tokens": tokens, name: values})
        if values.requires_grad:
            raise ValueError(f"{name} gets no gradient: detach it, got requires_grad=True")
    if weight_grad is not None:
        check_same_shape(weight=weight, weight_grad=weight_grad)
        if weight_grad.dtype != torch.float32:
            raise TypeError(f"weight_grad must be float32, got {weight_grad.dtype}")
    if sparse is not None:
        backend = _checked_sparse(sparse, inputs, backend)
    engine = engine_of(inputs, backend)
    recording = torch.is_grad_enabled()
    wants = (
        recording and inputs.hidden.requires_grad,
        recording and (weight_grad is not None or inputs.weight.requires_grad),
        recording and inputs.bias is not None and inputs.bias.requires_grad,
    )
    attached = (inputs.hidden, inputs.weight, *(() if inputs.bias is None else (inputs.bias,)))
    if recording and weight_grad is not None and not any(x.requires_grad for x in attached):
        raise ValueError(
            "weight_grad would be added to by a loss without a gradient: hidden, weight or bias "
            "must require one; to score alone, use torch.no_grad()"
        )
    flat = tuple(values.flatten() for values in per_token)
    width = tokens.shape[1] if whole_sequences else 0

    def mean_of(values: Tensor) -> Tensor:
        loss = mean(values, mask, total=total)
        check_scalar(mean=loss)
        return loss

    score = Score(loss_fn, flat, mask.flatten(), mean_of, None, width, tokens.shape)
    if any(wants) and torch.float16 in (inputs.hidden.dtype, inputs.weight.dtype):
        if weight_grad is not None:
            raise ValueError("float16 gradients are scaled afterwards: weight_grad must be None")
        found = linear_token_log_probs(
            hidden,
            weight,
            tokens,
            mask=mask,
            bias=bias,
            temperature=temperature,
            softcap=softcap,
            backend=backend,
        )
        with torch.autocast(hidden.device.type, enabled=False), chunk_of(score.width):
            losses, metrics = score.losses(found.flatten(), 0, inputs.rows)
        return TokenLoss(mean_of(losses.view(tokens.shape)), found.detach(), metrics)
    with torch.autocast(hidden.device.type, enabled=False), torch.no_grad():
        if not any(wants):
            log_probs, _, _ = engine.statistics(inputs, with_entropy=False)
            with chunk_of(score.width):
                losses, metrics = score.losses(log_probs, 0, inputs.rows)
            loss = mean_of(losses.view(tokens.shape))
            return TokenLoss(loss, log_probs.view(tokens.shape), metrics)
        adds = weight_grad is not None
        rows, lean = plan(engine, inputs, memory, whole_sequences=whole_sequences, adds=adds)
        # Sums over chunks are not rounded at each of them, unless in 16 bits to be lean.
        wide = rows is not None and inputs.rows > rows and not lean
        into = new_gradients(inputs, *wants, wide=wide, weight_grad=weight_grad)
        if sparse is not None:
            loss, log_probs, metrics = _sparse_pass(sparse, inputs, score, into, adds, rows)
        elif rows is None:
            loss, log_probs, metrics = two_passes(engine, inputs, score, into, adds, lean)
        else:
            loss, log_probs, metrics = one_pass(engine, inputs, score, into, adds, rows)
        grads = as_inputs(inputs, into._replace(weight=None) if adds else into)
    loss = cast(
        "Tensor",
        Attach.apply(  # pyright: ignore[reportUnknownMemberType] - torch's, untyped
            inputs.hidden, inputs.weight, inputs.bias, loss, *grads, adds, engine
        ),
    )
    return TokenLoss(loss, log_probs.view(tokens.shape), metrics)


def _checked_sparse(sparse: float, inputs: Inputs, backend: Backend) -> Backend:
    """The backend, which has to be Triton: its reasons, where it cannot run, are the option's."""
    if not 0 < sparse < 1:
        raise ValueError(f"sparse must be None or in (0, 1), got {sparse}")
    if backend == "torch":
        raise ValueError("sparse= needs backend 'triton' or 'auto', got 'torch', which is dense")
    if torch.float16 in (inputs.hidden.dtype, inputs.weight.dtype):
        raise ValueError("sparse= needs bfloat16: in float16 the loss is not made in one pass")
    return "triton" if backend == "auto" else backend


def _sparse_pass(
    sparse: float, inputs: Inputs, score: Score, into: Gradients, adds: bool, rows: int | None
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    if rows is None:
        raise ValueError("sparse= needs one pass: a sequence is longer than a chunk may be")
    engine = SparseOnePass(sparse)
    loss, log_probs, metrics = one_pass(engine, inputs, score, into, adds, rows)
    if "sparsity" in metrics:
        raise ValueError("sparse= has a metric 'sparsity': loss_fn needs another name for its own")
    return loss, log_probs, metrics | {"sparsity": engine.sparsity()}
