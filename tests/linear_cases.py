"""A small head on hidden states, and tiles so small that every loop over them runs."""

import pytest
import torch

from grpo_core.losses import _linear_torch

BATCH, SEQ, WIDTH, VOCAB = 3, 5, 4, 7


def _draw(*shape, seed):
    with torch.device("cpu"):  # the same numbers on every machine
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return values.to(torch.get_default_device())


HIDDEN, WEIGHT, BIAS = (
    _draw(BATCH, SEQ, WIDTH, seed=0),
    _draw(VOCAB, WIDTH, seed=1),
    _draw(7, seed=2),
)
HEAT = 0.5 + _draw(BATCH, SEQ, seed=3).square()
TOKENS = torch.arange(BATCH * SEQ).reshape(BATCH, SEQ) * 3 % VOCAB
MASK = torch.arange(SEQ) < torch.tensor([[5], [0], [3]])


def leaves(*tensors):
    """Copies that require gradients."""
    return tuple(x.detach().clone().requires_grad_() for x in tensors)


def small_tiles(monkeypatch, elements, chunk=None):
    """Tiles of so many elements; chunks of one pass of so many, if not of one tile's rows."""
    monkeypatch.setattr(_linear_torch, "_TILE", elements)
    monkeypatch.setattr(_linear_torch, "_CHUNK", elements if chunk is None else chunk)


# On a GPU the backward's products take factors of 16 bits: test_linear_gpu.py has bounds for those.
exact_products = pytest.mark.skipif(
    torch.cuda.is_available(), reason="states roundings or memory of PyTorch on the CPU"
)
