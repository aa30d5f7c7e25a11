"""slime: its own call site where a checkout is at hand, and the same calls written down here."""

import asyncio
from types import SimpleNamespace

import pytest

import adapter_verifiers as own
from grpo_core.adapters.slime import slime_reward
from grpo_core.rewards import verify_math
from trainers import imported

maths = slime_reward(verify_math, unscored=-1.0)


def sample(response, label="2", **values):
    return SimpleNamespace(
        prompt="Why?", response=response, response_length=3, label=label,
        metadata={"kept": 1}, remove_sample=False, custom_rm_path=None, **values,
    )  # fmt: skip


def ask(reward, samples, **keywords):
    return asyncio.run(reward(SimpleNamespace(), samples, **keywords))


def test_a_sample_gets_a_number_and_a_group_gets_a_list():
    assert ask(maths, sample(r"\boxed{2}"), evaluation=False) == 1.0
    assert ask(maths, [sample(r"\boxed{2}"), sample(r"\boxed{3}")]) == [1.0, 0.0]
    assert ask(maths, []) == []


def test_a_sample_without_a_score_is_removed_and_says_why():
    good, bad = sample(r"\boxed{2}"), sample(r"\boxed{2}", "{2")
    assert ask(maths, [good, bad]) == [1.0, -1.0]
    assert (good.remove_sample, bad.remove_sample) == (False, True)
    assert good.metadata == {
        "kept": 1, "grpo_core_reason": "correct", "grpo_core_not_applicable": 0.0,
    }  # fmt: skip
    assert bad.metadata["grpo_core_reason"] == "invalid_reference"


def test_columns_are_the_label_the_prompt_or_metadata():
    by_prompt = slime_reward(own.with_problem, problem="prompt")
    assert ask(by_prompt, sample("")) == 1.0
    by_key = slime_reward(own.with_problem, column="kept", problem="question")
    with pytest.raises(LookupError, match="no column 'question' in row 0, metadata; there are 'ke"):
        ask(by_key, sample(""))
    fine = sample("")
    fine.metadata = {"answer": "2"}
    with pytest.raises(LookupError, match="no column 'answer' in row 1, metadata"):
        ask(slime_reward(verify_math, column="answer"), [fine, sample("")])
    assert ask(slime_reward(own.with_length, length=True), sample("")) == 3.0


def test_the_event_loop_goes_on_meanwhile():
    async def run():
        reward = asyncio.create_task(maths(None, sample(r"\boxed{2}")))
        await asyncio.sleep(0)  # the verifier is in a thread: this is not waiting for it
        assert not reward.done()
        return await reward

    assert asyncio.run(run()) == 1.0


def test_slime_calls_it_and_masks_what_it_could_not_score(monkeypatch):
    others = ("deepscaler", "f1", "gpqa", "math_dapo_utils", "math_utils", "opencua_click")
    absent = ("aiohttp", "slime.utils.misc", *(f"slime.rollout.rm_hub.{name}" for name in others))
    with imported("slime", absent=absent, bare=("slime", "slime.rollout", "slime.utils")):
        from slime.rollout import rm_hub
        from slime.utils.types import Sample

        monkeypatch.setattr(rm_hub, "load_function", lambda path: maths)
        args = SimpleNamespace(custom_rm_path="my_module.maths")
        made = Sample(prompt="?", response=r"\boxed{2}", label="{2")
        assert asyncio.run(rm_hub.async_rm(args, made)) == -1.0
        assert made.remove_sample
        group = [Sample(prompt="?", response=r"\boxed{2}", label="2") for _ in range(2)]
        assert asyncio.run(rm_hub.batched_async_rm(args, group)) == [1.0, 1.0]
