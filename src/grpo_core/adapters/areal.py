"""AReaL 1.0: `areal_reward` for `RLVRWorkflow(reward_fn=...)`."""

from grpo_core.adapters._rewards.areal import NotScoredError, areal_reward

__all__ = ["NotScoredError", "areal_reward"]
