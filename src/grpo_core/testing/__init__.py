"""Tests for any reward function, before a policy finds its holes. Needs the extra `testing`."""

from grpo_core.testing._answers import answers
from grpo_core.testing._completions import Malformed, completions, malformed_completions
from grpo_core.testing._near_misses import miss_rules, near_misses
from grpo_core.testing._programs import Program, programs
from grpo_core.testing._spellings import spelling_rules, spellings
from grpo_core.testing._values import Answer

__all__ = [
    "Answer", "Malformed", "Program", "answers", "completions", "malformed_completions",
    "miss_rules", "near_misses", "programs", "spelling_rules", "spellings",
]  # fmt: skip
