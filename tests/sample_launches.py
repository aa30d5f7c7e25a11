"""Kernels to try the checks on: what must be refused beside what must not."""

# ruff: noqa: N803 - constants are capital in Triton

import pytest
import torch

pytest.importorskip("triton.tools.tensor_descriptor")

import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def copy_kernel(x_ptr, out_ptr, stride, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at * stride))


@triton.jit
def keep_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at).to(tl.float32)
    top = tl.max(x)  # all of x is held until it is known
    for i in range(n):
        x = tl.exp2(x - top) + i
        top = tl.max(x)
    tl.store(out_ptr + at, x)


@triton.jit
def product_kernel(a, b, out, n, BLOCK: tl.constexpr, DEPTH: tl.constexpr):
    total = tl.zeros((BLOCK, BLOCK), tl.float32)
    for k in range(0, n, DEPTH):
        total = tl.dot(a.load([0, k]), b.load([0, k]).T, total)
    out.store([0, 0], total.to(out.dtype))


def copy(stride):
    x, out = (torch.empty(4096 * stride, dtype=torch.bfloat16) for _ in range(2))
    copy_kernel[(1,)](x, out, stride, BLOCK=4096)


def keep(block):
    x, out = (torch.empty(block, dtype=torch.bfloat16) for _ in range(2))
    keep_kernel[(1,)](x, out, 3, BLOCK=block, num_warps=1)


def product():
    a, b, out = (torch.empty(128, size, dtype=torch.bfloat16) for size in (4096, 4096, 128))
    blocks = (TensorDescriptor.from_tensor(x, [128, 64]) for x in (a, b))
    out = TensorDescriptor.from_tensor(out, [128, 128])
    product_kernel[(1,)](*blocks, out, 4096, BLOCK=128, DEPTH=64, num_warps=8, num_stages=3)


LAUNCHES = {
    "copy": lambda: copy(1),
    "strided copy": lambda: copy(3),
    "keep 1024": lambda: keep(1024),
    "keep 8192": lambda: keep(8192),
    "product": product,
}
