"""Token patterns of several words that stand for one thing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grpo_core.rewards._math._tokens import Token


def tidied(tokens: "list[Token]") -> "list[Token]":
    r"""The tokens with `dy/dx` as one name, and `(\text{mod } n)`, `(k \in Z)` without brackets."""
    texts = [token.text for token in tokens]
    if "/" in texts and "d" in texts:
        tokens = _derivatives(tokens)
    if "mod" in texts or "in" in texts:
        tokens = _without_brackets(tokens)
    return tokens


def _derivatives(tokens: "list[Token]") -> "list[Token]":
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        part = tokens[at : at + 5]
        texts = [token.text for token in part]
        quotient = len(part) == 5 and (texts[0], texts[2], texts[3]) == ("d", "/", "d")
        if quotient and part[1].kind == part[4].kind == "symbol" and not part[1].spaced:
            found.append(part[0]._replace(text=f"d{texts[1]}/d{texts[4]}"))
            at += 5
            continue
        found.append(tokens[at])
        at += 1
    return found


def _without_brackets(tokens: "list[Token]") -> "list[Token]":
    opened: list[int] = []
    gone: dict[int, Token | None] = {}
    for place, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text == "(":
            opened.append(place)
        elif token.text == ")" and opened:
            start = opened.pop()
            inside = tokens[start + 1 : start + 3]
            if inside and inside[0][:2] == ("op", "mod"):
                gone |= {start: None, place: None}
            elif _declares(inside) and start and place == len(tokens) - 1:
                gone |= {start: token._replace(text=","), place: None}
    if not gone:
        return tokens
    kept = [gone.get(place, token) for place, token in enumerate(tokens)]
    return [token for token in kept if token is not None]


def _declares(inside: "Sequence[Token]") -> bool:
    return len(inside) == 2 and inside[0].kind == "symbol" and inside[1][:2] == ("op", "in")
