"""NeMo-RL: `nemo_rl_environment` for `register_env`."""

from grpo_core.adapters._rewards.nemo_rl import nemo_rl_environment

__all__ = ["nemo_rl_environment"]
