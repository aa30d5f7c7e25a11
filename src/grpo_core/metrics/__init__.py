"""Statistics of a step as tensors that add up over micro-batches and ranks.

Each function gives sums (`Mean`, `Range`, ...), detached and on the device; parts add with `+`, and
`value()` at the end is a tensor still. Reading it on the host is the caller's moment to choose.
What lies off the mask is never read.
"""

from grpo_core.metrics._groups import informative_group_fraction, informative_token_fraction
from grpo_core.metrics._ratio import (
    approximate_kl,
    clip_fraction_high,
    clip_fraction_low,
    ratio_error,
    ratio_mean,
    ratio_range,
)
from grpo_core.metrics._sums import Mean, Range, token_average
from grpo_core.metrics._weights import EffectiveSampleSize, ImportanceWeights, importance_weights

__all__ = [
    "EffectiveSampleSize",
    "ImportanceWeights",
    "Mean",
    "Range",
    "approximate_kl",
    "clip_fraction_high",
    "clip_fraction_low",
    "importance_weights",
    "informative_group_fraction",
    "informative_token_fraction",
    "ratio_error",
    "ratio_mean",
    "ratio_range",
    "token_average",
]
