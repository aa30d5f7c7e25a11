"""Tensors as losses and advantages take them. Imports torch when a strategy is made."""

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

if TYPE_CHECKING:
    import torch

_DTYPES = ("float32", "float64", "bfloat16", "float16")
_JUNK = (float("nan"), float("inf"), float("-inf"), 1e30, -800.0)


class RewardGroups(NamedTuple):
    """Rewards and the group of each, both `[batch]`; groups come in any order and of any size."""

    rewards: "torch.Tensor"
    group_ids: "torch.Tensor"


class TokenBatch(NamedTuple):
    """What a step of training holds.

    Args:
        log_probs: `[batch, seq]`, at most 0 where the mask is.
        old_log_probs: Under the policy that sampled: a small step away.
        ref_log_probs: Under the reference.
        mask: bool, True where a token counts; a row may have none.
        advantages: Of each token, one value a row.
        rewards: `[batch]`.
        group_ids: `[batch]`, int64.
    """

    log_probs: "torch.Tensor"
    old_log_probs: "torch.Tensor"
    ref_log_probs: "torch.Tensor"
    mask: "torch.Tensor"
    advantages: "torch.Tensor"
    rewards: "torch.Tensor"
    group_ids: "torch.Tensor"


def rewards_and_groups(
    *, max_batch: int = 8, dtype: str = "float32"
) -> SearchStrategy[RewardGroups]:
    """Rewards in [0, 1.1] and their groups: some of one sample, some where all rewards are equal.

    Args:
        max_batch: The most samples, at least 1.
        dtype: Of the rewards: `float32`, `float64`, `bfloat16` or `float16`.

    Returns:
        The strategy. It shrinks to one sample with a reward of 0.

    Raises:
        ValueError: If `max_batch` or `dtype` is out of range.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import rewards_and_groups
        >>> find(rewards_and_groups(), lambda batch: len(batch.rewards) > 1)
        RewardGroups(rewards=tensor([0., 0.]), group_ids=tensor([0, 0]))
    """
    _check(dtype, max_batch=max_batch)
    rows = st.lists(st.tuples(_rewards, st.integers(0, 3)), min_size=1, max_size=max_batch)
    return rows.map(lambda found: RewardGroups(*_columns(found, dtype)))


def token_batches(
    *, max_batch: int = 4, max_seq: int = 6, dtype: str = "float32", junk: bool = False
) -> SearchStrategy[TokenBatch]:
    """Batches of tokens with their log-probs, masks, groups and advantages.

    Args:
        max_batch: The most rows, at least 1.
        max_seq: The most tokens of a row, at least 1.
        dtype: Of the floating tensors: `float32`, `float64`, `bfloat16` or `float16`.
        junk: Whether what the mask leaves out is NaN, infinite or huge, as what was never computed
            may be; it is 0 otherwise. A loss that reads none of it gives the same for both.

    Returns:
        The strategy. It shrinks to one token that is left out, and all is 0.

    Raises:
        ValueError: If a limit or `dtype` is out of range.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import token_batches
        >>> find(token_batches(), lambda batch: bool(batch.mask.all())).mask
        tensor([[True]])
    """
    _check(dtype, max_batch=max_batch, max_seq=max_seq)
    shapes = st.tuples(st.integers(1, max_batch), st.integers(1, max_seq))
    return shapes.flatmap(lambda shape: _batches(*shape, dtype=dtype, junk=junk))


_rewards = st.sampled_from([0.0, 0.1, 1.0, 0.9, 1.1, 0.5])
_log_probs = st.integers(0, 20_000).map(lambda n: -n / 1000)
_steps = st.one_of(st.integers(-500, 500), st.integers(-5000, 5000)).map(lambda n: n / 1000)


@st.composite
def _batches(draw: st.DrawFn, batch: int, seq: int, *, dtype: str, junk: bool) -> TokenBatch:
    import torch  # noqa: PLC0415 - who asks for no tensors need not wait for it

    def grid(values: SearchStrategy[float]) -> "torch.Tensor":
        row = st.lists(values, min_size=seq, max_size=seq)
        return torch.tensor(draw(st.lists(row, min_size=batch, max_size=batch)))

    mask = grid(st.booleans())
    kind = getattr(torch, dtype)
    log_probs = grid(_log_probs)
    valid = [log_probs, *((log_probs + grid(_steps)).clamp(max=0.0) for _ in range(2))]
    left_out = grid(st.sampled_from(_JUNK)) if junk else torch.zeros_like(log_probs)
    tokens = [torch.where(mask, values, left_out).to(kind) for values in valid]
    rows = draw(st.lists(st.tuples(_rewards, st.integers(0, 3)), min_size=batch, max_size=batch))
    rewards, group_ids = _columns(rows, dtype)
    values = draw(st.lists(st.integers(-20, 20), min_size=batch, max_size=batch))
    of_rows = torch.tensor(values, dtype=kind) / 10
    advantages = torch.where(mask, of_rows[:, None].expand(batch, seq), left_out.to(kind))
    return TokenBatch(tokens[0], tokens[1], tokens[2], mask, advantages, rewards, group_ids)


def _columns(rows: list[tuple[float, int]], dtype: str) -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch  # noqa: PLC0415 - who asks for no tensors need not wait for it

    rewards, group_ids = zip(*rows, strict=True)
    return torch.tensor(rewards, dtype=getattr(torch, dtype)), torch.tensor(group_ids)


def _check(dtype: str, **limits: int) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
    for name, limit in limits.items():
        if limit < 1:
            raise ValueError(f"{name} must be at least 1, got {limit}")
