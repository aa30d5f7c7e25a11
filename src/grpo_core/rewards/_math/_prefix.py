"""What begins an expression: signs, brackets, and the commands that take arguments."""

from collections.abc import Callable

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._bound import integral, limit, summed
from grpo_core.rewards._math._environments import environment
from grpo_core.rewards._math._expressions import COLON, MAX_ITEMS, MINUS, POWER, Expressions
from grpo_core.rewards._math._joined import each_matters, joined
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._regions import is_region
from grpo_core.rewards._math._tokens import END
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._vectors import divided, negated, value_of

_DIFFERENTIALS = (tree.Symbol("d"), tree.Symbol("partial"))


def _signed(reader: Expressions, operator: str, power: int) -> Answer:
    item = reader.expression(max(MINUS, power))
    if operator in ("pm", "mp"):
        return tree.PlusMinus(value_of(item), 1 if operator == "pm" else -1)
    return negated(item) if operator == "-" else value_of(item)


def _fraction(reader: Expressions, _: str, __: int) -> Answer:
    top = reader.argument()
    bottom = value_of(reader.argument())
    return _derivative(top, bottom) or divided(top, bottom)


def _derivative(top: Answer, bottom: Answer) -> Answer | None:
    r"""The symbol that `\frac{dy}{dx}` is."""
    names: list[str] = []
    if top in _DIFFERENTIALS and isinstance(bottom, tree.Product) and bottom.items[0] == top:
        raise Unread("unparsable")  # an operator, not a quotient
    for side in (top, bottom):
        if not isinstance(side, tree.Product) or len(side.items) != 2:
            return None
        d, name = side.items
        if d not in _DIFFERENTIALS or not isinstance(name, tree.Symbol):
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
    inside = reader.group(")" + name)
    return _size(inside) if name == "abs" else tree.Call(name, (value_of(inside),))


def _bar(reader: Expressions, _: str, __: int) -> Answer:
    reader.bars += 1
    inside = reader.expression()
    reader.expect("|")
    reader.bars -= 1
    return _size(inside)


def _size(inside: Answer) -> Answer:
    """The absolute value of a value; of a set, a number of which the name is all that is known."""
    if isinstance(inside, tree.Combination):
        return tree.Apply("#size", (inside,))
    return tree.Call("abs", (value_of(inside),))


def _braces(reader: Expressions, _: str, __: int) -> Answer:
    items = reader.items(")group")[0]
    return items[0] if len(items) == 1 else tree.List(items)


def _angles(reader: Expressions, _: str, __: int) -> Answer:
    return tree.Tuple(reader.items(")>")[0])


def _bracket(reader: Expressions, opening: str, _: int) -> Answer:
    turned = reader.turned
    reader.turned = opening == "]" or (opening == "[" and reader.has_turned())
    items, closing = reader.items(*((")", "]", "[") if reader.turned else (")", "]")))
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
    domain = reader.expression(COLON) if reader.take("in") else tree.Constant("R")
    reader.in_set = in_set
    if reader.take("|", ":"):
        condition, reader.bars = _condition(reader), bars
        if domain != tree.Constant("R"):
            within = tree.Relation(("in",), (first, domain))
            rest = condition.items if isinstance(condition, tree.List) else (condition,)
            if not isinstance(domain, tree.Constant) and not each_matters([*rest, within], {"and"}):
                raise Unread("unparsable")
            condition = tree.List((*rest, within))
        return tree.SetBuilder(first, condition)
    if domain != tree.Constant("R"):
        raise Unread("unparsable")
    items = [first]
    while reader.take(",", ";"):
        if len(items) >= MAX_ITEMS:
            raise Unread("too_large")
        items.append(reader.expression())
    reader.expect("}")
    reader.bars = bars
    return tree.Set(tuple(items))


def _overline(reader: Expressions, _: str, __: int) -> Answer:
    """A conjugate or complement: a value of its own."""
    return tree.Apply("#bar", (reader.argument(),))


def _condition(reader: Expressions) -> Answer:
    """The conditions of a set, and the brace that closes it."""
    items, joints = [reader.expression()], list[str]()
    while not reader.take("}"):
        word = reader.peek()
        if word.kind == "word" and word.text in ("and", "or"):
            reader.at += 1
            joints.append(word.text)
        else:
            reader.expect(",", ";")
            joints.append("and")
        if len(items) >= MAX_ITEMS:
            raise Unread("too_large")
        items.append(reader.expression())
    if set(joints) == {"and"} and not all(map(is_region, items)):
        return tree.List(tuple(items))
    return joined(items, joints)


def _dots(reader: Expressions, _: str, __: int) -> Answer:
    # Dots stand for what is left out only between what is not: `1, 2, \ldots, n`.
    if (
        reader.at < 2
        or reader.peek().text not in (",", "+", "*", "cdot", "times")
        or reader.peek() is END
    ):
        raise Unread("unparsable")
    return tree.Symbol("...")


PREFIXES: dict[str, Callable[[Expressions, str, int], Answer]] = (
    dict.fromkeys(("+", "-", "pm", "mp"), _signed)
    | dict.fromkeys(("abs(", "floor(", "ceil("), _enclosed)
    | dict.fromkeys(("(", "[", "]"), _bracket)
    | {"frac": _fraction, "binom": _binomial, "sqrt": _root, "|": _bar, "{": _set}
    | {"group(": _braces, "<(": _angles, "begin": environment, "...": _dots, "overline": _overline}
    | {"sum": summed, "prod": summed, "int": integral, "lim": limit}
)
