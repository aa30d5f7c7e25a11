"""The rules of a loss for which one batch is enough."""

import torch

from grpo_core.testing._batches import TokenBatch
from grpo_core.testing._checks_loss import Loss


def ordinary() -> TokenBatch:
    """Four rows of 3, 0, 5 and 2 tokens in two groups, off policy, not at the edge of a clip."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu")

    log_probs = -normal(4, 5).abs() - 0.5
    mask = torch.arange(5, device="cpu") < torch.tensor([[3], [0], [5], [2]], device="cpu")
    advantages = normal(4, 1).expand(4, 5).contiguous()
    old, ref = (log_probs + 0.1 * normal(4, 5) for _ in range(2))
    group_ids = torch.tensor([1, 1, 2, 2], device="cpu")
    rewards = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64, device="cpu")
    fields = {
        "log_probs": log_probs, "old_log_probs": old, "ref_log_probs": ref, "mask": mask,
        "advantages": advantages, "rewards": rewards, "group_ids": group_ids,
    }  # fmt: skip
    return TokenBatch(**fields)


def gradient_is_of_the_value(loss: Loss) -> str:
    """`gradcheck`, on a batch of which no number is at a kink."""
    batch = ordinary()
    log_probs = batch.log_probs.requires_grad_()

    def value(x: torch.Tensor) -> torch.Tensor:
        return loss.of(batch._replace(log_probs=x))

    torch.autograd.gradcheck(value, log_probs)  # raises, with both gradients
    return ""


def compiles(loss: Loss) -> str:
    """Without a break of the graph, and with the same loss and gradient."""
    batch = ordinary()
    value, gradient = loss.gradient(batch)
    torch.compiler.reset()
    try:
        compiled = torch.compile(loss.function, fullgraph=True, backend="aot_eager")
        other, moved = Loss(compiled, loss.names).gradient(batch)
    finally:
        torch.compiler.reset()
    if not (torch.allclose(value, other) and torch.allclose(gradient, moved)):
        return f"is {value.item():g}, and {other.item():g} when compiled"
    return ""
