"""Weights that correct a loss for samples of another policy: truncated, masked, by sequence.

The sampler's policy may lag behind the trainer's, or compute its log-probs otherwise. Each function
turns a log-ratio into a constant that multiplies a token's loss; none has a gradient.
"""

from grpo_core.off_policy._weights import masked_weights, rejection_weights, truncated_weights

__all__ = ["masked_weights", "rejection_weights", "truncated_weights"]
