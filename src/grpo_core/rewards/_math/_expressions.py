r"""The reader of expressions by binding power, after Pratt (1973): tokens in, a typed tree out.

Depth is counted and refused above a bound, so the interpreter's own limit is never met.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from time import monotonic

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import mixed_number
from grpo_core.rewards._math._numbers import Number, Unread, read_number
from grpo_core.rewards._math._operands import call, number, symbol
from grpo_core.rewards._math._tokens import END, Token
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._vectors import multiplied

MAX_DEPTH = 110
MAX_ITEMS = 400

RELATION, COLON, JOIN, PLUS, MINUS, TIMES, TIGHT, FACTOR, POWER = 10, 15, 20, 30, 35, 40, 46, 50, 60
# Of what may stand side by side as factors, these belong to the argument of `\sin 2x`, too.
_TIGHT_KINDS = frozenset(("number", "symbol", "constant"))
_TIGHT_OPS = frozenset(("frac", "sqrt", "binom"))
_OPENINGS = frozenset((
    "(", "group(", "abs(", "floor(", "ceil(", "[", "|", "begin", "<(", "sum", "prod", "int", "lim",
))  # fmt: skip
_I = tree.Constant("i")
_ORDINALS = frozenset(("th", "st", "nd", "rd"))


class Expressions:
    """The reader of one text; `at` is the token that comes next."""

    def __init__(
        self,
        tokens: list[Token],
        deadline: float,
        infix: "Mapping[str, tuple[int, Callable[[Expressions, Answer, str], Answer]]]",
        prefixes: "Mapping[str, Callable[[Expressions, str, int], Answer]]",
    ) -> None:
        self.tokens = tokens
        self.infix = infix
        self.prefixes = prefixes
        self.at = 0
        self.depth = 0
        self.bound = 0  # sums, integrals and limits around
        self.bars = 0  # open `|`
        self.in_set = False  # where `|` divides
        self.balance: int | None = None  # of square brackets, once asked
        self.turned = False  # after `]`, where `[` closes
        self.deadline = deadline

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def next_is(self, *operators: str) -> bool:
        token = self.peek()
        return token.kind == "op" and token.text in operators and token is not END

    def has_turned(self) -> bool:
        """Whether the text has `[` that close, as `[0, 1[` has."""
        if self.balance is None:
            texts = [token.text for token in self.tokens]
            self.balance = texts.count("[") - texts.count("]")
        return self.balance > 0

    def take(self, *operators: str) -> bool:
        if self.next_is(*operators):
            self.at += 1
            return True
        return False

    def expect(self, *operators: str) -> str:
        text = self.peek().text
        if not self.take(*operators):
            raise Unread("unparsable")
        return text

    def expression(self, power: int = 0) -> Answer:
        """What binds tighter than `power`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unread("too_large")
        if monotonic() >= self.deadline:
            raise Unread("timeout")
        left = self.prefix(power)
        while True:
            token = self.peek()
            if token.kind == "op" and token.text in self.infix:
                binding, action = self.infix[token.text]
                if binding <= power:
                    break
                self.at += 1
                left = action(self, left, token.text)
            elif (binding := self._side_by_side()) > power:
                left = self._factor(left)
            else:
                break
        self.depth -= 1
        return left

    def _side_by_side(self) -> int:
        """How tight the next token stands beside a factor, or 0 if it is none."""
        token = self.peek()
        if token.kind in _TIGHT_KINDS:
            return TIGHT
        if token.kind == "function":
            return TIMES
        if token is END or token.kind != "op":
            return 0
        if token.text == "|":
            return 0 if self.bars or self.in_set else TIMES
        if token.text == "[" and self.turned:
            return 0
        if token.text in _TIGHT_OPS:
            # A fraction of units is none of values.
            of_units = token.text == "frac" and self.peek(2).kind == "word"
            return 0 if of_units and self.peek(1).text == "group(" else TIGHT
        return TIMES if token.text in _OPENINGS else 0

    def _factor(self, left: Answer) -> Answer:
        """`left` times what stands beside it, or the mixed number that both are."""
        before, token = self.tokens[self.at - 1], self.peek()
        if token.kind == "number" and _is_power(left) and token.spaced:
            self.at += 1
            return tree.times(left, self._raised(number(self, token.text)))
        if token.kind == "number" and left == _I and not token.spaced:  # 3 + i2
            self.at += 1
            return tree.times(left, self._raised(number(self, token.text)))
        if token.kind == "number":
            # Two numbers side by side are a mixed number or a slip.
            if before.text == "!":
                return tree.times(left, self.expression(FACTOR))
            if not (before.kind == "number" and token.spaced and before.text.isdigit()):
                raise Unread("unparsable")
            self.at += 1
            over = self.take("/") and self.peek()
            if not over or over.kind != "number":
                raise Unread("unparsable")
            self.at += 1
            return mixed_number(left, read_number(token.text), read_number(over.text))
        is_fraction = token.text == "frac" and token.kind == "op"
        right = self.expression(FACTOR)
        if is_fraction and before.kind == "number" and isinstance(right, Number):
            if not before.text.isdigit():
                raise Unread("unparsable")
            whole = right.value.numerator, right.value.denominator
            return mixed_number(left, Number(Fraction(whole[0])), Number(Fraction(whole[1])))
        return multiplied(left, right)

    def _raised(self, node: Answer) -> Answer:
        return self.infix["^"][1](self, node, "^") if self.take("^") else node

    def prefix(self, power: int) -> Answer:
        token = self.peek()
        if token is END:
            raise Unread("unparsable")
        self.at += 1
        if token.kind == "number":
            return number(self, token.text)
        if token.kind == "symbol":
            return symbol(self, token.text)
        if token.kind == "constant":
            return tree.Set(()) if token.text == "empty" else tree.Constant(token.text)
        if token.kind == "function":
            return call(self, token.text)
        action = self.prefixes.get(token.text) if token.kind == "op" else None
        if action is None:
            raise Unread("unparsable")
        return action(self, token.text, power)

    def argument(self) -> Answer:
        r"""What `\frac` and `\binom` take: a group, or one token, or one digit of a number."""
        token = self.peek()
        if token.kind == "number" and len(token.text) > 1:
            digits = token.text.removesuffix(".")  # or the full stop of a sentence
            if not digits.isdigit():
                raise Unread("unparsable")
            self.tokens[self.at] = Token("number", digits[1:], False)
            self.at += len(digits) == 1
            return read_number(digits[0])
        if self.take("group("):
            return self.group(")group")
        if self.next_is("+", "-", "pm", "mp"):
            raise Unread("unparsable")
        return self.prefix(POWER)

    def group(self, closing: str) -> Answer:
        """One expression, and the bracket that closes it."""
        bars, self.bars, in_set, self.in_set = self.bars, 0, self.in_set, False
        inside = self.expression()
        self.expect(closing)
        self.bars, self.in_set = bars, in_set
        return inside

    def items(self, *closings: str) -> tuple[tuple[Answer, ...], str]:
        """Expressions between commas, and the bracket that closes them."""
        bars, self.bars, in_set, self.in_set = self.bars, 0, self.in_set, False
        found = [self.expression()]
        while self.take(",", ";"):
            if len(found) >= MAX_ITEMS:
                raise Unread("too_large")
            found.append(self.expression())
        closing = self.expect(*closings)
        self.bars, self.in_set = bars, in_set
        return tuple(found), closing

    def exponent(self) -> Answer | None:
        """What stands after `^`; None for the ending of `12^{th}`."""
        word = self.peek(1 if self.next_is("group(") else 0)
        if word.kind == "word" and word.text in _ORDINALS:
            grouped = self.take("group(")
            self.at += 1
            if grouped:
                self.expect(")group")
            return None
        if self.take("group("):
            return self.group(")group")
        return self.expression(POWER - 1)


def _is_power(node: Answer) -> bool:
    last = node.items[-1] if isinstance(node, tree.Product) else node
    return isinstance(last, tree.Power)
