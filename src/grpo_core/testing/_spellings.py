"""One answer in many spellings."""

from collections.abc import Iterable
from fractions import Fraction
from typing import cast

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _brackets as brackets
from grpo_core.testing import _named as named
from grpo_core.testing import _plain as plain
from grpo_core.testing._arguments import chosen
from grpo_core.testing._dressings import DRESSINGS
from grpo_core.testing._numerals import Spellings, lone_numerals
from grpo_core.testing._sums import equations, sums
from grpo_core.testing._values import Answer, Equation, Interval, Numbers, Quantity, Sum

_PLAIN = "plain"
# `A.` and `(A)` are labels; a bracket around them that grows with what it holds is none.
_UNDRESSED = {
    "choice": {"left_right", "full_stop", "braces", "display_style"},
}


def spellings(answer: Answer, *, rules: Iterable[str] | None = None) -> SearchStrategy[str]:
    r"""Texts that mean the same as an answer, each with its own value exactly.

    What counts as the same: spacing, sizes of brackets and fractions, dollars, a last full stop; a
    fraction that is not reduced, a decimal or a mixed number for it; `1,234` for 1234; `x = 3` for
    3; a percent for a hundredth; an amount in another unit of the same dimension; the items of a
    set in any order, with braces or without; an interval as an inequality; a matrix in any
    brackets; the terms of a sum in any order, and identities. Nothing is rounded.

    Args:
        answer: The answer.
        rules: Names from `spelling_rules`; each text is made by one of them or two, and where none
            of them says how to write the answer itself, plainly. None is all of them.

    Returns:
        The strategy. It shrinks to `answer.latex`, or with rules to the first one's first text.

    Raises:
        ValueError: If a rule is unknown or does not apply to this answer, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, spellings
        >>> large = find(answers(["integer"]), lambda answer: answer.value >= 1000)
        >>> find(spellings(large, rules=["thousands"]), lambda text: True)
        '1,000'
    """
    found = _rules(answer)
    dressings = _dressings(answer)
    names = chosen("rules", rules, spelling_rules(answer))
    cores = [found[name] for name in names if name in found]
    allowed = [name for name in names if name in dressings]
    if not cores:
        return st.sampled_from([text for name in allowed for text in DRESSINGS[name](answer.latex)])
    return st.one_of(cores).flatmap(lambda text: _dressed(text, allowed))


def spelling_rules(answer: Answer) -> tuple[str, ...]:
    """The names of the rules by which an answer has other spellings, `plain` first.

    Args:
        answer: The answer.

    Returns:
        The names, which say what a failure is about.

    Example:
        >>> from fractions import Fraction
        >>> from grpo_core.testing import Answer, spelling_rules
        >>> spelling_rules(Answer("angle", r"90^\\circ", Fraction(90)))[:3]
        ('plain', 'braced_circle', 'degree_sign')
    """
    return (*_rules(answer), *_dressings(answer))


def _dressings(answer: Answer) -> list[str]:
    unfit = _UNDRESSED.get(answer.kind, set[str]())
    return [name for name, ways in DRESSINGS.items() if name not in unfit and ways(answer.latex)]


def _dressed(text: str, names: list[str]) -> SearchStrategy[str]:
    return st.sampled_from([text, *(way for name in names for way in DRESSINGS[name](text))])


def _rules(answer: Answer) -> dict[str, SearchStrategy[str]]:
    found: dict[str, SearchStrategy[str]] = {_PLAIN: st.just(answer.latex)}
    texts = _texts(answer)
    if texts is not None:
        return found | {rule: st.sampled_from(ways) for rule, ways in texts.items() if ways}
    match answer.kind, answer.value:
        case _, Interval() as value:
            return found | brackets.intervals(value)
        case "set", value:
            return found | brackets.sets(cast("Numbers", value))
        case "tuple", value:
            return found | brackets.tuples(cast("Numbers", value))
        case _, value:
            return found | brackets.matrices(cast("tuple[Numbers, ...]", value))


def _texts(answer: Answer) -> Spellings | None:
    """The spellings of what has finitely many, or None."""
    match answer.kind, answer.value:
        case "percentage", Fraction() as value:
            return named.percentages(value)
        case "angle", Fraction() as value:
            return named.angles(value)
        case "decimal", Fraction() as value:
            found = lone_numerals(value) | {"fraction": [plain.number(value)]}
            return {rule: texts for rule, texts in found.items() if rule != "decimal"}
        case _, Fraction() as value:
            return lone_numerals(value)
        case _, Equation() as value:
            return equations(value)
        case _, Quantity() as value:
            return named.quantities(value)
        case _, str() as value:
            return named.choices(value)
        case "radical" | "polynomial" | "trigonometric" | "complex", value:
            return sums(cast("Sum", value))
        case _:
            return None
