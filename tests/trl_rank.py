"""A rank of two: its half of an optimiser step inside `grpo_trainer()`, over gloo and DDP.

`python trl_rank.py MODEL OUTPUT`, in an environment as torchrun makes it, writes the gradient that
the ranks agree on. In its own file: a rank is a process.
"""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from grpo_core.adapters.trl import grpo_trainer
from grpo_core.losses import clipped_loss, group_token_mean, log_ratio
from trl_trainer import make_inputs, make_trainer, rows

GROUPS = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0])
# Three rows in two micro-batches here, five in two there; rank 1 has more tokens of both groups.
SHARES = [[slice(0, 1), slice(1, 3)], [slice(3, 5), slice(5, 8)]]


def clipped(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages)


def step_gradient(directory, parts):
    """What the backward passes of this rank's micro-batches, and DDP, leave in the gradients."""

    class Given(grpo_trainer()):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, loss=clipped, mean=group_token_mean, **kwargs)

    trainer = make_trainer(directory, torch.float64, trainer=Given)
    inputs = {**make_inputs(trainer.model), "group_ids": GROUPS}
    del inputs["sampling_per_token_logps"], inputs["ref_per_token_logps"]
    model = trainer.accelerator.prepare(trainer.model)
    model.train()
    trainer.args.steps_per_generation = trainer.current_gradient_accumulation_steps = len(parts)
    # The generation batch of all ranks, in groups of `num_generations`.
    trainer.args.generation_batch_size = 8
    trainer._buffered_inputs = [rows(inputs, part) for part in parts]
    for index, part in enumerate(trainer._buffered_inputs):
        trainer._step = index
        trainer._compute_loss(model, part).backward()
    entropies = trainer._metrics["train"]["entropy"]
    gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters()])
    return gradient, entropies, trainer.accelerator.num_processes


if __name__ == "__main__":
    rank = int(os.environ["RANK"])
    result = step_gradient(sys.argv[1], SHARES[rank])
    torch.save(result, f"{sys.argv[2]}/{rank}.pt")
    torch.distributed.destroy_process_group()
