"""Time and memory of log-probs and entropies from materialised logits: eager and compiled.

    python benchmarks/token_log_probs.py [--rows 4096] [--vocab 151936]

Checks against float64 first, then prints one Markdown table; on a GPU, with what is allocated
beyond the logits. The first calls are not timed, and logits are random, never zeros.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from grpo_core.losses import token_log_probs, token_statistics

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIB = 1 << 20


def log_probs(logits: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """The log-prob alone."""
    return (token_log_probs(logits, tokens),)


def both(logits: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
    """Log-prob and entropy."""
    return tuple(token_statistics(logits, tokens))


def check(function: Callable[..., tuple[Tensor, ...]], logits: Tensor, tokens: Tensor) -> None:
    """The last rows against float64, in value and gradient."""
    part, last = logits.detach()[-1:, -8:], tokens[-1:, -8:]
    results: list[list[Tensor]] = []
    for dtype in (torch.float64, torch.bfloat16):
        x = part.to(dtype).requires_grad_()
        values = function(x, last)
        (gradient,) = torch.autograd.grad([value.sum() for value in values], x)
        results.append([*(value.detach().double() for value in values), gradient.double()])
    for wanted, got in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-2, atol=1e-4)


def allocated() -> int:
    """Bytes on the GPU at the worst moment since the last reset; 0 without one."""
    if DEVICE == "cpu":
        return 0
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


def measure(
    function: Callable[..., tuple[Tensor, ...]], logits: Tensor, tokens: Tensor
) -> tuple[int, int, float]:
    """MiB that forward and backward add to the logits, and the median milliseconds of both."""
    forward, backward, times = 0, 0, []
    for call in range(7):
        logits.grad = None
        allocated()
        before = allocated()
        start = time.perf_counter()
        values = function(logits, tokens)
        forward = allocated() - before
        torch.autograd.backward([value.sum() for value in values])
        backward = allocated() - before
        if call >= 2:
            times.append(1000 * (time.perf_counter() - start))
    return forward // MIB, backward // MIB, statistics.median(times)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=4096 if DEVICE == "cuda" else 64)
    options.add_argument("--vocab", type=int, default=151_936)
    chosen = options.parse_args()
    shape = (4, chosen.rows // 4, chosen.vocab)
    logits = torch.randn(shape, device=DEVICE, dtype=torch.bfloat16).requires_grad_()
    tokens = torch.randint(chosen.vocab, shape[:2], device=DEVICE)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU, memory not measured"
    print(
        f"{name}, torch {torch.__version__}, bfloat16 {list(shape)}, {logits.nbytes // MIB} MiB\n"
    )
    print("| function | backend | forward, MiB | backward, MiB | forward + backward, ms |")
    print("|---|---|---|---|---|")
    for function in (log_probs, both):
        label = "token_log_probs" if function is log_probs else "token_statistics"
        for backend in ("torch", "torch.compile"):
            run = torch.compile(function, fullgraph=True) if backend != "torch" else function
            check(run, logits, tokens)
            forward, backward, milliseconds = measure(run, logits, tokens)
            print(f"| `{label}` | {backend} | {forward:,} | {backward:,} | {milliseconds:.1f} |")


if __name__ == "__main__":
    main()
