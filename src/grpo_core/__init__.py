"""Losses, rewards and advantages for reinforcement learning with verifiable rewards.

Nothing is imported until a door is opened:

- `grpo_core.rewards`: verifiers that turn a completion into a `Verdict`; no torch.
- `grpo_core.advantages`: rewards of a batch into advantages; filters of what teaches nothing.
- `grpo_core.losses`: log-probs, ratios, surrogates and means, as functions on tensors.
- `grpo_core.off_policy`: importance weights for samples of another policy.
- `grpo_core.metrics`: statistics that add up over micro-batches and ranks.
- `grpo_core.adapters`: rewards and losses in the trainer you have.
- `grpo_core.testing`: property tests of reward functions and losses, built on Hypothesis.
- `grpo_core.recipes`: the demo, `python -m grpo_core.recipes.demo`.
"""

__version__ = "0.1.0"
