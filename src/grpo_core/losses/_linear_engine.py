"""What computes log-probs of hidden states and their gradients: kernels, or PyTorch."""

from importlib.util import find_spec
from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

from torch import Tensor

from grpo_core._tensors import check_choice
from grpo_core.losses._linear_inputs import Gradients, Inputs

Backend = Literal["auto", "torch", "triton"]


@runtime_checkable  # by whoever checks annotations as they are called
class Engine(Protocol):
    """The functions of `_linear_torch` and of `_linear_triton`, which say what they do."""

    def chunk_rows(self, inputs: Inputs, *, whole_sequences: bool) -> int | None: ...
    def lean_rows(self, inputs: Inputs, *, whole_sequences: bool) -> int | None: ...
    def frozen_rows(self, inputs: Inputs) -> int: ...
    def kept_bytes(self, inputs: Inputs, rows: int) -> int: ...
    def statistics(
        self, inputs: Inputs, *, with_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor]: ...
    def exponentials(self, inputs: Inputs) -> tuple[Tensor, Any]: ...
    def gradients(
        self,
        inputs: Inputs,
        kept: Any,
        log_probs_grad: Tensor,
        into: Gradients,
        *,
        accumulate: bool,
    ) -> None: ...
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


def engine_of(inputs: Inputs, backend: Backend) -> Engine:
    """The module that computes: of the kernels, or of PyTorch's operations."""
    check_choice(backend, get_args(Backend), "backend")
    from grpo_core.losses import _linear_torch  # noqa: PLC0415 - which imports this module

    if backend == "torch" or (
        backend == "auto" and not (inputs.hidden.is_cuda and find_spec("triton") is not None)
    ):
        return cast("Engine", _linear_torch)
    from grpo_core.losses import _linear_triton  # noqa: PLC0415 - needs Triton

    reason = _linear_triton.unsupported(inputs)
    if reason is None:
        return cast("Engine", _linear_triton)
    if backend == "auto":
        return cast("Engine", _linear_torch)
    raise ValueError(f"backend 'triton' cannot do this: {reason}")
