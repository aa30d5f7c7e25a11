"""Which mean a loss is to take, and the check that the trainer takes the same one."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import NamedTuple

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.losses import (
    StepTotals,
    constant_mean,
    group_token_mean,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)

MeanFunction = Callable[..., Tensor]
MEANS: tuple[MeanFunction, ...] = (
    token_mean,
    sequence_mean,
    sequence_sum_mean,
    group_token_mean,
    constant_mean,
)


class Mean(NamedTuple):
    """A mean of `grpo_core.losses`, and the constant length that one of them needs."""

    function: MeanFunction
    max_length: int | None

    @property
    def name(self) -> str:
        """Of the function."""
        return self.function.__name__

    def of(self, values: Tensor, batch: TokenBatch, total: StepTotals) -> Tensor:
        """This call's part of the mean over the step."""
        if self.function is group_token_mean:
            return group_token_mean(values, batch.mask, batch.group_ids, total=total)
        if self.max_length is not None:
            return constant_mean(values, batch.mask, self.max_length, total=total)
        return self.function(values, batch.mask, total=total)


def read_mean(
    mean: MeanFunction, trainer: str, allowed: Mapping[MeanFunction, object] | None = None
) -> Mean:
    """The mean that was asked for, or `ValueError` with those that this trainer can take."""
    function, max_length = mean, None
    if isinstance(mean, partial):
        function = mean.func
        bound = signature(function).bind_partial(None, None, *mean.args, **mean.keywords)
        if set(bound.arguments) - {"values", "mask", "max_length"}:
            raise ValueError(
                f"a mean takes max_length alone, got {mean}: the rest is the trainer's"
            )
        max_length = bound.arguments.get("max_length")
    if function not in MEANS or (max_length is not None and function is not constant_mean):
        names = ", ".join(each.__name__ for each in MEANS)
        raise ValueError(f"mean must be one of {names} of grpo_core.losses, got {mean!r}")
    if function is constant_mean and max_length is None:
        raise ValueError(
            "constant_mean needs its length: functools.partial(constant_mean, max_length=...), in "
            "tokens, the longest completion that sampling allows"
        )
    if allowed is not None and function not in allowed:
        names = ", ".join(each.__name__ for each in allowed)
        raise ValueError(f"{trainer} can take {names}, not {function.__name__}")
    return Mean(function, max_length)


def totals(
    batch: TokenBatch, *, tokens: Tensor | float = 0, sequences: Tensor | float = 0
) -> StepTotals:
    """Totals of a trainer that counts no groups, as tensors on the device of the batch."""
    mask = batch.mask
    count = partial(torch.as_tensor, device=mask.device)
    no_groups = mask.new_zeros(len(mask), dtype=torch.long)
    return StepTotals(count(tokens), count(sequences), count(0), no_groups)


def agree(trainer: str, option: str, value: object, wanted: object, mean: Mean) -> None:
    """Raise `ValueError` unless the trainer's option says what `mean` says."""
    if value != wanted:
        raise ValueError(
            f"mean={mean.name} contradicts {trainer}'s {option}={value!r}: it needs {wanted!r}"
        )
