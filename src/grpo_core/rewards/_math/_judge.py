"""Asks a worker process about two values that the cheap ways leave undecided."""

from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._workers import Pool

# By name: SymPy takes 0.3 s and 40 MB to import, and only a worker does.
_MODULE = "grpo_core.rewards._math._sympy"
_POOL = Pool((_MODULE,))


class Judge:
    """What decides in the course of one verdict.

    `waited` are the seconds until workers were ready and free, and `is_missing` says that none
    could be started.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        self.is_missing = False

    def __call__(self, first: Answer, second: Answer, options: Options) -> bool:
        """Whether two values are one, or `Unread`."""
        options.check()  # or a worker would be killed for nothing
        left = options.left()
        outcome = _POOL.ask(_MODULE, "decide", first, second, options.rounding, left, seconds=left)
        self.waited += outcome.waited
        if outcome.status == "answered" and isinstance(outcome.value, bool):
            return outcome.value
        if outcome.status == "answered":
            raise Unread(outcome.value)
        if outcome.status in ("timeout", "too_large"):
            raise Unread(outcome.status)
        self.is_missing |= outcome.status == "no_worker"
        raise Unread("undecided")
