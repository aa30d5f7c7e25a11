"""`grpo_trainer` on the rollouts of `trl_trainer.py`, in float64 over plain log-probs."""

import torch

from grpo_core.adapters.trl import grpo_trainer
from grpo_core.losses import clipped_loss, kl_penalty, log_ratio, token_mean
from trl_trainer import make_inputs, make_trainer, rows

GROUPS = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0], device="cpu")  # TRL shuffles the rows
QUARTERS = [slice(i, i + 2) for i in range(0, 8, 2)]
WHOLE = [slice(0, 8)]


def clipped(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages, epsilon_low=0.2, epsilon_high=0.2)


def with_kl(batch):
    x = log_ratio(batch.log_probs, batch.ref_log_probs, batch.mask)
    return clipped(batch) + 0.1 * kl_penalty(x, gradient="naive")


def composed(
    directory,
    dtype=torch.float64,
    *,
    loss=clipped,
    mean=token_mean,
    metrics=None,
    informative_only=False,
    **options,
):
    """Our trainer, in float64 over plain log-probs."""
    asked = {"loss": loss, "mean": mean, "informative_only": informative_only}
    asked |= {"metrics": metrics} if metrics else {}

    class Given(grpo_trainer()):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **asked, **kwargs)

    return make_trainer(directory, dtype, trainer=Given, **options)


def inputs_of(trainer, *, ref=False, old=True):
    inputs = {**make_inputs(trainer.model), "group_ids": GROUPS}
    del inputs["sampling_per_token_logps"]
    if not ref:
        del inputs["ref_per_token_logps"]
    if not old:
        del inputs["old_per_token_logps"]
    return inputs


def step_gradient(trainer, inputs, parts):
    """What the backward passes of an optimiser step of these micro-batches add up to."""
    trainer.current_gradient_accumulation_steps = len(parts)
    trainer._buffered_inputs = [rows(inputs, part) for part in parts]
    trainer.args.steps_per_generation = len(parts)
    trainer.model.zero_grad()
    for index, part in enumerate(trainer._buffered_inputs):
        trainer._step = index
        trainer._compute_loss(trainer.model, part).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters()])


def distance(ours, theirs):
    assert theirs.norm() > 0
    return ((ours - theirs).norm() / theirs.norm()).item()
