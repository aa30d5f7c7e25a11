"""Whole completions, as Magistral asks for them, and those that break its format."""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing._arguments import chosen
from grpo_core.testing._flaws import BOX_FLAWS, FENCE_FLAWS, TAG_FLAWS
from grpo_core.testing._programs import Program
from grpo_core.testing._spellings import spellings
from grpo_core.testing._values import Answer

_THOUGHTS = (
    "",
    "Let me think.",
    "\nFirst try: 7. No, that is too small.\nSo I was wrong; once more.\n",
    "Perhaps \\boxed{7}? Not yet.",
    "What if x = 3 < 4?\n```python\nprint(3 < 4)\n```\n",
    "数えてみましょう。",
)
_BOXED = (
    "@",
    "$@$",
    "The answer is $@$.",
    "Therefore,\n\n$$@$$\n",
    "**Answer:** \\(@\\)",
    "So @\n",
)
_BARE = ("@", "The answer is @.", "Therefore,\n\n@\n")
_FENCED = (
    "```%\n@\n```",
    "Here it is:\n\n```%\n@\n```\n",
    "The program counts.\n\n~~~%\n@\n~~~\n\nIt takes linear time.",
)


class Malformed(NamedTuple):
    """A completion that breaks the format, and how: the reason of `verify_format`."""

    completion: str
    flaw: str


def completions(answer: Answer | Program, *, spelling: str | None = None) -> SearchStrategy[str]:
    r"""Well-formed completions with this answer: `<think>...</think>...\boxed{...}`.

    Args:
        answer: What is in the box; a program stands in a fenced block instead.
        spelling: What to put into the box in place of a spelling of the answer: a near miss, for
            one, or any text whose braces balance.

    Returns:
        The strategy. It shrinks to no thoughts, and a box with the plainest spelling.

    Raises:
        ValueError: If there is a spelling, and the answer is a program.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, completions
        >>> zero = find(answers(), lambda answer: True)
        >>> find(completions(zero), lambda completion: True)
        '<think></think>\\boxed{0}'
    """
    if isinstance(answer, Program) and spelling is not None:
        raise ValueError(f"a program has no spelling, got {spelling!r}")
    written = st.just(spelling) if spelling is not None else None
    return st.builds(_joined, thoughts(), final_texts(answer, written))


def _joined(before: str, after: str) -> str:
    return f"<think>{before}</think>{after}"


@cache
def thoughts() -> SearchStrategy[str]:
    """What may stand between the tags."""
    noise = st.text(max_size=30).filter(lambda text: "think>" not in text)
    return st.one_of(st.sampled_from(_THOUGHTS), noise)


def final_texts(
    answer: Answer | Program, written: SearchStrategy[str] | None = None
) -> SearchStrategy[str]:
    """What may stand after the tags."""
    if isinstance(answer, Program):
        name = {"python": ("python", "py"), "cpp": ("cpp", "c++")}[answer.language]
        return st.tuples(st.sampled_from(_FENCED), st.sampled_from(name)).map(
            lambda pair: pair[0].replace("%", pair[1]).replace("@", answer.source)
        )
    return (spellings(answer) if written is None else written).flatmap(_boxed)


def _boxed(text: str) -> SearchStrategy[str]:
    box = f"\\boxed{{{text}}}"
    templates = _BARE if "$" in text or "\\(" in text else _BOXED  # no dollars within dollars
    return st.sampled_from(templates).map(lambda template: template.replace("@", box))


def malformed_completions(
    answer: Answer | Program, *, flaws: Iterable[str] | None = None
) -> SearchStrategy[Malformed]:
    r"""Completions that hold the right answer and break the format in a way that they name.

    Args:
        answer: What is in the box, or the program in the block.
        flaws: Reasons of `verify_format`. Of the tags: `empty_completion`, `no_opening_tag`,
            `text_before_opening_tag`, `closing_without_opening`, `unclosed_thoughts`,
            `nested_thoughts`, `second_pair`, `second_opening_tag`, `second_closing_tag`; of an
            answer `no_box`, `empty_box`, `unbalanced_box`, `box_in_code_only`; of a program
            `no_fence`, `fence_without_language`, `unclosed_fence`. None is all that apply.

    Returns:
        The strategy. It shrinks to the first flaw.

    Raises:
        ValueError: If a flaw is unknown or is not one of such an answer, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, malformed_completions
        >>> zero = find(answers(), lambda answer: True)
        >>> find(malformed_completions(zero, flaws=["nested_thoughts"]), lambda found: True)
        Malformed(completion='<think><think></think>\\boxed{0}', flaw='nested_thoughts')
    """
    last = FENCE_FLAWS if isinstance(answer, Program) else BOX_FLAWS
    names = chosen("flaws", flaws, (*TAG_FLAWS, *last))
    return st.sampled_from(names).flatmap(lambda flaw: _malformed(answer, flaw))


def _malformed(answer: Answer | Program, flaw: str) -> SearchStrategy[Malformed]:
    if flaw in TAG_FLAWS:
        templates = st.sampled_from(TAG_FLAWS[flaw])
        made = st.builds(_with_tags, templates, thoughts(), final_texts(answer))
    else:
        texts = st.just(answer.source) if isinstance(answer, Program) else spellings(answer)
        templates = st.sampled_from((BOX_FLAWS | FENCE_FLAWS)[flaw])
        after = st.tuples(templates, texts).map(lambda pair: pair[0].replace("@", pair[1]))
        made = st.builds(_joined, thoughts(), after)
    return made.map(lambda completion: Malformed(completion, flaw))


def _with_tags(template: str, before: str, after: str) -> str:
    """`T` is for the thoughts, `A` for the answer."""
    parts = {"T": before, "A": after}
    return "".join(parts.get(piece, piece) for piece in template.split("|"))
