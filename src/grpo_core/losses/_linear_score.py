"""The caller's loss on a chunk of tokens: called, checked, weighted and differentiated."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from grpo_core._tensors import check_float, chunk_of


class Score(NamedTuple):
    """The caller's loss, with what it takes, flat."""

    loss_fn: Callable[..., Any]
    per_token: tuple[Tensor, ...]
    mask: Tensor
    mean: Callable[[Tensor], Tensor]  # of values [batch, seq], with its mask and total
    weights: Tensor | None  # None until `weighed`
    width: int  # of the rows of the batch, if chunks hold whole ones, else 0
    shape: torch.Size  # [batch, seq]

    def of_all(self, log_probs: Tensor) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The mean of all rows, its derivative by each log-prob, and metrics."""

        def whole(log_probs: Tensor) -> tuple[Tensor, dict[str, Any]]:
            with chunk_of(self.width):
                losses, metrics = self.losses(log_probs, 0, log_probs.shape[0])
            return self.mean(losses.view(self.shape)), metrics

        loss, g, metrics = differentiated(whole, log_probs)
        return loss, torch.where(self.mask, g, 0.0), metrics

    def weighed(self, tokens: Tensor) -> "Score":
        """With the weights of the mean: late, so that the device is at work meanwhile."""
        ones = torch.ones_like(tokens)

        def mean(values: Tensor) -> tuple[Tensor, dict[str, Any]]:
            return self.mean(values), {}

        return self._replace(weights=differentiated(mean, ones)[1].flatten())

    def losses(self, log_probs: Tensor, start: int, stop: int) -> tuple[Tensor, dict[str, Any]]:
        """Loss of each of these rows, and metrics."""
        others = [values[start:stop][None] for values in self.per_token]
        return _checked(self.loss_fn(log_probs[None], *others), log_probs)

    def of(self, log_probs: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """Weighted loss of these rows, its derivative by each log-prob, and metrics."""
        mask, weights = self.mask[start:stop], cast("Tensor", self.weights)[start:stop]

        def weighted(log_probs: Tensor) -> tuple[Tensor, dict[str, Any]]:
            losses, metrics = self.losses(log_probs, start, stop)
            return (torch.where(mask, losses, 0.0) * weights).sum(), metrics

        with chunk_of(self.width):
            loss, g, metrics = differentiated(weighted, log_probs)
        return loss, torch.where(mask, g, 0.0), metrics


def differentiated(
    function: Callable[[Tensor], tuple[Tensor, dict[str, Any]]], at: Tensor
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Value, gradient, and what else the function gives."""
    if torch.compiler.is_compiling():
        # Dynamo traces no `autograd.grad`, and `func.grad` takes no objects out of the function:
        # it is called twice, and what is computed twice the compiler computes once.
        def value_of(at: Tensor) -> Tensor:
            return function(at)[0]

        gradient = torch.func.grad(value_of)(at)
        value, other = function(at)
        return value, gradient, other
    # The caller's hooks, of checkpointing or of offloading, are for the caller's graph.
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x)
    with torch.enable_grad(), hooks:
        leaf = at.detach().requires_grad_()
        value, other = function(leaf)
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    if gradient is None:
        raise ValueError("the loss must depend on the log-probs, got one that does not")
    return value.detach(), gradient, other


def _checked(result: Any, log_probs: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """Losses [rows] and metrics, of what the caller's function returned."""
    nothing: dict[str, Any] = {}
    pair = cast("tuple[Any, ...]", result if isinstance(result, tuple) else (result, nothing))
    losses, metrics = pair if len(pair) == 2 else (pair, nothing)
    if not isinstance(losses, Tensor) or not isinstance(metrics, dict):
        raise TypeError(
            "loss_fn must return the loss of each token, or (that, a dict of metrics), got "
            f"{type(losses).__name__} and {type(metrics).__name__}"
        )
    if losses.shape != (1, *log_probs.shape):
        raise ValueError(
            "loss_fn must return the loss of each token, not a mean of them (that is mean=): need "
            f"shape {(1, *log_probs.shape)}, got {tuple(losses.shape)}"
        )
    check_float(**{"the loss of each token": losses})
    found: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", metrics).items():
        if isinstance(value, Tensor) and value.ndim != 0:
            raise ValueError(
                f"metric {name!r} must have no axes, to add up over chunks, got shape "
                f"{tuple(value.shape)}"
            )
        # Texts and lists have a `+` too, which puts one after the other.
        adds = hasattr(value, "__add__") and not hasattr(value, "__len__")
        if not (isinstance(value, Tensor) or adds):
            raise TypeError(
                f"metric {name!r} must be a tensor without axes, a number, or one of "
                f"grpo_core.metrics, to add up over chunks, got {type(value).__name__}"
            )
        found[name] = value.detach() if isinstance(value, Tensor) else value
    return losses[0].to(log_probs.dtype), found


def added(some: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    if some.keys() != others.keys():
        raise ValueError(
            f"loss_fn must return the same metrics for each chunk, got {sorted(some)} and "
            f"{sorted(others)}"
        )
    return {name: some[name] + others[name] for name in some}
