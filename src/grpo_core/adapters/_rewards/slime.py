"""slime: a function for `--custom-rm-path`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, cast

from grpo_core.adapters._rewards._asked import Asked, Question, RewardBase, check_unscored
from grpo_core.adapters._rewards._columns import text_of, value_of
from grpo_core.adapters._rewards._pools import check_workers, pool_of

LABEL, PROMPT = "label", "prompt"


def slime_reward(
    verifier: Callable[..., object],
    *,
    column: str | None = LABEL,
    problem: str | None = None,
    length: bool = False,
    unscored: float = 0.0,
    name: str | None = None,
    workers: int | None = None,
    timeout_seconds: float = inf,
) -> "SlimeReward":
    r"""A verifier as slime's custom reward model.

    In a module of your own, `reward = slime_reward(verify_math)`; then
    `--custom-rm-path my_module.reward`, with or without `--group-rm`. The verifier runs in a thread
    beside slime's event loop, or in `workers`.

    The verdict's reason is put into the sample's metadata, `grpo_core_reason`. A sample that the
    verifier could not score gets `remove_sample`, so that slime masks all of its tokens; slime asks
    for a number nevertheless, which enters the mean of its group: `unscored`. Its metadata has
    `grpo_core_not_applicable` 1.0, and the logger `grpo_core.adapters` says what went wrong.

    Args:
        verifier: As in `trl_reward`; called as `verifier(response, label)`, with `problem` as
            `verifier(problem, response, label)`.
        column: `"label"`, or a key of the sample's metadata; None: the verifier takes no reference.
        problem: A key of the metadata, or `"prompt"`: of messages the last one's text.
        length: Give the verifier `length=`, the completion's number of tokens.
        unscored: What slime is told where there is no score.
        name: The function's name; the verifier's own if not given.
        workers: As in `trl_reward`.
        timeout_seconds: As in `trl_reward`.

    Returns:
        The function, picklable: for one sample a float, for a list of them a list.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a text is none.
        LookupError: When called, if the metadata has no such key.
        ValueError: If an option is out of range.

    Example:
        >>> import asyncio
        >>> from types import SimpleNamespace
        >>> from grpo_core.adapters.slime import slime_reward
        >>> from grpo_core.rewards import verify_math
        >>> reward = slime_reward(verify_math)
        >>> sample = SimpleNamespace(response=r"\boxed{2}", label="3", metadata={})
        >>> asyncio.run(reward(None, sample)), sample.metadata["grpo_core_reason"]
        (0.0, 'different')
    """
    check_workers(workers)
    question = Question(verifier, column, problem, length)
    check_unscored(unscored)
    return SlimeReward(question, name, unscored, workers, timeout_seconds)


class SlimeReward(RewardBase):
    """See `slime_reward`."""

    def __init__(
        self,
        question: Question,
        name: str | None,
        unscored: float,
        workers: int | None,
        timeout_seconds: float,
    ) -> None:
        super().__init__(question, name)
        self.unscored, self.workers, self.timeout_seconds = unscored, workers, timeout_seconds

    async def __call__(self, args: object, sample: Any, **_: object) -> float | list[float]:  # noqa: ARG002 - slime's signature
        """The reward of a sample, or of each of a group."""
        samples = cast("list[Any]", sample) if isinstance(sample, list) else [sample]
        rewards = await asyncio.to_thread(self._rewards, samples)
        return rewards if isinstance(sample, list) else rewards[0]

    def _rewards(self, samples: Sequence[Any]) -> list[float]:
        scored = self.question.scores(
            [self._asked(row_of(sample, at), sample) for at, sample in enumerate(samples)],
            executor=pool_of(self.workers),
            timeout_seconds=self.timeout_seconds,
        )
        for sample, each in zip(samples, scored, strict=True):
            sample.metadata = {
                **(sample.metadata or {}),
                "grpo_core_reason": each.reason,
                "grpo_core_not_applicable": float(each.score is None),
            }
            if each.score is None:
                sample.remove_sample = True
        return [self.unscored if each.score is None else each.score for each in scored]

    def _asked(self, row: object, sample: Any) -> Asked:
        metadata: Mapping[str, Any] = sample.metadata or {}
        column, problem, where = self.question.column, self.question.problem, f"row {row}, metadata"
        if problem == PROMPT:
            text = text_of(sample.prompt, f"row {row}: the prompt")
        elif problem:
            text = text_of(value_of(metadata, problem, where), f"{where}: the problem")
        else:
            text = None
        return Asked(
            text_of(sample.response, f"row {row}: the response", messages=False),
            sample.label
            if column == LABEL
            else value_of(metadata, column, where)
            if column
            else None,
            text,
            sample.response_length if self.question.length else None,
            row,
        )


def row_of(sample: Any, at: int) -> object:
    """The sample's number in slime's rollout, or among those of this call."""
    index = getattr(sample, "index", None)
    return at if index is None else index
