"""SkyRL 0.4: `skyrl_env` for `skyrl_gym.register(entry_point=...)`."""

from grpo_core.adapters._rewards.skyrl import skyrl_env

__all__ = ["skyrl_env"]
