"""Rebuild the shipped checkpoint: imitate the sloppy demonstrator.

    python -m grpo_core.recipes.demo._supervise OUT

1,000 steps of 128 demonstrations of the training problems, from the seed below: about a minute on
one core. The same machine rebuilds the same bytes; another one may round differently.
"""

import math
import random
import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from transformers import LlamaForCausalLM

from grpo_core.recipes.demo._policy import (
    completion_logits,
    encode_prompts,
    new_policy,
    save_policy,
)
from grpo_core.recipes.demo._task import EOS, PAD, demonstrate, encode, splits

SEED, STEPS, BATCH, LEARNING_RATE = 0, 1_000, 128, 2e-3


def supervise() -> LlamaForCausalLM:
    """The policy after it has imitated the demonstrator."""
    torch.manual_seed(SEED)
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    policy, (problems, _) = new_policy(), splits()
    optimizer = torch.optim.AdamW(policy.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(STEPS):
        cosine = (1 + math.cos(math.pi * step / STEPS)) / 2
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 30) * (0.05 + 0.95 * cosine)
        batch = [rng.choice(problems) for _ in range(BATCH)]
        shown = [[*encode(demonstrate(problem, rng)), EOS] for problem in batch]
        longest = max(map(len, shown))
        tokens = torch.tensor([row + [PAD] * (longest - len(row)) for row in shown])
        logits = completion_logits(policy, encode_prompts(batch), tokens)
        loss = cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
    return policy


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m grpo_core.recipes.demo._supervise OUT")
    torch.set_num_threads(1)  # the order of the sums is part of the recipe
    save_policy(supervise(), Path(sys.argv[1]))
