"""One untrusted program, run once, with nothing in reach but its own input."""

from grpo_core.rewards._sandbox._conversation import Conversation
from grpo_core.rewards._sandbox._run import (
    converse,
    converse_python,
    run,
    run_python,
    sandbox_report,
)  # fmt: skip
from grpo_core.rewards._sandbox._types import (
    Backend,
    Level,
    Limits,
    Outcome,
    Request,
    SandboxError,
    SandboxReport,
)  # fmt: skip

__all__ = [
    "Backend", "Conversation", "Level", "Limits", "Outcome", "Request", "SandboxError",
    "SandboxReport", "converse", "converse_python", "run", "run_python", "sandbox_report",
]  # fmt: skip
