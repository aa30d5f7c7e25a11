"""Where the thoughts of a completion end, and what of the rest is code.

Every function takes any text and time linear in it: one pass, no recursion, no search that starts
over.
"""

import re
from typing import NamedTuple

OPENING_TAG, CLOSING_TAG = "<think>", "</think>"

# Matched against "\n" + text: a pattern that begins with a literal is searched several times faster
# than "^" under re.MULTILINE.
_FENCE_LINE = re.compile(r"\n {0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)")
_TICKS_OR_BLANK_LINE = re.compile(r"(`+|\n[ \t\r]*\n)")
_CODE = "``"  # stands for code that was taken out, so that what stood around it does not join


class Fence(NamedTuple):
    """A fenced block: `text[start:end]`, its lines of fence included."""

    start: int
    end: int
    language: str
    closed: bool


def thoughts_fault(completion: str) -> str | None:
    """The first way in which the tags are not exactly one pair that opens the text, or None."""
    opening, closing = completion.find(OPENING_TAG), completion.find(CLOSING_TAG)
    if not completion:
        return "empty_completion"
    if closing >= 0 and not 0 <= opening < closing:
        return "closing_without_opening"
    if opening < 0:
        return "no_opening_tag"
    if opening > 0:
        return "text_before_opening_tag"
    if closing < 0:
        return "unclosed_thoughts"
    second = completion.find(OPENING_TAG, 1)
    if 0 <= second < closing:
        return "nested_thoughts"
    if second >= 0:
        closed = completion.find(CLOSING_TAG, second) >= 0
        return "second_pair" if closed else "second_opening_tag"
    if completion.find(CLOSING_TAG, closing + 1) >= 0:
        return "second_closing_tag"
    return None


def answer_of(completion: str) -> str | None:
    """The text after the one closing tag, all of it without tags, or None where that is unclear.

    An opening tag may be missing, since chat templates often put it into the prompt; it may stand
    anywhere in the thoughts, but not in the answer.
    """
    thoughts, closing_tag, answer = completion.partition(CLOSING_TAG)
    if not closing_tag:
        answer = thoughts
    return None if OPENING_TAG in answer or CLOSING_TAG in answer else answer


def fences(text: str) -> list[Fence]:
    """The fenced code blocks of CommonMark 0.31 (section 4.5) at the top level of `text`.

    Up to three spaces of indentation, three or more backticks or tildes, closed by at least as
    many; the language is the first word of the info string, and a backtick in the info string of a
    backtick fence makes it no fence. A block that nothing closes runs to the end.
    """
    found: list[Fence] = []
    start, opening, language = -1, "", ""
    for line in _FENCE_LINE.finditer("\n" + text):
        mark, info = line["mark"], line["info"].strip(" \t\r")
        if not opening:
            if "~" in mark or "`" not in info:
                start, opening = line.start(), mark
                language = (info.split(maxsplit=1) or [""])[0]
        elif not info and mark.startswith(opening):
            found.append(Fence(start, line.end() - 1, language, closed=True))
            opening = ""
    if opening:
        found.append(Fence(start, len(text), language, closed=False))
    return found


def without_code(text: str) -> str:
    """`text` with two backticks in place of each fenced block and each span of inline code."""
    if "`" not in text and "~~~" not in text:
        return text
    pieces: list[str] = []
    at = 0
    for fence in fences(text):
        pieces += _without_inline_code(text[at : fence.start]), _CODE
        at = fence.end
    pieces.append(_without_inline_code(text[at:]))
    return "".join(pieces)


def _without_inline_code(text: str) -> str:
    """`text` without the code spans of CommonMark (section 6.1).

    A run of backticks is closed by the next run of the same length in the same paragraph, which
    ends at a blank line. A backslash does not escape a backtick here.
    """
    if "`" not in text:
        return text
    parts = _TICKS_OR_BLANK_LINE.split(text)  # prose, separator, prose, ..., prose
    closer = [0] * len(parts)
    following: dict[str, int] = {}  # run of backticks -> where it comes next in this paragraph
    for i in range(len(parts) - 2, 0, -2):
        ticks = parts[i]
        if ticks[0] == "`":
            closer[i] = following.get(ticks, 0)
            following[ticks] = i
        else:
            following.clear()
    pieces = [parts[0]]
    i = 1
    while i < len(parts):
        pieces.append(_CODE if closer[i] else parts[i])
        i = closer[i] or i
        pieces.append(parts[i + 1])
        i += 2
    return "".join(pieces)
