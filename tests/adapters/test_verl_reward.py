"""verl 0.9: its own loader of reward functions, its own managers and its own scores."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from grpo_core.adapters.verl import verl_reward, verl_reward_manager
from grpo_core.rewards import magistral_reward, verify_math
from trainers import imported

# Ray and what the rest of verl needs; none of it is on a reward's way.
ABSENT = (
    "ray", "tensordict", "omegaconf", "aiohttp", "codetiming", "hydra", "wandb", "cachetools",
    "torchdata", "peft", "vllm",
)  # fmt: skip
PROMPT, RESPONSE = [7, 8, 9], [1, 2, 3, 0, 0]  # two of padding
WORDS = {1: r"<think>a</think>", 2: "\\boxed", 3: "{2}"}


@pytest.fixture
def verl():
    with imported("verl", absent=ABSENT, bare=("verl.experimental.reward_loop",)):
        yield


def decode(ids, skip_special_tokens):
    assert skip_special_tokens
    return "".join(WORDS[int(i)] for i in ids)


class Data(list):
    """The two ways in which a manager takes a `DataProto` apart."""

    def __getitem__(self, key):
        return (
            Data(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)
        )


def sample(**values):
    mask = torch.tensor([1] * 3 + [1, 1, 1, 0, 0])
    batch = {"responses": torch.tensor(RESPONSE), "attention_mask": mask}
    return Data([SimpleNamespace(batch=batch, non_tensor_batch={"data_source": "d", **values})])


def test_keys_are_the_same_for_every_sample_since_verl_makes_columns_of_them():
    compute_score = verl_reward(verify_math, unscored=-1.0)
    results = [compute_score("d", r"\boxed{2}", answer) for answer in ("2", "3", "{2")]
    assert [r["score"] for r in results] == [1.0, 0.0, -1.0]
    assert [r["reason"] for r in results] == ["correct", "different", "invalid_reference"]
    assert [r["not_applicable"] for r in results] == [0.0, 0.0, 1.0]
    assert len({tuple(r) for r in results}) == 1


def test_the_reference_and_the_problem_may_be_in_the_extra_info():
    compute_score = verl_reward(
        partial(magistral_reward, language=None), column="answer", problem="question"
    )
    text, extra = r"<think>a</think>\boxed{2}", {"answer": "2", "question": "1 + 1?"}
    assert compute_score("d", text, "ignored", extra)["score"] == 1.0
    with pytest.raises(LookupError, match="no column 'answer' in the extra_info of 'd'; there are"):
        compute_score("d", text, "2", {"question": "1 + 1?"})
    with pytest.raises(LookupError, match="no column 'question' in the extra_info of 'd'"):
        compute_score("d", text, "2", {"answer": "2"})


def test_verl_loads_it_from_a_file_and_calls_it(verl, tmp_path):
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.reward import get_custom_reward_fn

    file = tmp_path / "my_reward.py"
    file.write_text(
        "from grpo_core.adapters.verl import verl_reward\n"
        "from grpo_core.rewards import verify_math\n"
        "compute_score = verl_reward(verify_math)\n"
    )
    function = {"path": str(file), "name": "compute_score", "reward_kwargs": {"verbose": True}}
    compute_score = get_custom_reward_fn(
        SimpleNamespace(reward={"custom_reward_function": function})
    )

    async def run():
        manager = NaiveRewardManager(None, SimpleNamespace(decode=decode), compute_score)
        manager.loop = asyncio.get_running_loop()  # verl makes it in an actor's main thread
        return await manager.run_single(sample(reward_model={"ground_truth": "2"}, extra_info={}))

    result = asyncio.run(run())
    assert result["reward_score"] == 1.0
    assert result["reward_extra_info"]["reason"] == "correct"


def test_the_manager_is_verls_and_knows_the_length(verl):
    from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
    from verl.experimental.reward_loop.reward_manager.registry import (
        REWARD_MANAGER,
        get_reward_manager_cls,
        register,
    )

    manager_class = verl_reward_manager(
        partial(magistral_reward, language=None, max_length=3, buffer=2),
        problem="question", length=True,
    )  # fmt: skip
    assert issubclass(manager_class, RewardManagerBase)
    assert register("grpo_core")(manager_class) is get_reward_manager_cls("grpo_core")
    del REWARD_MANAGER["grpo_core"]

    async def run(**values):
        manager = manager_class(
            config=None, tokenizer=SimpleNamespace(decode=decode), compute_score=None,
            reward_router_address=None, reward_model_tokenizer=None,
        )  # fmt: skip
        return await manager.run_single(sample(**values))

    info = {"question": "1 + 1?"}
    result = asyncio.run(run(reward_model={"ground_truth": "2"}, extra_info=info))
    # 0.1 for the form, 0.9 for the answer, and -0.1: three tokens are the most there may be.
    assert result["reward_score"] == pytest.approx(0.9)
    assert result["reward_extra_info"]["not_applicable"] == 0.0
    with pytest.raises(LookupError, match="no column 'reward_model' in the sample"):
        asyncio.run(run(extra_info=info))
    with pytest.raises(LookupError, match="no column 'ground_truth' in the sample's reward_model"):
        asyncio.run(run(reward_model={}, extra_info=info))


def test_validation_keeps_what_is_a_number_and_passes_over_the_reason(verl):
    from verl.trainer.ppo.metric_utils import process_validation_metrics

    compute_score = verl_reward(verify_math)
    results = [compute_score("d", r"\boxed{2}", answer) for answer in ("2", "3", "{2", "2")]
    columns = {key: [r[key] for r in results] for key in results[0]}
    metrics = process_validation_metrics(["d"] * 4, ["a", "a", "b", "b"], columns)["d"]
    assert metrics["not_applicable"]["mean@2"] == 0.25
    assert "reason" not in metrics
