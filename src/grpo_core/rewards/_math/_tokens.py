r"""The words of an answer, in LaTeX and in plain text.

What LaTeX only sets (`\left`, `\,`, `$`) leaves no token but a space. A character or command that
is not known raises `Unread`: nothing is skipped in silence.
"""

import re
from typing import NamedTuple

from grpo_core.rewards._math._characters import plain
from grpo_core.rewards._math._commands import (
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    GREEK_LETTERS,
    LOOKS,
    MARKS,
    OPERATORS,
    TEXTS,
    TIGHT_UNITS,
    UNITS,
    VARIANTS,
    WORDS,
)
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._thousands import spaced_number
from grpo_core.rewards._math._tidied import tidied
from grpo_core.rewards._math._unit_letters import is_plain_unit, is_unit_in_text

MAX_NESTING = 100
MIN_TIDIED = 4


class Token(NamedTuple):
    """A piece of text: `kind` is `number`, `symbol`, `constant`, `function`, `word` or `op`."""

    kind: str
    text: str
    spaced: bool  # white space stands before it


END = Token("op", "", False)

_TOKEN = re.compile(
    r"(?P<space>(?:[\s~$]|\\[,;:! ]|\\(?:q?quad|thinspace|displaystyle)(?![A-Za-z]))+)"
    r"|(?P<number>(?:[0-9]+(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<command>\\(?:[A-Za-z]+|.))"
    r"|(?P<letters>[^\W\d_]+)"
    r"|(?P<op>\.{3,}|<=|>=|!=|==|\*\*|.)",
    re.DOTALL,
)
_TEXT = re.compile(r"\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_LETTER = re.compile(r"\s+([A-Za-z])(?![A-Za-z])")
_MARKED = re.compile(r"\s*(?:\{\s*(\\?[A-Za-z]+)\s*\}|([A-Za-z]|\\[A-Za-z]+))")
_CORNERS = re.compile(r"\s*\{?\s*([A-Z](?:\s*[A-Z]){0,3})(?![A-Za-z])\s*\}?")
_SUBSCRIPT = re.compile(r"\s*_\s*(?:\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}|([A-Za-z0-9])|\\([A-Za-z]+))")
_INVERSE = re.compile(r"\s*\^\s*(?:\{\s*-\s*1\s*\}|\(-1\))(?=\s*(?:\\left\s*)?\()")
_SUBSCRIPT_SPELLING = re.compile(r"\\(?:text|mathrm|rm|textrm)(?![A-Za-z])|[\s{}\\]")


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, or `Unread`."""
    tokens: list[Token] = []
    _scan(plain(text), tokens, in_text=False, nesting=0)
    _check_nesting(tokens)
    return tidied(tokens) if len(tokens) > MIN_TIDIED else tokens


def _check_nesting(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        if token.text in ("(", "{", "[", "group(", "abs(", "floor(", "ceil(", "<("):
            depth += 1
            if depth > MAX_NESTING:
                raise Unread("too_large")
        elif token.text in (")", "}", "]", ")group", ")abs", ")floor", ")ceil", ")>"):
            depth -= 1


def _scan(text: str, tokens: list[Token], *, in_text: bool, nesting: int) -> None:
    spaced, at = False, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unread("unparsable")
        at, kind, piece = found.end(), found.lastgroup, found[0]
        if kind == "space":
            spaced = True
            continue
        before = len(tokens)
        if kind == "number":
            # 000 is what a thousands separator leaves of (1,000): too unclear to call.
            if piece[:1] == "0" and piece[1:2].isdigit() and tokens and tokens[-1].text == ",":
                raise Unread("unparsable")
            if grouped := spaced_number(text, found.start(), tokens):
                piece, at = grouped
            tokens.append(Token("number", piece, spaced))
        elif kind == "letters":
            unit = spaced and not in_text and piece in UNITS and is_plain_unit(tokens, text[at:])
            _letters(piece, tokens, spaced=spaced, in_text=in_text, is_unit=unit)
        elif kind == "op":
            _operator(piece, tokens, spaced=spaced)
        else:
            at = _command(piece[1:], text, at, tokens, spaced=spaced, nesting=nesting)
        if len(tokens) > before and tokens[-1].kind in ("symbol", "constant") and not in_text:
            at = _subscript(text, at, tokens)
        spaced = spaced and len(tokens) == before


def _command(
    name: str, text: str, at: int, tokens: list[Token], *, spaced: bool, nesting: int
) -> int:
    if name in TEXTS or name == "operatorname":
        content = _TEXT.match(text, at)
        if content is None and name == "mathrm" and (letter := _LETTER.match(text, at)):
            _letters(letter[1], tokens, spaced=spaced, in_text=False)
            return letter.end()
        if content is None or nesting:
            if name == "rm" and content is None:  # for all that follows
                return at
            raise Unread("unparsable")
        inside = content[1].strip()
        is_unit = is_unit_in_text(name, inside, tokens, text[content.end() :])
        if inside == "erf":
            tokens.append(Token("symbol", inside, spaced))
        elif inside in FUNCTIONS and not is_unit:
            tokens.append(Token("function", FUNCTIONS[inside], spaced))
        elif name == "mathrm" and len(inside) == 1 and inside.isalpha() and not is_unit:
            _letters(inside, tokens, spaced=spaced, in_text=False)
        else:
            before = len(tokens)
            _scan(content[1], tokens, in_text=True, nesting=1)
            if spaced and len(tokens) > before:
                tokens[before] = tokens[before]._replace(spaced=True)
        return content.end()
    if name in ("mathbb", "Bbb"):
        content = re.compile(r"\s*\{?\s*([RZNQC])\s*\}?").match(text, at)
        if content is None:
            raise Unread("unparsable")
        tokens.append(Token("constant", content[1], spaced))
        return content.end()
    if name in MARKS:
        return _mark(name, text, at, tokens, spaced=spaced)
    if name in ("left", "right"):
        bar = re.compile(r"\s*(\||\\vert(?![A-Za-z])|\.)").match(text, at)
        if bar is None:
            return at
        if bar[1] != ".":
            tokens.append(Token("op", "abs(" if name == "left" else ")abs", spaced))
        return bar.end()
    if name in OPERATORS:
        tokens.append(Token("op", OPERATORS[name], spaced))
    elif name in CONSTANTS:
        tokens.append(Token("constant", CONSTANTS[name], spaced))
    elif name in FUNCTIONS:
        tokens.append(Token("function", FUNCTIONS[name], spaced))
    elif name in GREEK or name in VARIANTS:
        tokens.append(Token("symbol", VARIANTS.get(name, name), spaced))
    elif name not in LOOKS:
        raise Unread("unparsable")
    return at


def _mark(name: str, text: str, at: int, tokens: list[Token], *, spaced: bool) -> int:
    r"""The name that `\\bar{x}` or `\\angle ABC` is, or of a longer text a bar over it."""
    mark = MARKS[name]
    if name in ("overline", "bar"):
        content = _MARKED.match(text, at)
        long = content is None or (len(content[1] or "") > 1 and not content[1].startswith("\\"))
        after_number = bool(tokens) and tokens[-1].kind == "number" and not spaced
        if after_number or content is None:
            tokens.append(Token("op", "overline", spaced))
            return at
        if long:  # a segment
            return at
    found = (_CORNERS if mark in ("angle", "triangle") else _MARKED).match(text, at)
    if found is None:
        if name not in ("mathbf", "boldsymbol", "bm", "angle"):
            raise Unread("unparsable")
        return at
    if mark == "angle" and tokens and tokens[-1][:2] == ("symbol", "m"):
        tokens.pop()
    letters = "".join((found[1] or found[2]).split()).removeprefix("\\")
    if name in ("mathbf", "boldsymbol", "bm") and len(letters) > 1 and letters not in GREEK:
        return at
    letters = VARIANTS.get(letters, letters)
    tokens.append(Token("symbol", f"{mark} {letters}", spaced))
    return found.end()


def _operator(piece: str, tokens: list[Token], *, spaced: bool) -> None:
    spelling = {"**": "^", "==": "=", "{": "group(", "}": ")group", "\\": "setminus"}
    if piece.startswith("..."):
        piece = "..."
    elif piece not in "+-*/^=<>(){}[]|,;:!%_&'.<=>=!=**?" and piece not in ("€", "£", "¥"):
        raise Unread("unparsable")
    tokens.append(Token("op", spelling.get(piece, piece), spaced))


def _letters(
    run: str, tokens: list[Token], *, spaced: bool, in_text: bool, is_unit: bool = False
) -> None:
    last = tokens[-1] if tokens else END
    after_number = last.kind == "number" or (spaced and last[:2] == ("constant", "pi"))
    is_option = last.text == "(" and len(run) == 1 and run.isupper()  # \text{(A), (C)}
    if run in ("mod", "choose"):
        tokens.append(Token("op", run, spaced))
    elif (in_text and not is_option) or (
        after_number and (is_unit if spaced else run in TIGHT_UNITS)
    ):
        tokens.append(Token("word", run, spaced))
    elif run in FUNCTIONS:
        tokens.append(Token("function", FUNCTIONS[run], spaced))
    elif run in GREEK:
        tokens.append(Token("symbol", run, spaced))
    elif run in ("pi", "sqrt", "binom"):
        tokens.append(Token("constant" if run == "pi" else "op", run, spaced))
    elif run in ("oo", "inf", "infinity", "infty"):
        tokens.append(Token("constant", "oo", spaced))
    elif run[:-1] in FUNCTIONS and run[-1].isascii():
        tokens += Token("function", FUNCTIONS[run[:-1]], spaced), Token("symbol", run[-1], False)
    elif (last.kind == "word" and (run in ("per", "squared", "cubed") or run in UNITS)) or (
        (run.casefold() in WORDS and (run.islower() or run.istitle() or run in ("YES", "DNE")))
        or (after_number and run.casefold() in ("am", "pm"))
        or ((len(run) >= 4 or not run.isascii()) and not (len(run) == 1 and run in GREEK_LETTERS))
    ):
        tokens.append(Token("word", run, spaced))
    else:
        for letter in run:
            name = GREEK_LETTERS.get(letter, letter)
            kind = "constant" if name in ("e", "i") else "symbol"
            tokens.append(Token(kind, name, spaced))
            spaced = False


def _subscript(text: str, at: int, tokens: list[Token]) -> int:
    """Take a subscript, primes and what inverts a function into the name of the last token."""
    token = tokens[-1]
    name = token.text
    if below := _SUBSCRIPT.match(text, at):
        inside = below[1] or below[2] or below[3] or ""
        name += "_" + _SUBSCRIPT_SPELLING.sub("", inside)
        at = below.end()
    while text[at : at + 1] == "'":
        name, at = name + "'", at + 1
    if name in "fgh" and (inverse := _INVERSE.match(text, at)):
        name, at = name + "^-1", inverse.end()
    if name != token.text:
        tokens[-1] = Token("symbol", name, token.spaced)
    return at
