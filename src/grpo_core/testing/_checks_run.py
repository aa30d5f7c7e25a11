"""One run of the harness: which cases are tried, in which order, and for how long."""

import re
from collections.abc import Callable, Iterator, Mapping
from random import Random

from hypothesis import settings as Settings  # noqa: N812 - `settings` is a field
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing._checks_caller import Clock
from grpo_core.testing._checks_cases import Args, Case, any_of
from grpo_core.testing._checks_floods import floods, payloads, texts
from grpo_core.testing._checks_kinds import PLAINLY, Sources, boxed, symmetric_pairs
from grpo_core.testing._checks_paste import failure_of, name_of
from grpo_core.testing._checks_plan import crossed
from grpo_core.testing._checks_search import (
    Found,
    Judge,
    Sampled,
    default_settings,
    length,
    search,
    sweep,
)
from grpo_core.testing._checks_state import STATE_CHECKS
from grpo_core.testing._checks_verdicts import Verdicts
from grpo_core.testing._report import Report, Result

SAYS = {
    "total": "answers any text, and raises on none",
    "bounded": "a score is a number between the bounds, or None",
    "in_time": "a verdict is there before the deadline",
    "accepts_right": "every spelling of the right answer passes",
    "rejects_wrong": "no wrong answer passes, however near",
    "not_gamed": "no attack earns more than a wrong answer",
    "unmoved_by_noise": "what stands outside the answer does not count",
    "symmetric": "two answers may change places",
    "repeatable": "the same text scores the same again",
    "order_independent": "what was scored before does not count",
    "thread_safe": "a verdict in a thread is the same",
    "process_safe": "a verdict in another process is the same",
    "leaves_no_trace": "a call changes nothing of its process, and executes no answer",
}
_ALWAYS = ("total", "bounded", "in_time", "leaves_no_trace")
# The share of the time that each part may take at most, shrinking aside.
_SHARES = {
    "right": 0.2, "wrong": 0.2, "hostile": 0.15, "anything": 0.06, "floods": 0.1, "noise": 0.08,
    "pairs": 0.05,
}  # fmt: skip
_STATE_SHARE = 0.04
_LEAST_SECONDS = 0.3  # for a class of cases, while there are any
_FAIR = 4.0  # times its even share, for a class before all had theirs
_ANY = 60  # cases of each class of which nothing is said but that they are answered
_NOISED = 12  # cases for each noise
_MOST = 20  # ways to fail one check that are shown
_SHRINK_SHARE = 0.2  # of all ways to fail together
_SHRINK_PART = 0.05  # of each of them


class Run:
    """A run, and what it found so far."""

    def __init__(
        self,
        verdicts: Verdicts,
        sources: Sources,
        base: Settings | None,
        seconds: float,
    ) -> None:
        self.verdicts, self.sources = verdicts, sources
        self.caller = verdicts.caller
        self._settings = base or default_settings(sources.examples)
        self._seconds, self._shrink_seconds = seconds, seconds * _SHRINK_SHARE
        self._found: list[Found] = []
        self._cases: dict[str, int] = {}
        self._cut: set[str] = set()
        self._spare = 0.0
        """Seconds that earlier parts did not need."""

    def one_by_one(self, plainest: Args, *, is_symmetric: bool) -> None:
        """What is asked of each verdict by itself."""
        sources, rest = self.sources, plainest[1:]
        of, examples = self.verdicts.judge, self._settings.max_examples
        self._sample("right", sources.right, of("right"), examples)
        self._sample("wrong", sources.wrong, of("wrong"), examples)
        self._sample("hostile", sources.hostile, of("hostile"), examples)
        # What a payload is worth is not said: [0] * 10**9 is a way to write 0.
        anything = {"a payload to be executed": payloads(rest), "any text": texts(rest)}
        self._sample("anything", anything, of("anything"), max(examples, _ANY))
        self.caller.allow(2)
        clock = self._clock("floods")
        self._take(sweep(floods(rest), of("anything"), seconds=clock.left()), ())
        self._spare = clock.left()
        plain = st.one_of(any_of(sources.right), any_of(sources.wrong))
        noised = {
            name: plain.map(lambda case, name=name: Case(case.args, name))
            for name in sources.noises
        }
        judge = self.verdicts.judge_noise(sources.noises)
        self._sample("noise", noised, judge, max(examples, _NOISED))
        if is_symmetric:
            judge = self.verdicts.judge_symmetric(boxed)
            self._sample("pairs", {"": symmetric_pairs()}, judge, 40 * examples)

    def together(self) -> None:
        """What is asked of many verdicts at once."""
        quick = [o.seconds for _, o in self.caller.seen if o.status in ("score", "abstained")]
        mean = sum(quick) / len(quick) + 1e-4 if quick else 1.0
        share = self._seconds * _STATE_SHARE + self._spare / (2 * len(STATE_CHECKS))
        for name, check in STATE_CHECKS.items():
            many, repeated = {
                "repeatable": (40, 8), "order_independent": (200, 12), "thread_safe": (8, 12),
                "process_safe": (20, 12),
            }[name]  # fmt: skip
            size = max(2, min(many, int(share / mean / repeated / 3)))
            cases = crossed(self.caller.seen, size)
            if not cases:
                self._cut.add(name)
                continue
            found, self._cases[name] = check(self.caller, cases, Clock(share))
            self._found += found

    def _sample(
        self, part: str, source: Mapping[str, SearchStrategy[Case]], judge: Judge, examples: int
    ) -> None:
        """Each class by itself: a class among others would be met by chance alone."""
        checks = {
            "right": ("accepts_right",), "wrong": ("rejects_wrong",), "hostile": ("not_gamed",),
            "noise": ("unmoved_by_noise",), "pairs": ("symmetric",),
        }.get(part, ())  # fmt: skip
        explain = {"noise": self._noised, "pairs": self._swapped}.get(part)
        self.caller.allow(2)
        clock = self._clock(part)
        names = sorted(source)
        Random(0).shuffle(names)  # noqa: S311 - time that is short cuts no class each time
        names.sort(key=lambda name: not name.endswith(PLAINLY))
        options = Settings(self._settings, max_examples=examples)

        def sampled(names: list[str], share: float) -> Iterator[tuple[str, Sampled]]:
            for at, name in enumerate(names):
                fair = max(_LEAST_SECONDS, share * clock.left() / (len(names) - at))
                seconds = min(clock.left(), fair)
                found = search(
                    source[name], judge, options, seconds=seconds,
                    shrink_seconds=self._shrunk_within,
                )  # fmt: skip
                yield name, found

        # Slow classes may not take the time of the others; what is left is theirs.
        slow: list[str] = []
        for name, seen in sampled(names, _FAIR):
            if seen.is_cut and not seen.found:
                slow.append(name)
                continue
            self._take(_explained(seen, explain), checks)
        for _, seen in sampled(slow, 1.0):
            self._take(_explained(seen, explain), checks)
        self._spare = clock.left()

    def _shrunk_within(self) -> float:
        """The time for the next way to fail; it is spent once it was given."""
        self.caller.allow(1)
        given = min(self._shrink_seconds, self._seconds * _SHRINK_PART)
        self._shrink_seconds -= given
        return given

    def _clock(self, part: str) -> Clock:
        spare, self._spare = self._spare, 0.0
        return Clock(self._seconds * _SHARES[part] + spare)

    def _take(self, sampled: Sampled, checks: tuple[str, ...]) -> None:
        self._found += sampled.found
        for check in (*_ALWAYS, *checks):
            self._cases[check] = self._cases.get(check, 0) + sampled.examples
            if sampled.is_cut:
                self._cut.add(check)

    def _noised(self, found: Found) -> Found:
        completion, *rest = found.case.args
        noised = (self.sources.noises[found.label](completion), *rest)
        if found.check in _ALWAYS:
            return found._replace(case=Case(noised, found.label))
        return found._replace(history=(noised,))

    def _swapped(self, found: Found) -> Found:
        one, other = found.case.args
        return found._replace(
            case=Case((boxed(one), other), found.label), history=((boxed(other), one),)
        )

    def report(self, seconds: float) -> Report:
        """All of it."""
        outcomes = [outcome for _, outcome in self.caller.seen]
        is_verdict = any(outcome.status == "score" and outcome.text for outcome in outcomes)
        results: list[Result] = []
        for name, says in SAYS.items():
            ways = _ways([found for found in self._found if found.check == name])
            failures = tuple(
                failure_of(
                    found, self.caller.verifier, self.verdicts.condition(name),
                    is_verdict=is_verdict,
                )
                for found in ways[:_MOST]
            )  # fmt: skip
            cases = self._cases.get(name, 0)
            note = "time was over before all cases were tried" if name in self._cut else ""
            if len(ways) > _MOST:
                note = f"{len(ways) - _MOST} more ways to fail are not shown"
            if not cases and not failures:
                note = note or ("not claimed" if name == "symmetric" else "no case")
            results.append(Result(name, says, failures, cases, note, bool(cases or failures)))
        return Report(name_of(self.caller.verifier), tuple(results), seconds)


def _explained(seen: Sampled, explain: Callable[[Found], Found] | None) -> Sampled:
    return seen._replace(found=[explain(found) for found in seen.found]) if explain else seen


def _ways(all_found: list[Found]) -> list[Found]:
    """One of each way to fail. Of what is asked of any text, the message says the way."""
    ways: dict[str, Found] = {}
    for found in all_found:
        is_any = found.check in _ALWAYS and found.check != "in_time"
        way = re.sub(r"[^a-zA-Z ]+", "", found.message)[:40] if is_any else found.label
        other = ways.setdefault(way, found)
        if other is not found:
            plainest = min(other, found, key=length)
            ways[way] = plainest._replace(times=other.times + found.times)
    return list(ways.values())
