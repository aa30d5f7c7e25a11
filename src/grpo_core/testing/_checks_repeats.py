"""The same call again: it scores the same, takes no longer, and leaves nothing behind."""

from statistics import median

from grpo_core.testing._checks_caller import Caller, Clock
from grpo_core.testing._checks_cases import Args, Case
from grpo_core.testing._checks_plan import SHOWN, Plan
from grpo_core.testing._checks_search import Found

_REPEATS = 8
_MANY = 1_100  # calls in a row: some count to a thousand
_LEAST_TURNS = 16  # of one call, before something is said of what grows
_NOTABLE = 0.003  # seconds: less is within the noise of a machine
_LEAST_SECONDS = 2.0  # for one call, however little time is left


def repeatable(caller: Caller, cases: Plan, clock: Clock) -> tuple[list[Found], int]:
    """The same call again and again, in one process."""
    outcomes = caller.row([args for args in cases for _ in range(_REPEATS)])
    found: list[Found] = []
    for at, args in enumerate(cases):
        seen = outcomes[at * _REPEATS : (at + 1) * _REPEATS]
        answers = {outcome.answer: outcome for outcome in seen}
        if len(answers) > 1 and len(found) < SHOWN:
            both = " and ".join(str(outcome) for outcome in list(answers.values())[:2])
            found.append(Found("repeatable", "", Case(args), f"scored {both}, one after the other"))
    for passed in (True, False):
        own = [at for at in range(len(cases)) if bool(outcomes[at * _REPEATS].score) == passed]
        if own and not found:
            at = min(own, key=lambda at: outcomes[at * _REPEATS + 1].seconds)
            found += _again(caller, cases[at], max(_LEAST_SECONDS, clock.left() / 2))
    return found, len(cases)


def _again(caller: Caller, args: Args, seconds: float) -> list[Found]:
    """One call for as long as there is time: its score, what it takes, and what it leaves."""
    answers, times, grown = caller.again(args, _MANY, seconds)
    found: list[Found] = []
    for turn, outcome in answers[1:2]:
        message = f"scored {answers[0][1]}, and {outcome} the {turn + 1}th time"
        found.append(Found("repeatable", "many times", Case(args), message))
    for name, more in grown.items():
        if 2 * more >= len(times) >= _LEAST_TURNS:
            message = f"left {more} {name} behind in {len(times)} calls"
            found.append(Found("leaves_no_trace", f"{name} left behind", Case(args), message))
    slower = _slower(times)
    if slower and _slower(caller.again(args, _MANY, seconds)[1]):  # twice: a machine has moods
        found.append(Found("repeatable", "slower each time", Case(args), slower))
    return found


def _slower(times: list[float]) -> str:
    """How much longer the last quarter of the calls took than the first, if it did."""
    quarter = len(times) // 4
    if quarter < _LEAST_TURNS:
        return ""
    typical = [median(times[at * quarter : (at + 1) * quarter]) for at in range(4)]
    if typical != sorted(typical) or typical[3] < 3 * typical[0] + _NOTABLE:
        return ""
    return (
        f"took {typical[0] * 1e3:.1f} ms at first, and {typical[3] * 1e3:.1f} ms after "
        f"{3 * quarter} calls"
    )
