"""How a loss on hidden states goes over its rows: in one pass, or in two where that is smaller."""

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor

from grpo_core.losses._linear_engine import Engine, OnePass
from grpo_core.losses._linear_inputs import Gradients, Inputs
from grpo_core.losses._linear_score import Score, added

Memory = Literal["auto", "fast", "lean"]

# Bytes beside the gradients up to which "auto" is "fast".
_AUTO_BYTES = 4 << 30

# Whether the graph, in this backward, is retained: asked as PyTorch's own compiled backward does.
_is_retained: Callable[[], bool] = getattr(
    cast("Any", torch)._C._autograd,  # noqa: SLF001 - there is no public one
    "_get_current_graph_task_keep_graph",
    lambda: True,  # where it cannot be asked, nothing is overwritten
)


def plan(
    engine: Engine,
    inputs: Inputs,
    memory: Memory,
    *,
    whole_sequences: bool = False,
    adds: bool = False,
) -> tuple[int | None, bool]:
    """Rows of a chunk, or None for two passes; and whether to be lean."""
    rows = engine.chunk_rows(inputs, whole_sequences=whole_sequences)
    if memory == "auto":
        extra = engine.kept_bytes(inputs, min(inputs.rows, rows or inputs.rows))
        is_summed = rows is not None and inputs.rows > rows and not adds
        if is_summed and inputs.weight.dtype != inputs.dtype:
            extra += inputs.weight.numel() * inputs.dtype.itemsize
        memory = "fast" if extra <= _AUTO_BYTES else "lean"
    if memory == "lean":
        return engine.lean_rows(inputs, whole_sequences=whole_sequences), True
    return rows, False


def one_pass(
    engine: OnePass, inputs: Inputs, score: Score, into: Gradients, adds: bool, rows: int
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """A chunk is scored, differentiated and gone."""
    if rows >= inputs.rows:  # one chunk, and a single graph of what the caller gave
        log_probs, kept = engine.exponentials(inputs.cut(0, inputs.rows))
        loss, g, metrics = score.of_all(log_probs)
        engine.gradients(inputs.cut(0, inputs.rows), kept, g, into, accumulate=adds)
        return loss, log_probs, metrics
    metrics: dict[str, Any] = {}
    loss = inputs.hidden.new_zeros((), dtype=inputs.dtype)
    all_log_probs: list[Tensor] = []
    starts = range(0, inputs.rows, rows)
    into = engine.summing(inputs, into)
    for chunk, start in enumerate(starts):
        stop = min(inputs.rows, start + rows)
        part = inputs.cut(start, stop)
        log_probs, kept = engine.exponentials(part)
        if start == 0:
            score = score.weighed(inputs.hidden.new_empty(score.shape, dtype=inputs.dtype))
        part_loss, g, part_metrics = score.of(log_probs, start, stop)
        engine.gradients(
            part, kept, g, into.cut(start, stop), accumulate=adds or start > 0,
            chunk=chunk, chunks=len(starts),
        )  # fmt: skip
        del kept  # before the next one is made
        loss = loss + part_loss
        metrics = added(metrics, part_metrics) if start > 0 else part_metrics
        all_log_probs.append(log_probs)
    return loss, torch.cat(all_log_probs), metrics


def two_passes(
    engine: Engine, inputs: Inputs, score: Score, into: Gradients, adds: bool, lean: bool
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """All rows are scored, and their logits computed again for the gradients."""
    log_probs, entropy, state = engine.statistics(inputs, with_entropy=False)
    loss, g, metrics = score.of_all(log_probs)
    engine.backward(inputs, state, entropy, g, None, into, accumulate=adds, lean=lean)
    return loss, log_probs, metrics


class Attach(torch.autograd.Function):
    """Gives a loss the gradients that are there already."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,  # noqa: ARG004 - the first three are what the loss is attached to
        weight: Tensor,  # noqa: ARG004
        bias: Tensor | None,  # noqa: ARG004
        loss: Tensor,
        hidden_grad: Tensor | None,
        weight_grad: Tensor | None,
        bias_grad: Tensor | None,
        is_added: bool,
        engine: Engine,
    ) -> Tensor:
        ctx.save_for_backward(hidden_grad, weight_grad, bias_grad)
        ctx.is_added, ctx.engine = is_added, engine
        return loss.clone()

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, ...]:
        compiling = torch.compiler.is_compiling()
        if torch.is_grad_enabled() and not compiling:
            raise RuntimeError("the loss has no second derivative here")
        if ctx.is_added:
            torch.ops.aten._assert_async.msg(  # noqa: SLF001 - there is no public one
                upstream == 1, "weight_grad was added to: the loss cannot be scaled afterwards"
            )
        grads = ctx.saved_tensors
        if compiling or _is_retained():
            # A graph that is retained gives its gradients again: they stay as they are.
            grads = tuple(None if x is None else x * upstream for x in grads)
        else:
            for x in grads:
                if x is not None:
                    ctx.engine.rescale(x, upstream)
        return (*grads, *(None for _ in range(6)))
