"""Whether the answer of a completion means the same as a reference."""

from grpo_core.rewards._math._verify import verify_math

__all__ = ["verify_math"]
