"""The choices of the caller, as every comparison is given them."""

from time import monotonic
from typing import NamedTuple, Protocol

from grpo_core.rewards._math._answers import Order
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._rounding import Rounding
from grpo_core.rewards._math._tree import Answer


class Options(NamedTuple):
    """The caller's choices, and when to give up on the clock of `time.monotonic`."""

    rounding: Rounding
    order: Order
    deadline: float
    decide: "Decide | None" = None

    def check(self) -> None:
        if self.left() <= 0:
            raise Unread("timeout")

    def left(self) -> float:
        """Seconds of the answer's time; those spent waiting for a worker are not."""
        return self.deadline - monotonic() + (self.decide.waited if self.decide else 0.0)

    def ask(self, first: Answer, second: Answer) -> bool:
        """Whether two values are one, by what else there is to decide it. Or `Unread`."""
        if self.decide is None:
            raise Unread("undecided")
        return self.decide(first, second, self)


class Decide(Protocol):
    """What decides about two values on which the ways of this module say nothing."""

    waited: float

    def __call__(self, first: Answer, second: Answer, options: Options, /) -> bool: ...
