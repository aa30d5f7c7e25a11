"""prime-rl 0.8, verifiers 0.4: `verifiers_reward` for `@vf.reward`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.prime_rl import prime_rl_loss
from grpo_core.adapters._rewards.areal import NotScoredError
from grpo_core.adapters._rewards.prime_rl import verifiers_reward

__all__ = ["NotScoredError", "TokenBatch", "prime_rl_loss", "verifiers_reward"]
