r"""The reader of expressions by binding power, after Pratt (1973): tokens in, a typed tree out.

Depth is counted and refused above a bound, so the interpreter's own limit is never met.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from time import monotonic

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import (
    NOT_VALUES,
    in_base,
    known_call,
    mixed_number,
    repeating_decimal,
)
from grpo_core.rewards._math._numbers import Number, Unread, read_number
from grpo_core.rewards._math._tokens import END, Token
from grpo_core.rewards._math._tree import Answer

MAX_DEPTH = 110
MAX_ITEMS = 400

RELATION, COLON, JOIN, PLUS, MINUS, TIMES, TIGHT, FACTOR, POWER = 10, 15, 20, 30, 35, 40, 46, 50, 60
# Of what may stand side by side as factors, these belong to the argument of `\sin 2x`, too.
_TIGHT_KINDS = frozenset(("number", "symbol", "constant"))
_TIGHT_OPS = frozenset(("frac", "sqrt", "binom"))
_OPENINGS = frozenset(("(", "group(", "abs(", "floor(", "ceil(", "[", "|"))
_ORDINALS = frozenset(("th", "st", "nd", "rd"))
_APPLIED = frozenset("fghFGH")


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
        self.bars = 0  # open `|`
        self.in_set = False  # where `|` divides
        self.turned = False  # after `]`, where `[` closes
        self.deadline = deadline

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def next_is(self, *operators: str) -> bool:
        token = self.peek()
        return token.kind == "op" and token.text in operators and token is not END

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
            return TIGHT
        return TIMES if token.text in _OPENINGS else 0

    def _factor(self, left: Answer) -> Answer:
        """`left` times what stands beside it, or the mixed number that both are."""
        before, token = self.tokens[self.at - 1], self.peek()
        if token.kind == "number" and _is_power(left) and token.spaced:
            self.at += 1
            return tree.times(left, self._raised(self._number(token.text)))
        if token.kind == "number":
            # Two numbers side by side are a mixed number or a slip.
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
        if isinstance(right, NOT_VALUES) or isinstance(left, NOT_VALUES):
            raise Unread("unparsable")
        if is_fraction and before.kind == "number" and isinstance(right, Number):
            if not before.text.isdigit():
                raise Unread("unparsable")
            whole = right.value.numerator, right.value.denominator
            return mixed_number(left, Number(Fraction(whole[0])), Number(Fraction(whole[1])))
        return tree.times(left, right)

    def _raised(self, node: Answer) -> Answer:
        return self.infix["^"][1](self, node, "^") if self.take("^") else node

    def prefix(self, power: int) -> Answer:
        token = self.peek()
        if token is END:
            raise Unread("unparsable")
        self.at += 1
        if token.kind == "number":
            return self._number(token.text)
        if token.kind == "symbol":
            return self._symbol(token.text)
        if token.kind == "constant":
            return tree.Set(()) if token.text == "empty" else tree.Constant(token.text)
        if token.kind == "function":
            return self._call(token.text)
        action = self.prefixes.get(token.text) if token.kind == "op" else None
        if action is None:
            raise Unread("unparsable")
        return action(self, token.text, power)

    def argument(self) -> Answer:
        r"""What `\frac` and `\binom` take: a group, or one token, or one digit of a number."""
        token = self.peek()
        if token.kind == "number" and len(token.text) > 1:
            if not token.text.isdigit():
                raise Unread("unparsable")
            self.tokens[self.at] = Token("number", token.text[1:], False)
            return read_number(token.text[0])
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

    def _number(self, text: str) -> Answer:
        if self.take("overline"):
            self.expect("group(")
            repeated = self.peek().text
            self.at += 1
            self.expect(")group")
            return repeating_decimal(text, repeated)
        if self.take("_"):
            grouped = self.take("group(")
            base = self.peek().text
            self.at += 1
            if grouped:
                self.expect(")group")
            return in_base(text, base)
        return read_number(text)

    def _symbol(self, name: str) -> Answer:
        # I(0) is the value of I at 0 and no product, which would be 0 whatever stands beside it.
        at_zero = self.next_is("(") and [self.peek(n).text for n in (1, 2)] == ["0", ")"]
        if (at_zero or name.rstrip("'")[:1] in _APPLIED) and self.take("("):
            return tree.Apply(name, self.items(")")[0])
        return tree.Symbol(name)

    def _call(self, name: str) -> Answer:
        base = None
        if self.take("_"):
            if name not in ("log", "max", "min"):
                raise Unread("unparsable")
            base = self.group(")group") if self.take("group(") else self.prefix(POWER)
        raised = self.exponent() if self.take("^") else None
        if self.take("("):
            arguments = self.items(")")[0]
        elif self.take("group("):
            arguments = self.items(")group")[0]
        else:
            arguments = (self.expression(TIGHT - 1),)
        call = known_call(name, arguments, base, inverse=raised == tree.MINUS_ONE)
        return call if raised is None or raised == tree.MINUS_ONE else tree.Power(call, raised)


def _is_power(node: Answer) -> bool:
    last = node.items[-1] if isinstance(node, tree.Product) else node
    return isinstance(last, tree.Power)
