"""skyrl-gym 0.4: its own registry makes, steps and sums up our environment."""

import pytest

import adapter_verifiers as own
from grpo_core.adapters._rewards.skyrl import shares
from grpo_core.adapters.skyrl import skyrl_env
from grpo_core.rewards import verify_math
from trainers import imported


@pytest.fixture
def gym():
    with imported("skyrl_gym", absent=("omegaconf",)):
        import skyrl_gym

        yield skyrl_gym


def row(answer):
    return {"reward_spec": {"method": "rule", "ground_truth": answer}, "max_turns": 1}


def test_an_environment_of_one_turn(gym):
    from skyrl_gym.envs.base_text_env import BaseTextEnv
    from skyrl_gym.metrics import aggregate_for_environment

    env_class = skyrl_env(verify_math, unscored=-1.0)
    assert issubclass(env_class, BaseTextEnv)
    gym.register(id="maths", entry_point=env_class)
    metrics = []
    for answer, reward in (("2", 1.0), ("3", 0.0), ("{2", -1.0), ("2", 1.0)):
        env = gym.make("maths", env_config={}, extras=row(answer))
        prompt = [{"role": "user", "content": "1 + 1?"}]
        assert env.init(prompt) == (prompt, {})
        output = env.step(r"\boxed{2}")
        assert output["reward"] == reward
        assert output["done"] is True
        assert output["observations"] == []
        assert output["metadata"]["not_applicable"] == (reward == -1.0)
        metrics.append(env.get_metrics())
        env.close()
    assert aggregate_for_environment("maths", metrics) == {
        "not_applicable": 0.25,
        "reason/correct": 0.5,
        "reason/different": 0.25,
        "reason/invalid_reference": 0.25,
    }


def test_a_missing_column_raises_before_the_policy_is_asked(gym):
    with pytest.raises(LookupError, match="no column 'reward_spec' in the environment's extras"):
        skyrl_env(verify_math)({}, {"answer": "2"})
    with pytest.raises(LookupError, match=r"no column .ground_truth. in .*, reward_spec"):
        skyrl_env(verify_math)({}, {"reward_spec": {}})
    with pytest.raises(LookupError, match=r"no column .question. in .* there are .answer."):
        skyrl_env(verify_math, column="answer", problem="question")({}, {"answer": "2"})
    with pytest.raises(TypeError, match="the action must be a text, got int"):
        skyrl_env(verify_math, column="answer")({}, {"answer": "2"}).step(3)


def test_the_problem_may_be_the_prompt(gym):
    env = skyrl_env(own.with_problem, column="answer", problem="prompt")({}, {"answer": "2"})
    env.init([{"role": "system", "content": "Think."}, {"role": "user", "content": "Why?"}])
    assert env.step("")["reward"] == 1.0
    by_column = skyrl_env(own.with_problem, column="answer", problem="question")
    assert by_column({}, {"answer": "2", "question": "How?"}).step("")["reward"] == 0.0


def test_two_environments_do_not_share_a_verifier(gym):
    first, second = skyrl_env(verify_math, column="answer"), skyrl_env(own.share_of_a, column=None)
    assert first({}, {"answer": "2"}).step(r"\boxed{2}")["reward"] == 1.0
    with pytest.raises(TypeError):
        own.share_of_a("aa")
    assert second({}, {}).step("aa")["metadata"]["not_applicable"]  # it takes a reference


def test_shares_of_no_episodes_are_none():
    assert shares([]) == shares([{}]) == {}
