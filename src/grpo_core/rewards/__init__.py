"""Verifiable rewards: what a completion earns, and why. No torch here or below.

A completion is hostile: whatever it holds, a verifier answers with a `Verdict` and never raises.
A reference and the options are the developer's: a mistake there raises at once.
"""

from grpo_core.rewards._batch import score_batch, score_batch_async
from grpo_core.rewards._batch_workers import WorkerPool
from grpo_core.rewards._format import verify_format
from grpo_core.rewards._language import verify_language
from grpo_core.rewards._length import soft_length_penalty
from grpo_core.rewards._math import (
    Answer,
    check_references,
    math_equivalent,
    parse_answer,
    verify_math,
)
from grpo_core.rewards._verdict import Verdict

__all__ = [
    "Answer", "Verdict", "WorkerPool", "check_references", "math_equivalent", "parse_answer",
    "score_batch", "score_batch_async", "soft_length_penalty", "verify_format", "verify_language",
    "verify_math",
]  # fmt: skip
