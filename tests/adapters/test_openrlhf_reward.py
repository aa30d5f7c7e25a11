"""OpenRLHF 0.11: its own executor loads our file, and its own samples hold what it answers."""

import asyncio
from types import SimpleNamespace

import pytest
import torch

import adapter_verifiers as own
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.rewards import verify_math
from trainers import imported

ABSENT = (
    "ray", "aiohttp", "deepspeed", "vllm", "flash_attn", "peft", "optimum", "bitsandbytes",
    "torchdata", "torchmetrics", "pylatexenc",
)  # fmt: skip


@pytest.fixture
def openrlhf():
    with imported("openrlhf", absent=ABSENT, bare=("openrlhf.utils", "openrlhf.trainer")):
        yield


class Tokenizer:
    """A character a token."""

    def __call__(self, *, text, add_special_tokens, return_tensors):
        return {"input_ids": torch.tensor([[ord(c) for c in text]])}

    def decode(self, ids, skip_special_tokens):
        assert not skip_special_tokens
        return "".join(map(chr, ids))


class Engine:
    """Says what it was told to say."""

    def __init__(self, completion):
        self.completion = completion

    async def generate(self, *_, **__):
        ids = [ord(c) for c in self.completion]
        output = SimpleNamespace(token_ids=ids, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[output])


def test_the_completion_is_what_follows_the_prompt_up_to_its_end():
    reward = openrlhf_reward(own.with_problem, problem="prompt", end="</s>")
    answer = reward.answer(["Why?a</s>", "How?a", "aWhy?a"], ["Why?", "How?", "Why?"], ["2"] * 3)
    assert answer["rewards"] == [1.0, 0.0, 0.0]
    assert answer["extra_logs"]["not_applicable"] == [0.0, 0.0, 1.0]
    shares = openrlhf_reward(own.share_of_a, end="</s>")
    assert shares.answer(["aaa</s>"], ["a"], [""])["rewards"] == [1.0]


def test_what_has_no_score_is_logged_with_its_row(caplog):
    reward = openrlhf_reward(verify_math)
    reward.answer(["aWhy?", "Why?2"], ["Why?", "Why?"], ["2", "{2"])
    assert "1 of 2 completions have no score (prompt_not_in_query); the first, row 0" in caplog.text
    assert "(invalid_reference); the first, row 1, column 'label'" in caplog.text


def test_the_reasons_asked_for_are_logged_for_every_sample():
    reward = openrlhf_reward(verify_math, reasons=["different", "timeout"], unscored=-1.0)
    answer = reward.answer([r"\boxed{3}", r"\boxed{3}"], ["", ""], ["2", "{2"])
    assert answer == {
        "rewards": [0.0, -1.0],
        "scores": [0.0, -1.0],
        "extra_logs": {
            "not_applicable": [0.0, 1.0],
            "reason/different": [1.0, 0.0],
            "reason/timeout": [0.0, 0.0],
        },
    }


def test_wrong_use_raises():
    with pytest.raises(ValueError, match=r"need as many .*, got 2 queries, 1 prompts, 2 labels"):
        openrlhf_reward(verify_math).answer(["a", "b"], ["a"], ["2", "2"])
    with pytest.raises(TypeError, match="row 1: the prompt must be a text, got int"):
        openrlhf_reward(verify_math).answer(["a", "b"], ["a", 7], ["2", "2"])
    with pytest.raises(ValueError, match="column must be 'label' or None, got 'answer'"):
        openrlhf_reward(verify_math, column="answer")
    with pytest.raises(ValueError, match="problem must be 'prompt' or None, got 'question'"):
        openrlhf_reward(verify_math, problem="question")
    with pytest.raises(TypeError, match="reasons must be several texts, got one"):
        openrlhf_reward(verify_math, reasons="different")


def test_openrlhf_loads_it_from_a_file_and_makes_samples_of_it(openrlhf, tmp_path):
    from openrlhf.trainer.ppo_utils.experience import Experience, split_experience_batch
    from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    file = tmp_path / "my_reward.py"
    file.write_text(
        "from grpo_core.adapters.openrlhf import openrlhf_reward\n"
        "from grpo_core.rewards import verify_math\n"
        "reward_func = openrlhf_reward(verify_math, end='</s>', reasons=['different'])\n"
    )
    executor = SingleTurnAgentExecutor(str(file))
    sampling = SimpleNamespace(max_tokens=50, logprobs=None)

    def experience(completion, label):
        response = asyncio.run(
            executor.execute("1 + 1? ", label, sampling, 100, Tokenizer(), Engine(completion))
        )
        return SamplesGenerator._process_response_into_experience(None, response, max_len=100)

    made = [
        experience(r"\boxed{2}</s>", "2"),
        experience(r"so \boxed{3}</s>", "2"),
        experience(r"\boxed{2}</s>", "{2"),
    ]
    assert [e.rewards.tolist() for e in made] == [[1.0], [0.0], [0.0]]
    assert [e.info["not_applicable"].tolist() for e in made] == [[0.0], [0.0], [1.0]]
    # OpenRLHF puts samples together and takes them apart again: each key in all, one number each.
    whole = Experience.concat_experiences(made, 0)
    assert whole.rewards.tolist() == [1.0, 0.0, 0.0]
    assert whole.info["reason/different"].tolist() == [0.0, 1.0, 0.0]
    for each, share in zip(split_experience_batch(whole), [0.0, 1.0, 0.0], strict=True):
        assert each.info["reason/different"].item() == share
