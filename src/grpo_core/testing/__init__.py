"""Tests for any reward function, before a policy finds its holes. Needs the extra `testing`."""

from grpo_core.testing._answers import answers
from grpo_core.testing._near_misses import miss_rules, near_misses
from grpo_core.testing._spellings import spelling_rules, spellings
from grpo_core.testing._values import Answer

__all__ = ["Answer", "answers", "miss_rules", "near_misses", "spelling_rules", "spellings"]
