r"""Finding `\boxed{...}`, by balanced braces and in linear time."""

import re
from typing import NamedTuple

COMMANDS = ("\\boxed", "\\fbox")

_OPENING = re.compile(r"(\\boxed|\\fbox)\s*\{")
# Braces that count, and what hides one: `\{`, `\}`, and `\\`, after which a brace counts again. The
# second backslash of `\\boxed{` begins a box, as completions escaped twice have it.
_BRACE = re.compile(r"\\(?:(?P<box>(?:boxed|fbox)\s*\{)|\\(?!(?:boxed|fbox)\s*\{)|[{}])|[{}]")
# What may stand from one box to the content of the next one. No two parts begin alike.
_SPACE = r"(?:[\s,$~]|\\[,;: ()]|\\q?quad(?![A-Za-z]))*"
_BETWEEN = re.compile(
    rf"{_SPACE}(?:(?:and(?![A-Za-z])|\\text\s*\{{\s*,?\s*and\s*\}}){_SPACE})?\\(?:boxed|fbox)\s*\{{"
)


class Box(NamedTuple):
    """A box whose braces balance: its content is `text[start:end]`."""

    start: int
    end: int
    command: str


def boxes(text: str) -> list[Box]:
    """Every balanced box of `text`, in the order in which they begin; those within boxes too."""
    found: list[Box] = []
    opened: list[re.Match[str] | None] = []  # None for a brace that opens no box
    for token in _BRACE.finditer(text):
        brace = token[0]
        if brace == "{":
            opened.append(None)
        elif brace == "}":
            box = opened.pop() if opened else None
            if box:
                found.append(Box(box.end(), token.start(), box[0][:-1].rstrip()))
        elif token["box"]:
            opened.append(token)
    return sorted(found)


def last_box(text: str, commands: tuple[str, ...] = COMMANDS) -> Box | None:
    """The box that begins last among the balanced ones, or None."""
    begin = max(text.rfind(command) for command in commands)
    if begin < 0:
        return None
    # The last one nearly always balances, and then nothing before it needs a look.
    opening = _OPENING.match(text, begin)
    if opening and (end := _closing_brace(text, opening.end())) >= 0:
        return Box(opening.end(), end, opening[1])
    return max((box for box in boxes(text) if box.command in commands), default=None)


def joined_boxes(text: str, commands: tuple[str, ...] = COMMANDS) -> list[Box]:
    r"""The last box and those before it that only commas, `and` and spaces set apart, in order.

    Of `\boxed{3}, \boxed{4}` both, of `\boxed{3} or \boxed{4}` the last; of nested boxes the inner
    one, as `last_box` finds it. Empty if there is none.
    """
    found = [box for box in boxes(text) if box.command in commands]
    joined = found[-1:]
    for box in reversed(found[:-1]):
        if not _BETWEEN.fullmatch(text, box.end + 1, joined[-1].start):
            break
        joined.append(box)
    return joined[::-1]


def opens_box(text: str, command: str) -> bool:
    """Whether `text` has the command with an opening brace, balanced or not."""
    return any(opening[1] == command for opening in _OPENING.finditer(text))


def _closing_brace(text: str, start: int) -> int:
    """Where the brace stands that closes the one just before `start`, or -1."""
    depth = 1
    for token in _BRACE.finditer(text, start):
        brace = token[0]
        if brace == "}":
            depth -= 1
            if depth == 0:
                return token.start()
        elif brace == "{" or token["box"]:
            depth += 1
    return -1
