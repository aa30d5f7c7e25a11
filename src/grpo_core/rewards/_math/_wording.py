"""Answers in words, and the names and units around a value."""

import re
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._measures import measure
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._units import MONTHS, scaled_unit

_STYLE = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox)\s*(?=\{)|\\[ ,;!]|[{}$]")
_CHOICE = re.compile(r"\(([A-Z])\)\s*(?:[:.]\s*)?(.*)|([A-J])[).:](?:\s+(.*))?", re.DOTALL)
_NAMED_CHOICE = re.compile(r"(?:option|choice|answer)\s+(?=\(?[A-J]\)?$)", re.IGNORECASE)
# Another option, or a capital that may be one: not `5 C`, nor the article of `A square`.
_OTHER_CHOICE = re.compile(
    r"\([A-J]\)|\b(?:or|and|not)\b|(?<![0-9] )\b(?:[B-H]|A(?!\s+[a-z]))\b(?!['’-])"
)
_NO_PROSE = re.compile(r"[\\?_=<>()\[\]+*/^|@#&]")
_PROSE = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[0-9]+(?:\.[0-9]+)?")


def choice(text: str) -> tree.Choice | None:
    text = text.strip().rstrip("\\")  # of a last `\ `
    if text.startswith("\\(") and text.endswith("\\)"):
        text = text[2:-2]
    plain = _STYLE.sub(_space, text).strip()
    if not plain.isascii() or (len(plain) > 1 and plain[0] in "*oOcCaA"):
        plain = _NAMED_CHOICE.sub("", plain.strip("*"))
        if len(plain) == 1 and plain.isupper() and plain != text.strip():
            return tree.Choice(plain)
    found = _CHOICE.fullmatch(plain)
    if found is None:
        return None
    letter, rest = found[1] or found[3], found[2] or found[4] or ""
    # What follows explains the option; it must not name another, nor go on with algebra.
    if rest and (_OTHER_CHOICE.search(rest) or not (rest[0].isalnum() or rest[0] == "\\")):
        return None
    if rest and found[1] and plain[3:4] not in " :.\n":
        return None
    return tree.Choice(letter)


def _space(found: re.Match[str]) -> str:
    return " " if found[0][0] == "\\" and not found[0][1].isalpha() else ""


def prose(text: str) -> tree.Text | None:
    """Words, where the text is a sentence and no broken formula."""
    plain = _STYLE.sub(" ", text)
    words = tuple(_PROSE.findall(plain.casefold()))
    if _NO_PROSE.search(plain) or sum(len(word) >= 3 for word in words) < 3:
        return None
    return tree.Text(words)


def named(name: tree.Symbol, item: Answer) -> Answer:
    """`Area = 5`, where the name of an answer may be any words."""
    if name.name in ("answer", "the answer", "ans", "final answer", "result"):
        return item
    return tree.Relation(("=",), (name, item))


def compound(first: tree.Quantity, second: Answer) -> Answer:
    """Two quantities of one dimension, the smaller unit after the larger, as their sum."""
    if not isinstance(second, tree.Quantity):
        raise Unread("unparsable")
    larger, smaller = measure(first.unit), measure(second.unit)
    values = first.value, second.value
    if not (larger and smaller and isinstance(values[0], Number) and isinstance(values[1], Number)):
        raise Unread("unparsable")
    share = smaller.size / larger.size
    if larger.dimensions != smaller.dimensions or share >= 1 or values[1].value * share >= 1:
        raise Unread("unparsable")
    return tree.Quantity(Number(values[0].value + values[1].value * share), first.unit)


def with_unit(item: Answer, unit: str) -> Answer:
    scale, unit = scaled_unit(unit)
    if scale != 1:
        if not isinstance(item, Number):
            raise Unread("unparsable")
        item = Number(item.value * scale, item.unit and item.unit * scale, item.digits)
    if not unit:
        return item
    if unit in MONTHS and isinstance(item, Number):
        return tree.Text((unit, str(item.value)))
    if unit == "percent" and isinstance(item, Number):
        return Number(item.value / 100, item.unit and item.unit / 100, item.digits)
    if unit == "percent":
        return tree.times(item, Number(Fraction(1, 100)))
    if unit == "degree":
        return tree.Degrees(item)
    if unit in ("odd", "even") and isinstance(item, tree.Symbol):  # as a residue is
        rest = Number(Fraction(unit == "odd"))
        return tree.Relation(("in",), (item, tree.Residue(rest, Number(Fraction(2)))))
    if isinstance(item, tree.Relation) and item.operators[-1] in ("=", "~"):
        last = tree.Quantity(item.items[-1], unit)
        return tree.Relation(item.operators, (*item.items[:-1], last))
    if isinstance(item, tree.Set | tree.Text | tree.Relation | tree.Choice | tree.Combination):
        raise Unread("unparsable")
    return tree.Quantity(item, unit)
