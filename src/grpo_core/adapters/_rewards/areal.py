"""AReaL: a `reward_fn` for `RLVRWorkflow`."""

from collections.abc import Callable
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, RewardBase
from grpo_core.adapters._rewards._columns import text_of, value_of

PROMPT = "prompt"


def areal_reward(
    verifier: Callable[..., object],
    *,
    column: str | None,
    problem: str | None = None,
    length: bool = False,
    end: str = "",
    name: str | None = None,
) -> "ArealReward":
    r"""A verifier as the `reward_fn` of AReaL 1.0's `RLVRWorkflow`.

    AReaL calls it in a process of its own with the prompt, the completion, both as ids, and the
    dataset's columns by name. Where the verifier has no score the function raises
    `NotScoredError`: AReaL tries three times more, then rejects the trajectory, with its whole
    group, and counts it (`rollout/rejected`).

    AReaL itself gives a reward of 0, and only a line in its log, to what takes longer than 15
    seconds: keep a verifier's own limits below that, or give `AsyncRewardWrapper` a longer one.

    Args:
        verifier: As in `trl_reward`; called as `verifier(completion, reference)`, with `problem`
            as `verifier(problem, completion, reference)`.
        column: The dataset's column with the reference; None: the verifier takes none.
        problem: The column with the problem, or `"prompt"`: the prompt with its template.
        length: Give the verifier `length=`, the completion's number of tokens.
        end: What ends a completion and is none of it: AReaL decodes special tokens, too.
        name: The function's name; the verifier's own if not given.

    Returns:
        The function, picklable.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a text is none.
        LookupError: When called, if the dataset has no such column.

    Example:
        >>> from grpo_core.adapters.areal import areal_reward
        >>> from grpo_core.rewards import verify_math
        >>> reward_fn = areal_reward(verify_math, column="answer", end="<|im_end|>")
        >>> reward_fn("1 + 1?", r"\boxed{2}<|im_end|>", [5], [6, 7], answer="2")
        1.0
    """
    return ArealReward(Question(verifier, column, problem, length), name, end)


class NotScoredError(Exception):
    """There is no score for this completion; the message says why."""


class ArealReward(RewardBase):
    """See `areal_reward`."""

    def __init__(self, question: Question, name: str | None, end: str) -> None:
        super().__init__(question, name)
        self.end = end

    def __call__(
        self,
        prompt: str,
        completions: str,
        prompt_ids: list[int],  # noqa: ARG002 - AReaL's signature
        completion_ids: list[int],
        **data: Any,
    ) -> float:
        """The reward of one completion."""
        data = {**data, PROMPT: prompt}
        column, problem = self.question.column, self.question.problem
        asked = Asked(
            text_of(completions, "completions", messages=False).removesuffix(self.end),
            value_of(data, column, "the dataset") if column else None,
            text_of(value_of(data, problem, "the dataset"), f"column {problem!r}: the problem")
            if problem
            else None,
            len(completion_ids),
        )
        scored = self.question.scores([asked])[0]
        if scored.score is None:
            raise NotScoredError(f"{self.__name__}: {scored.reason}: {scored.message}")
        return scored.score
