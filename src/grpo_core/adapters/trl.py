"""TRL 1.16: `trl_reward` for `GRPOTrainer(reward_funcs=...)`."""

from grpo_core.adapters._rewards.trl import trl_reward

__all__ = ["trl_reward"]
