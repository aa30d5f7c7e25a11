"""The length term of the reward, on one length and without torch."""

from math import isfinite


def soft_length_penalty(
    length: int, /, *, max_length: int, buffer: int, penalty: float = 0.1
) -> float:
    r"""Penalty of a completion that comes close to the length limit.

    $$
    R_\text{length}(y) = \begin{cases}
        0 & |y| \le l_\text{max} - l_\text{cache} \\
        -p \, \dfrac{|y| - l_\text{max} + l_\text{cache}}{l_\text{cache}}
          & l_\text{max} - l_\text{cache} < |y| \le l_\text{max} \\
        -p & |y| > l_\text{max}
    \end{cases}
    $$

    Equation (1) of Magistral (arXiv:2506.10910, section 2.2.3), where $p = 0.1$.
    `grpo_core.advantages.soft_length_penalty` is the same on a tensor, rounded once to its dtype.

    Args:
        length: $|y|$ in tokens, at least 0.
        max_length: $l_\text{max}$ in tokens, at least 1.
        buffer: $l_\text{cache}$ in tokens, in [1, max_length]: how far before `max_length` the
            penalty begins.
        penalty: $p$, at least 0.

    Returns:
        The penalty, in [-penalty, 0] and never -0.0.

    Raises:
        TypeError: If a length is no int.
        ValueError: If an argument is out of range.

    Example:
        Half-way through the buffer costs half of the penalty:

        >>> from grpo_core.rewards import soft_length_penalty
        >>> [soft_length_penalty(n, max_length=100, buffer=20) for n in (80, 90, 100, 101)]
        [0.0, -0.05, -0.1, -0.1]
    """
    for name, value, low in (
        ("length", length, 0),
        ("max_length", max_length, 1),
        ("buffer", buffer, 1),
    ):
        if not isinstance(value, int) or isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < low:
            raise ValueError(f"{name} must be at least {low}, got {value}")
    if buffer > max_length:
        raise ValueError(f"buffer must be in [1, {max_length}], got {buffer}")
    if not (isfinite(penalty) and penalty >= 0):
        raise ValueError(f"penalty must be finite and at least 0, got {penalty}")
    # The tensor version has this very order of operations, in float64; 0.0 - 0.0 is not -0.0.
    return 0.0 - penalty * min(max((length - (max_length - buffer)) / buffer, 0.0), 1.0)
