"""Time of everything between log-probs and the loss: ratio, clipped loss, mean, five metrics.

    python benchmarks/token_loss.py [--batch 32] [--seq 1024]

The data is small (0.5 MB at 32,768 tokens), so that launches are what costs: wall milliseconds of
forward and backward of one step, called one after another, with what is read back at the end. First
calls are not timed. One Markdown table: eager PyTorch, `torch.compile`, with CUDA graphs, and the
eager step captured in a CUDA graph by hand.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from grpo_core import metrics
from grpo_core.losses import clipped_loss, log_ratio, token_mean

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Step = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def forward(log_probs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    """The loss and numerators of what a trainer logs."""
    ratio = log_ratio(log_probs, old, mask)
    loss = token_mean(clipped_loss(ratio, advantages.expand_as(ratio)), mask)
    fixed = ratio.detach()
    logged = (
        metrics.clip_fraction_low(fixed, advantages.expand_as(ratio), mask),
        metrics.clip_fraction_high(fixed, advantages.expand_as(ratio), mask),
        metrics.ratio_mean(fixed, mask),
        metrics.approximate_kl(fixed, mask),
        metrics.ratio_error(fixed, mask),
    )
    return loss, *(metric.value() for metric in logged)


def whole(function: Step) -> Step:
    """Forward and backward: loss, metrics and the gradient of the log-probs."""

    def step(log_probs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        leaf = log_probs.detach().requires_grad_()
        loss, *logged = function(leaf, *rest)
        (grad,) = torch.autograd.grad(loss, leaf)
        return loss.detach(), *logged, grad

    return step


def captured(function: Step, inputs: tuple[Tensor, ...]) -> Step:
    """The same, replayed from a CUDA graph: the inputs are copied to where it reads them."""
    held = tuple(x.clone() for x in inputs)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function(*held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function(*held)

    def step(*inputs: Tensor) -> tuple[Tensor, ...]:
        for to, come in zip(held, inputs, strict=True):
            to.copy_(come)
        graph.replay()
        return output

    return step


def wall(step: Callable[[], object], calls: int = 50) -> tuple[float, float]:
    """Milliseconds a call: of many that are issued in a row, and of one that is waited for."""
    rows: list[float] = []
    single: list[float] = []
    for turn in range(24):
        synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            step()
        synchronize()
        middle = time.perf_counter()
        step()
        synchronize()
        if turn >= 4:
            rows.append((middle - begin) / calls)
            single.append(time.perf_counter() - middle)
    return 1e3 * statistics.median(rows), 1e3 * statistics.median(single)


def synchronize() -> None:
    """Wait for the device, if there is one."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--seq", type=int, default=1024)
    chosen = options.parse_args()
    torch.manual_seed(0)
    shape = (chosen.batch, chosen.seq)
    log_probs = -3 * torch.rand(shape, device=DEVICE)
    old = log_probs + 0.2 * torch.randn(shape, device=DEVICE)
    advantages = torch.randn(chosen.batch, 1, device=DEVICE)
    mask = torch.rand(shape, device=DEVICE) > 0.1
    inputs = (log_probs, old, advantages, mask)
    steps: dict[str, Step] = {
        "eager": whole(forward),
        "torch.compile": whole(torch.compile(forward, fullgraph=True, dynamic=False)),
    }
    if DEVICE == "cuda":
        reduced = torch.compile(forward, fullgraph=True, dynamic=False, mode="reduce-overhead")
        steps["torch.compile, reduce-overhead"] = whole(reduced)
        steps["eager in a CUDA graph"] = captured(whole(forward), inputs)
        compiled = torch.compile(forward, fullgraph=True, dynamic=False)
        steps["torch.compile in a CUDA graph"] = captured(whole(compiled), inputs)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {chosen.batch} x {chosen.seq} tokens, five metrics")
    print("\n| step | in a row, ms | waited for, ms |")
    print("|---|---|---|")
    exact = whole(forward)(*(x.double() if x.is_floating_point() else x for x in inputs))
    for label, step in steps.items():
        for found, true in zip(step(*inputs), exact, strict=True):
            torch.testing.assert_close(found.double(), true.double(), rtol=1e-4, atol=1e-7)
        row, one = wall(lambda step=step: step(*inputs))
        print(f"| {label} | {row:.3f} | {one:.3f} |")


if __name__ == "__main__":
    main()
