"""References, read before a completion is looked at: what cannot be read is our error."""

import re
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from grpo_core.rewards._box import COMMANDS, boxes
from grpo_core.rewards._math import _answers
from grpo_core.rewards._math._answers import read_answer
from grpo_core.rewards._math._formulas import read_formula
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._reading import MAX_CHARACTERS, read_tree
from grpo_core.rewards._math._spelling import normal_form
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._unwrapped import unwrapped

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SHOWN = 500  # characters of a tree in a detail


class Reading(NamedTuple):
    """An answer in normal form, and as exact numbers or else as a tree, or why as neither."""

    text: str
    source: str
    numbers: _answers.Answer | None = None
    tree: Answer | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.numbers is not None:
            return str(self.numbers)
        shown = self.text if self.tree is None else repr(self.tree)
        return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."


def check_references(references: Iterable[str], /) -> dict[int, str]:
    """Which references `verify_math` would refuse, to be asked once before training.

    Args:
        references: The right answers of a data set.

    Returns:
        The message for each position whose reference raises; empty if all can be read.

    Raises:
        TypeError: If a reference is no text, or all of them are one.

    Example:
        The second one has lost its brace:

        >>> from grpo_core.rewards import check_references
        >>> list(check_references([r"\\frac{1}{2}", r"\\frac{1}{2"]))
        [1]
    """
    if isinstance(references, str):
        raise TypeError("references must be several texts, got one")
    refused: dict[int, str] = {}
    for position, reference in enumerate(references):
        try:
            read_reference(reference, inf)
        except ValueError as error:
            refused[position] = str(error)
    return refused


def read(text: str, source: str, deadline: float) -> Reading:
    """The reading of an answer: as numbers if it can be, else as a tree."""
    bare = unwrapped(source)
    if bare != source:
        text, source = normal_form(bare) or text, bare
    try:
        return Reading(text, source, numbers=read_answer(text, deadline))
    except Unread as unread:
        if unread.reason != "unparsable":
            return Reading(text, source, reason=unread.reason)
    try:
        return Reading(text, source, tree=read_tree(source, deadline))
    except Unread as unread:
        formula = read_formula(source) if unread.reason == "unparsable" else None
        return Reading(text, source, tree=formula, reason="" if formula else unread.reason)


def read_reference(reference: str, deadline: float) -> Reading:
    """The reading of the reference, or of what its box holds."""
    if not isinstance(reference, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"reference must be a str, got {type(reference).__name__}")
    if len(reference) > MAX_CHARACTERS:
        raise ValueError(f"reference must have at most 2,000 characters, got {len(reference):,}")
    if control := _CONTROL.search(reference):
        raise ValueError(f"reference must have no control character, got {control[0]!r}")
    text = reference
    if any(command in reference for command in COMMANDS):
        found = boxes(reference)
        if len(found) != 1:
            raise ValueError(f"reference must have exactly one balanced box, got {reference!r}")
        text = reference[found[0].start : found[0].end]
    expected = normal_form(text)
    if not expected:
        raise ValueError(f"reference must not be blank, got {reference!r}")
    reading = read(expected, text.strip(), deadline)
    if reading.reason == "unparsable":
        raise ValueError(f"reference must be an answer that can be read, got {reference!r}")
    return reading
