"""Which completions go together into which micro-batch. No torch here or below."""

from grpo_core.batching._packing import first_fit_decreasing

__all__ = ["first_fit_decreasing"]
