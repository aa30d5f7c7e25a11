"""Inputs of the kernels on logits, where they run: on a GPU, or in the interpreter."""

import torch

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# The interpreter truncates stores to bfloat16.
DTYPES = [torch.float32, torch.float16, *([torch.bfloat16] if GPU else [])]
SIZES = [1, 2, 63, 64, 65, 128, 129, 300]


def random(*shape, seed=0, scale=4.0, dtype=torch.float32):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, device=DEVICE)).to(dtype)


def ids(batch, seq, vocab, seed=1):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return torch.randint(vocab, (batch, seq), generator=generator, device=DEVICE)
