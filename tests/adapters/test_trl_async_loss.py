"""`async_grpo_trainer` beside TRL's `AsyncGRPOTrainer`, worker-free: its own collator and loss.

The trainer is made as a user makes it, with a rollout worker and a weight transfer that do nothing.
Its attention needs a GPU, so that a leaf of log-probs stands in for the model's forward pass.
"""

import queue
import warnings
from functools import partial
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("trl")

from datasets import Dataset

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL says of itself that it is experimental
    from trl.experimental.async_grpo import AsyncGRPOConfig, AsyncGRPOTrainer
    from trl.experimental.async_grpo.async_grpo_trainer import DataCollatorForRollout
    from trl.experimental.async_grpo.packing import TreeRow

from grpo_core.adapters.trl import async_grpo_trainer
from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    group_token_mean,
    log_ratio,
    sequence_log_ratio,
    sequence_mean,
    token_mean,
)
from trainer_losses import LENGTHS, QUARTERS, Step, distance
from trl_trainer import MARKS, make_tokenizer

pytestmark = MARKS

PROMPT = 2
WHOLE = [slice(0, 8)]


@pytest.fixture(scope="module")
def on_the_cpu():
    with pytest.MonkeyPatch.context() as patch, torch.device("cpu"):
        # TRL's async trainer asks for the name of a GPU to report how busy it is.
        patch.setattr(torch.cuda, "get_device_name", lambda *_: "none")
        yield


def make_trainer(directory, trainer=AsyncGRPOTrainer, *, composition=None, **options):
    args = AsyncGRPOConfig(
        output_dir=directory, report_to=[], use_cpu=True, bf16=False, dtype="float32",
        gradient_checkpointing=False, max_steps=1, **options,
    )  # fmt: skip
    return trainer(
        directory,
        args=args,
        train_dataset=Dataset.from_dict({"prompt": ["w2 w3"]}),
        processing_class=make_tokenizer(),
        rollout_worker=SimpleNamespace(rollout_buffer=queue.Queue()),
        weight_transfer=SimpleNamespace(),
        **(composition or {}),
    )


def composed(directory, loss, mean, **options):
    composition = {"loss": loss, "mean": mean, "metrics": lambda batch: {}}
    return make_trainer(directory, async_grpo_trainer(), composition=composition, **options)


def clipped(batch, ratio=log_ratio):
    x = ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(x, batch.advantages, epsilon_low=0.2, epsilon_high=0.2)


def micro_batch(step, part):
    """What the real collator makes of these rows, each with a prompt and a stretch of its own."""
    row = TreeRow()
    for index in range(8)[part]:
        n = LENGTHS[index]
        mask = torch.cat([torch.zeros(PROMPT), step.mask[index, :n]]).long()
        pad = torch.zeros(PROMPT, dtype=torch.float64)
        row.add(
            {
                "input_ids": torch.arange(PROMPT + n) + 10 * index,
                "completion_mask": mask,
                "old_log_probs": torch.cat([pad, step.old[index, :n]]),
                "advantage": step.advantages[index, 0],
                "advantages": torch.cat([pad, step.advantages[index, :n]]),
                "group_id": index // 4,
            }
        )
    collator = DataCollatorForRollout(pad_token_id=0)
    collator._log_metrics = lambda **_: None
    return collator([[row]])


def gradient(trainer, step, parts):
    """One optimiser step of these micro-batches, without its optimiser."""
    trainer.current_gradient_accumulation_steps = len(parts)
    batches = [micro_batch(step, part) for part in parts]
    samples, _ = trainer.get_batch_samples(iter(batches), len(parts), torch.device("cpu"))
    inputs = {id(batch): part for batch, part in zip(samples, parts, strict=True)}

    def loss_of(batch):
        part = inputs[id(batch)]
        valid = [row[:n] for row, n in zip(step.log_probs[part], LENGTHS[part], strict=True)]
        # The log-prob of a token stands where its predecessor is.
        length = batch["input_ids"].shape[1]
        flat = torch.zeros(length, dtype=torch.float64)
        places = batch["token_index"][0][batch["token_index"][0] >= 0]
        kept = torch.cat([x[m[: len(x)]] for x, m in zip(valid, step.mask[part], strict=True)])
        flat = flat.index_put((places,), kept)
        outputs = SimpleNamespace(log_probs=flat[None], entropy=flat.detach()[None])
        return trainer.compute_loss(lambda **_: outputs, batch)

    batches_of = {part.start: batch for batch, part in zip(samples, parts, strict=True)}
    return step.gradient(lambda part: loss_of(batches_of[part.start]), parts)


def test_our_composition_has_the_gradient_of_trls_async_loss(directory):
    step = Step()
    ours, theirs = composed(directory, clipped, token_mean), make_trainer(directory)
    assert distance(gradient(ours, step, WHOLE), gradient(theirs, step, WHOLE)) < 1e-6


def test_accumulation_4_has_the_gradient_of_1_here_and_not_in_trl(directory):
    step, theirs = Step(), make_trainer(directory)
    whole = gradient(theirs, step, WHOLE)
    assert distance(gradient(theirs, step, QUARTERS), whole) > 0.1
    for mean in (token_mean, sequence_mean, partial(constant_mean, max_length=9)):
        ours = composed(directory, clipped, mean)
        whole = gradient(ours, step, WHOLE)
        assert distance(gradient(ours, step, QUARTERS), whole) < 1e-12


def test_a_row_is_a_completion(directory):
    step = Step()
    ours = composed(directory, partial(clipped, ratio=sequence_log_ratio), sequence_mean)

    def gspo(_):
        x = sequence_log_ratio(step.log_probs, step.old, step.mask)
        values = clipped_loss(x, step.advantages, epsilon_low=0.2, epsilon_high=0.2)
        return sequence_mean(values, step.mask)

    assert distance(gradient(ours, step, QUARTERS), step.gradient(gspo, WHOLE)) < 1e-6


def test_the_average_over_ranks_is_undone(directory, monkeypatch):
    step, trainer = Step(), composed(directory, clipped, token_mean)
    alone = gradient(trainer, step, WHOLE)
    monkeypatch.setattr(type(trainer.accelerator), "num_processes", property(lambda _: 2))
    assert torch.equal(gradient(trainer, step, WHOLE), 2 * alone)


def test_what_contradicts_the_loss_raises(directory):
    with pytest.raises(ValueError, match=r"epsilon=0\.1 is for TRL's own loss"):
        composed(directory, clipped, token_mean, epsilon=0.1)
    with pytest.raises(ValueError, match=r"async trainer can take .* not group_token_mean"):
        composed(directory, clipped, group_token_mean)
    assert async_grpo_trainer() is async_grpo_trainer()
