"""What begins an expression: signs, brackets, and the commands that take arguments."""

from collections.abc import Callable

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import value_of
from grpo_core.rewards._math._expressions import COLON, MAX_ITEMS, MINUS, POWER, Expressions
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tokens import END
from grpo_core.rewards._math._tree import Answer

_CONDITIONS = (tree.Relation, tree.Text)


def _signed(reader: Expressions, operator: str, power: int) -> Answer:
    item = value_of(reader.expression(max(MINUS, power)))
    if operator in ("pm", "mp"):
        return tree.PlusMinus(item, 1 if operator == "pm" else -1)
    return tree.negative(item) if operator == "-" else item


def _fraction(reader: Expressions, _: str, __: int) -> Answer:
    top = value_of(reader.argument())
    bottom = value_of(reader.argument())
    return _derivative(top, bottom) or tree.over(top, bottom)


def _derivative(top: Answer, bottom: Answer) -> Answer | None:
    r"""The symbol that `\frac{dy}{dx}` is."""
    names: list[str] = []
    if top == tree.Symbol("d") and isinstance(bottom, tree.Product) and bottom.items[0] == top:
        raise Unread("unparsable")  # an operator, not a quotient
    for side in (top, bottom):
        if not isinstance(side, tree.Product) or len(side.items) != 2:
            return None
        d, name = side.items
        if d != tree.Symbol("d") or not isinstance(name, tree.Symbol):
            return None
        names.append(name.name)
    return tree.Symbol(f"d{names[0]}/d{names[1]}")


def _binomial(reader: Expressions, _: str, __: int) -> Answer:
    items = reader.items(")")[0] if reader.take("(") else (reader.argument(), reader.argument())
    if len(items) != 2:
        raise Unread("unparsable")
    return tree.Call("binom", (value_of(items[0]), value_of(items[1])))


def _root(reader: Expressions, _: str, __: int) -> Answer:
    degree = reader.group("]") if reader.take("[") else None
    if reader.take("group("):
        inside = reader.group(")group")
    elif reader.take("("):
        inside = reader.group(")")
    else:
        inside = reader.prefix(POWER)
    if degree is None:
        return tree.Power(value_of(inside), tree.HALF)
    return tree.Call("root", (value_of(inside), value_of(degree)))


def _enclosed(reader: Expressions, operator: str, _: int) -> Answer:
    name = {"abs(": "abs", "floor(": "floor", "ceil(": "ceil"}[operator]
    return tree.Call(name, (value_of(reader.group(")" + name)),))


def _bar(reader: Expressions, _: str, __: int) -> Answer:
    reader.bars += 1
    inside = reader.expression()
    reader.expect("|")
    reader.bars -= 1
    return tree.Call("abs", (value_of(inside),))


def _braces(reader: Expressions, _: str, __: int) -> Answer:
    items = reader.items(")group")[0]
    return items[0] if len(items) == 1 else tree.List(items)


def _angles(reader: Expressions, _: str, __: int) -> Answer:
    return tree.Tuple(reader.items(")>")[0])


def _bracket(reader: Expressions, opening: str, _: int) -> Answer:
    turned, reader.turned = reader.turned, opening == "]"
    items, closing = reader.items(*((")", "]") if opening != "]" else ("[", "]", ")")))
    reader.turned = turned
    if opening == "(" and closing == ")":
        return items[0] if len(items) == 1 else tree.Tuple(items)
    if len(items) == 2:
        return tree.Interval(items[0], items[1], opening == "[", closing == "]")
    if opening + closing != "[]":
        raise Unread("unparsable")
    return items[0] if len(items) == 1 else tree.Tuple(items)


def _set(reader: Expressions, _: str, __: int) -> Answer:
    if reader.take("}"):
        return tree.Set(())
    bars, reader.bars, in_set, reader.in_set = reader.bars, 0, reader.in_set, True
    first = reader.expression(COLON)
    reader.in_set = in_set
    if reader.take("|", ":"):
        condition, reader.bars = reader.items("}")[0], bars
        return tree.SetBuilder(first, condition[0] if len(condition) == 1 else tree.List(condition))
    items = [first]
    while reader.take(",", ";"):
        if len(items) >= MAX_ITEMS:
            raise Unread("too_large")
        items.append(reader.expression())
    reader.expect("}")
    reader.bars = bars
    return tree.Set(tuple(items))


def _environment(reader: Expressions, _: str, __: int) -> Answer:
    reader.expect("group(")
    name = reader.peek().text
    reader.at += 1
    reader.expect(")group")
    if name == "array":
        while not reader.take(")group"):
            if reader.peek() is END:
                raise Unread("unparsable")
            reader.at += 1
    elif name != "cases" and not name.endswith("matrix"):
        raise Unread("unparsable")
    rows: list[tuple[Answer, ...]] = []
    while not reader.take("end"):
        row = [reader.expression()]
        reader.take(",")
        while reader.take("&"):
            row.append(_condition(reader) if name == "cases" else reader.expression())
        rows.append(tuple(row))
        if not reader.take("row") and not reader.next_is("end"):
            raise Unread("unparsable")
    for closing in ("group(", name, ")group"):
        if reader.peek().text != closing:
            raise Unread("unparsable")
        reader.at += 1
    if not rows or len({len(row) for row in rows}) != 1:
        raise Unread("unparsable")
    if name == "cases":
        if len(rows[0]) != 2 or not all(
            isinstance(condition, _CONDITIONS) for _, condition in rows
        ):
            raise Unread("unparsable")
        return tree.Call("cases", tuple(item for row in rows for item in row))
    return tree.Matrix(tuple(rows))


def _condition(reader: Expressions) -> Answer:
    """When a case holds; `otherwise` always does."""
    words: list[str] = []
    while reader.peek().kind == "word":
        words.append(reader.peek().text.casefold())
        reader.at += 1
    if words in (["otherwise"], ["else"]):
        return tree.Text(("otherwise",))
    if words not in ([], ["if"], ["for"], ["when"]):
        raise Unread("unparsable")
    condition = reader.expression()
    reader.take(",", ".", ";")
    return condition


def _style(reader: Expressions, _: str, __: int) -> Answer:
    return reader.argument()


def _dots(reader: Expressions, _: str, __: int) -> Answer:
    # Dots stand for what is left out only between what is not: `1, 2, \ldots, n`.
    if reader.at < 2 or reader.peek().text not in (",", "+", "*") or reader.peek() is END:
        raise Unread("unparsable")
    return tree.Symbol("...")


PREFIXES: dict[str, Callable[[Expressions, str, int], Answer]] = (
    dict.fromkeys(("+", "-", "pm", "mp"), _signed)
    | dict.fromkeys(("abs(", "floor(", "ceil("), _enclosed)
    | dict.fromkeys(("(", "[", "]"), _bracket)
    | {"frac": _fraction, "binom": _binomial, "sqrt": _root, "|": _bar, "{": _set}
    | {"group(": _braces, "<(": _angles, "begin": _environment, "...": _dots, "overline": _style}
)
