"""Tests for any reward function, before a policy finds its holes. Needs the extra `testing`."""

from grpo_core.testing._answers import answers
from grpo_core.testing._batches import RewardGroups, TokenBatch, rewards_and_groups, token_batches
from grpo_core.testing._check import check_verifier
from grpo_core.testing._check_loss import check_loss
from grpo_core.testing._completions import Malformed, completions, malformed_completions
from grpo_core.testing._hostile import Hostile, hostile_completions
from grpo_core.testing._near_misses import miss_rules, near_misses
from grpo_core.testing._programs import Program, programs
from grpo_core.testing._report import Failure, Report, Result
from grpo_core.testing._spellings import spelling_rules, spellings
from grpo_core.testing._texts import Bilingual, bilingual_texts
from grpo_core.testing._values import Answer

__all__ = [
    "Answer", "Bilingual", "Failure", "Hostile", "Malformed", "Program", "Report", "Result",
    "RewardGroups", "TokenBatch", "answers", "bilingual_texts", "check_loss", "check_verifier",
    "completions", "hostile_completions", "malformed_completions", "miss_rules", "near_misses",
    "programs", "rewards_and_groups", "spelling_rules", "spellings", "token_batches",
]  # fmt: skip
