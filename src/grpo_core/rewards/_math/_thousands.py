r"""Separators of thousands: when groups of digits are one number.

Digits are grouped by threes after a first group of one to three. What LaTeX sets narrow (`\,`,
`{,}`) separates nothing else. A space or `~` may divide a mixed number, a factor or a list as well,
so it counts only between what cannot end a value before it and what cannot take the last group
alone after it: `x = 1 000`, but not `2^3 100` or `1 100/200`.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grpo_core.rewards._math._tokens import Token

_TIGHT = re.compile(
    r"(?<![0-9.^_])[1-9][0-9]{0,2}(?:(?:\\,|\{,\}|,?\\!|\u2009|\u202f)[0-9]{3})+(?![0-9])"
)
_SPACED = re.compile(
    r"[1-9][0-9]{0,2}(?P<space>[ ~\u00a0]|\\[ ;:])[0-9]{3}(?:(?P=space)[0-9]{3})*+(?:\.[0-9]+)?+"
    r"(?!\.?[0-9]|[eE][+-]?[0-9])"
    r"(?!(?:[\s~]|\\[,;:! ])*(?:[0-9/_!]|\.[0-9]|\^(?!\s*\{?\s*\\circ)))"
)
_SEPARATOR = re.compile(r"[^0-9.]")
# Operators after which a number begins that nothing before it takes a digit of.
_BEFORE = frozenset((
    "", "=", "!=", "<", ">", "<=", ">=", "~", "in", "equiv", "mod", ",", ";", ":", "+", "-", "pm",
    "mp", "*", "cdot", "times", "(", "[", "{", "group(", "abs(", "floor(", "ceil(", "<(", "$",
    "€", "£", "¥", "&", "row", "to",
))  # fmt: skip


def without_tight_separators(text: str) -> str:
    r"""The text with `1\,000`, `1{,}000` and the like as `1000`."""
    return _TIGHT.sub(lambda found: re.sub("[^0-9]", "", found[0]), text)


def spaced_number(text: str, at: int, tokens: "list[Token]") -> tuple[str, int] | None:
    """The number of several groups that begins at a place, and where it ends."""
    found = _SPACED.match(text, at)
    if found is None or not _begins_a_number(tokens):
        return None
    return _SEPARATOR.sub("", found[0]), found.end()


def _begins_a_number(tokens: "list[Token]") -> bool:
    """Whether a number after these tokens is a value of its own."""
    if not tokens or tokens[-1].kind in ("word", "function"):
        return True
    last = tokens[-1].text
    opens_rows = last == ")group" and len(tokens) > 3 and tokens[-4].text == "begin"
    return tokens[-1].kind == "op" and (last in _BEFORE or opens_rows)
