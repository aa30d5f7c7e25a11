"""Which calls are made together: many texts, each with each of a few references."""

import pickle
from collections.abc import Iterator, Sequence

from grpo_core.testing._checks_cases import Args, Outcome

Plan = Sequence[Args]
SHOWN = 3  # failures of a check that are shown
REFERENCES = 3

_SHORT = 3_000  # characters
_QUICK = 0.2  # seconds: slower calls are left out of what is done many times
_OPENING = "<think>"
_ALIKE = 24  # cases that are also tried with the same words around them
_SAME = "So I count them once more, from the first to the last of them. " * 8


def crossed(seen: Sequence[tuple[Args, Outcome]], completions: int) -> list[Args]:
    """Cases for the checks of state: many completions, each with each of a few references.

    Quick ones, short ones first, those that passed and those that did not in turn, so that what is
    kept from one call makes a difference to another.
    """
    quick = [
        (args, outcome)
        for args, outcome in sorted(seen, key=lambda one: len(one[0][0]))
        if outcome.status in ("score", "abstained") and outcome.seconds < _QUICK
        and len(args[0]) < _SHORT
    ]  # fmt: skip
    passed = [args for args, outcome in quick if outcome.score]
    failed = [args for args, outcome in quick if not outcome.score]
    pool = list(dict.fromkeys(args[0] for args in _in_turn(passed, failed)))[:completions]
    rests = {pickle.dumps(args[1:]): args[1:] for args in passed or failed}
    chosen: list[Args] = []
    for rest in list(rests.values())[:REFERENCES]:
        own = [args for args in passed if args[1:] == rest]
        crossing = [(text, *rest) for text in pool]
        chosen = _in_turn(chosen, _in_turn(own[:completions], crossing))
    by_key = {pickle.dumps(args): args for args in chosen}
    return list(by_key.values())


def _in_turn(one: Sequence[Args], other: Sequence[Args]) -> list[Args]:
    turns: list[Args] = []
    for at in range(max(len(one), len(other))):
        turns += [*one[at : at + 1], *other[at : at + 1]]
    return turns


def alike(cases: Plan) -> Iterator[Args]:
    """Some cases with the same long beginning, and with the same long end.

    What is kept by a part of a text is then kept for several.
    """
    for text, *rest in cases[:_ALIKE]:
        begun = f"{_OPENING}{_SAME}{text.removeprefix(_OPENING)}"
        yield (begun if text.startswith(_OPENING) else f"{_SAME}{text}", *rest)
    for text, *rest in cases[:_ALIKE]:
        yield (f"{text}\n\n{_SAME}", *rest)
