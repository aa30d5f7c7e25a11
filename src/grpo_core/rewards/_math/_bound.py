r"""Sums, products, integrals and limits, each with the variable that it binds."""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._expressions import JOIN, PLUS, POWER, Expressions
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tokens import END, Token
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._vectors import value_of
from grpo_core.rewards._math._walk import replaced

_OPENING = frozenset(("(", "{", "[", "group(", "abs(", "floor(", "ceil(", "<("))
_CLOSING = frozenset((")", "}", "]", ")group", ")abs", ")floor", ")ceil", ")>"))
MAX_NESTED = 6  # within one another
_END_OF_BODY = Token("op", "differential", False)


def summed(reader: Expressions, operator: str, _: int) -> Answer:
    r"""`\sum_{k=1}^{n} a_k`, and `\prod`."""
    high = _raised(reader)
    reader.expect("_")
    reader.expect("group(")
    start = reader.group(")group")
    high = high or _raised(reader)
    equation = isinstance(start, tree.Relation) and start.operators == ("=",)
    if high is None or not isinstance(start, tree.Relation) or not equation:
        raise Unread("unparsable")
    name, low = start.items
    if not isinstance(name, tree.Symbol | tree.Constant):  # i is an index here
        raise Unread("unparsable")
    name, body = _as_symbol(name, _body(reader, PLUS))
    return tree.Bound(operator, name, value_of(low), value_of(high), body)


def limit(reader: Expressions, _: str, __: int) -> Answer:
    r"""`\lim_{x \to 0^+} f(x)`."""
    reader.expect("_")
    reader.expect("group(")
    name = reader.prefix(POWER)
    reader.expect("to")
    side = _side(reader)
    point = value_of(reader.group(")group"))
    if not isinstance(name, tree.Symbol):
        raise Unread("unparsable")
    return tree.Bound("lim", name, point, side, _body(reader, PLUS))


def integral(reader: Expressions, _: str, __: int) -> Answer:
    r"""`\int_a^b f(x)\,dx`, where `dx` may stand in a numerator."""
    high = _raised(reader)
    low = reader.argument() if reader.take("_") else None
    high = high or _raised(reader)
    if (low is None) != (high is None):
        raise Unread("unparsable")
    place, outside = _differential(reader)
    name = reader.tokens[place + 1].text
    if outside:
        reader.tokens[place : place + 2] = [_END_OF_BODY]
        empty = reader.next_is("differential")
        body = tree.ONE if empty else _body(reader, JOIN)
        reader.expect("differential")
    else:
        alone = reader.tokens[place - 1].text == "group(" and _at(reader, place + 2) == ")group"
        reader.tokens[place : place + 2] = [Token("number", "1", False)] if alone else []
        body = _body(reader, PLUS)
    return tree.Bound("int", tree.Symbol(name), low, high, body)


def _body(reader: Expressions, power: int) -> Answer:
    reader.bound += 1
    if reader.bound > MAX_NESTED:
        raise Unread("too_large")
    body = value_of(reader.expression(power))
    reader.bound -= 1
    return body


def _differential(reader: Expressions) -> tuple[int, bool]:
    """Where the `dx` of this integral stands, and whether it is outside of all brackets."""
    depth, integrals, inside = 0, 1, -1
    for place in range(reader.at, len(reader.tokens)):
        token = reader.tokens[place]
        if token.kind == "op" and token.text in _OPENING:
            depth += 1
        elif token.kind == "op" and token.text in _CLOSING:
            depth -= 1
            if depth < 0:
                break
        elif token.text == "int" and token.kind == "op":
            integrals += 1
        elif _is_differential(reader, place):
            if depth == 0:
                integrals -= 1
                if integrals == 0:
                    return place, True
            elif inside < 0 and integrals == 1:
                inside = place
    if inside < 0:
        raise Unread("unparsable")
    return inside, False


def _is_differential(reader: Expressions, place: int) -> bool:
    following = reader.tokens[place + 1] if place + 1 < len(reader.tokens) else END
    return reader.tokens[place][:2] == ("symbol", "d") and following.kind == "symbol"


def _side(reader: Expressions) -> str | None:
    """The `+` of `0^+`, taken out of the tokens."""
    closing = reader.at
    while closing < len(reader.tokens) and reader.tokens[closing].text != ")group":
        closing += 1
    braced = _at(reader, closing + 1) == ")group" and _at(reader, closing - 2) == "group("
    start = closing - (3 if braced else 2)
    sign = _at(reader, closing - 1)
    if _at(reader, start) != "^" or sign not in ("+", "-"):
        return None
    del reader.tokens[start : closing + braced]
    return sign


def _at(reader: Expressions, place: int) -> str:
    return reader.tokens[place].text if 0 <= place < len(reader.tokens) else ""


def _raised(reader: Expressions) -> Answer | None:
    return reader.argument() if reader.take("^") else None


def _as_symbol(name: tree.Symbol | tree.Constant, body: Answer) -> tuple[tree.Symbol, Answer]:
    if isinstance(name, tree.Symbol):
        return name, body
    if name.name not in ("i", "e"):
        raise Unread("unparsable")
    index = tree.Symbol(name.name)
    return index, replaced(body, lambda node: index if node == name else None)
