"""Time and memory of the clipped loss from materialised logits, and of its gradient, by backend.

    python benchmarks/logits_token_loss.py [--shapes 8192x151936 4096x151936]

Checks against float64 first, then prints one Markdown table: eager PyTorch, `torch.compile`, the
two passes of `token_log_probs` in Triton with the loss composed behind them, `logits_token_loss`
in Triton, and TRL, Liger and Fast-LLM where they can be imported. On a GPU the floor is one read
and one write of the logits, at the rate of a measured copy. Times are of the device's clock, first
calls and what restores overwritten logits left out; "added" is allocated beside the logits. The
logits are those of `token_log_probs.py`; the last row of the batch is masked.
"""

import argparse
import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clock import seconds
from grpo_core.losses import (
    clipped_loss,
    log_ratio,
    logits_token_loss,
    token_log_probs,
    token_mean,
)
from token_log_probs import DEVICE, MIB, peaked

LOW, HIGH = 0.2, 0.28
Function = Callable[[Tensor, "Batch"], Tensor]


class Batch:
    """What a loss takes beside the logits."""

    def __init__(self, logits: Tensor, tokens: Tensor) -> None:
        self.tokens = tokens
        with torch.no_grad():
            true = token_log_probs(logits, tokens)
        self.old = true + 0.2 * torch.randn_like(true)
        self.advantages = torch.randn(len(tokens), 1, device=DEVICE).expand_as(true)
        self.mask = torch.ones_like(tokens, dtype=torch.bool)
        self.mask[:, -1] = False

    def last(self, rows: int) -> "Batch":
        """The last rows alone."""
        part = Batch.__new__(Batch)
        for name, values in vars(self).items():
            setattr(part, name, values[:, -rows:])
        return part


def ours(logits: Tensor, batch: Batch, **options: Any) -> Tensor:
    """`logits_token_loss`."""
    return logits_token_loss(
        logits, batch.tokens, batch.old, batch.advantages, mask=batch.mask, total=None, **options
    ).loss


def composed(logits: Tensor, batch: Batch, log_probs: Callable[..., Tensor]) -> Tensor:
    """Log-probs of some function, and the loss of them in PyTorch."""
    ratio = log_ratio(log_probs(logits, batch.tokens), batch.old, batch.mask)
    return token_mean(clipped_loss(ratio, batch.advantages), batch.mask)


def peers() -> dict[str, Function]:
    """Others' losses, where they can be imported."""
    found: dict[str, Function] = {}
    if DEVICE != "cuda":
        return found
    try:
        trl = importlib.import_module(
            "trl.kernels.logprob_entropy"
        ).selective_log_softmax_and_entropy

        def of_trl(logits: Tensor, tokens: Tensor) -> Tensor:
            vocab = logits.shape[-1]
            return trl(logits.view(-1, vocab), tokens.view(-1))[0].view(tokens.shape)

        found["TRL's kernel, composed"] = partial(composed, log_probs=of_trl)
    except ImportError as error:
        print(f"TRL: not here ({error})")
    try:
        liger = importlib.import_module("liger_kernel.transformers.grpo_loss").triton_grpo_loss

        def of_liger(logits: Tensor, b: Batch) -> Tensor:
            # It scores all positions but the last, which is the one that is masked.
            old, tokens = b.old[:, :-1].contiguous(), b.tokens[:, :-1].contiguous()
            weights = b.mask[:, :-1].float().contiguous()
            return liger(
                logits, old, None, tokens, b.advantages[:, 0].contiguous(), weights,
                temperature=1.0, beta=0.0, eps_low=LOW, eps_high=HIGH, inplace=True,
                loss_type="dapo", reduce=True,
            )[0]  # fmt: skip

        found["Liger, in place"] = of_liger
    except ImportError as error:
        print(f"Liger: not here ({error})")
    try:
        name = "fast_llm.functional.triton.grpo_loss"
        fast = importlib.import_module(name).triton_grpo_loss_forward_backward

        class OfFastLLM(torch.autograd.Function):
            """Its function gives the gradient beside the loss."""

            @staticmethod
            def forward(ctx: Any, logits: Tensor, b: Batch) -> Tensor:
                loss, ctx.grad, _ = fast(
                    logits.flatten(0, 1), b.tokens.flatten().masked_fill(~b.mask.flatten(), -100),
                    b.advantages.flatten(), b.old.flatten(), None, 1.0, None, LOW, HIGH,
                    divisor=float(b.mask.sum()),
                )  # fmt: skip
                return loss

            @staticmethod
            def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
                return ctx.grad, None

        found["Fast-LLM"] = OfFastLLM.apply
    except ImportError as error:
        print(f"Fast-LLM: not here ({error})")
    return found


def check(function: Function, logits: Tensor, batch: Batch, tolerance: float) -> None:
    """The last rows against float64, in loss and gradient, relative to its norm."""
    part, last = logits[:, -8:].clone(), batch.last(8)
    exact = part.double().requires_grad_()
    wanted = ours(exact, last, backend="torch")
    (true,) = torch.autograd.grad(wanted, exact)
    given = part.requires_grad_()
    loss = function(given + 0, last)
    (grad,) = torch.autograd.grad(loss, given)
    error = (grad.double() - true).norm() / true.norm()
    if not (error < tolerance and abs(loss.item() - wanted.item()) < tolerance):
        raise ValueError(f"gradient off by {error.item()}, loss {loss.item()}, not {wanted.item()}")


def milliseconds(call: Callable[[], object], restore: Callable[[], object]) -> float:
    """The median of some calls, with what they overwrite restored before each."""
    return 1e3 * seconds(call, turns=12 if DEVICE == "cuda" else 5, untimed=2, before=restore)


def measure(function: Function, logits: Tensor, batch: Batch) -> tuple[float, float]:
    """Milliseconds of forward and backward, and the MiB that they add."""
    held = logits.clone().requires_grad_()

    def step() -> None:
        loss = function(held, batch)
        torch.autograd.grad(loss, held)

    def restore() -> None:
        # Several milliseconds of it, in which the host issues the call: its own time is not meant.
        for _ in range(1 + (8 << 30) // max(logits.nbytes, 1 << 30) if DEVICE == "cuda" else 1):
            held.detach().copy_(logits)

    step()
    restore()
    before = 0
    if DEVICE == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    took = milliseconds(step, restore)
    added = (torch.cuda.max_memory_allocated() - before) / MIB if DEVICE == "cuda" else math.nan
    return took, added


def table(rows: int, vocab: int, only: list[str]) -> None:
    """The lines of one shape."""
    logits, tokens = peaked(rows, vocab)
    batch = Batch(logits, tokens)
    floor = math.nan
    if DEVICE == "cuda":
        other = torch.empty_like(logits)
        floor = milliseconds(lambda: other.copy_(logits), lambda: other.copy_(logits))
        del other
    two = partial(token_log_probs, backend="triton", overwrite_logits=True)
    choice: dict[str, Function] = {
        "torch": partial(ours, backend="torch"),
        "torch.compile": torch.compile(partial(ours, backend="torch"), fullgraph=True),
    }
    if DEVICE == "cuda":
        choice |= {
            "triton, two passes, overwriting": partial(composed, log_probs=two),
            "triton": partial(ours, backend="triton"),
            "triton, overwriting": partial(ours, backend="triton", overwrite_logits=True),
        }
    for label, function in (choice | peers()).items():
        if only and not any(name in label for name in only):
            continue
        torch.compiler.reset()
        # Peers round to bfloat16 here and there.
        check(function, logits, batch, 4e-3 if label in choice else 5e-2)
        took, added = measure(function, logits, batch)
        cells = (label, f"{took:.2f}", f"{floor:.2f}", f"{took / floor:.2f}", f"{added:,.0f}")
        print(f"| {rows} x {vocab} |", " | ".join(cells), "|", flush=True)
        torch.cuda.empty_cache()


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    default = "8192x151936" if DEVICE == "cuda" else "32x32000"
    options.add_argument("--shapes", nargs="+", default=[default], help="rows x vocabulary")
    options.add_argument("--only", nargs="+", default=[], help="parts of names of backends")
    chosen = options.parse_args()
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU, memory not measured"
    print(f"{name}, torch {torch.__version__}, bfloat16 logits, forward and backward")
    print("\n| logits | backend | ms | read + write, ms | ratio | added, MiB |")
    print("|---|---|---|---|---|---|")
    for shape in chosen.shapes:
        rows, vocab = (int(size) for size in shape.split("x"))
        table(rows, vocab, chosen.only)


if __name__ == "__main__":
    main()
