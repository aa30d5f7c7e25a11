"""prime-rl and verifiers: a function for `@vf.reward` or for a task's configuration."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, RewardBase
from grpo_core.adapters._rewards._columns import text_of
from grpo_core.adapters._rewards.areal import NotScoredError

PROMPT = "prompt_text"


def verifiers_reward(
    verifier: Callable[..., object],
    *,
    column: str | None,
    problem: str | None = None,
    name: str | None = None,
) -> "VerifiersReward":
    r"""A verifier as a reward of verifiers 0.4, which prime-rl trains on.

    In a task, `correct = vf.reward(verifiers_reward(verify_math, column="answer"))`; or, from a
    module of your own, by its name in the task's configuration:
    `rewards.correct.fn = "my_module:correct"`. verifiers calls it with `task`, which is the task's
    data, and `trace`, whose last reply is the completion; the verifier runs in a thread.

    It records the metrics `<name>/<reason>` and `<name>/not_applicable` on the trace. Where the
    verifier has no score it raises `NotScoredError`: verifiers records the error on the trace and
    leaves the reward unscored, and a trace with an error is not trained on.

    Args:
        verifier: As in `trl_reward`; called as `verifier(reply, reference)`, with `problem` as
            `verifier(problem, reply, reference)`.
        column: The field of the task's data with the reference; None: the verifier takes none.
        problem: The field with the problem; `"prompt_text"` is the prompt.
        name: The function's name; the verifier's own if not given.

    Returns:
        The function, picklable. It answers a float.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a text is none.
        LookupError: When called, if the task's data has no such field.

    Example:
        >>> import asyncio
        >>> from types import SimpleNamespace
        >>> from grpo_core.adapters.prime_rl import verifiers_reward
        >>> from grpo_core.rewards import verify_math
        >>> correct = verifiers_reward(verify_math, column="answer")
        >>> trace = SimpleNamespace(last_reply=r"\boxed{2}", record_metric=print)
        >>> asyncio.run(correct(task=SimpleNamespace(answer="2"), trace=trace))
        verify_math/not_applicable 0.0
        verify_math/correct 1.0
        1.0
    """
    return VerifiersReward(Question(verifier, column, problem), name)


class VerifiersReward(RewardBase):
    """See `verifiers_reward`."""

    async def __call__(self, task: Any, trace: Any) -> float:
        """The reward of a trace."""
        column, problem = self.question.column, self.question.problem
        row = getattr(task, "idx", None)
        at = "" if row is None else f"row {row}, "
        asked = Asked(
            text_of(trace.last_reply, f"{at}the trace's last reply", messages=False),
            _field(task, column) if column else None,
            text_of(_field(task, problem), f"{at}field {problem!r}: the problem")
            if problem
            else None,
            row=row,
        )
        scored = (await asyncio.to_thread(self.question.scores, [asked]))[0]
        trace.record_metric(f"{self.__name__}/not_applicable", float(scored.score is None))
        trace.record_metric(f"{self.__name__}/{scored.reason}", 1.0)
        if scored.score is None:
            raise NotScoredError(f"{self.__name__}: {scored.reason}: {scored.message}")
        return scored.score


def _field(task: object, name: str) -> Any:
    if not hasattr(task, name):
        there = ", ".join(map(repr, getattr(type(task), "model_fields", None) or vars(task)))
        raise LookupError(f"no field {name!r} in the task's data; there are {there or 'none'}")
    return getattr(task, name)
