"""Time and memory of loss and log-probs from hidden states, by backend and memory mode.

    python benchmarks/linear_token_loss.py [--rows 8192] [--width 4096] [--vocab 151936]

Checks the last rows against float64 first, says what `sparse=` leaves out and adds as an error,
then prints one Markdown table: the loss in one pass, fast, lean and sparse; log-probs with
recomputation and scoring with entropy; the PyTorch reference; eager PyTorch that keeps all logits;
and TRL where it can be imported. Beside each time stands its ratio to the floor: two products
forward, six both ways, at the rate of a large product measured first.
Hidden states point at a dozen candidates of Zipf-distributed ids, the token is drawn from them.
"""

import argparse
import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from clock import seconds
from grpo_core.losses import (
    clipped_loss,
    linear_token_log_probs,
    linear_token_loss,
    linear_token_statistics,
    log_ratio,
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIB = 1 << 20
SHARES = 0.001, 0.01, 0.1  # that `sparse=` may leave out of a token's probability
Backend = Literal["auto", "torch", "triton"]
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


def peaked(rows: int, width: int, vocab: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states [1, rows, width], the weight and drawn tokens, of half a nat of entropy."""
    torch.manual_seed(0)
    weight = torch.empty(vocab, width, dtype=torch.bfloat16, device=DEVICE)
    weight.normal_(std=width**-0.5)
    hidden = torch.empty(1, rows, width, dtype=torch.bfloat16, device=DEVICE)
    tokens = torch.empty(1, rows, dtype=torch.long, device=DEVICE)
    for start in range(0, rows, 2048):
        part = slice(start, min(rows, start + 2048))
        size = part.stop - start
        ids = (vocab ** torch.rand(size, 11, device=DEVICE)).long().clamp_(max=vocab - 1)
        steps = torch.rand(size, 11, device=DEVICE) * 1.5
        steps[:, 0], steps[:, 1] = 0, torch.randn(size, device=DEVICE).abs() * 5
        height = 22 - steps.cumsum(1)
        noise = 1.5 * torch.randn(size, width, device=DEVICE)
        hidden[0, part] = torch.einsum("nk,nkh->nh", height, weight[ids].float()) + noise
        drawn = torch.multinomial(height.softmax(1), 1)
        tokens[0, part] = ids.gather(1, drawn)[:, 0]
    return hidden.requires_grad_(), weight.requires_grad_(), tokens


def per_token(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """The clipped loss of each token."""
    return clipped_loss(log_ratio(log_probs, old, mask), advantages)


def one_pass(old: Tensor, advantages: Tensor, mask: Tensor, **options: Any) -> Function:
    """Loss and gradients in one pass."""

    def run(hidden: Tensor, weight: Tensor, tokens: Tensor) -> Tensor:
        return linear_token_loss(
            per_token, hidden, weight, tokens, old, advantages, mask,
            mask=mask, total=None, **options,
        ).loss  # fmt: skip

    return run


def entropies_too(backend: Backend, hidden: Tensor, weight: Tensor, tokens: Tensor) -> Tensor:
    """Log-probs, and entropies that nobody asks for later."""
    return linear_token_statistics(hidden, weight, tokens, backend=backend).log_probs


def eager(hidden: Tensor, weight: Tensor, tokens: Tensor) -> Tensor:
    """Log-probs of logits that are all kept, and widened."""
    return (hidden @ weight.T).float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


def peers() -> dict[str, Function]:
    """Others' log-probs, where they can be imported."""
    found: dict[str, Function] = {}
    try:
        chunked = importlib.import_module("trl.kernels.chunked_logprob").ChunkedLogProbFunction
        found["log-probs, TRL chunked"] = lambda hidden, weight, tokens: chunked.apply(
            hidden[0], weight, None, tokens[0], 1.0, 32768, None, 1.0, ()
        )[0][None]
    except ImportError:
        print("TRL's chunked log-probs: not here")
    return found


def check(hidden: Tensor, weight: Tensor, tokens: Tensor, backend: Backend) -> None:
    """The last rows against float64, in value and gradient."""
    part, last = hidden.detach()[:, -8:], tokens[:, -8:]
    gradients: list[Tensor] = []
    for leaf, head in ((part, weight.detach()), (part.double(), weight.detach().double())):
        states = leaf.clone().requires_grad_()
        chosen: Backend = backend if leaf is part else "torch"
        values = linear_token_log_probs(states, head, last, backend=chosen)
        (slope,) = torch.autograd.grad(values.sum(), states)
        gradients += [values.detach().double(), slope.double()]
    torch.testing.assert_close(gradients[0], gradients[2], rtol=0, atol=1e-3)
    error = (gradients[1] - gradients[3]).norm() / gradients[3].norm()
    if not error < 1e-2:
        raise AssertionError(f"gradients are off by {error:.1e}")


def sparsity(given: tuple[Tensor, ...], inputs: tuple[Tensor, Tensor, Tensor], share: float) -> str:
    """Error that leaving out a share adds to the gradients, and what it left out and did."""
    old, advantages, mask = given
    found: list[tuple[Tensor, ...]] = []
    shares = ""
    for sparse in (None, share):
        result = linear_token_loss(
            per_token, *inputs, old, advantages, mask, mask=mask, total=None, sparse=sparse
        )
        found.append(torch.autograd.grad(result.loss, inputs[:2]))
        if sparse is not None:
            what = result.metrics["sparsity"]
            shares = f"left out {what.left_out_share():.1e} of the logits' gradient, "
            shares += f"made {what.work_share():.1%} of the products"
    errors = [
        (
            torch.linalg.vector_norm(b - a, dtype=torch.float64)
            / torch.linalg.vector_norm(a, dtype=torch.float64)
        ).item()
        for a, b in zip(*found, strict=True)
    ]
    return f"sparse={share:g} added {errors[0]:.1e} (hidden) and {errors[1]:.1e} (weight), {shares}"


def measure(function: Function, *inputs: Tensor, scored: bool) -> tuple[float, float, int]:
    """Milliseconds of the forward and of both passes, and the MiB that both add."""
    hidden, weight, tokens = inputs
    forward = math.nan
    if scored:
        with torch.no_grad():
            forward = seconds(lambda: function(hidden, weight, tokens), turns=12, untimed=2)

    def step() -> None:
        hidden.grad = weight.grad = None
        function(hidden, weight, tokens).sum().backward()

    step()
    hidden.grad = weight.grad = None
    before = 0
    if DEVICE == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    whole = seconds(step, turns=12, untimed=2)
    added = (torch.cuda.max_memory_allocated() - before) // MIB if DEVICE == "cuda" else 0
    hidden.grad = weight.grad = None
    return 1e3 * forward, 1e3 * whole, added


def main() -> None:
    """Print the table."""
    gpu = DEVICE == "cuda"
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=8192 if gpu else 64)
    options.add_argument("--width", type=int, default=4096 if gpu else 64)
    options.add_argument("--vocab", type=int, default=151_936 if gpu else 2048)
    chosen = options.parse_args()
    inputs = peaked(chosen.rows, chosen.width, chosen.vocab)
    name = torch.cuda.get_device_name() if gpu else "CPU, memory not measured"
    print(f"{name}, torch {torch.__version__}, {list(inputs[0].shape)} x {chosen.vocab}, bfloat16")
    side = 8192 if gpu else 512
    square = torch.randn(side, side, dtype=torch.bfloat16, device=DEVICE)
    rate = 2 * side**3 / seconds(lambda: square @ square.T, turns=12, untimed=2)
    floor = 2e3 * chosen.rows * chosen.width * chosen.vocab / rate
    print(f"a product of {side} squared runs at {rate / 1e12:.0f} TFLOP/s")
    check(*inputs, "triton" if gpu else "torch")
    with torch.no_grad():
        old = linear_token_log_probs(*inputs) + 0.1 * torch.randn(1, chosen.rows, device=DEVICE)
    mask = torch.ones_like(old, dtype=torch.bool)
    given = old, torch.randn_like(old), mask
    rows: dict[str, tuple[Function, bool]] = {}
    backends: tuple[Backend, ...] = ("torch", "triton") if gpu else ("torch",)
    for backend in backends:
        for memory in ("fast", "lean"):
            label = f"`linear_token_loss`, {backend}, {memory}"
            rows[label] = one_pass(*given, memory=memory, backend=backend), False
        if backend == "triton":
            for share in SHARES:
                label = f"`linear_token_loss`, triton, fast, sparse={share:g}"
                rows[label] = one_pass(*given, memory="fast", sparse=share), False
        rows[f"`linear_token_log_probs`, {backend}"] = (
            partial(linear_token_log_probs, backend=backend),
            True,
        )
        rows[f"`linear_token_statistics`, {backend}"] = partial(entropies_too, backend), True
    rows |= {label: (function, True) for label, function in peers().items()}
    rows["log-probs, eager, all logits kept"] = eager, True
    if gpu:
        for share in SHARES:
            print(sparsity(given, inputs, share))
    print("\n| function | forward, ms | x floor | both, ms | x floor of one pass | added, MiB |")
    print("|---|---|---|---|---|---|")
    for label, (function, scored) in rows.items():
        try:
            forward, whole, added = measure(function, *inputs, scored=scored)
        except torch.OutOfMemoryError:
            print(f"| {label} | | | out of memory | | |")
            continue
        one = f"{forward:.2f} | {forward / floor:.2f}" if scored else "|"
        print(f"| {label} | {one} | {whole:.2f} | {whole / floor / 3:.2f} | {added:,} |")


if __name__ == "__main__":
    main()
