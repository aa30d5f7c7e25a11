r"""Letters after a number: a unit (`5\,\mathrm{m}`, `5 nm`) or the names of variables."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grpo_core.rewards._math._tokens import Token

_UNIT_LETTERS = frozenset("mgshLNJWVAKCTFH")
_ARGUMENT = re.compile(r"\s*(?:[(_{A-Za-z0-9]|\\(?!text|mbox|mathrm|right|q?quad)[A-Za-z])")
_SUM = re.compile(r"[^,;=]*?(?<![\^{])\s*[-+]\s*[\w\\({]")  # no power of -1


def is_unit_in_text(name: str, inside: str, tokens: "list[Token]", rest: str) -> bool:
    r"""Whether `\text{min}` is a minute, and `\mathrm{m}` a metre: right after a number."""
    if not tokens or _ARGUMENT.match(rest):
        return False
    if inside in ("min", "sec"):
        return tokens[-1].kind != "op" or tokens[-1].text in (")", ")group")
    after_value = tokens[-1].kind in ("number", "word") or tokens[-1].text == ")group"
    named = any(token.kind == "symbol" for token in tokens)
    return name == "mathrm" and inside in _UNIT_LETTERS and after_value and not named


def is_plain_unit(tokens: "list[Token]", rest: str) -> bool:
    """Whether a unit's letters after a number and a space are no product of variables."""
    for token in reversed(tokens):
        if token.kind == "word" or token.text in (",", ";", "=", "~"):
            break
        if token.kind in ("symbol", "function"):
            return False
    return not _SUM.match(rest)
