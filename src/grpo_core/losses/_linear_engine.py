"""What computes log-probs of hidden states and their gradients: kernels, or PyTorch."""

from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

import torch
from torch import Tensor

from grpo_core._tensors import HAS_TRITON, check_choice
from grpo_core.losses import _linear_compiled, _linear_torch
from grpo_core.losses._linear_inputs import Gradients, Inputs

Backend = Literal["auto", "torch", "triton"]


@runtime_checkable  # by whoever checks annotations as they are called
class OnePass(Protocol):
    """What one pass calls."""

    def exponentials(self, inputs: Inputs) -> tuple[Tensor, Any]: ...
    def summing(self, inputs: Inputs, into: Gradients) -> Gradients: ...
    def gradients(
        self,
        inputs: Inputs,
        kept: Any,
        log_probs_grad: Tensor,
        into: Gradients,
        *,
        accumulate: bool,
        chunk: int = 0,
        chunks: int = 1,
    ) -> None: ...


@runtime_checkable
class Engine(OnePass, Protocol):
    """The functions of `_linear_torch`, `_linear_compiled` and `_linear_triton`."""

    def chunk_rows(self, inputs: Inputs, *, whole_sequences: bool) -> int | None: ...
    def lean_rows(self, inputs: Inputs, *, whole_sequences: bool) -> int | None: ...
    def frozen_rows(self, inputs: Inputs) -> int: ...
    def kept_bytes(self, inputs: Inputs, rows: int) -> int: ...
    def statistics(
        self, inputs: Inputs, *, with_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]: ...
    def backward(
        self,
        inputs: Inputs,
        state: Tensor,
        entropy: Tensor,
        log_probs_grad: Tensor,
        entropy_grad: Tensor | None,
        into: Gradients,
        *,
        accumulate: bool,
        lean: bool,
    ) -> None: ...
    def rescale(self, values: Tensor, factor: Tensor) -> None: ...


def engine_of(inputs: Inputs, backend: Backend) -> Engine:
    """The module that computes: of the kernels, or of PyTorch's operations."""
    check_choice(backend, get_args(Backend), "backend")
    if backend == "triton" or (backend == "auto" and _has_triton(inputs)):
        from grpo_core.losses import _linear_triton  # noqa: PLC0415 - needs Triton

        reason = _linear_triton.unsupported(inputs)
        if reason is None:
            return cast("Engine", _linear_triton)
        if backend == "triton":
            raise ValueError(f"backend 'triton' cannot do this: {reason}")
    return cast("Engine", _linear_compiled if torch.compiler.is_compiling() else _linear_torch)


def _has_triton(inputs: Inputs) -> bool:
    return inputs.hidden.is_cuda and HAS_TRITON
