"""NeMo-RL: `nemo_rl_environment` for `register_env`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.nemo_rl import NemoRLLoss, nemo_rl_loss
from grpo_core.adapters._rewards.nemo_rl import nemo_rl_environment

__all__ = ["NemoRLLoss", "TokenBatch", "nemo_rl_environment", "nemo_rl_loss"]
