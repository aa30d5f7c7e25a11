"""prime-rl 0.8, verifiers 0.4: `verifiers_reward` for `@vf.reward`."""

from grpo_core.adapters._rewards.areal import NotScoredError
from grpo_core.adapters._rewards.prime_rl import verifiers_reward

__all__ = ["NotScoredError", "verifiers_reward"]
