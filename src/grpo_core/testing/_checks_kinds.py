"""The cases that a verifier of each kind is tried on, where the user gives none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, Literal, get_args

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _plain as plain
from grpo_core.testing._answers import answers
from grpo_core.testing._checks_cases import Case
from grpo_core.testing._checks_noise import CODE, SPACE, WORDS, Noise
from grpo_core.testing._checks_search import default_settings
from grpo_core.testing._completions import completions, malformed_completions
from grpo_core.testing._flaws import BOX_FLAWS, TAG_FLAWS
from grpo_core.testing._hostile import ATTACKS, hostile_completions
from grpo_core.testing._near_misses import miss_rules, near_misses, plain_misses
from grpo_core.testing._programs import REASONS, Program, programs, programs_of
from grpo_core.testing._sources import TASKS
from grpo_core.testing._spellings import spelling_rules, spellings
from grpo_core.testing._texts import bilingual_texts
from grpo_core.testing._values import Answer
from grpo_core.testing._values import Kind as AnswerKind

Kind = Literal["math", "code", "format", "language"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Cases = Mapping[str, SearchStrategy[Case]]

PLAINLY = ", plainly"
"""The end of the name of a class of plain cases, which come before the others."""

_ANSWERS: tuple[AnswerKind, ...] = get_args(AnswerKind)


@dataclass
class Sources:
    """Cases by role and class, how many of each class, and what is no matter to the answer."""

    right: Cases
    wrong: Cases
    hostile: Cases = field(default_factory=dict[str, SearchStrategy[Case]])
    noises: Mapping[str, Noise] = field(default_factory=lambda: WORDS)
    examples: int = 100
    deadline_seconds: float = 5.0


def sources_of(kind: Kind) -> Sources:
    """The sources of a kind."""
    return {"math": _math, "code": _code, "format": _format, "language": _language}[kind]()


def _math() -> Sources:
    right = {
        f"{kind}, {rule}": answers([kind]).flatmap(_boxed(spellings, kind, rule))
        for kind in _ANSWERS
        for rule in _rules(kind, spelling_rules)
    }
    wrong = {
        f"{kind}, {rule}": answers([kind]).flatmap(_boxed(near_misses, kind, rule))
        for kind in _ANSWERS
        for rule in _rules(kind, miss_rules)
    }
    wrong |= {
        f"{kind}, {rule}{PLAINLY}": answers([kind]).flatmap(_boxed(plain_misses, kind, rule))
        for kind in _ANSWERS
        for rule in _rules(kind, miss_rules)
    }
    hostile = {attack: answers().flatmap(_attack(attack)) for attack in ATTACKS}
    truths = st.sampled_from([0, 1]).map(lambda n: plain.answer("integer", Fraction(n)))
    hostile["literal"] = truths.flatmap(_attack("literal"))
    hostile["no reference"] = answers().flatmap(
        lambda answer: completions(answer).map(
            lambda text: Case((text, ""), "no reference", may_raise=True)
        )
    )
    return Sources(right, wrong, hostile, examples=8)


@cache
def _rules(kind: AnswerKind, rules_of: Callable[[Answer], tuple[str, ...]]) -> tuple[str, ...]:
    """The rules that apply to answers of a kind, as a few of those show."""
    rules: dict[str, None] = {}

    @default_settings(40)
    @given(answers([kind]))
    def collect(answer: Answer) -> None:
        rules.update(dict.fromkeys(rules_of(answer)))

    collect()
    return tuple(rules)


def _boxed(
    texts_of: Callable[..., SearchStrategy[str]], kind: str, rule: str
) -> Callable[[Answer], SearchStrategy[Case]]:
    """Cases of an answer that a rule spells, or misses; none where the rule does not apply."""

    def of(answer: Answer) -> SearchStrategy[Case]:
        try:
            texts = texts_of(answer, rules=[rule])
        except ValueError:
            return st.nothing()
        return texts.flatmap(
            lambda text: completions(answer, spelling=text).map(
                lambda completion: Case((completion, answer.latex), f"{kind}, {rule}")
            )
        )

    return of


def _attack(attack: str) -> Callable[[Answer], SearchStrategy[Case]]:
    """Completions of one attack; none for an answer that it does not fit."""

    def of(answer: Answer) -> SearchStrategy[Case]:
        try:
            made = hostile_completions(answer, attacks=[attack])
        except ValueError:
            return st.nothing()
        return made.map(
            lambda hostile: Case(
                (hostile.completion, answer.latex), attack, may_earn=not hostile.must_not_earn
            )
        )

    return of


def symmetric_pairs() -> SearchStrategy[Case]:
    """Two texts of one answer, or of an answer and a near miss of it."""

    def pairs(answer: Answer) -> SearchStrategy[Case]:
        same = spellings(answer).map(
            lambda text: Case((answer.latex, text), f"{answer.kind}, spelled")
        )
        other = near_misses(answer).map(
            lambda text: Case((answer.latex, text), f"{answer.kind}, missed")
        )
        return st.one_of(same, other)

    return answers().flatmap(pairs)


def boxed(answer: str) -> str:
    """The plainest completion with an answer."""
    return f"<think></think>\\boxed{{{answer}}}"


def _format() -> Sources:
    right = {
        "well formed": answers().flatmap(
            lambda answer: completions(answer).map(lambda text: Case((text,), "well formed"))
        )
    }

    def malformed(flaw: str) -> SearchStrategy[Case]:
        return answers().flatmap(
            lambda answer: malformed_completions(answer, flaws=[flaw]).map(
                lambda made: Case((made.completion,), flaw)
            )
        )

    wrong = {flaw: malformed(flaw) for flaw in (*TAG_FLAWS, *BOX_FLAWS)}
    return Sources(right, wrong, noises=WORDS, examples=60)


def _code() -> Sources:
    def placed(label: str, *, thoughts: bool = False) -> Callable[[Program], SearchStrategy[Case]]:
        def of(program: Program) -> SearchStrategy[Case]:
            return completions(program).map(
                lambda text: Case((_in_thoughts(text) if thoughts else text, program.tests), label)
            )

        return of

    def untested(program: Program) -> SearchStrategy[Case]:
        return completions(program).map(lambda text: Case((text, ()), "no tests", may_raise=True))

    correct = programs(behaviours=["correct"])
    right = {"correct": correct.flatmap(placed("correct"))}
    wrong = {
        name: programs(behaviours=[name]).flatmap(placed(name))
        for name in REASONS
        if name not in ("correct", "wrong")
    } | {
        f"wrong, {task}": programs_of("python", "wrong", task).flatmap(placed(f"wrong, {task}"))
        for task in TASKS
    }
    hostile = {
        "thoughts_only": correct.flatmap(placed("thoughts_only", thoughts=True)),
        "no tests": correct.flatmap(untested),
    }
    return Sources(right, wrong, hostile, noises=CODE, examples=5, deadline_seconds=30.0)


def _in_thoughts(completion: str) -> str:
    return completion.replace("</think>", "\n") + "\n</think>Done."


def _language() -> Sources:
    def made(text: Any) -> Case:
        languages = "-".join(text.languages)
        return Case((text.completion, text.problem), languages)

    right = {"same": bilingual_texts().filter(lambda text: text.same).map(made)}
    wrong = {"different": bilingual_texts().filter(lambda text: not text.same).map(made)}
    return Sources(right, wrong, noises=SPACE)
