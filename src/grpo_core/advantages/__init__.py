"""Rewards of a batch into advantages, and filters of what teaches nothing.

Groups are `group_ids`: equal for samples of one prompt, in any order and of any size. All rows of
an optimiser step go in at once, before it is cut into micro-batches: means and deviations are the
step's.
"""

from grpo_core.advantages._advantages import gdpo_advantages, group_advantages, maxrl_advantages
from grpo_core.advantages._filters import high_entropy_mask, informative_groups, overlong_mask
from grpo_core.advantages._length import soft_length_penalty
from grpo_core.advantages._pass_at_k import pass_at_k_advantages

__all__ = [
    "gdpo_advantages",
    "group_advantages",
    "high_entropy_mask",
    "informative_groups",
    "maxrl_advantages",
    "overlong_mask",
    "pass_at_k_advantages",
    "soft_length_penalty",
]
