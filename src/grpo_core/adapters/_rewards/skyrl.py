"""SkyRL: an environment of one turn."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, Scored, check_unscored, name_of
from grpo_core.adapters._rewards._columns import text_of, value_of

GROUND_TRUTH, PROMPT = "ground_truth", "prompt"


def skyrl_env(
    verifier: Callable[..., object],
    *,
    column: str | None = GROUND_TRUTH,
    problem: str | None = None,
    unscored: float = 0.0,
) -> type[Any]:
    r"""A verifier as an environment of SkyRL: a subclass of skyrl-gym 0.4's `BaseTextEnv`.

    One turn, done after it. In your entry point,
    `skyrl_gym.register(id="maths", entry_point=skyrl_env(verify_math))`; then
    `environment.env_class=maths`. A row's columns are the environment's extras, and a missing
    column raises as the environment is made, before the policy is asked.

    SkyRL knows no missing reward: a sample that the verifier could not score gets `unscored`.
    `aggregate_metrics` gives the share of such samples, `not_applicable`, and of each verdict's
    reason, `reason/<reason>`, over all episodes; the logger `grpo_core.adapters` says what went
    wrong.

    Args:
        verifier: As in `trl_reward`; called as `verifier(action, ground_truth)`, with `problem` as
            `verifier(problem, action, ground_truth)`.
        column: `"ground_truth"`, in the extras' `reward_spec`, or a key of the extras; None: the
            verifier takes no reference.
        problem: A key of the extras, or `"prompt"`: the last message of the prompt.
        unscored: What SkyRL is told where there is no score.

    Returns:
        The class.

    Raises:
        ModuleNotFoundError: If skyrl-gym is not installed.
        TypeError: If the verifier cannot be called; when stepped, if an action is no text.
    """
    question = Question(verifier, column, problem)
    members = {"question": question, "unscored": check_unscored(unscored)}
    return type(f"Env_{name_of(verifier)}", (_env_base(),), members)


@cache
def _env_base() -> type[Any]:
    from skyrl_gym.envs.base_text_env import BaseTextEnv  # noqa: PLC0415 - the trainer

    class Env(BaseTextEnv):
        question: Question
        unscored: float

        def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - SkyRL's signature
            super().__init__()
            extras = extras or {}
            question, where = type(self).question, "the environment's extras"
            self.reference, self.problem = None, ""
            if question.column == GROUND_TRUTH:
                spec = value_of(extras, "reward_spec", where)
                self.reference = value_of(spec, GROUND_TRUTH, f"{where}, reward_spec")
            elif question.column:
                self.reference = value_of(extras, question.column, where)
            if question.problem and question.problem != PROMPT:
                found = value_of(extras, question.problem, where)
                self.problem = text_of(found, f"column {question.problem!r}: the problem")
            self.scored: Scored | None = None

        def init(self, prompt: Any) -> Any:
            if type(self).question.problem == PROMPT:
                self.problem = text_of(prompt, "the prompt")
            return super().init(prompt)

        def step(self, action: str) -> dict[str, Any]:
            action = text_of(action, "the action", messages=False)
            asked = Asked(action, self.reference, self.problem)
            self.scored = type(self).question.scores([asked])[0]
            score = self.scored.score
            reward = self.unscored if score is None else score
            metadata = {"reason": self.scored.reason, "not_applicable": score is None}
            return {"observations": [], "reward": reward, "done": True, "metadata": metadata}

        def get_metrics(self) -> dict[str, Any]:
            if self.scored is None:
                return {}
            missing = self.scored.score is None
            return {"reason": self.scored.reason, "not_applicable": float(missing)}

        @staticmethod
        def aggregate_metrics(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
            return shares(metrics)

    return Env


def shares(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of episodes that were scored: which share had each reason, and which had no score."""
    stepped = [each for each in metrics if each]
    if not stepped:
        return {}
    counts = Counter(str(each["reason"]) for each in stepped)
    missing = sum(float(each["not_applicable"]) for each in stepped) / len(stepped)
    by_reason = {f"reason/{name}": n / len(stepped) for name, n in sorted(counts.items())}
    return {"not_applicable": missing, **by_reason}
