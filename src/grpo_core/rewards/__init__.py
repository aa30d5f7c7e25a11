"""Verifiable rewards: what a completion earns, and why. No torch here or below.

A completion is hostile: whatever it holds, a verifier answers with a `Verdict` and never raises.
A reference and the options are the developer's: a mistake there raises at once.
"""

from grpo_core.rewards._batch import score_batch, score_batch_async
from grpo_core.rewards._batch_workers import WorkerPool
from grpo_core.rewards._code import AssertTest, FunctionTest, Language, StdinTest, verify_code
from grpo_core.rewards._format import verify_format
from grpo_core.rewards._language import verify_language
from grpo_core.rewards._length import soft_length_penalty
from grpo_core.rewards._magistral import Reward, magistral_reward
from grpo_core.rewards._math import (
    Answer,
    check_references,
    math_equivalent,
    parse_answer,
    verify_math,
)
from grpo_core.rewards._prompt import SYSTEM_PROMPT, format_prompt
from grpo_core.rewards._sandbox import SandboxError, SandboxReport, sandbox_report
from grpo_core.rewards._verdict import Verdict

__all__ = [
    "SYSTEM_PROMPT", "Answer", "AssertTest", "FunctionTest", "Language", "Reward", "SandboxError",
    "SandboxReport", "StdinTest", "Verdict", "WorkerPool", "check_references", "format_prompt",
    "magistral_reward", "math_equivalent", "parse_answer", "sandbox_report", "score_batch",
    "score_batch_async", "soft_length_penalty", "verify_code", "verify_format", "verify_language",
    "verify_math",
]  # fmt: skip
