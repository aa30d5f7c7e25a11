"""The demo's policy inside TRL's own loop, with our reward and our loss: it learns to add."""

import random
import re
from functools import partial

import pytest
import torch

pytest.importorskip("trl")
pytest.importorskip("safetensors")

from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from grpo_core.adapters.trl import grpo_trainer, trl_reward
from grpo_core.losses import clipped_loss, group_token_mean, log_ratio
from grpo_core.recipes.demo._policy import MAX_LENGTH, load_policy
from grpo_core.recipes.demo._task import ALPHABET, splits
from grpo_core.recipes.demo._train import accuracy
from grpo_core.rewards import magistral_reward
from trl_trainer import OFFLINE_CPU

pytestmark = [
    pytest.mark.no_shape_hook,
    # TRL 1.16 uses names that transformers 5.23 deprecates.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

STEPS = 40  # half a second each on one core


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    # NaN in all that is not written is for kernels; here it is half of the time.
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    with torch.device("cpu"):
        yield


def make_tokenizer():
    """The demo's alphabet, a token a symbol."""
    ids = {token: index for index, token in enumerate(ALPHABET)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<pad>"))
    longest_first = sorted(map(re.escape, ALPHABET), key=len, reverse=True)
    symbols = Regex("|".join(longest_first))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(symbols, behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
    )


def loss(batch):
    ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
    return clipped_loss(ratio, batch.advantages)


def test_the_demos_policy_learns_to_add_in_the_unmodified_loop_of_trl(tmp_path):
    practice, held_out = splits()
    rows = [
        {
            "prompt": f"<bos>{problem.prompt}",
            "question": problem.prompt,
            "answer": str(problem.answer),
        }
        for problem in random.Random(0).sample(practice, 32 * STEPS)  # noqa: S311 - repeatable
    ]
    policy = load_policy()
    before = accuracy(policy, held_out, "cpu")
    args = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=64,
        gradient_accumulation_steps=4,
        num_generations=8,
        scale_rewards="batch",
        max_steps=STEPS,
        learning_rate=3e-4,
        lr_scheduler_type="constant",
        adam_beta2=0.95,
        temperature=1.0,
        **{**OFFLINE_CPU, "max_completion_length": MAX_LENGTH},
    )
    magistral = partial(magistral_reward, language=None)
    reward = trl_reward(magistral, column="answer", problem="question", name="magistral")
    reward.check(rows)
    trainer = grpo_trainer()(
        policy, reward, args, Dataset.from_list(rows), processing_class=make_tokenizer(),
        loss=loss, mean=group_token_mean, informative_only=True,
    )  # fmt: skip
    replaced = {name for name in vars(type(trainer)) if name in vars(GRPOTrainer)}
    assert replaced - {"__init__", "__doc__", "__module__"} <= {
        "_compute_loss",
        "_calculate_rewards",  # keeps what TRL's own returns
        "get_batch_samples",  # is where a step begins
        "_generate_and_score_completions",  # adds the groups to what TRL's own returns
    }
    trainer.train()
    policy.eval()
    logged = [log for log in trainer.state.log_history if "reward/magistral/not_applicable" in log]
    assert logged and not any(log["reward/magistral/not_applicable"] for log in logged)
    assert before < 0.35
    assert accuracy(policy, held_out, "cpu") >= 0.75
