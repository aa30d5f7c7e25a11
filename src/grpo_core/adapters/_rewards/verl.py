"""verl: a `compute_score`, and a reward manager that also knows lengths."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, RewardBase, Scored, check_unscored
from grpo_core.adapters._rewards._columns import text_of, value_of

GROUND_TRUTH = "ground_truth"


def verl_reward(
    verifier: Callable[..., object],
    *,
    column: str | None = GROUND_TRUTH,
    problem: str | None = None,
    unscored: float = 0.0,
    name: str | None = None,
) -> "VerlReward":
    r"""A verifier as verl's `compute_score`, for verl 0.9.

    In a file of your own, `compute_score = verl_reward(verify_math)`; then
    `reward.custom_reward_function.path=<that file>`, whose `name` is `compute_score` by default.

    verl knows no missing reward: a sample that the verifier could not score gets `unscored`, and
    the answer's `not_applicable` is 1.0, so that it can be counted; the logger
    `grpo_core.adapters` says what went wrong. verl puts the other entries of the answer into the
    metrics of validation (numbers) and into the rollouts that it dumps (`reason`, too).

    Args:
        verifier: As in `trl_reward`; called as `verifier(solution_str, ground_truth)`, with
            `problem` as `verifier(problem, solution_str, ground_truth)`.
        column: `"ground_truth"`, or a key of `extra_info`; None: the verifier takes no reference.
        problem: A key of `extra_info`.
        unscored: What verl is told where there is no score.
        name: The function's name; the verifier's own if not given.

    Returns:
        The function, picklable. It answers `score`, `reason` and `not_applicable`.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a text is none.
        LookupError: When called, if `extra_info` has no such key.

    Example:
        >>> from grpo_core.adapters.verl import verl_reward
        >>> from grpo_core.rewards import verify_math
        >>> compute_score = verl_reward(verify_math)
        >>> compute_score("gsm8k", r"\boxed{2}", "2")
        {'score': 1.0, 'reason': 'correct', 'not_applicable': 0.0}
        >>> compute_score("gsm8k", r"\boxed{2}", "{2")
        {'score': 0.0, 'reason': 'invalid_reference', 'not_applicable': 1.0}
    """
    return VerlReward(Question(verifier, column, problem), name, unscored)


class VerlReward(RewardBase):
    """See `verl_reward`."""

    def __init__(self, question: Question, name: str | None, unscored: float) -> None:
        super().__init__(question, name)
        self.unscored = check_unscored(unscored)

    def __call__(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: object,
        extra_info: Mapping[str, Any] | None = None,
        *,
        length: int | None = None,
        **_: object,
    ) -> dict[str, float | str]:
        """The score of one completion, and what verl is to log with it."""
        problem = self.question.problem
        extra = dict(extra_info or {})
        at = f"row {extra['index']}, " if "index" in extra else ""
        where = f"{at}the extra_info of {data_source!r}"
        asked = Asked(
            text_of(solution_str, f"{at}solution_str", messages=False),
            self._reference(ground_truth, extra, where),
            text_of(value_of(extra, problem, where), f"{at}column {problem!r}: the problem")
            if problem
            else None,
            length,
            extra.get("index"),
        )
        return answer(self.question.scores([asked])[0], self.unscored)

    def _reference(self, ground_truth: object, extra: Mapping[str, Any], where: str) -> Any:
        column = self.question.column
        return ground_truth if column in (None, GROUND_TRUTH) else value_of(extra, column, where)


def answer(scored: Scored, unscored: float) -> dict[str, float | str]:
    """The same keys for every sample: verl makes columns of them."""
    missing = scored.score is None
    return {
        "score": unscored if scored.score is None else scored.score,
        "reason": scored.reason,
        "not_applicable": float(missing),
    }


def verl_reward_manager(
    verifier: Callable[..., object],
    *,
    column: str | None = GROUND_TRUTH,
    problem: str | None = None,
    length: bool = False,
    unscored: float = 0.0,
) -> type[Any]:
    """A verifier as a reward manager of verl 0.9: a subclass of its `RewardManagerBase`.

    It does what `verl_reward` does, and knows the completion's length in tokens, which the reward
    of the Magistral report needs. In a file of your own, `Rewards = verl_reward_manager(...)`; then
    `reward.reward_manager.source=importlib reward.reward_manager.name=Rewards
    reward.reward_manager.module.path=<that file>`.

    Args:
        verifier: As in `verl_reward`.
        column: As in `verl_reward`; the ground truth is the sample's `reward_model.ground_truth`.
        problem: As in `verl_reward`.
        length: Give the verifier `length=`, the completion's number of tokens.
        unscored: As in `verl_reward`.

    Returns:
        The class. Its `run_single` answers `reward_score` and `reward_extra_info`.

    Raises:
        ModuleNotFoundError: If verl is not installed.
        TypeError: If the verifier cannot be called.
    """
    question = Question(verifier, column, problem, length)
    return type(
        "GrpoCoreRewardManager", (_manager_base(),), {"score": VerlReward(question, None, unscored)}
    )


@cache
def _manager_base() -> type[Any]:
    from verl.experimental.reward_loop.reward_manager.base import (  # noqa: PLC0415 - the trainer
        RewardManagerBase,
    )

    class Manager(RewardManagerBase):
        score: VerlReward

        def __init__(
            self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any
        ) -> None:
            super().__init__(config, tokenizer, compute_score)

        async def run_single(self, data: Any) -> dict[str, Any]:
            item = data[-1]  # of an agent's several outputs verl scores the last
            ids = item.batch["responses"]
            length = int(item.batch["attention_mask"][-ids.shape[-1] :].sum())
            text, values = self.tokenizer.decode, item.non_tensor_batch
            model = value_of(values, "reward_model", "the sample")
            result = await asyncio.to_thread(
                lambda: self.score(
                    values.get("data_source", ""),
                    text(ids[:length], skip_special_tokens=True),
                    value_of(model, GROUND_TRUTH, "the sample's reward_model"),
                    values.get("extra_info"),
                    length=length,
                )
            )
            return {"reward_score": result["score"], "reward_extra_info": result}

    return Manager
