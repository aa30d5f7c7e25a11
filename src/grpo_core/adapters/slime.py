"""slime: `slime_reward` for `--custom-rm-path`."""

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.adapters._losses.slime import slime_loss
from grpo_core.adapters._rewards.slime import slime_reward

__all__ = ["TokenBatch", "slime_loss", "slime_reward"]
