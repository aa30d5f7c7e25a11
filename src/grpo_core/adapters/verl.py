"""verl 0.9: `verl_reward` for a `compute_score` file, `verl_reward_manager` where lengths count."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.verl import verl_advantages, verl_loss
from grpo_core.adapters._rewards.verl import verl_reward, verl_reward_manager

__all__ = ["TokenBatch", "verl_advantages", "verl_loss", "verl_reward", "verl_reward_manager"]
