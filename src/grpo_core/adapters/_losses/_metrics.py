"""How far the policy is from the one that sampled, for trainers that average metrics themselves."""

from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch
from grpo_core.losses import log_ratio
from grpo_core.metrics import Mean as Average
from grpo_core.metrics import approximate_kl, ratio_error


def distances(batch: TokenBatch) -> dict[str, Tensor]:
    """Averages over this micro-batch, by name."""
    ratio = log_ratio(batch.log_probs.detach(), batch.old_log_probs, batch.mask)
    return {
        "approximate_kl": _value(approximate_kl(ratio, batch.mask)),
        "ratio_error": _value(ratio_error(ratio, batch.mask)),
    }


def _value(average: Average) -> Tensor:
    """0 where nothing was counted, as the trainers' own: NaN would make the whole step's NaN."""
    return average.numerator / average.denominator.clamp(min=1)
