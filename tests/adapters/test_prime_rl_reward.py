"""verifiers 0.4, which prime-rl trains on: its own decorator and its own scoring of a task."""

import asyncio
import sys
from types import ModuleType

import pytest

import adapter_verifiers as own
from grpo_core.adapters.prime_rl import verifiers_reward
from grpo_core.rewards import verify_math
from trainers import imported

BARE = ("verifiers.v1", "verifiers.v1.utils", "verifiers.v1.configs")
ABSENT = ("openai", "verifiers.v1.configs.judge", "verifiers.v1.utils.loaders")


class Trace:
    """What a reward sees of a trace, and what scoring writes."""

    def __init__(self, last_reply):
        self.last_reply, self.metrics, self.rewards = last_reply, {}, {}

    def record_metric(self, name, value):
        self.metrics[name] = value

    def record_reward(self, name, value, weight=1.0):
        self.rewards[name] = (value, weight)


@pytest.fixture
def vf(monkeypatch):
    pydantic = pytest.importorskip("pydantic")
    config = ModuleType("pydantic_config")
    config.BaseConfig = pydantic.BaseModel
    monkeypatch.setitem(sys.modules, "pydantic_config", config)
    with imported("verifiers", absent=ABSENT, bare=BARE):
        from verifiers.v1 import task
        from verifiers.v1.utils import decorators

        task.reward = decorators.reward
        yield task


def scored(vf, reward, reply, **fields):
    """Let verifiers score a task that has this reward."""
    data_type = type(
        "Data",
        (vf.TaskData,),
        {"__annotations__": dict.fromkeys(fields, str), "__module__": __name__},
    )
    task_type = type("Task", (vf.Task,), {"correct": vf.reward(reward, weight=2.0)})
    trace = Trace(reply)
    task = task_type(data_type(prompt="Why?", **fields), vf.TaskConfig())
    return asyncio.run(task.score(trace)), trace


def test_verifiers_finds_calls_and_records_it(vf):
    reward = verifiers_reward(verify_math, column="answer", name="correct")
    _, trace = scored(vf, reward, r"\boxed{2}", answer="2")
    assert trace.rewards == {"correct": (1.0, 2.0)}
    assert trace.metrics == {"correct/not_applicable": 0.0, "correct/correct": 1.0}
    _, trace = scored(vf, reward, r"\boxed{3}", answer="2")
    assert trace.rewards == {"correct": (0.0, 2.0)}


def test_the_problem_may_be_a_field_or_the_prompt(vf):
    reward = verifiers_reward(own.with_problem, column="answer", problem="prompt_text", name="r")
    assert scored(vf, reward, "", answer="2")[1].rewards == {"r": (1.0, 2.0)}


def test_what_has_no_score_stays_unscored_and_is_an_error_of_the_trace(vf):
    from verifiers.v1.errors import TaskError

    reward = verifiers_reward(own.crash, column="answer", name="correct")
    data = vf.TaskData(prompt="Why?")
    task = type("Task", (vf.Task,), {"correct": vf.reward(reward)})(data, vf.TaskConfig())
    trace = Trace("a")
    with pytest.raises(TaskError, match="LookupError: no field 'answer' in the task's data; there"):
        asyncio.run(task.score(trace))
    with pytest.raises(
        TaskError, match="NotScoredError: correct: error: RuntimeError: out of luck"
    ):
        scored(vf, reward, "a", answer="2")
    assert trace.rewards == {"correct": None}  # not 0: verifiers marks it before it asks
