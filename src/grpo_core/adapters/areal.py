"""AReaL 1.0: `areal_reward` for `RLVRWorkflow(reward_fn=...)`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.areal import ArealLoss, areal_loss
from grpo_core.adapters._rewards.areal import NotScoredError, areal_reward

__all__ = ["ArealLoss", "NotScoredError", "TokenBatch", "areal_loss", "areal_reward"]
