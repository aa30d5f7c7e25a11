"""One optimiser step for every trainer's loss: masks, unequal lengths, ratios beyond both clips."""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

# Four micro-batches of two rows: what is averaged in the wrong place is seen.
LENGTHS = [1, 2, 3, 2, 6, 5, 6, 4]
QUARTERS = [slice(i, i + 2) for i in range(0, 8, 2)]
GROUPS = torch.arange(2, device="cpu").repeat_interleave(4)


class Step:
    """The tensors of a step, in float64; `log_probs` is the leaf whose gradient is compared."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def noise(scale: float) -> Tensor:
            return scale * torch.randn(8, 6, generator=generator, dtype=torch.float64)

        self.mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
        self.mask[4:, 2] = False  # what a tool wrote
        self.log_probs = (-1.5 + noise(0.3)).requires_grad_()
        self.old = self.log_probs.detach() + noise(0.4)
        self.sampled = self.old + noise(0.05)
        self.ref = self.log_probs.detach() + noise(0.5)
        sign = torch.tensor([1.0, -1, 1, -1, 1, -1, -1, 1], dtype=torch.float64)
        self.advantages = (sign * torch.linspace(0.5, 1.7, 8, dtype=torch.float64))[:, None]
        self.advantages = self.advantages.expand(8, 6).clone()
        self.old[5, 1] = self.log_probs[5, 1].item() - 1.6  # a ratio of 5 with A < 0
        ratio = (self.log_probs.detach() - self.old).exp()
        for positive in (True, False):  # every branch of a clip is taken by a valid token
            side = ratio[self.mask & ((self.advantages > 0) == positive)]
            assert (side < 0.8).any()
            assert (side > 1.2).any()
            assert ((side > 0.8) & (side < 1.2)).any()

    @property
    def tokens(self) -> int:
        return int(self.mask.sum())

    def gradient(self, loss: Callable[[slice], Tensor], parts: list[slice] = QUARTERS) -> Tensor:
        """What the backward passes of the micro-batches add up to."""
        self.log_probs.grad = None
        for part in parts:
            loss(part).backward()
        gradient = self.log_probs.grad
        assert gradient is not None
        return gradient.clone()


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative, in the norm; of gradients that are not zero."""
    assert theirs.norm() > 0
    return ((ours - theirs).norm() / theirs.norm()).item()


def missing(*names: str) -> tuple[str, ...]:
    """Those that are not installed: a stand-in is for these alone."""
    return tuple(name for name in names if find_spec(name) is None)
