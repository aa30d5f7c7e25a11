r"""What has signs that are known but no grammar here: `\text{H}_2\text{SO}_4`, `p \land \neg q`.

Such a text is a sequence of signs, equal to those of which each sign is the same. Fonts, spaces and
braces around one sign do not count; nothing is worked out, so no two are ever proven different.
"""

import re
from itertools import pairwise

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._characters import plain
from grpo_core.rewards._math._commands import (
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    GREEK_LETTERS,
    MARKS,
    OPERATORS,
    VARIANTS,
)
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer

MAX_SIGNS = 500

_SIGN = re.compile(
    r"(?P<space>(?:[\s~$]|\\[,;:! ()\[\]]"
    r"|\\(?:q?quad|thinspace|displaystyle|left|right)(?![A-Za-z]))+)"
    r"|\\(?P<font>text|textbf|textit|textrm|textsf|mbox|mathrm|mathbf|mathit|mathsf|operatorname|ce)"
    r"\s*(?=\{)"
    r"|\\(?P<command>[A-Za-z]+|[{}%&|])|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<letter>[^\W\d_])"
    r"|(?P<sign>->|<=>|[-+*/=<>^_(){}\[\],;:|!'.&])"
)
_LOGIC = {
    "land": "land", "wedge": "land", "lor": "lor", "vee": "lor", "neg": "neg", "lnot": "neg",
    "forall": "forall", "exists": "exists", "nexists": "nexists", "subseteq": "subseteq",
    "subset": "subset", "supseteq": "supseteq", "supset": "supset", "subsetneq": "subsetneq",
    "notin": "notin", "ni": "ni", "aleph": "aleph", "rightarrow": "to", "to": "to", "implies": "to",
    "Rightarrow": "to", "longrightarrow": "to", "iff": "iff", "leftrightarrow": "iff",
    "Leftrightarrow": "iff", "leftarrow": "from", "rightleftharpoons": "equilibrium",
    "mapsto": "mapsto", "oplus": "oplus", "otimes": "otimes", "rtimes": "rtimes",
    "ltimes": "ltimes", "cong": "cong", "simeq": "simeq", "sim": "sim", "perp": "perp",
    "parallel": "parallel", "nparallel": "nparallel", "uparrow": "uparrow",
    "downarrow": "downarrow", "bullet": "bullet", "oint": "oint", "trianglelefteq": "normal",
    "vdash": "vdash", "models": "models", "top": "top", "bot": "bot", "therefore": "therefore",
    "propto": "propto", "nmid": "nmid", "leq": "<=", "le": "<=", "geq": ">=", "ge": ">=",
    "mathbb": "mathbb", "mathcal": "mathcal",
}  # fmt: skip
_CHARACTERS = str.maketrans({
    "⊆": "\\subseteq ", "⊂": "\\subset ", "⊇": "\\supseteq ", "⊃": "\\supset ", "∀": "\\forall ",
    "∃": "\\exists ", "ℵ": "\\aleph ", "⇒": "\\to ", "⇔": "\\iff ", "↔": "\\iff ", "∨": "\\lor ",
    "⇌": "\\rightleftharpoons ", "∉": "\\notin ", "⊕": "\\oplus ", "⊗": "\\otimes ",
})  # fmt: skip
_KNOWN = frozenset((*OPERATORS, *CONSTANTS, *FUNCTIONS, *GREEK, *VARIANTS, *MARKS, "{", "}", "|"))
_CLOSING = {"(": ")", "{": "}", "[": "]", "\\{": "\\}"}
_HEDGE = re.compile(r"\b(?:or|and|not|maybe|possibly|either|no|none|wrong|but)\b", re.IGNORECASE)
_NO_START, _NO_END = frozenset("+*/=<>_,;:|!'.&)}]"), frozenset("+-*/=<>^_,;:|&({[")
_PUNCTUATION = frozenset(",;:.")


def read_formula(text: str) -> tree.Formula | None:
    """The signs of a text, or None if one is unknown, a bracket is open or an operand missing."""
    if _HEDGE.search(text):
        return None
    signs = _scanned(plain(text.translate(_CHARACTERS)).strip())
    if signs is None or not 1 < len(signs) <= MAX_SIGNS:
        return None
    if signs[0] in _NO_START or _is_open(signs) or not _is_balanced(signs):
        return None
    if not any(sign[-1].isalnum() for sign in signs):
        return None
    for sign, following in pairwise(signs):
        if sign in _PUNCTUATION and following in _PUNCTUATION:
            return None
    return tree.Formula(tuple(_without_braces(signs)))


def same_formula(first: Answer, second: Answer) -> bool:
    """True if two texts have the same signs; else `Unread`, for no two are proven different."""
    signs = [_signs(node) for node in (first, second)]
    if signs[0] and signs[0] == signs[1]:
        return True
    both = isinstance(first, tree.Formula) and isinstance(second, tree.Formula)
    raise Unread("undecided" if both else "unparsable")


def _signs(node: Answer) -> tuple[str, ...]:
    """The signs of a formula, or of a product of names that may be one."""
    if isinstance(node, tree.Formula):
        return node.signs
    if isinstance(node, tree.Symbol):
        formula = read_formula(node.name)
        return formula.signs if formula else (node.name,)
    if isinstance(node, Number):
        return (str(node.value),)
    if isinstance(node, tree.Product):
        return tuple(sign for item in node.items for sign in _signs(item) or ("?",))
    return ()


def _scanned(text: str) -> list[str] | None:
    signs: list[str] = []
    fonts: list[int] = []  # the depth of braces that only hold a font
    at = depth = 0
    while at < len(text):
        found = _SIGN.match(text, at)
        if found is None:
            return None
        at, kind = found.end(), found.lastgroup
        if kind == "space":
            continue
        if kind == "font":
            fonts.append(depth)
            depth, at = depth + 1, at + 1
            continue
        sign = found[0]
        if kind == "command":
            name = found["command"]
            if name not in _LOGIC and name not in _KNOWN:
                return None
            sign = _LOGIC.get(name) or VARIANTS.get(name) or OPERATORS.get(name) or name
            sign = "\\" + sign if len(sign) > 1 or name in "{}" else sign
        elif kind == "letter":
            sign = "\\" + GREEK_LETTERS[sign] if sign in GREEK_LETTERS else sign
        elif sign == "->":
            sign = "\\to"
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
            if fonts and fonts[-1] == depth:
                fonts.pop()
                continue
        signs.append(sign)
    return signs


def _is_open(signs: list[str]) -> bool:
    """Whether an operand is missing at the end, which a charge has not: `Na^+`."""
    return signs[-1] in _NO_END and not (signs[-1] in "+-" and signs[-2] == "^")


def _is_balanced(signs: list[str]) -> bool:
    opened: list[str] = []
    for sign in signs:
        if sign in _CLOSING:
            opened.append(_CLOSING[sign])
        elif sign in _CLOSING.values() and (not opened or opened.pop() != sign):
            return False
    return not opened


def _without_braces(signs: list[str]) -> list[str]:
    """The signs without braces around one of them or none, and without `_` before a number."""
    found: list[str] = []
    for sign in signs:
        found.append(sign)
        if found[-2:] == ["{", "}"]:
            del found[-2:]
        elif sign == "}" and len(found) > 2 and found[-3] == "{":
            found[-3:] = [found[-2]]
        if len(found) > 2 and found[-2] == "_" and found[-1][0].isdigit():
            letter = found[-3][-1].isalpha() or found[-3] in (")", "]")
            found[-2:] = [found[-1]] if letter else found[-2:]
    return found
