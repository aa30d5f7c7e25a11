"""OpenRLHF: a `reward_func` file, and what its HTTP server answers."""

from collections.abc import Callable, Sequence
from logging import getLogger
from math import inf
from typing import Any, Literal

from grpo_core.adapters._rewards._asked import (
    Asked,
    Question,
    RewardBase,
    Scored,
    check_unscored,
)
from grpo_core.adapters._rewards._columns import text_of
from grpo_core.adapters._rewards._pools import check_workers, pool_of

LABEL, PROMPT = "label", "prompt"
_LOG = getLogger("grpo_core.adapters")
_LOST = Scored(None, "prompt_not_in_query", "the query does not begin with the prompt")


def openrlhf_reward(
    verifier: Callable[..., object],
    *,
    column: Literal["label"] | None = LABEL,
    problem: Literal["prompt"] | None = None,
    end: str = "",
    reasons: Sequence[str] = (),
    unscored: float = 0.0,
    name: str | None = None,
    workers: int | None = None,
    timeout_seconds: float = inf,
) -> "OpenrlhfReward":
    r"""A verifier as the `reward_func` of OpenRLHF 0.11.

    In a file of your own, `reward_func = openrlhf_reward(verify_math)`; then
    `--reward.remote_url <that file>.py`. `grpo-core serve` answers the same over HTTP.

    A query is the prompt and the completion, with special tokens; the completion is what follows
    the prompt. OpenRLHF knows no missing reward: a sample that the verifier could not score, or
    whose query does not begin with its prompt, gets `unscored`, and `not_applicable` is 1.0 among
    the `extra_logs`, whose means OpenRLHF logs. The logger `grpo_core.adapters` says what went
    wrong.

    Args:
        verifier: As in `trl_reward`; called as `verifier(completion, label)`, with `problem` as
            `verifier(prompt, completion, label)`.
        column: `"label"`; None: the verifier takes no reference.
        problem: `"prompt"`, as it was sent to the policy, with its template.
        end: What ends a completion and is none of it: `"<|im_end|>"`.
        reasons: Of verdicts, whose shares are logged, as `reason/<reason>`. The names must be
            known beforehand: OpenRLHF needs the same ones for every sample.
        unscored: What OpenRLHF is told where there is no score.
        name: The function's name; the verifier's own if not given.
        workers: As in `trl_reward`.
        timeout_seconds: As in `trl_reward`.

    Returns:
        The function, picklable. It answers `rewards` and `scores`, tensors of one number a query,
        and `extra_logs`, a dict of such tensors; its `answer` gives lists, for JSON.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a query or prompt is no text.
        ValueError: If an option is out of range; when called, if the lists' lengths differ.

    Example:
        >>> from grpo_core.adapters.openrlhf import openrlhf_reward
        >>> from grpo_core.rewards import verify_math
        >>> reward_func = openrlhf_reward(verify_math, end="</s>", reasons=["different"])
        >>> reward_func([r"1 + 1?\boxed{3}</s>"], ["1 + 1?"], ["2"])["rewards"]
        tensor([0.])
        >>> reward_func.answer([r"1 + 1?\boxed{3}</s>"], ["1 + 1?"], ["2"])["extra_logs"]
        {'not_applicable': [0.0], 'reason/different': [1.0]}
    """
    for option, value, choice in (("column", column, LABEL), ("problem", problem, PROMPT)):
        if value not in (None, choice):
            raise ValueError(f"{option} must be {choice!r} or None, got {value!r}")
    check_workers(workers)
    if isinstance(reasons, str):
        raise TypeError("reasons must be several texts, got one")
    question = Question(verifier, column, problem)
    check_unscored(unscored)
    return OpenrlhfReward(question, name, end, tuple(reasons), unscored, workers, timeout_seconds)


class OpenrlhfReward(RewardBase):
    """See `openrlhf_reward`."""

    def __init__(
        self,
        question: Question,
        name: str | None,
        end: str,
        reasons: tuple[str, ...],
        unscored: float,
        workers: int | None,
        timeout_seconds: float,
    ) -> None:
        super().__init__(question, name)
        self.end, self.reasons, self.unscored = end, reasons, unscored
        self.workers, self.timeout_seconds = workers, timeout_seconds

    def __call__(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[object]
    ) -> dict[str, Any]:
        """What OpenRLHF reads from a file."""
        import torch  # noqa: PLC0415 - OpenRLHF has it; a list would have one dimension too many

        lists = self.answer(queries, prompts, labels)
        logs = {name: torch.tensor(values) for name, values in lists["extra_logs"].items()}
        rewards = torch.tensor(lists["rewards"])
        return {"rewards": rewards, "scores": rewards, "extra_logs": logs}

    def answer(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[object]
    ) -> dict[str, Any]:
        """What OpenRLHF reads from HTTP."""
        sizes = {"queries": len(queries), "prompts": len(prompts), "labels": len(labels)}
        if len(set(sizes.values())) > 1:
            given = ", ".join(f"{size} {name}" for name, size in sizes.items())
            raise ValueError(f"need as many queries, prompts and labels, got {given}")
        asked = [
            self._asked(row, query, prompt, label)
            for row, (query, prompt, label) in enumerate(zip(queries, prompts, labels, strict=True))
        ]
        executor = pool_of(self.workers)
        known = iter(
            self.question.scores(
                [each for each in asked if each],
                executor=executor,
                timeout_seconds=self.timeout_seconds,
            )
        )
        scored = [next(known) if each else _LOST for each in asked]
        if lost := [row for row, each in enumerate(asked) if each is None]:
            _LOG.warning(
                "%s: %d of %d completions have no score (%s); the first, row %d: %s",
                self.__name__, len(lost), len(asked), _LOST.reason, lost[0], _LOST.message,
            )  # fmt: skip
        rewards = [self.unscored if each.score is None else each.score for each in scored]
        logs = {"not_applicable": [float(each.score is None) for each in scored]}
        for reason in self.reasons:
            logs[f"reason/{reason}"] = [float(each.reason == reason) for each in scored]
        return {"rewards": rewards, "scores": rewards, "extra_logs": logs}

    def _asked(self, row: int, query: object, prompt: object, label: object) -> Asked | None:
        query = text_of(query, f"row {row}: the query", messages=False)
        prompt = text_of(prompt, f"row {row}: the prompt", messages=False)
        if not query.startswith(prompt):
            return None
        return Asked(query[len(prompt) :].removesuffix(self.end), label, prompt, row=row)
