"""slime: `slime_reward` for `--custom-rm-path`."""

from grpo_core.adapters._rewards.slime import slime_reward

__all__ = ["slime_reward"]
