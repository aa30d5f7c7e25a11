"""Launches of every kernel at sizes people train with; on the CPU, where nothing is launched."""

import math
from functools import partial

import pytest
import torch

pytest.importorskip("triton")

from grpo_core._kernels import (
    linear,
    linear_backward,
    linear_config,
    linear_launch,
    linear_sparse,
    log_probs,
    logits_loss,
)

# Qwen3's vocabulary as it is padded, and as its tokenizer counts it: rows that are not aligned.
ALIGNED, ODD = 151936, 151665
ROWS = 16
# What was measured on an H100 is compiled, although a CPU says that it has fewer multiprocessors.
CPU = linear_config.processors(torch.device("cpu"))
linear_config.PLANS |= {(*key[:3], CPU): plan for key, plan in linear_config.PLANS.items()}


def logits(vocab, dtype=torch.bfloat16):
    """Some rows of a packed batch of 32768: its stride of 5e9 needs 64 bits."""
    return torch.empty_strided((1, ROWS, vocab), (32768 * vocab, vocab, 1), dtype=dtype)


def wide_logits(vocab):
    return logits(vocab, torch.float32)


def all_but_the_last(vocab):
    """As a trainer hands them over: the last position predicts nothing."""
    return torch.empty(2, ROWS + 1, vocab, dtype=torch.bfloat16)[:, :-1]


def floats():
    return torch.zeros(1, ROWS)


def ids():
    return torch.zeros(1, ROWS, dtype=torch.int64)


def statistics(make, vocab, *, with_entropy=True, **optional):
    found = {"mask": None, "per_token": None, "support": None} | optional
    log_probs.token_statistics(
        make(vocab), ids(), **found, temperature=1.0, with_entropy=with_entropy, overwrite=False
    )


def gradients(make, vocab, *, in_place=False, with_entropy=True, **optional):
    found = {"mask": None, "per_token": None, "support": None} | optional
    log_probs.token_statistics_backward(
        make(vocab), None if in_place else make(vocab), ids(), **found, temperature=1.0,
        log_probs=floats(), entropy=floats(), log_norm=floats(), log_probs_grad=floats(),
        entropy_grad=floats() if with_entropy else None,
    )  # fmt: skip


def loss(make, vocab, *, in_place=False, with_gradient=True, **optional):
    """The clipped loss, over the logits, into a new gradient, or alone."""
    mask = torch.ones(1, ROWS, dtype=torch.bool)
    found = {"mask": mask, "per_token": None, "support": None} | optional
    z = make(vocab)
    logits_loss.logits_loss(
        z if in_place else torch.empty_like(z) if with_gradient else None,
        None if in_place else z,
        ids(), floats(), floats(), floats(), **found, temperature=1.0, epsilon_low=0.2,
        epsilon_high=0.28, ratio_max=math.inf,
    )  # fmt: skip


def scaled(make, vocab):
    logits_loss.scale(make(vocab), torch.ones(()))


def head(vocab, width=1024, rows=linear_backward.SHORT, **optional):
    """Hidden states, weight, tokens, and what may come with them."""
    hidden, weight = (torch.empty(n, width, dtype=torch.bfloat16) for n in (rows, vocab))
    found = {"mask": None, "bias": None, "temperature": 1.0, "per_token": None, "softcap": None}
    tokens = torch.zeros(rows, dtype=torch.int64)
    return {"hidden": hidden, "weight": weight, "tokens": tokens} | found | optional


def all_of(vocab):
    mask = torch.ones(linear_backward.SHORT, dtype=torch.bool)
    return head(vocab, mask=mask, bias=torch.zeros(vocab), softcap=30.0)


def hidden_gradients(given, *, with_entropy=False):
    """From hidden states to their gradients, by way of exponentials that are made again."""
    hidden, weight = given["hidden"], given["weight"]
    state = torch.zeros(len(hidden), linear_launch.STATE_COLUMNS)
    rows = torch.zeros(len(hidden))
    slopes = rows, rows if with_entropy else None
    kept = linear.recompute(hidden, weight, given["bias"], given["softcap"], state, rows, *slopes)
    linear.gradients(
        kept, state, rows, *slopes, hidden, weight, given["softcap"],
        torch.empty_like(hidden), torch.empty_like(weight), None, False,
    )  # fmt: skip


def sparse_gradients(vocab, dtype, *, accumulate, width=1024):
    """From exponentials to gradients that leave out what holds next to nothing."""
    given = head(vocab, width)
    _, state, whole, sums = linear_sparse.exponentials(*given.values())
    hidden, weight = given["hidden"], given["weight"]
    linear_sparse.gradients(
        whole, sums, state, torch.zeros(len(hidden)), hidden, weight, None,
        torch.empty_like(hidden), torch.empty_like(weight, dtype=dtype), None, accumulate, 1e-2,
    )  # fmt: skip


def summed_gradients(vocab, width=1024):
    """The weight's gradient as a sum over three chunks."""
    given = head(vocab, width)
    hidden, weight = given["hidden"], given["weight"]
    state, rows = torch.zeros(len(hidden), linear_launch.STATE_COLUMNS), torch.zeros(len(hidden))
    out = torch.empty_like(weight)
    kept = linear_launch.empty_kept(hidden, weight)
    exponents = linear.exponents_of(out, hidden, weight)
    for chunk in range(3):
        linear.gradients(
            kept, state, rows, rows, None, hidden, weight, None, None, out, None, chunk > 0,
            exponents, chunk, 3,
        )  # fmt: skip


def everything(vocab):
    """All that is optional."""
    support = torch.ones(1, ROWS, vocab, dtype=torch.bool)
    mask = torch.ones(1, ROWS, dtype=torch.bool)
    return {"mask": mask, "per_token": floats(), "support": support}


# Of matrix products, which the tensor cores must do.
PRODUCTS = {
    f"{name}, {vocab}": partial(launch, vocab)
    for vocab in (ALIGNED, ODD)
    for name, launch in {
        "hidden states' log-probs": lambda v: linear.statistics(*head(v).values(), False),
        "hidden states' statistics": lambda v: linear.statistics(*head(v).values(), True),
        "hidden states' exponentials": lambda v: linear.exponentials(*head(v).values()),
        "hidden states' exponentials with everything": lambda v: linear.exponentials(
            *all_of(v).values()
        ),
        "hidden states' gradients": lambda v: hidden_gradients(head(v)),
        "hidden states' gradients at width 896": lambda v: hidden_gradients(head(v, 896)),
        "hidden states' gradients with entropy": lambda v: hidden_gradients(
            all_of(v), with_entropy=True
        ),
        "hidden states' summed gradients": summed_gradients,
        "hidden states' summed gradients at width 896": lambda v: summed_gradients(v, 896),
    }.items()
}
LAUNCHES = PRODUCTS | {
    f"{name}, {vocab}": partial(launch, vocab)
    for vocab in (ALIGNED, ODD)
    for name, launch in {
        "log-probs": lambda v: statistics(logits, v, with_entropy=False),
        "statistics": lambda v: statistics(logits, v),
        "statistics of all but the last": lambda v: statistics(all_but_the_last, v),
        "statistics of float32": lambda v: statistics(wide_logits, v),
        "statistics with everything": lambda v: statistics(logits, v, **everything(v)),
        "gradient of log-probs": lambda v: gradients(logits, v, with_entropy=False),
        "gradients": lambda v: gradients(logits, v),
        "gradients in place": lambda v: gradients(logits, v, in_place=True),
        "gradients with everything": lambda v: gradients(logits, v, **everything(v)),
        "loss": lambda v: loss(logits, v, with_gradient=False),
        "loss and gradient": lambda v: loss(logits, v),
        "loss and gradient in place": lambda v: loss(logits, v, in_place=True),
        "loss and gradient of float32": lambda v: loss(wide_logits, v),
        "loss and gradient with everything": lambda v: loss(logits, v, **everything(v)),
        "scale": lambda v: scaled(logits, v),
    }.items()
}
# Of matrix products with gathered operands.
GATHERED = {
    f"hidden states' sparse gradients, {name}, {vocab}": partial(launch, vocab)
    for vocab in (ALIGNED, ODD)
    for name, launch in {
        "new": lambda v: sparse_gradients(v, torch.bfloat16, accumulate=False),
        "new, at width 896": lambda v: sparse_gradients(
            v, torch.bfloat16, accumulate=False, width=896
        ),
        "added in bfloat16": lambda v: sparse_gradients(v, torch.bfloat16, accumulate=True),
        "added in float32": lambda v: sparse_gradients(v, torch.float32, accumulate=True),
    }.items()
}
LAUNCHES |= GATHERED
