"""What kernels share: constants, device functions, and the device that they are launched on."""

from contextlib import AbstractContextManager, nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)
LN2: tl.constexpr = tl.constexpr(0.6931471805599453)


@triton.jit
def log1p(s):
    # The device's logarithm loses its digits near 1; there the series has them.
    small = s * (1 - s * (1 / 2 - s * (1 / 3 - s * (1 / 4 - s * (1 / 5 - s * (1 / 6))))))
    return tl.where(s < 0.0625, small, tl.log(1.0 + s))


@triton.jit
def columns(c, stride, UNIT: tl.constexpr):
    """Offsets of columns; int64 where they are apart, since vocab * stride overflows int32."""
    return c if UNIT else c.to(tl.int64) * stride


def on(tensor: Tensor) -> AbstractContextManager[None]:
    """Triton launches on the current device, whatever its arguments are on."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
