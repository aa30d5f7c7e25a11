"""Whether the answer of a completion means the same as a reference."""

from grpo_core.rewards._math._reading import parse_answer
from grpo_core.rewards._math._references import check_references
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._verify import math_equivalent, verify_math

__all__ = ["Answer", "check_references", "math_equivalent", "parse_answer", "verify_math"]
