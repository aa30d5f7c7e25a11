r"""The words of an answer, in LaTeX and in plain text.

What LaTeX only sets (`\left`, `\,`, `$`) leaves no token but a space. A character or command that
is not known raises `Unread`: nothing is skipped in silence.
"""

import re
from typing import NamedTuple

from grpo_core.rewards._math._commands import (
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    GREEK_LETTERS,
    LOOKS,
    OPERATORS,
    TEXTS,
    UNITS_AFTER_SPACE,
    WORDS,
)
from grpo_core.rewards._math._numbers import Unread

MAX_NESTING = 100


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
_CHARACTERS = str.maketrans(
    {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}
    | dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}", "-")
    | {"×": "*", "⋅": "*", "·": "*", "÷": "/", "≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">="}
    | {"≠": "!=", "≈": "\\approx ", "∞": "\\infty ", "√": "\\sqrt ", "∪": "\\cup "}
    | {"∩": "\\cap ", "∈": "\\in ", "°": "^\\circ ", "±": "\\pm ", "∓": "\\mp ", "…": "..."}
    | {"∅": "\\emptyset ", "ℝ": "\\R ", "π": "\\pi ", "²": "^{2}", "³": "^{3}", "′": "'"}
)
# Escaped twice, as from JSON: what follows a row break is never the bare name of a command.
_TWICE = re.compile(
    r"(?<!\\)\\\\(?=(?:left|right|frac|dfrac|tfrac|sqrt|begin|end|pi|infty|text|leq?|geq?|cdot"
    r"|times|cup|in|pm|mathrm|mathbb|alpha|beta|theta)(?![A-Za-z]))"
)
_GROUPED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,\S)")
_GROUPED_TIGHT = re.compile(
    r"(?<![0-9.])[1-9][0-9]{0,2}(?:(?:\\,|\{,\}|,?\\!|\u2009|\u202f)[0-9]{3})+(?![0-9])"
)
_SPACED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[ ~][0-9]{3})+")
_TIMES_TEN = re.compile(r"(?<=[0-9]) ?x ?(?=10\s*\^)")
_PRIME = re.compile(r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![A-Za-z]))")
_TEXT = re.compile(r"\s*\{([^{}]*)\}")
_SUBSCRIPT = re.compile(r"\s*_\s*(?:\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}|([A-Za-z0-9])|\\([A-Za-z]+))")
_SUBSCRIPT_SPELLING = re.compile(r"\\(?:text|mathrm|rm|textrm)(?![A-Za-z])|[\s{}\\]")


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, or `Unread`."""
    if not text.isascii():
        text = text.translate(_CHARACTERS)
    if "\\\\" in text and _TWICE.search(text):
        text = text.replace("\\\\", "\\")
    text = _PRIME.sub("'", text)
    text = _GROUPED_TIGHT.sub(lambda found: re.sub("[^0-9]", "", found[0]), text)
    if "," in text and not re.search(r"[(\[]|\\\{", text):
        text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    if _SPACED.fullmatch(text.strip(" $")):
        text = re.sub("[ ~]", "", text)
    text = _TIMES_TEN.sub(r"\\times ", text)
    tokens: list[Token] = []
    _scan(text, tokens, in_text=False, nesting=0)
    _check_nesting(tokens)
    return tokens


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
            tokens.append(Token("number", piece, spaced))
        elif kind == "letters":
            _letters(piece, tokens, spaced=spaced, in_text=in_text)
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
        if content is None or nesting:
            raise Unread("unparsable")
        inside = content[1].strip()
        if inside in FUNCTIONS:
            tokens.append(Token("function", FUNCTIONS[inside], spaced))
        elif name == "mathrm" and len(inside) == 1 and inside.isalpha():
            _letters(inside, tokens, spaced=spaced, in_text=False)
        else:
            _scan(content[1], tokens, in_text=True, nesting=1)
        return content.end()
    if name in ("mathbb", "Bbb"):
        content = re.compile(r"\s*\{?\s*([RZNQC])\s*\}?").match(text, at)
        if content is None:
            raise Unread("unparsable")
        tokens.append(Token("constant", content[1], spaced))
        return content.end()
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
    elif name in GREEK:
        tokens.append(Token("symbol", name, spaced))
    elif name not in LOOKS:
        raise Unread("unparsable")
    return at


def _operator(piece: str, tokens: list[Token], *, spaced: bool) -> None:
    spelling = {"**": "^", "==": "=", "{": "group(", "}": ")group", "\\": "setminus"}
    if piece.startswith("..."):
        piece = "..."
    elif piece not in "+-*/^=<>(){}[]|,;:!%_&'.<=>=!=**?" and piece not in ("€", "£", "¥"):
        raise Unread("unparsable")
    tokens.append(Token("op", spelling.get(piece, piece), spaced))


def _letters(run: str, tokens: list[Token], *, spaced: bool, in_text: bool) -> None:
    last = tokens[-1] if tokens else END
    after_number = last.kind == "number"
    if in_text:
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
    elif (
        (run.casefold() in WORDS and (run.islower() or run.istitle()))
        or (after_number and run.casefold() in ("am", "pm"))
        or (after_number and spaced and run in UNITS_AFTER_SPACE)
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
    """Take a subscript and primes into the name of the last token."""
    token = tokens[-1]
    name = token.text
    if below := _SUBSCRIPT.match(text, at):
        inside = below[1] or below[2] or below[3] or ""
        name += "_" + _SUBSCRIPT_SPELLING.sub("", inside)
        at = below.end()
    while text[at : at + 1] == "'":
        name, at = name + "'", at + 1
    if name != token.text:
        tokens[-1] = Token("symbol", name, token.spaced)
    return at
