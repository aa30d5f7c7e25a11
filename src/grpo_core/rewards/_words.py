"""The words of a text: what is left without code, LaTeX, addresses and digits, in linear time."""

import re
from bisect import bisect_left

from grpo_core.rewards._box import boxes
from grpo_core.rewards._layout import without_code

Span = tuple[int, int]

_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{[^{}\n]{0,40}\}")
_DISPLAY = re.compile(r"\$\$|\\\[|\\\]|\\\(|\\\)")
_PAIRS = {"\\[": "\\]", "\\(": "\\)", "$$": "$$"}
# Pandoc's rule, under which "$5 and $6" holds no formula: what opens has no space after it, what
# closes has none before it and no digit after it, and a blank line ends the search.
_OPENING = re.compile(r"(?<![\\$])\$(?![\s$])")
_CLOSING = re.compile(r"(?<![\s\\$])\$(?![0-9$])")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|(?<!\S)[^\s@]{1,64}@[^\s@]{1,255}(?!\S)")
# A command that stands outside any formula, with what its braces hold if they hold no brace.
_COMMAND = re.compile(r"\\[A-Za-z]+\*?(?:\{[^{}]*\})*")
# Digits, and the punctuation and symbols of ASCII but "'" and "-". Other scripts keep their marks.
_NO_WORDS = re.compile(r"[\d\s!-&(-,./:-@\[-`{-~]+")


def words_of(text: str) -> str:
    """The words of `text` in one line, a space between each two."""
    text = without_code(text)
    if "\\" in text:
        text = _without(text, _environments(text))
        text = _without(text, [(box.start, box.end) for box in boxes(text)])
    if "$" in text or "\\" in text:
        text = _without(text, _displays(text))
        text = _without(text, _inline(text))
        text = _COMMAND.sub(" ", text)
    if "://" in text or "www." in text or "@" in text:
        text = _ADDRESS.sub(" ", text)
    return _NO_WORDS.sub(" ", text).strip()


def _without(text: str, spans: list[Span]) -> str:
    """`text` with a space for each span; of spans that overlap, for the one that starts first."""
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if start >= at:
            pieces += text[at:start], " "
            at = end
    return "".join(pieces) + text[at:] if pieces else text


def _environments(text: str) -> list[Span]:
    r"""The outermost `\begin{...} ... \end{...}` that are closed."""
    found: list[Span] = []
    opened: list[int] = []
    for tag in _ENVIRONMENT.finditer(text):
        if tag[1] == "begin":
            opened.append(tag.start())
        elif opened:
            start = opened.pop()
            while found and found[-1][0] > start:
                found.pop()
            found.append((start, tag.end()))
    return found


def _displays(text: str) -> list[Span]:
    r"""From each `\[`, `\(` and `$$` to the next mark that closes it."""
    found: list[Span] = []
    opened: re.Match[str] | None = None
    for mark in _DISPLAY.finditer(text):
        if opened and mark[0] == _PAIRS[opened[0]]:
            found.append((opened.start(), mark.end()))
            opened = None
        elif mark[0] in _PAIRS and (opened is None or opened[0] != "$$"):
            opened = mark
    return found


def _inline(text: str) -> list[Span]:
    """From each dollar that opens a formula to the one that closes it in the same paragraph."""
    closing = [mark.start() for mark in _CLOSING.finditer(text)]
    if not closing:
        return []
    ends = [line.start() for line in _BLANK_LINE.finditer(text)] + [len(text)]
    found: list[Span] = []
    at = 0
    for mark in _OPENING.finditer(text):
        if mark.start() < at:
            continue
        place = bisect_left(closing, mark.end())
        if place == len(closing):
            break
        if closing[place] < ends[bisect_left(ends, mark.end())]:
            at = closing[place] + 1
            found.append((mark.start(), at))
    return found
