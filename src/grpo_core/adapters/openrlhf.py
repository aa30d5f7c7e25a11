"""OpenRLHF 0.11: `openrlhf_reward` for a `reward_func` file; `grpo-core serve` for its HTTP."""

from grpo_core.adapters._rewards.openrlhf import openrlhf_reward

__all__ = ["openrlhf_reward"]
