r"""One spelling for texts that look the same on the page.

`normal_form` takes away what LaTeX only sets (`\left`, `\,`, `$`, `\dfrac` for `\frac`), white
space that separates nothing, and the separators of thousands. Equal normal forms are equal answers,
before any algebra; what could change a value on the way is kept.
"""

import re

# What NFKC would make of full-width ASCII, and the signs that have no ASCII of their own. NFKC as a
# whole would read 5² as 52 and 1½ as 11/2; any other character stays what it is and matches itself.
_CHARACTERS = str.maketrans(
    {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}
    | dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}", "-")
    | {"\N{MULTIPLICATION SIGN}": "\\times ", "\N{DOT OPERATOR}": "\\cdot "}
    | {"\N{MIDDLE DOT}": "\\cdot "}
)
_THIN = "\N{THIN SPACE}"  # any separator of thousands but the comma
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)|[$~]|\{,\}|[\u200a\u202f]", re.DOTALL)
_SPELLINGS = (
    dict.fromkeys(("\\dfrac", "\\tfrac", "\\cfrac"), "\\frac")
    | dict.fromkeys(("\\,", "\\thinspace", "{,}", "\u200a", "\u202f"), _THIN)
    | dict.fromkeys(("\\;", "\\:", "\\ ", "\\quad", "\\qquad", "~", "\\$", "$"), " ")
    | dict.fromkeys(("\\left", "\\right", "\\displaystyle"), " ")
    | dict.fromkeys(("\\(", "\\)", "\\[", "\\]"), " ")
    | {"\\!": "", "\\%": "%"}
)
_TEXT = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox)\s*\{([^{}]*)\}")
_GROUPED_BY_THIN = re.compile(
    rf"(?<![0-9.^_{_THIN}])[1-9][0-9]{{0,2}}(?:{_THIN}[0-9]{{3}})+(?![0-9{_THIN}])"
)
# `1,234` is one number, but in `1,234,5` or `x,1,234` every comma separates.
_GROUPED_BY_COMMA = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,\S)")
_BRACKET = re.compile(r"[(\[]|\\\{")
# A space matters between words and digits, beside a point (`1. 5` is not 1.5), and in `2e - 5`,
# which is not 2e-5.
_LOOSE_SPACE = re.compile(r"(?<![\w.]) |(?<![0-9][eE]) (?![\w.])")


def normal_form(text: str) -> str:
    """The spelling under which texts are compared and numbers are read."""
    if not text.isascii():
        text = text.translate(_CHARACTERS)
    text = _COMMAND.sub(_respell, text)
    if "\\" in text:
        text = _TEXT.sub(r" \1 ", text)
    if _THIN in text:
        text = text.strip(_THIN + " ")
        text = _GROUPED_BY_THIN.sub(lambda number: number[0].replace(_THIN, ""), text)
    # Within brackets a comma separates: (1,234) is a pair.
    if "," in text and not _BRACKET.search(text):
        text = _GROUPED_BY_COMMA.sub(lambda number: number[0].replace(",", ""), text)
    text = _LOOSE_SPACE.sub("", " ".join(text.split()))
    # The full stop of a sentence, but not the last dot of an ellipsis.
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


def _respell(command: re.Match[str]) -> str:
    return _SPELLINGS.get(command[0], command[0])
