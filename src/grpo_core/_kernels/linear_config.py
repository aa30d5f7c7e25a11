"""Which tiles for which shape, measured once; and where the kernels of `linear` cannot run."""

import os
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

try:
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:  # before Triton 3.4
    TensorDescriptor = None

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # the kernels run on the CPU
DTYPES = (torch.bfloat16, torch.float16, *([torch.float32] if INTERPRETED else []))
HAS_WIDE_PRODUCTS = "dtype" in torch.ops.aten.mm.overloads()
NARROW = (torch.bfloat16,)  # whose sums over chunks need float16 in between, see `linear_product`
MAX_VOCAB = 1 << 24  # a token is exact as a float32


class Tiles(NamedTuple):
    """How a product is cut. The bits of a log-prob depend on `columns` and `warps` alone."""

    rows: int = 128
    columns: int = 256
    depth: int = 64
    group: int = 16  # row blocks that share a block of the weight (or columns, `rows_first` off)
    warps: int = 8
    stages: int = 3
    rows_first: bool = True


class Plan(NamedTuple):
    """The tiles of a shape; `None` leaves a product to cuBLAS."""

    exponentials: Tiles = Tiles()
    hidden: Tiles | None = None
    weight: Tiles | None = None


# (width, vocab, dtype, multiprocessors), measured on an H100 SXM; docs/benchmarks.md has the times.
_WIDE = Tiles(group=4, stages=4)
_TALL = Tiles(rows=256, columns=128, group=8, rows_first=False)
DEFAULT = Plan(Tiles(), _WIDE, _WIDE)
PLANS: dict[tuple[int, int, torch.dtype, int], Plan] = {
    (896, 151936, torch.bfloat16, 132): Plan(Tiles(), _WIDE, _TALL),
}


def plan(hidden: Tensor, weight: Tensor) -> Plan:
    """What was measured for this shape, or what is good for most."""
    return PLANS.get((*reversed(weight.shape), weight.dtype, processors(hidden.device)), DEFAULT)


@cache
def processors(device: torch.device) -> int:
    """Multiprocessors of a GPU."""
    if device.type != "cuda":
        return 2
    return torch.cuda.get_device_properties(device).multi_processor_count


def unsupported(hidden: Tensor, weight: Tensor) -> str | None:
    """Why these kernels cannot take such tensors, or None."""
    if TensorDescriptor is None:
        return "needs Triton 3.4 or later, for tensor descriptors made on the host"
    if not HAS_WIDE_PRODUCTS:
        return f"needs torch 2.8 or later, for float32 products, got {torch.__version__}"
    if hidden.dtype not in DTYPES or weight.dtype not in DTYPES:
        return f"takes bfloat16 and float16, got {hidden.dtype} and {weight.dtype}"
    if hidden.dtype != weight.dtype:
        return f"takes one dtype, got {hidden.dtype} and {weight.dtype}"
    vocab, width = weight.shape
    if width % 8:
        return f"takes a hidden size that is a multiple of 8, got {width}"
    if not 0 < vocab <= MAX_VOCAB:
        return f"takes a vocabulary in [1, {MAX_VOCAB}], got {vocab}"
    if INTERPRETED and not hidden.is_cuda:
        return None
    if not hidden.is_cuda:
        return f"needs a CUDA device, got {hidden.device.type}"
    found = torch.cuda.get_device_properties(hidden.device)  # a constant to the compiler
    if found.major != 9:
        return f"was built for compute capability 9.0, got {found.major}.{found.minor}"
    return None
