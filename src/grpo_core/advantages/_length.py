"""The soft length penalty of a batch of lengths."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grpo_core._tensors import check_integer, check_ndim


def soft_length_penalty(
    lengths: Int[Tensor, " batch"],
    *,
    max_length: int,
    buffer: int,
    penalty: float = 0.1,
) -> Float[Tensor, " batch"]:
    r"""Penalty that grows over the last `buffer` tokens before the limit.

    $$
    R(y) = \begin{cases}
        0 & |y| \le l_\text{max} - l_\text{cache} \\
        -p\, \dfrac{|y| - l_\text{max} + l_\text{cache}}{l_\text{cache}}
            & \text{up to } l_\text{max} \\
        -p & \text{beyond}
    \end{cases}
    $$

    Equation 1 of Magistral (arXiv:2506.10910, section 2.2.3), after DAPO (arXiv:2503.14476, eq.
    13). `grpo_core.rewards.soft_length_penalty` gives the same for one length without torch. No
    gradient.

    Args:
        lengths: In tokens.
        max_length: $l_\text{max}$, in tokens, at least 1.
        buffer: $l_\text{cache}$, in tokens, in [1, max_length].
        penalty: $p$, in units of reward, at least 0; the report's is 0.1.

    Returns:
        In torch's default dtype, in [-penalty, 0].

    Raises:
        TypeError: If `lengths` are not integers.
        ValueError: If an option is out of range.

    Example:
        >>> import torch
        >>> from grpo_core.advantages import soft_length_penalty
        >>> soft_length_penalty(torch.tensor([80, 95, 100, 120]), max_length=100, buffer=10)
        tensor([ 0.0000, -0.0500, -0.1000, -0.1000])
    """
    check_ndim(1, lengths=lengths)
    check_integer(lengths=lengths)
    if not 1 <= buffer <= max_length:
        raise ValueError(f"buffer must be in [1, {max_length}], got {buffer}")
    if not penalty >= 0:
        raise ValueError(f"penalty must be at least 0, got {penalty}")
    # float64 until the end, to equal the function without torch at every length; MPS has none.
    dtype = torch.float32 if lengths.device.type == "mps" else torch.float64
    # Widened first: int16 and uint8 would wrap around.
    over = lengths.to(dtype) - (max_length - buffer)
    # By a tensor: CUDA multiplies by the reciprocal of a number, which rounds twice.
    over = over / over.new_full((), buffer)
    return (0.0 - penalty * over.clamp(0, 1)).to(torch.get_default_dtype())
