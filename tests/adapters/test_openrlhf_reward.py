"""OpenRLHF 0.11: its own executor loads our file or asks our server; its own samples hold it."""

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

import adapter_verifiers as own
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.rewards import verify_math
from trainers import imported

ABSENT = (
    "ray", "deepspeed", "vllm", "flash_attn", "peft", "optimum", "bitsandbytes", "torchdata",
    "torchmetrics", "pylatexenc", "openrlhf.trainer.ray",
)  # fmt: skip
BARE = ("openrlhf.utils", "openrlhf.trainer", "openrlhf.models")


@pytest.fixture
def openrlhf():
    with imported("openrlhf", absent=(*ABSENT, "aiohttp"), bare=BARE):
        yield


@pytest.fixture
def openrlhf_with_http():
    if find_spec("aiohttp") is None:
        pytest.skip("OpenRLHF's HTTP client needs aiohttp: pip install aiohttp")
    with imported("openrlhf", absent=ABSENT, bare=BARE):
        yield


@pytest.fixture
def server():
    command = [sys.executable, "-m", "grpo_core.cli", "serve", "math", "--port", "0"]
    command += ["--workers", "1", "--end", "</s>", "--reason", "different"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


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


FILE = """
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.rewards import verify_math
reward_func = openrlhf_reward(verify_math, end="</s>", reasons=["different"])
"""
SAMPLED = [(r"\boxed{2}</s>", "2"), (r"so \boxed{3}</s>", "2"), (r"\boxed{2}</s>", "{2")]


def samples_of(remote_url):
    """Experiences that OpenRLHF makes of SAMPLED, asking for rewards what its option names."""
    from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    executor = SingleTurnAgentExecutor(remote_url)
    sampling = SimpleNamespace(max_tokens=50, logprobs=None)

    async def execute(completion, label):
        engine = Engine(completion)
        return await executor.execute("1 + 1? ", label, sampling, 100, Tokenizer(), engine)

    async def all_at_once():
        return await asyncio.gather(*(execute(*sampled) for sampled in SAMPLED))

    return [
        SamplesGenerator._process_response_into_experience(None, response, max_len=100)
        for response in asyncio.run(all_at_once())
    ]


def advantages_of(samples):
    """What OpenRLHF trains on, of one prompt's samples."""
    from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker

    advantage = SimpleNamespace(estimator="dr_grpo", gamma=1.0)
    args = SimpleNamespace(
        reward=SimpleNamespace(clip_range=None),
        rollout=SimpleNamespace(n_samples_per_prompt=len(samples)),
        algo=SimpleNamespace(advantage=advantage),
    )
    maker = RemoteExperienceMaker.__new__(RemoteExperienceMaker)
    maker.strategy, maker.advantage_estimator = SimpleNamespace(args=args), "dr_grpo"
    maker.kl_ctl = SimpleNamespace(value=0.0)
    for index, sample in enumerate(samples):
        sample.index, sample.kl = [index], torch.zeros(sample.action_mask.shape)
    return [each.advantages for each in maker.compute_advantages_and_returns(samples)]


def test_openrlhf_loads_it_from_a_file_and_makes_samples_of_it(openrlhf, tmp_path):
    from openrlhf.trainer.ppo_utils.experience import Experience, split_experience_batch

    file = tmp_path / "my_reward.py"
    file.write_text(FILE)
    made = samples_of(str(file))
    assert [e.rewards.tolist() for e in made] == [[1.0], [0.0], [0.0]]
    assert [e.info["not_applicable"].tolist() for e in made] == [[0.0], [0.0], [1.0]]
    # OpenRLHF puts samples together and takes them apart again: each key in all, one number each.
    whole = Experience.concat_experiences(made, 0)
    assert whole.rewards.tolist() == [1.0, 0.0, 0.0]
    assert whole.info["reason/different"].tolist() == [0.0, 1.0, 0.0]
    for each, share in zip(split_experience_batch(whole), [0.0, 1.0, 0.0], strict=True):
        assert each.info["reason/different"].item() == share


def test_openrlhfs_own_client_asks_the_server_and_trains_on_what_the_file_gives(
    openrlhf_with_http, server, tmp_path
):
    from openrlhf.trainer.ppo_utils.experience import Experience, split_experience_batch

    file = tmp_path / "my_reward.py"
    file.write_text(FILE)
    asked, loaded = samples_of(server), samples_of(str(file))
    assert [e.rewards.item() for e in asked] == [1.0, 0.0, 0.0]
    for one, other in zip(advantages_of(asked), advantages_of(loaded), strict=True):
        assert torch.equal(one, other)
        assert one.any()
    for one, other in zip(asked, loaded, strict=True):
        assert one.info.keys() == other.info.keys()
        assert all(one.info[key].flatten().equal(other.info[key]) for key in one.info)
    shares = [
        x.info["not_applicable"].item()
        for x in split_experience_batch(Experience.concat_experiences(asked, 0))
    ]
    assert shares == [0.0, 0.0, 1.0]


def test_openrlhfs_own_client_fails_where_the_server_refuses(
    openrlhf_with_http, server, monkeypatch
):
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    async def at_once(_):
        pass

    executor = SingleTurnAgentExecutor([server])
    monkeypatch.setattr(sys.modules["openrlhf.utils.agent"].asyncio, "sleep", at_once)
    with pytest.raises(RuntimeError, match="Request error for 5 times"):
        asyncio.run(executor._fetch_rewards_via_http([7], ["1"], ["2"]))
    (answer,) = asyncio.run(executor._fetch_rewards_via_http([r"1\boxed{2}"], ["1"], ["2"]))
    assert answer == {
        "rewards": [1.0],
        "scores": [1.0],
        "extra_logs": {"not_applicable": [0.0], "reason/different": [0.0]},
    }
