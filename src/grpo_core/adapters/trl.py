"""TRL 1.16: `trl_reward` for `GRPOTrainer(reward_funcs=...)`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.trl import grpo_trainer
from grpo_core.adapters._losses.trl_async import async_grpo_trainer
from grpo_core.adapters._rewards.trl import trl_reward

__all__ = ["TokenBatch", "async_grpo_trainer", "grpo_trainer", "trl_reward"]
