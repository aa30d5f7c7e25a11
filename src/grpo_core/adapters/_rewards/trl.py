"""TRL: a reward function for `GRPOTrainer(reward_funcs=...)`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

from grpo_core.adapters._rewards._asked import Asked, Question, RewardBase, Scored, check_reference
from grpo_core.adapters._rewards._columns import said_last, text_of, value_of
from grpo_core.adapters._rewards._pools import check_workers, pool_of

PROMPT = "prompt"  # a column to the user, `prompts` to a reward function


def trl_reward(
    verifier: Callable[..., object],
    *,
    column: str | None,
    problem: str | None = None,
    length: bool = False,
    name: str | None = None,
    workers: int | None = None,
    timeout_seconds: float = inf,
) -> "TrlReward":
    r"""A verifier as a reward function of TRL 1.16.

    TRL calls it with `prompts`, `completions`, `completion_ids` and a list for each column of the
    dataset; a completion of messages is the text of its last one, and nothing where that is a
    tool's. It answers a float a completion, or None where there is none: TRL leaves that sample
    out of its group's mean and gives it no advantage. None is given where the verifier says so,
    refuses the reference, raises, dies or takes too long, and where a row's reference is None, as
    in a dataset of several tasks.

    Where TRL passes `log_metric` (`GRPOTrainer` does, `experimental.async_grpo` does not), the
    share without a score is logged as `reward/<name>/not_applicable`, always, and the share of
    each verdict's reason as `reward/<name>/reason/<reason>`, from the first time that it is seen.
    `log_extra` puts each completion's reason into the table of completions. The logger
    `grpo_core.adapters` says what went wrong.

    Args:
        verifier: `verify_math`, `verify_code`, ..., or any function that returns a `Verdict`, a
            number or None; `functools.partial` for options. It is called as
            `verifier(completion, reference)`, with `problem` as
            `verifier(problem, completion, reference)`, as `magistral_reward` is.
        column: The dataset's column with the reference, or the tests; `"prompt"` is the prompt.
            None: the verifier takes none, as `verify_format`.
        problem: The column with the problem, or `"prompt"`: of messages the last one's text.
        length: Give the verifier `length=`, the completion's number of tokens.
        name: What TRL's metrics call it; the verifier's own name if not given.
        workers: Worker processes, which stay; None: the trainer's thread. A script that asks for
            them keeps its work under `if __name__ == "__main__":`.
        timeout_seconds: For one completion; see `score_batch`.

    Returns:
        The reward function, picklable. Its `check(dataset)` reads every reference and raises with
        the column and the row at fault, before there is a model.

    Raises:
        TypeError: If the verifier cannot be called; when called, if a completion or a problem is
            no text.
        ValueError: If an option is out of range.
        LookupError: When called, and by `check`, if the dataset has no such column.

    Example:
        What TRL does with it:

        >>> from grpo_core.adapters.trl import trl_reward
        >>> from grpo_core.rewards import verify_math
        >>> reward = trl_reward(verify_math, column="answer")
        >>> reward(
        ...     prompts=["1 + 1?", "1 + 2?"], completions=[r"\boxed{2}", r"\boxed{4}"],
        ...     completion_ids=[[5], [6]], answer=["2", "3"],
        ... )
        [1.0, 0.0]
    """
    check_workers(workers)
    return TrlReward(Question(verifier, column, problem, length), name, workers, timeout_seconds)


class TrlReward(RewardBase):
    """See `trl_reward`."""

    def __init__(
        self, question: Question, name: str | None, workers: int | None, timeout_seconds: float
    ) -> None:
        super().__init__(question, name)
        self.workers, self.timeout_seconds = workers, timeout_seconds
        self._seen: set[str] = set()  # reasons so far: a share of 0 is logged as one

    def __call__(
        self,
        *,
        completions: Sequence[object],
        prompts: Sequence[object] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_extra: Callable[[str, list[str]], object] | None = None,
        log_metric: Callable[[str, float], object] | None = None,
        trainer_state: object = None,  # noqa: ARG002 - TRL's signature; no column
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each completion."""
        if prompts is not None:
            columns[PROMPT] = prompts
        references, problems = (
            self._column(columns, name, len(completions))
            for name in (self.question.column, self.question.problem)
        )
        if self.question.length and completion_ids is None:
            raise ValueError("length=True needs completion_ids, got none")
        asked = [
            Asked(
                said_last(completion, f"row {row}: the completion"),
                text_of(references[row], f"row {row}: the prompt")
                if self.question.column == PROMPT
                else references[row],
                text_of(problems[row], f"row {row}, column {self.question.problem!r}: the problem")
                if self.question.problem
                else None,
                len(completion_ids[row]) if completion_ids is not None else None,
            )
            for row, completion in enumerate(completions)
        ]
        scored = self.question.scores(
            asked, executor=pool_of(self.workers), timeout_seconds=self.timeout_seconds
        )
        if log_extra:
            log_extra(f"{self.__name__}_reason", [each.reason for each in scored])
        if log_metric:
            self._log(scored, log_metric)
        return [each.score for each in scored]

    def check(self, dataset: Iterable[Mapping[str, Any]]) -> None:
        """Read every reference of a dataset, as training would.

        Args:
            dataset: Its rows: a `datasets.Dataset`, or a list of dicts.

        Raises:
            LookupError: If a column is not there.
            TypeError: If a problem is no text.
            ValueError: If the verifier refuses a reference.
        """
        for row, values in enumerate(dataset):
            if self.question.problem:
                where = f"row {row}, column {self.question.problem!r}: the problem"
                text_of(value_of(values, self.question.problem, f"row {row}"), where)
            if self.question.column:
                reference = value_of(values, self.question.column, f"row {row}")
                where = f"row {row}, column {self.question.column!r}"
                if self.question.column == PROMPT:
                    reference = text_of(reference, where)
                check_reference(self.question, reference, where)

    @staticmethod
    def _column(columns: Mapping[str, Any], name: str | None, rows: int) -> Sequence[Any]:
        values = [None] * rows if name is None else value_of(columns, name, "the dataset")
        if len(values) != rows:
            raise ValueError(
                f"column {name!r} has {len(values)} rows, and there are {rows} completions"
            )
        return values

    def _log(self, scored: Sequence[Scored], log_metric: Callable[[str, float], object]) -> None:
        counts = Counter(each.reason for each in scored)
        self._seen = self._seen | counts.keys()  # another thread may be reading the old one
        total = max(len(scored), 1)
        for reason in sorted(self._seen):
            log_metric(f"reward/{self.__name__}/reason/{reason}", counts[reason] / total)
        missing = sum(each.score is None for each in scored)
        log_metric(f"reward/{self.__name__}/not_applicable", missing / total)
