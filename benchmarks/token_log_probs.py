"""Time and memory of log-probs and entropies from materialised logits, by backend.

    python benchmarks/token_log_probs.py [--rows 8192] [--vocab 151936]

Checks against float64 first, then prints one Markdown table: eager PyTorch, `torch.compile`,
Triton, and TRL and Liger where they can be imported; on a GPU beside a measured copy, and with what
is allocated beyond the logits. First calls are not timed. Logits are peaked, as a policy's are: a
dozen candidates of Zipf-distributed ids hold the mass, the token is drawn from them.
"""

import argparse
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clock import seconds
from grpo_core.losses import token_log_probs, token_statistics

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIB = 1 << 20
Function = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def peaked(rows: int, vocab: int) -> tuple[Tensor, Tensor]:
    """Logits [1, rows, vocab] in bfloat16 of about half a nat of entropy, and drawn tokens."""
    torch.manual_seed(0)
    logits = torch.empty(1, rows, vocab, dtype=torch.bfloat16, device=DEVICE)
    tokens = torch.empty(1, rows, dtype=torch.long, device=DEVICE)
    for start in range(0, rows, 2048):
        part = slice(start, min(rows, start + 2048))
        size = part.stop - start
        ids = (vocab ** torch.rand(size, 11, device=DEVICE)).long().clamp_(max=vocab - 1)
        steps = torch.rand(size, 11, device=DEVICE) * 1.5
        steps[:, 0], steps[:, 1] = 0, torch.randn(size, device=DEVICE).abs() * 5
        height = 22 - steps.cumsum(1)
        block = 1.5 * torch.randn(size, vocab, device=DEVICE)
        logits[0, part] = block.scatter_(1, ids, height).bfloat16()
        drawn = torch.multinomial(height.softmax(1), 1)
        tokens[0, part] = ids.gather(1, drawn)[:, 0]
    return logits, tokens


def log_probs(logits: Tensor, tokens: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """The log-prob alone."""
    return (token_log_probs(logits, tokens, **options),)


def both(logits: Tensor, tokens: Tensor, **options: Any) -> tuple[Tensor, ...]:
    """Log-prob and entropy."""
    return tuple(token_statistics(logits, tokens, **options))


def peers() -> dict[str, Function]:
    """Others' log-probs, where they can be imported."""
    found: dict[str, Function] = {}
    try:
        trl = importlib.import_module("trl.trainer.utils").selective_log_softmax
        found["TRL"] = lambda logits, tokens: (trl(logits, tokens),)
    except ImportError:
        print("TRL: not here")
    return found


def check(function: Function, logits: Tensor, tokens: Tensor, tolerance: float) -> None:
    """The last rows against float64, in value and gradient."""
    part, last = logits.detach()[-1:, -8:], tokens[-1:, -8:]
    given, exact = part.clone().requires_grad_(), part.double().requires_grad_()
    found = function(given + 0, last)
    wanted = both(exact, last, backend="torch")[: len(found)]
    for value, true in zip(found, wanted, strict=True):
        torch.testing.assert_close(value.double(), true, rtol=1e-2, atol=tolerance)
    (slope,) = torch.autograd.grad([value.sum() for value in found], given)
    (true_slope,) = torch.autograd.grad([value.sum() for value in wanted], exact)
    torch.testing.assert_close(slope.double(), true_slope, rtol=1e-2, atol=tolerance)


def after_a_flush(call: Callable[[], object]) -> float:
    """Seconds, with a cache that holds nothing."""
    flush = torch.empty(512 * MIB if DEVICE == "cuda" else 0, dtype=torch.int8, device=DEVICE)
    return seconds(call, turns=24, untimed=4, before=flush.zero_)


def measure(function: Function, logits: Tensor, tokens: Tensor) -> tuple[float, float, int]:
    """Milliseconds of the forward and of both passes, and the MiB that both add."""
    with torch.no_grad():
        forward = after_a_flush(lambda: function(logits, tokens))
    held = logits.detach().requires_grad_()

    def step() -> None:
        values = function(held, tokens)
        torch.autograd.grad([value.sum() for value in values], held)

    before = 0
    if DEVICE == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    whole = after_a_flush(step)
    added = (torch.cuda.max_memory_allocated() - before) // MIB if DEVICE == "cuda" else 0
    return 1e3 * forward, 1e3 * whole, added


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=8192 if DEVICE == "cuda" else 64)
    options.add_argument("--vocab", type=int, default=151_936)
    chosen = options.parse_args()
    logits, tokens = peaked(chosen.rows, chosen.vocab)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU, memory not measured"
    print(f"{name}, torch {torch.__version__}, bfloat16 {list(logits.shape)}")
    if DEVICE == "cuda":
        other = torch.empty_like(logits)
        copy = after_a_flush(lambda: other.copy_(logits))
        rate = 2 * logits.nbytes / copy
        print(
            f"a copy runs at {rate / 1e12:.2f} TB/s: one read of the logits is {copy / 2e-3:.2f} ms"
        )
        del other
    print("\n| function | backend | forward, ms | forward + backward, ms | added, MiB |")
    print("|---|---|---|---|---|")
    backends = ("torch", "torch.compile", *(("triton", "triton, overwriting") * (DEVICE == "cuda")))
    for label, function in (("token_log_probs", log_probs), ("token_statistics", both)):
        rows: dict[str, Function] = {}
        for backend in backends:
            where = "triton" if "triton" in backend else "torch"
            run = partial(function, backend=where, overwrite_logits="over" in backend)
            rows[backend] = torch.compile(run, fullgraph=True) if "compile" in backend else run
        rows |= peers() if function is log_probs else {}
        for backend, run in rows.items():
            # TRL rounds to bfloat16.
            check(run, logits, tokens, 5e-2 if backend == "TRL" else 1e-4)
            # What is overwritten is overwritten again: the values change, the work does not.
            forward, whole, added = measure(run, logits, tokens)
            print(f"| `{label}` | {backend} | {forward:.2f} | {whole:.2f} | {added:,} |")
        if DEVICE == "cuda":
            logits, tokens = peaked(chosen.rows, chosen.vocab)


if __name__ == "__main__":
    main()
