"""AReaL 1.0: its own wrapper, which calls a reward in processes of its own."""

import asyncio
import logging

import pytest

import adapter_verifiers as own
from grpo_core.adapters.areal import NotScoredError, areal_reward
from grpo_core.rewards import verify_math
from trainers import imported


@pytest.fixture
def wrapper():
    # Its logging wants a package for colours.
    with imported(
        "areal", absent=("areal.utils.logging",), bare=("areal", "areal.api", "areal.utils")
    ):
        from areal.api.reward_api import AsyncRewardWrapper

        yield AsyncRewardWrapper
        AsyncRewardWrapper._atexit_shutdown_all()


def test_columns_the_prompt_and_the_end_of_a_text():
    reward = areal_reward(own.with_problem, column="answer", problem="prompt")
    assert reward("Why?", "a", [1], [2], answer="2", messages=[]) == 1.0
    with pytest.raises(LookupError, match="no column 'answer' in the dataset; there are 'gold'"):
        reward("Why?", "a", [1], [2], gold="2")
    length = areal_reward(own.with_length, column="answer", length=True)
    assert length("Why?", "a", [1], [2, 3, 4], answer="") == 3.0
    assert areal_reward(own.share_of_a, column="answer")("", "a<e>", [], [], answer="") == 0.25
    with_end = areal_reward(own.share_of_a, column="answer", end="<e>")
    assert with_end("", "a<e>", [], [], answer="") == 1.0


def test_what_has_no_score_raises_with_the_reason():
    reward = areal_reward(verify_math, column="answer")
    with pytest.raises(NotScoredError, match=r"verify_math: invalid_reference: .* got '{2'"):
        reward("?", r"\boxed{2}", [1], [2], answer="{2")


def test_areals_wrapper_sends_it_to_its_processes(wrapper):
    ask = wrapper(areal_reward(verify_math, column="answer"), max_workers=1)
    data = {"answer": "2", "messages": [{"role": "user", "content": "1 + 1?"}]}
    assert asyncio.run(ask("1 + 1?", r"\boxed{2}", [1], [2], **data)) == 1.0
    assert asyncio.run(ask("1 + 1?", r"\boxed{3}", [1], [2], **data)) == 0.0


def test_areals_wrapper_raises_what_rejects_the_trajectory(wrapper, caplog):
    ask = wrapper(areal_reward(own.crash, column="answer"), max_workers=1, max_retries=1)
    with (
        caplog.at_level(logging.CRITICAL),
        pytest.raises(NotScoredError, match="crash: error: RuntimeError: out of luck"),
    ):
        asyncio.run(ask("1 + 1?", "", [1], [2], answer="2"))
