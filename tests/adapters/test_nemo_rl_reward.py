"""NeMo-RL: its own interface where a checkout is at hand, and its two names written down here."""

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
import torch

import adapter_verifiers as own
from grpo_core.adapters._rewards import nemo_rl as module
from grpo_core.adapters.nemo_rl import nemo_rl_environment
from grpo_core.rewards import verify_math
from trainers import imported

M = TypeVar("M")


class EnvironmentReturn(NamedTuple):
    """The fields of nemo_rl/environments/interfaces.py, with its default."""

    observations: list
    metadata: list
    next_stop_strings: list
    rewards: Any
    terminateds: Any
    answers: Any = None


class EnvironmentInterface(ABC, Generic[M]):
    @abstractmethod
    def step(self, message_log_batch, metadata): ...

    @abstractmethod
    def global_post_process_and_metrics(self, batch): ...


@pytest.fixture
def written_down(monkeypatch):
    names = ("nemo_rl", "nemo_rl.environments", "nemo_rl.environments.interfaces")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    interfaces = sys.modules[names[-1]]
    interfaces.EnvironmentInterface = EnvironmentInterface
    interfaces.EnvironmentReturn = EnvironmentReturn
    module._environment_base.cache_clear()
    yield
    module._environment_base.cache_clear()


def log(completion, problem="Why?"):
    return [{"role": "user", "content": problem}, {"role": "assistant", "content": completion}]


def check_step(make):
    environment = make(verify_math, unscored=-1.0)({"num_workers": 1})
    batch = [log(r"\boxed{2}"), log(r"\boxed{3}"), log(r"\boxed{2}"), log("no")]
    metadata = [{"ground_truth": answer} for answer in ("2", "2", "{2", "2")]
    result = environment.step(batch, metadata)
    assert result.rewards.tolist() == [1.0, 0.0, -1.0, 0.0]
    assert result.terminateds.bool().all()
    assert len(result.terminateds) == 4
    assert result.next_stop_strings == [None] * 4
    assert result.metadata == metadata
    assert [each["role"] for each in result.observations] == ["environment"] * 4
    rewards = torch.zeros(4)
    batch, metrics = environment.global_post_process_and_metrics({"rewards": rewards})
    assert batch["rewards"] is rewards
    assert metrics == {
        "not_applicable": 0.25,
        "reason/correct": 0.25,
        "reason/different": 0.25,
        "reason/invalid_reference": 0.25,
        "reason/no_answer": 0.25,
    }
    environment.shutdown()


def test_a_step_scores_a_batch_and_ends_it(written_down):
    check_step(nemo_rl_environment)


def test_the_real_interface_takes_it():
    absent = ("ray", "nemo_rl.data", "nemo_rl.distributed")
    with imported("nemo_rl", absent=absent, bare=("nemo_rl", "nemo_rl.environments")):
        module._environment_base.cache_clear()
        check_step(nemo_rl_environment)
    module._environment_base.cache_clear()


def test_columns_are_the_metadata_or_the_prompt(written_down):
    by_prompt = nemo_rl_environment(own.with_problem, problem="prompt")()
    assert by_prompt.step(
        [log(""), log("", "How?")], [{"ground_truth": ""}] * 2
    ).rewards.tolist() == [1, 0]
    by_key = nemo_rl_environment(own.with_problem, column="answer", problem="question")()
    with pytest.raises(LookupError, match="no column 'question' in row 1, the metadata; there are"):
        by_key.step([log("")] * 2, [{"answer": "", "question": "Why?"}, {"answer": ""}])
    with pytest.raises(TypeError, match="row 0: the completion must be a text, got int"):
        by_key.step([log(3)], [{"answer": "", "question": "Why?"}])
    with pytest.raises(ValueError, match="workers must be at least 1 or None, got 0"):
        nemo_rl_environment(verify_math, workers=0)


def test_a_worker_that_dies_costs_its_own_sample(written_down):
    environment = nemo_rl_environment(own.die, workers=1, unscored=-1.0)()
    assert environment.step([log("")], [{"ground_truth": ""}]).rewards.tolist() == [-1.0]
    _, metrics = environment.global_post_process_and_metrics(None)
    assert metrics == {"not_applicable": 1.0, "reason/worker_died": 1.0}
