"""Checks of many verdicts together: what came before, beside or elsewhere must not change one."""

import pickle
from collections.abc import Callable
from itertools import permutations
from random import Random
from threading import Thread

from grpo_core._players import Home, NoHomeError
from grpo_core.testing._checks_caller import Caller, Clock
from grpo_core.testing._checks_cases import Args, Case, Outcome
from grpo_core.testing._checks_plan import REFERENCES, SHOWN, Plan, alike
from grpo_core.testing._checks_repeats import repeatable
from grpo_core.testing._checks_search import Found

_THREADS = 4
# Other hashes of texts, and once another clock on the wall: a quarter of an hour off all others.
_ELSEWHERE = {
    "with another seed of the hashes": (1, {}),
    "with another seed of the hashes, in another time zone": (2, {"TZ": "XXX-05:45"}),
}
_KEPT = 12  # cases whose texts are tried anew


def order_independent(caller: Caller, cases: Plan, clock: Clock) -> tuple[list[Found], int]:
    """Rows of the same calls in several orders; where they differ, the call alone decides."""
    cases = [*cases, *alike(cases)]
    usual = list(range(len(cases)))
    mixed = Random(0).sample(usual, len(usual))  # noqa: S311 - the same each time
    orders = [usual, usual[::-1], mixed, usual * 2]
    rows = [(order, caller.row([cases[at] for at in order])) for order in orders if clock.left()]
    answers: dict[int, set[object]] = {}
    for order, outcomes in rows:
        for at, outcome in zip(order, outcomes, strict=True):
            answers.setdefault(at, set()).add(outcome.answer)
    found: list[Found] = []
    for at in sorted(at for at, seen in answers.items() if len(seen) > 1):
        alone = caller.row([cases[at]])[0]
        for order, outcomes in rows:
            place = order.index(at)
            if outcomes[place].answer == alone.answer:
                continue
            before = [cases[other] for other in order[:place]]
            history = _shortest(caller, before, cases[at], alone, clock)
            after = caller.row([*history, cases[at]])[-1]
            message = f"scored {alone} alone, and {after} after {_calls(history)}"
            found.append(
                Found("order_independent", "", Case(cases[at]), message, 1, tuple(history))
            )
            break
        if len(found) == SHOWN or not clock.left():
            break
    return found or _kept_elsewhere(caller, cases, clock), len(cases)


def _kept_elsewhere(caller: Caller, cases: Plan, clock: Clock) -> list[Found]:
    """What is kept on a disk outlives the process: texts that are new, with two references.

    They are new by the white space at their end, which is no matter to the score.
    """
    rests = {pickle.dumps(args[1:]): args[1:] for args in cases if args[1:]}
    for text in dict.fromkeys(args[0] for args in cases[:_KEPT]):
        for one, other in permutations(list(rests.values())[:REFERENCES], 2):
            if not clock.left():
                return []
            first = [(f"{text} ", *rest) for rest in (one, other)]
            then = [(f"{text}  ", *rest) for rest in (other, one)]
            alone, after = caller.row(first)[0], caller.row(then)[1]
            if alone.answer != after.answer:
                message = f"scored {alone} first, and {after} after {_calls(then[:1])}, on a disk?"
                return [Found("order_independent", "", Case(then[1]), message, 1, (then[0],))]
    return []


def _shortest(
    caller: Caller, history: list[Args], args: Args, alone: Outcome, clock: Clock
) -> list[Args]:
    """The calls before that are needed for another score: ever smaller parts are left out."""
    size = max(1, len(history) // 2)
    while clock.left():
        for start in range(0, len(history), size):
            shorter = history[:start] + history[start + size :]
            if not clock.left():
                break
            if shorter and caller.row([*shorter, args])[-1].answer != alone.answer:
                history = shorter
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return history


def _calls(history: list[Args]) -> str:
    if len(history) > 2:
        return f"{len(history)} other calls"
    return " and ".join(f"({', '.join(map(repr, args))})" for args in history)[:600]


def thread_safe(caller: Caller, cases: Plan, clock: Clock) -> tuple[list[Found], int]:
    """The calls in a thread that is not the main one, then in threads at once."""
    expected = [caller.row([args])[0] for args in cases]
    found: list[Found] = []
    for args, here, there in zip(cases, expected, caller.row(cases, "in_thread"), strict=True):
        if here.answer != there.answer and len(found) < SHOWN:
            message = f"scored {here} in the main thread, and {there} in another one"
            found.append(Found("thread_safe", "in a thread", Case(args), message, 1))
    if found:
        return found, len(cases)
    seconds = min(3.0, max(0.5, clock.left()))
    for at, outcome in caller.in_threads(cases, _THREADS, seconds):
        if outcome.answer != expected[at].answer and len(found) < SHOWN:
            message = f"scored {expected[at]} alone, and {outcome} beside {_THREADS - 1} threads"
            found.append(Found("thread_safe", "threads at once", Case(cases[at]), message, 1))
    return found, len(cases)


def process_safe(caller: Caller, cases: Plan, clock: Clock) -> tuple[list[Found], int]:
    """The calls in processes that were started anew, with other hash seeds, also side by side."""
    if caller.fault:
        return [Found("process_safe", "sent to a process", Case(()), caller.fault, 1)], 0
    expected = caller.row(cases)
    found: list[Found] = []
    homes: list[Home] = []
    try:
        for seed, environment in _ELSEWHERE.values():
            homes.append(Home(caller.verifier, seed, environment=environment))
            homes[-1].preload(caller.loaded)
        for home, label in zip(homes, _ELSEWHERE, strict=True):
            _compare(found, cases, expected, _row(home, cases), label)
            if found or not clock.left():
                return found, len(cases)
        rows: dict[int, list[Outcome]] = {}
        turns = [list(range(len(cases))) * 4, list(range(len(cases)))[::-1] * 4]

        def work(which: int) -> None:
            rows[which] = _row(homes[which], [cases[at] for at in turns[which]])

        threads = [Thread(target=work, args=(which,)) for which in range(len(homes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for which, row in rows.items():
            order = turns[which]
            _compare(
                found, [cases[at] for at in order], [expected[at] for at in order], row,
                "beside another process",
            )  # fmt: skip
    except NoHomeError as error:
        found.append(Found("process_safe", "sent to a process", Case(()), str(error), 1))
    finally:
        for home in homes:
            home.close()
    return found, len(cases)


def _row(home: Home, cases: Plan) -> list[Outcome]:
    status, results = home.ask("calls", list(cases), seconds=120.0, fresh=True)
    if status != "done":
        return [Outcome(status, text=results)] * len(cases)
    return [Outcome(*plain) for plain in results]


def _compare(
    found: list[Found], cases: Plan, expected: list[Outcome], seen: list[Outcome], label: str
) -> None:
    for args, here, there in zip(cases, expected, seen, strict=True):
        if here.answer != there.answer and len(found) < SHOWN:
            message = f"scored {here} in one process, and {there} in another one"
            found.append(Found("process_safe", label, Case(args), message, 1))


STATE_CHECKS: dict[str, Callable[[Caller, Plan, Clock], tuple[list[Found], int]]] = {
    check.__name__: check for check in (repeatable, order_independent, thread_safe, process_safe)
}
