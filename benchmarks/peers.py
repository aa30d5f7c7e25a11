"""What is ours, for a script that times peers' kernels side by side with it.

    python bench_peers.py --extra benchmarks/peers.py --only grpo_core

The script keeps functions by family and name, gives each a case, which is data with float64
references, and takes what to time; it puts `impl`, `EPS_LOW` and `EPS_HIGH` here before this runs.
A function that the installed library does not have is an error of its row alone.

| family | a case's data | what is timed |
|---|---|---|
| `k1` | `z` [rows, vocab], `y` [rows] | log-probs, or the whole loss, from logits |
| `k2` | `h` [rows, hidden], `w` [vocab, hidden], `y` | the same from hidden states |
| `k3` | log-probs [batch, seq] | the token loss alone |
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from grpo_core.losses import clipped_loss, log_ratio, token_mean
from grpo_core.metrics import (
    approximate_kl,
    clip_fraction_high,
    clip_fraction_low,
    ratio_error,
    ratio_mean,
)

losses: Any = importlib.import_module("grpo_core.losses")  # what it lacks is a row's error
Row = dict[str, Any]
bench: Any = globals()["impl"]
impl: Callable[..., Any] = partial(bench, gpu=False)  # PyTorch serves the CPU
EPSILONS = {"epsilon_low": globals()["EPS_LOW"], "epsilon_high": globals()["EPS_HIGH"]}


def row(x: Tensor) -> Tensor:
    """A case's [rows] as the batch of one packed row that the library takes."""
    return x[None]


def step_of(case: Any) -> dict[str, Any]:
    """Which tokens count, all, and how many the step has."""
    mask = row(case.mask.bool())
    groups = torch.zeros(1, dtype=torch.long, device=mask.device)
    return {"mask": mask, "total": losses.step_totals(mask, groups)}


# --- from logits --------------------------------------------------------------------------------


def of_logits(name: str, **options: Any) -> Callable[[Any], Row]:
    """Log-probs of `name`, alone or beside the entropy."""

    def build(_: Any) -> Row:
        function = getattr(losses, name)

        def log_probs(z: Tensor, y: Tensor) -> Tensor:
            result = function(row(z), row(y), **options)
            return getattr(result, "log_probs", result)[0]

        return {"logp": log_probs}

    return build


impl("k1", "grpo_core token_log_probs")(of_logits("token_log_probs"))
impl("k1", "grpo_core token_log_probs, in place")(
    of_logits("token_log_probs", overwrite_logits=True)
)
impl("k1", "grpo_core token_statistics")(of_logits("token_statistics"))
impl("k1", "grpo_core token_statistics, in place")(
    of_logits("token_statistics", overwrite_logits=True)
)


def loss_of_logits(case: Any, *, overwrite_logits: bool) -> Row:
    """The whole loss in one pass."""
    function, step = losses.logits_token_loss, step_of(case)
    old, advantages, tokens = row(case.old), row(case.adv), row(case.y)
    nonleaf = bench.__globals__["nonleaf"]  # in training, logits are no leaf

    def run() -> tuple[Tensor, Tensor]:
        z, box = nonleaf(case.z)
        loss = function(
            row(z), tokens, old, advantages, **step, **EPSILONS, overwrite_logits=overwrite_logits
        ).loss
        loss.backward()
        return box[0], loss.detach()

    return {"step": run}


impl("k1", "grpo_core logits_token_loss")(partial(loss_of_logits, overwrite_logits=False))
impl("k1", "grpo_core logits_token_loss, in place")(partial(loss_of_logits, overwrite_logits=True))


# --- from hidden states -------------------------------------------------------------------------


def of_hidden(name: str) -> Callable[[Any], Row]:
    """Log-probs of `name`, whose backward computes the logits again."""

    def build(_: Any) -> Row:
        function = getattr(losses, name)

        def log_probs(h: Tensor, w: Tensor, y: Tensor) -> Tensor:
            result = function(row(h), w, row(y))
            return getattr(result, "log_probs", result)[0]

        return {"logp": log_probs}

    return build


impl("k2", "grpo_core linear_token_log_probs")(of_hidden("linear_token_log_probs"))
impl("k2", "grpo_core linear_token_statistics")(of_hidden("linear_token_statistics"))


def token_loss(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """The clipped surrogate, made of the library's pieces."""
    return clipped_loss(log_ratio(log_probs, old, mask), advantages, **EPSILONS)


def loss_of_hidden(case: Any, **options: Any) -> Row:
    """The whole loss in one pass."""
    function, step = losses.linear_token_loss, step_of(case)
    per_token = row(case.old), row(case.adv), step["mask"]

    def loss(h: Tensor, w: Tensor, y: Tensor) -> Tensor:
        return function(token_loss, row(h), w, row(y), *per_token, **step, **options).loss

    return {"loss": loss}


for memory in ("auto", "fast", "lean"):
    impl("k2", f"grpo_core linear_token_loss, {memory}")(partial(loss_of_hidden, memory=memory))
    impl("k2", f"grpo_core linear_token_loss, {memory}, sparse=0.01")(
        partial(loss_of_hidden, memory=memory, sparse=0.01)
    )


# --- the token loss -----------------------------------------------------------------------------


def loss_alone(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """What a trainer writes."""
    ratio = log_ratio(log_probs, old, mask)
    per_token = clipped_loss(ratio, advantages[:, None].expand_as(ratio), **EPSILONS)
    return token_mean(per_token, mask)


def loss_and_metrics(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """With five metrics of the ratio, as peers compute them at each step."""
    ratio = log_ratio(log_probs, old, mask)
    advantages = advantages[:, None].expand_as(ratio)
    loss = token_mean(clipped_loss(ratio, advantages, **EPSILONS), mask)
    with torch.no_grad():
        clips = {"epsilon_low": EPSILONS["epsilon_low"]}, {"epsilon_high": EPSILONS["epsilon_high"]}
        parts = [
            clip_fraction_low(ratio, advantages, mask, **clips[0]),
            clip_fraction_high(ratio, advantages, mask, **clips[1]),
            ratio_mean(ratio, mask), ratio_error(ratio, mask), approximate_kl(ratio, mask),
        ]  # fmt: skip
        torch.stack([part.value() for part in parts])
    return loss


def composed(case: Any, *, function: Callable[..., Tensor], compiled: bool) -> Row:
    """A loss of [batch, seq]; the mask is known before the step."""
    mask = case.v2(case.mask).bool()
    run = torch.compile(function, dynamic=False) if compiled else function

    def loss(log_probs: Tensor, old: Tensor, advantages: Tensor, _: Tensor) -> Tensor:
        return run(log_probs, old, advantages, mask)

    return {"loss": loss}


for compiled in (False, True):
    how = "torch.compile" if compiled else "eager"
    for name, function in {"": loss_alone, ", 5 metrics": loss_and_metrics}.items():
        impl("k3", f"grpo_core clipped_loss, {how}{name}", gpu=compiled)(
            partial(composed, function=function, compiled=compiled)
        )
