"""SkyRL 0.4: `skyrl_env` for `skyrl_gym.register(entry_point=...)`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.skyrl import skyrl_loss
from grpo_core.adapters._rewards.skyrl import skyrl_env

__all__ = ["TokenBatch", "skyrl_env", "skyrl_loss"]
