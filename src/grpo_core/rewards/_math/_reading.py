r"""A whole answer: items between commas, and the words, units and labels around their values."""

import re
from fractions import Fraction
from math import inf

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._expressions import MAX_ITEMS, Expressions
from grpo_core.rewards._math._infix import INFIX
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._prefix import PREFIXES
from grpo_core.rewards._math._tokens import END, Token, tokenize
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._units import MONTHS, is_unit, scaled_unit, unit_name

MAX_CHARACTERS = 2_000

_IN_UNITS = frozenset(("^", "/", "*", ".", "-", "group(", ")group"))
_SEPARATING = frozenset(("and", "or"))
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yuan"}
_BOUND = re.compile(r"for (?:all|any|every|each|some) |where |such that ")
_STYLE = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox)\s*(?=\{)|\\[ ,;!]|[{}$]")
_CHOICE = re.compile(r"\(([A-Z])\)\s*(?:[:.]\s*)?(.*)|([A-J])[).:]\s+(.*)", re.DOTALL)
_OTHER_CHOICE = re.compile(r"\([A-J]\)|\b(?:or|and|not)\b")
_NO_PROSE = re.compile(r"[\\?_=<>()\[\]+*/^|@#&]")
_PROSE = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[0-9]+(?:\.[0-9]+)?")


def parse_answer(text: str) -> Answer:
    r"""The typed tree that `verify_math` reads an answer into.

    Each node is a frozen dataclass that prints as it is built. Nothing is simplified, and nothing
    of the text is executed.

    Args:
        text: The answer, without a box: LaTeX, plain text or a mix, at most 2,000 characters.

    Returns:
        The root of the tree.

    Raises:
        ValueError: If the text is no answer that can be read, or is too large; the message says
            which.

    Example:
        An interval, with one end open:

        >>> from grpo_core.rewards import parse_answer
        >>> parse_answer(r"\left[x, y\right)")
        Interval(low=Symbol(name='x'), high=Symbol(name='y'), has_low=True, has_high=False)
    """
    try:
        return read_tree(text, inf)
    except Unread as unread:
        raise ValueError(f"{unread.reason}: {text[:100]!r}") from None


def read_tree(text: str, deadline: float) -> Answer:
    """The tree of `text`, or `Unread`. The deadline is on the clock of `time.monotonic`."""
    if len(text) > MAX_CHARACTERS:
        raise Unread("too_large")
    if choice := _choice(text):
        return choice
    try:
        return _Reader(
            tokenize(text.strip().rstrip("\\").replace("{:}", ":")), deadline, INFIX, PREFIXES
        ).answer()
    except Unread as unread:
        prose = _prose(text) if unread.reason == "unparsable" else None
        if prose is None:
            raise
        return prose
    except RecursionError:  # the caller's own stack was nearly full
        raise Unread("too_large") from None


def _choice(text: str) -> tree.Choice | None:
    plain = _STYLE.sub(_space, text).strip()
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


def _prose(text: str) -> tree.Text | None:
    """Words, where the text is a sentence and no broken formula."""
    plain = _STYLE.sub(" ", text)
    words = tuple(_PROSE.findall(plain.casefold()))
    if _NO_PROSE.search(plain) or sum(len(word) >= 3 for word in words) < 3:
        return None
    return tree.Text(words)


class _Reader(Expressions):
    def answer(self) -> Answer:
        items = [self._item()]
        while self._separator():
            if len(items) >= MAX_ITEMS:
                raise Unread("too_large")
            items.append(self._item())
        self.take(".")
        if self.peek() is not END:
            raise Unread("unparsable")
        return items[0] if len(items) == 1 else tree.List(tuple(items))

    def _is_separating(self, token: Token) -> bool:
        return token.kind == "word" and token.text.casefold() in _SEPARATING

    def _separator(self) -> bool:
        comma = self.take(",", ";")
        word = self._is_separating(self.peek())
        self.at += word
        return comma or word

    def _item(self) -> Answer:
        if self.peek().kind == "word":
            words = self._words()
            if self.take(":", "=") or words == ["only"]:
                return self._item_of_label()
            return self._text(words)
        return self._item_of_label()

    def _item_of_label(self) -> Answer:
        minus = self.next_is("-") and self.peek(1).text in _CURRENCIES and self.peek(1).kind == "op"
        self.at += minus
        currency = self.peek().text if self.next_is(*_CURRENCIES) else ""
        self.at += bool(currency)
        item = self._definition() or self.expression()
        item = tree.negative(item) if minus else item
        if not currency and self.next_is(*_CURRENCIES):
            currency = self.peek().text
            self.at += 1
        unit = _CURRENCIES.get(currency, "")
        if self.peek().kind == "word" and not self._is_separating(self.peek()):
            if _BOUND.match(self._rest()):
                self.at = len(self.tokens)
            else:
                words = self._unit()
                scaled = unit and scaled_unit(words)[1] == ""  # $5 million
                unit = f"{words} {unit}" if scaled else words
        return _with_unit(item, unit)

    def _definition(self) -> Answer | None:
        """A function's name and its parameters before `=`, or None with nothing read."""
        name, at = self.peek(), self.at
        if name.kind != "symbol" or self.peek(1) != Token("op", "(", self.peek(1).spaced):
            return None
        closing = next((i for i in range(at, len(self.tokens)) if self.tokens[i].text == ")"), 0)
        after = self.tokens[closing + 1] if closing + 1 < len(self.tokens) else END
        if after.text != "=" or after.kind != "op":
            return None
        self.at += 2
        parameters = self.items(")")[0]
        if self.at != closing + 1:
            self.at = at
            return None
        self.expect("=")
        body = self.expression()
        return tree.Definition(name.text, parameters, body)

    def _words(self) -> list[str]:
        words: list[str] = []
        while self.peek().kind == "word" and not self._is_separating(self.peek()):
            words.append(self.peek().text.casefold())
            self.at += 1
            while self.take(".", "'", "!") or (self.next_is("-") and self.peek(1).kind == "word"):
                self.at += self.next_is("-")
        if not words:
            raise Unread("unparsable")
        return words

    def _text(self, words: list[str]) -> Answer:
        if len(words) == 1 and words[0] in MONTHS and self.peek().kind == "number":
            words.append(self.peek().text)
            self.at += 1
        letter = self.tokens[self.at - 1].text
        if len(words) == 1 and len(letter) == 1:
            return tree.Symbol(letter)
        return tree.Text(tuple(words))

    def _rest(self) -> str:
        return " ".join(token.text for token in self.tokens[self.at :]).casefold()

    def _unit(self) -> str:
        r"""The words after a value, as `cm^2`, `m/s` or `stuffed goats`."""
        pieces: list[str] = []
        while self.peek() is not END and not self._is_separating(self.peek()):
            token = self.peek()
            spelling = {"group(": "", ")group": "", ".": ""}.get(token.text, token.text)
            if token.kind == "op" and token.text not in _IN_UNITS:
                break
            if token.kind == "number" and pieces[-1:] != ["^"]:
                raise Unread("unparsable")
            if token.kind not in ("word", "op", "number", "symbol"):
                raise Unread("unparsable")
            after_word = pieces and token.kind == "word" and token.spaced
            pieces += [" "] if after_word else []
            pieces += [spelling] if spelling else []
            self.at += 1
        unit = unit_name("".join(pieces))
        if not is_unit(unit):
            raise Unread("unparsable")
        return unit


def _with_unit(item: Answer, unit: str) -> Answer:
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
    if isinstance(item, tree.Relation) and item.operators[-1] in ("=", "~"):
        last = tree.Quantity(item.items[-1], unit)
        return tree.Relation(item.operators, (*item.items[:-1], last))
    if isinstance(item, tree.Set | tree.Text | tree.Relation | tree.Choice | tree.Combination):
        raise Unread("unparsable")
    return tree.Quantity(item, unit)
