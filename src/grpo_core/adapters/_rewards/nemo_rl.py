"""NeMo-RL: an environment of one turn."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import inf
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, check_unscored, name_of
from grpo_core.adapters._rewards._columns import text_of, value_of
from grpo_core.adapters._rewards._pools import check_workers, pool_of

GROUND_TRUTH, PROMPT = "ground_truth", "prompt"


def nemo_rl_environment(
    verifier: Callable[..., object],
    *,
    column: str | None = GROUND_TRUTH,
    problem: str | None = None,
    unscored: float = 0.0,
    workers: int | None = None,
    timeout_seconds: float = inf,
) -> type[Any]:
    r"""A verifier as an environment of NeMo-RL: a subclass of its `EnvironmentInterface`.

    One turn, terminated after it. NeMo-RL wants an actor's class with a name that can be imported:
    in a module of your own, `Maths = ray.remote(nemo_rl_environment(verify_math))`, then
    `register_env("maths", "my_module.Maths")`. The completion is all that the assistant said.

    NeMo-RL knows no missing reward, and a NaN would make its whole group NaN: a sample that the
    verifier could not score gets `unscored`. `global_post_process_and_metrics` gives the share of
    such samples since the start, `not_applicable`, and of each verdict's reason, `reason/<reason>`;
    the logger `grpo_core.adapters` says what went wrong.

    Args:
        verifier: As in `trl_reward`; called as `verifier(completion, ground_truth)`, with `problem`
            as `verifier(problem, completion, ground_truth)`.
        column: A key of the sample's metadata, NeMo-RL's `extra_env_info`; None: the verifier takes
            no reference.
        problem: A key of the metadata, or `"prompt"`: the last message of the user's.
        unscored: What NeMo-RL is told where there is no score.
        workers: As in `trl_reward`.
        timeout_seconds: As in `trl_reward`.

    Returns:
        The class, made with NeMo-RL's configuration of the environment, of which nothing is read.

    Raises:
        ModuleNotFoundError: If NeMo-RL is not installed.
        TypeError: If the verifier cannot be called; when stepped, if a text is none.
        ValueError: If an option is out of range.
    """
    check_workers(workers)
    question = Question(verifier, column, problem)
    members = {
        "question": question, "unscored": check_unscored(unscored),
        "workers": workers, "timeout_seconds": timeout_seconds,
    }  # fmt: skip
    return type(f"Environment_{name_of(verifier)}", (_environment_base(),), members)


def asked_of(
    question: Question, row: int, log: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> Asked:
    """One sample of a batch, from its messages and its metadata."""
    said = [
        text_of(message["content"], f"row {row}: the completion", messages=False)
        for message in log
        if message["role"] == "assistant"
    ]
    where = f"row {row}, the metadata"
    if question.problem == PROMPT:
        asked = [message["content"] for message in log if message["role"] == "user"]
        problem = text_of(asked[-1] if asked else None, f"row {row}: the user's message")
    elif question.problem:
        problem = text_of(value_of(metadata, question.problem, where), f"{where}: the problem")
    else:
        problem = None
    reference = value_of(metadata, question.column, where) if question.column else None
    return Asked("".join(said), reference, problem)


@cache
def _environment_base() -> type[Any]:
    import torch  # noqa: PLC0415 - NeMo-RL's rewards are a tensor
    from nemo_rl.environments.interfaces import (  # noqa: PLC0415 - the trainer
        EnvironmentInterface,
        EnvironmentReturn,
    )

    class Environment(EnvironmentInterface):
        question: Question
        unscored: float
        workers: int | None
        timeout_seconds: float

        def __init__(self, cfg: Any = None) -> None:  # noqa: ARG002 - NeMo-RL gives one
            self.counts: Counter[str] = Counter()
            self.missing = 0

        def step(
            self, message_log_batch: Sequence[Any], metadata: Sequence[Any], *_: Any, **__: Any
        ) -> Any:
            rows = enumerate(zip(message_log_batch, metadata, strict=True))
            scored = type(self).question.scores(
                [asked_of(type(self).question, row, *sample) for row, sample in rows],
                executor=pool_of(self.workers),
                timeout_seconds=self.timeout_seconds,
            )
            self.counts.update(each.reason for each in scored)
            self.missing += sum(each.score is None for each in scored)
            rewards = [self.unscored if each.score is None else each.score for each in scored]
            return EnvironmentReturn(
                observations=[
                    {"role": "environment", "content": f"Environment: {each.reason}"}
                    for each in scored
                ],
                metadata=list(metadata),
                next_stop_strings=[None] * len(scored),
                rewards=torch.tensor(rewards),
                terminateds=torch.ones(len(scored)),
            )

        def global_post_process_and_metrics(self, batch: Any) -> tuple[Any, dict[str, float]]:
            total = max(self.counts.total(), 1)
            shares = {f"reason/{name}": n / total for name, n in sorted(self.counts.items())}
            return batch, {"not_applicable": self.missing / total, **shares}

        def shutdown(self) -> None:
            """NeMo-RL calls it at the end; workers end with the process."""

    return Environment
