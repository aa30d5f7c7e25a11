r"""A whole answer: items between commas, and the words, units and labels around their values."""

import re
from math import inf

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._commands import WORDS
from grpo_core.rewards._math._expressions import MAX_ITEMS, Expressions
from grpo_core.rewards._math._infix import INFIX
from grpo_core.rewards._math._joined import joined
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._prefix import PREFIXES
from grpo_core.rewards._math._tokens import END, Token, tokenize
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._units import MONTHS, is_label, is_unit, scaled_unit, unit_name
from grpo_core.rewards._math._wording import choice, compound, named, prose, with_unit

MAX_CHARACTERS = 2_000

_IN_UNITS = frozenset(("^", "/", "*", "cdot", "times", ".", "-", "group(", ")group", "deg"))
_SEPARATING = frozenset(("and", "or"))
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yuan"}
_BOUND = re.compile(r"for (?:all|any|every|each|some|integers?) |where |such that ")
_NOT_ALL_INTEGERS = frozenset((
    "positive", "natural", "negative", "nonnegative", "non", "nonzero", "even", "odd", ">", ">=",
    "<", "<=", "!=", "=",
))  # fmt: skip


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
    if option := choice(text):
        return option
    try:
        return _Reader(
            tokenize(text.strip().rstrip("\\").replace("{:}", ":")), deadline, INFIX, PREFIXES
        ).answer()
    except Unread as unread:
        words = prose(text) if unread.reason == "unparsable" else None
        if words is None:
            raise
        return words
    except RecursionError:  # the caller's own stack was nearly full
        raise Unread("too_large") from None


class _Reader(Expressions):
    integers: tuple[tree.Symbol, ...] = ()

    def answer(self) -> Answer:
        items, joints = [self._item()], list[str]()
        while joint := self._joint():
            if len(items) >= MAX_ITEMS:
                raise Unread("too_large")
            if joint == "," and self.peek() is END and len(items) == 1:  # 50,
                break
            if _BOUND.match(self._rest()):
                self._bound_names()
                break
            joints.append(joint)
            items.append(self._item())
        self.take(".")
        if self.peek() is not END:
            raise Unread("unparsable")
        answer = joined(items, joints)
        if not self.integers:
            return answer
        bound = (tree.Relation(("in",), (name, tree.Constant("Z"))) for name in self.integers)
        return tree.List((*(answer.items if isinstance(answer, tree.List) else (answer,)), *bound))

    def _is_separating(self, token: Token) -> bool:
        return token.kind == "word" and token.text.casefold() in _SEPARATING

    def _joint(self) -> str:
        """What stands between two items: a comma, `and` or `or`; nothing after the last one."""
        comma = "," if self.take(",", ";") else ""
        if not self._is_separating(self.peek()):
            return comma
        self.at += 1
        return self.tokens[self.at - 1].text.casefold()

    def _bound_names(self) -> None:
        """Take what says for which values a formula holds; names of all integers are kept."""
        rest = self.tokens[self.at :]
        words = {token.text.casefold().removesuffix("s") for token in rest}
        integers = "integer" in words or any(token[:2] == ("constant", "Z") for token in rest)
        if integers and not words & _NOT_ALL_INTEGERS:
            names = [token.text for token in rest if token.kind in ("symbol", "word")]
            self.integers = tuple(tree.Symbol(n) for n in names if len(n) == 1 and n != "a")
        self.at = len(self.tokens)

    def _item(self) -> Answer:
        if self.peek().kind == "word":
            start, words = self.at, self._words()
            if words == ["only"]:
                return self._item_of_label()
            if self.take(":", "="):
                if not is_label(words):  # not: 17
                    raise Unread("unparsable")
                item, name = self._item_of_label(), tree.Symbol(" ".join(words))
                return item if isinstance(item, tree.Relation) else named(name, item)
            return self._text(words, start)
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
        of_units = self.next_is("frac") and self.peek(2).kind == "word"
        if of_units or (self.peek().kind == "word" and not self._is_separating(self.peek())):
            if _BOUND.match(self._rest()):
                self._bound_names()
            else:
                words = self._unit()
                scaled = unit and scaled_unit(words)[1] == ""  # $5 million
                unit = f"{words} {unit}" if scaled else words
        quantity = with_unit(item, unit)
        if self.peek().kind == "number" and isinstance(quantity, tree.Quantity):
            return compound(quantity, self._item_of_label())  # 1 hour 30 minutes
        return quantity

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
            word = self.peek().text
            # Co is no CO.
            formula = len(word) == 2 and word[0].isupper() and word.casefold() not in WORDS
            words.append(word if formula else word.casefold())
            self.at += 1
            while self.take(".", "'", "!") or (self.next_is("-") and self.peek(1).kind == "word"):
                self.at += self.next_is("-")
        if not words:
            raise Unread("unparsable")
        return words

    def _text(self, words: list[str], start: int) -> Answer:
        if len(words) == 1 and words[0] in MONTHS and self.peek().kind == "number":
            words.append(self.peek().text)
            self.at += 1
        if len(words) == 1 and len(words[0]) == 1:
            return tree.Symbol(self.tokens[start].text)
        return tree.Text(tuple(words))

    def _rest(self) -> str:
        return " ".join(token.text for token in self.tokens[self.at :]).casefold()

    def _unit(self) -> str:
        r"""The words after a value, as `cm^2`, `m/s` or `stuffed goats`."""
        words = self._pieces()
        unit = unit_name(words)
        if not (is_unit(words) and is_unit(unit)):
            raise Unread("unparsable")
        return unit

    def _pieces(self) -> str:
        pieces: list[str] = []
        while self.peek() is not END and not self._is_separating(self.peek()):
            token = self.peek()
            if token.kind == "op" and token.text == "frac" and self.peek(2).kind != "word":
                break
            if token.kind == "op" and token.text == "frac":
                self.at += 1
                pieces += ["(", self._group(), ")/(", self._group(), ")"]
                continue
            spelling = {"group(": "", ")group": "", ".": "", "deg": "°"}.get(token.text, token.text)
            spelling = {"cdot": "*", "times": "*"}.get(spelling, spelling)
            if token.kind == "op" and token.text not in _IN_UNITS:
                break
            if token.kind == "number" and pieces[-1:] not in (["^"], ["-"]):
                break
            if token.kind not in ("word", "op", "number", "symbol", "constant"):
                raise Unread("unparsable")
            after_word = pieces and token.kind == "word" and token.spaced
            pieces += [" "] if after_word else []
            pieces += [spelling] if spelling else []
            self.at += 1
        if pieces and pieces[-1] in ("*", "/", "^", "-", "°"):
            raise Unread("unparsable")
        return "".join(pieces)

    def _group(self) -> str:
        """One side of a fraction of units."""
        self.expect("group(")
        start, depth = self.at, 1
        while depth:
            if self.peek() is END:
                raise Unread("unparsable")
            depth += self.next_is("group(") - self.next_is(")group")
            self.at += 1
        inside = self.tokens[start : self.at - 1]
        spelled = ("" if token.text in ("group(", ")group") else token.text for token in inside)
        return " ".join(spelled).replace("^ ", "^").replace("- ", "-")
