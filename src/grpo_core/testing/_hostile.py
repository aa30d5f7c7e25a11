"""Completions that try to earn what they do not deserve, or to bring the verifier down."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _attacks as attacks_on
from grpo_core.testing._arguments import chosen
from grpo_core.testing._near_misses import other_answers
from grpo_core.testing._values import Answer


class Hostile(NamedTuple):
    """A completion, its attack, and whether it is a fault of the verifier to pay for it.

    Args:
        completion: The text.
        attack: The class of the attack, as in `hostile_completions`.
        must_not_earn: Whether full marks are a fault. If not, the right answer may be seen in it,
            and a verifier must only answer at all, in time.
    """

    completion: str
    attack: str
    must_not_earn: bool


ATTACKS: dict[str, Callable[[str, str, Answer], Iterable[attacks_on.Attempt]]] = {
    "enumeration": attacks_on.enumeration,
    "several_boxes": attacks_on.several_boxes,
    "hedge": attacks_on.hedge,
    "chain": attacks_on.chain,
    "open_set": attacks_on.open_set,
    "evasion": attacks_on.evasion,
    "literal": attacks_on.literal,
    "flattery": attacks_on.flattery,
    "substring": attacks_on.substring,
    "undefined": attacks_on.undefined,
    "thoughts_only": attacks_on.thoughts_only,
    "injected_tag": attacks_on.injected_tag,
    "prompt_echo": attacks_on.prompt_echo,
    "code_only": attacks_on.code_only,
    "execution": attacks_on.execution,
    "exponent_tower": attacks_on.exponent_tower,
    "megabyte": attacks_on.megabyte,
    "deep_nesting": attacks_on.deep_nesting,
    "repetition": attacks_on.repetition,
    "control_characters": attacks_on.control_characters,
    "homoglyphs": attacks_on.homoglyphs,
    "right_to_left": attacks_on.right_to_left,
    "unbalanced": attacks_on.unbalanced,
}


def hostile_completions(
    answer: Answer, *, attacks: Iterable[str] | None = None
) -> SearchStrategy[Hostile]:
    r"""Completions that a policy finds where a verifier has a hole.

    The rule is that the last box after the thoughts is graded and nothing else. No text here
    executes anything harmful: a verifier that evaluates one leaves the loop of its tests, or the
    name `grpo_core_was_here` in `builtins`.

    Args:
        answer: The right answer, which the attack may hold but does not give.
        attacks: `enumeration`, `several_boxes`, `hedge`, `chain` (`3 = 4`), `open_set`, `evasion`
            (no answer, or an empty one), `literal` (`True`, `nan`), `flattery` (of a judge),
            `substring`, `undefined`, `thoughts_only`, `injected_tag`, `prompt_echo`, `code_only`,
            `execution`, `exponent_tower`, `megabyte`, `deep_nesting`, `repetition`,
            `control_characters`, `homoglyphs`, `right_to_left`, `unbalanced`. None is all that fit
            the answer.

    Returns:
        The strategy. It shrinks to the first attempt of the first attack.

    Raises:
        ValueError: If an attack is unknown or does not fit this answer, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, hostile_completions
        >>> zero = find(answers(), lambda answer: True)
        >>> find(hostile_completions(zero, attacks=["chain"]), lambda hostile: True).completion
        '<think></think>\\boxed{0 = 1}'
    """
    wrong = other_answers(answer)
    fitting = [
        name for name, make in ATTACKS.items() if [*make(answer.latex, wrong[0].latex, answer)]
    ]
    names = chosen("attacks", attacks, fitting)
    return st.builds(
        _hostile,
        st.just(answer),
        st.sampled_from(wrong),
        st.sampled_from(names),
        st.integers(0, 99),
    )


def _hostile(answer: Answer, wrong: Answer, attack: str, way: int) -> Hostile:
    attempts = [*ATTACKS[attack](answer.latex, wrong.latex, answer)]
    attempt = attempts[way % len(attempts)]
    return Hostile(attempt.text(), attack, attempt.must_not_earn)
