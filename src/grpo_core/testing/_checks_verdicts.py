"""Checks of one verdict at a time: which of them a case fails, and what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from grpo_core.testing._checks_caller import Caller
from grpo_core.testing._checks_cases import Case, Outcome
from grpo_core.testing._checks_noise import Noise

Role = Literal["right", "wrong", "hostile", "anything"]
_EXACT = 1e-9


@dataclass
class Verdicts:
    """What is asked of the verdicts.

    Args:
        caller: Asks the verifier.
        low: The least score that may be.
        high: The greatest.
        passing: The score from which a completion counts as accepted.
    """

    caller: Caller
    low: float
    high: float
    passing: float
    floor: float | None = None
    """The most that an ordinary wrong completion earned below `passing`; None before one was."""

    def always(self, outcome: Outcome) -> dict[str, str]:
        """What holds of any text."""
        failed: dict[str, str] = {}
        if outcome.status in ("raised", "died", "memory"):
            failed["total"] = f"{outcome.status}: {outcome.text}"
        deadline = self.caller.deadline_seconds
        if outcome.status == "timeout":
            failed["in_time"] = f"no answer within {deadline:g} s; its process was killed"
        elif outcome.seconds > deadline:
            failed["in_time"] = f"took {outcome.seconds:.1f} s, of {deadline:g} s"
        score = outcome.score
        if outcome.status == "odd":
            failed["bounded"] = f"{outcome.text}, which is no score"
        elif score is not None and not (
            isfinite(score) and self.low - _EXACT <= score <= self.high + _EXACT
        ):
            failed["bounded"] = f"scored {score:g}, outside [{self.low:g}, {self.high:g}]"
        if outcome.traces:
            failed["leaves_no_trace"] = f"changed {', '.join(outcome.traces)}"
        return failed

    def judge(self, role: Role) -> Callable[[Case], Mapping[str, str]]:
        """The judge of the cases of a role."""

        def judged(case: Case) -> Mapping[str, str]:
            outcome = self.caller.outcome(case.args)
            failed = self.always(outcome)
            if case.may_raise and outcome.status == "raised":
                return {}
            if case.may_earn or outcome.status not in ("score", "abstained"):
                return failed
            score = outcome.score
            if role == "right" and (score is None or score < self.passing):
                failed["accepts_right"] = f"scored {outcome}, and is right"
            if role in ("wrong", "hostile") and score is not None:
                check = "rejects_wrong" if role == "wrong" else "not_gamed"
                if score >= self.passing:
                    failed[check] = f"scored {outcome}, and is wrong"
                elif role == "wrong":
                    self.floor = max(score, self.floor if self.floor is not None else score)
                elif self.floor is not None and score > self.floor + _EXACT:
                    failed[check] = f"scored {outcome}, more than a plain wrong answer does"
            return failed

        return judged

    def judge_noise(self, noises: Mapping[str, Noise]) -> Callable[[Case], Mapping[str, str]]:
        """The judge of a case and the name of a noise, which is its label."""

        def judged(case: Case) -> Mapping[str, str]:
            changed = noises[case.label](str(case.args[0]))
            if changed is None:
                return {}
            plain = self.caller.outcome(case.args)
            noised = self.caller.outcome((changed, *case.args[1:]))
            failed = self.always(noised)
            if {plain.status, noised.status} <= {
                "score",
                "abstained",
            } and plain.answer != noised.answer:
                failed["unmoved_by_noise"] = f"scored {plain}, and {noised} with it"
            return failed

        return judged

    def judge_symmetric(self, box: Callable[[str], str]) -> Callable[[Case], Mapping[str, str]]:
        """The judge of two answers without boxes."""

        def judged(case: Case) -> Mapping[str, str]:
            one, other = (str(part) for part in case.args)
            there, back = (
                self.caller.outcome(args) for args in ((box(one), other), (box(other), one))
            )
            if {there.status, back.status} <= {
                "score",
                "abstained",
            } and there.answer != back.answer:
                return {"symmetric": f"scored {there}, and {back} the other way round"}
            return {}

        return judged

    def condition(self, check: str) -> str:
        """What has to hold of `score`; of a check of time, the seconds; else an empty text."""
        floor = self.low if self.floor is None else self.floor
        return {
            "bounded": f"{self.low:g} <= score <= {self.high:g}",
            "accepts_right": f"score >= {self.passing:g}",
            "rejects_wrong": f"score < {self.passing:g}",
            "not_gamed": f"score <= {floor:g}",
            "in_time": f"{self.caller.deadline_seconds:g}",
        }.get(check, "")
