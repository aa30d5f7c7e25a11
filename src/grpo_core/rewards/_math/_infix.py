"""What stands between two expressions, or after one: the right side of each operator."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import value_of
from grpo_core.rewards._math._expressions import (
    COLON,
    FACTOR,
    JOIN,
    PLUS,
    POWER,
    RELATION,
    TIMES,
    Expressions,
)
from grpo_core.rewards._math._numbers import Number, Unread
from grpo_core.rewards._math._tree import Answer

RELATIONS = frozenset(("=", "!=", "<", ">", "<=", ">=", "~", "in"))


def _add(reader: Expressions, left: Answer, operator: str) -> Answer:
    right = reader.expression(PLUS)
    sets = tree.Combination | tree.SetBuilder | tree.Interval
    if operator == "-" and (isinstance(left, sets) or left == tree.Constant("R")):
        return tree.Combination("setminus", (left, right))
    if operator in ("pm", "mp"):
        right = tree.PlusMinus(value_of(right), 1 if operator == "pm" else -1)
    elif operator == "-":
        right = tree.negative(value_of(right))
    return tree.total(value_of(left), value_of(right))


def _multiply(reader: Expressions, left: Answer, operator: str) -> Answer:
    right = value_of(reader.expression(FACTOR))
    return (
        tree.times(value_of(left), right) if operator == "*" else tree.over(value_of(left), right)
    )


def _raise(reader: Expressions, left: Answer, _: str) -> Answer:
    if reader.next_is("deg") or (reader.next_is("group(") and reader.peek(1).text == "deg"):
        grouped = reader.take("group(")
        reader.take("deg")
        if grouped:
            reader.expect(")group")
        return _degrees(reader, left, "deg")
    raised = reader.exponent()
    if reader.next_is("^"):  # a^{b}^{c} is an error in LaTeX, too
        raise Unread("unparsable")
    return left if raised is None else tree.Power(value_of(left), value_of(raised))


def _relate(reader: Expressions, left: Answer, operator: str) -> Answer:
    operators, items = [operator], [left, reader.expression(RELATION)]
    while reader.peek().text in RELATIONS and reader.peek().kind == "op":
        operators.append(reader.peek().text)
        reader.at += 1
        items.append(reader.expression(RELATION))
    return tree.Relation(tuple(operators), tuple(items))


def _join(reader: Expressions, left: Answer, operator: str) -> Answer:
    right = reader.expression(JOIN)
    head = (left,)
    if isinstance(left, tree.Combination) and left.operator == operator:
        head = left.items
    return tree.Combination(operator, (*head, right))


def _ratio(reader: Expressions, left: Answer, _: str) -> Answer:
    last = reader.peek()
    right = reader.expression(COLON)
    is_time = last.kind == "number" and last.text.isdigit() and len(last.text) == 2
    if isinstance(left, tree.Ratio):
        return tree.Ratio((*left.items, right), left.is_time and is_time)
    is_time = is_time and isinstance(left, Number) and left.value.denominator == 1
    return tree.Ratio((value_of(left), value_of(right)), is_time)


def _once(reader: Expressions) -> None:
    """Refuse a second sign after a value: n!! is no factorial twice."""
    if reader.next_is("!", "%", "deg"):
        raise Unread("unparsable")


def _factorial(reader: Expressions, left: Answer, _: str) -> Answer:
    _once(reader)
    return tree.Call("factorial", (value_of(left),))


def _percent(reader: Expressions, left: Answer, _: str) -> Answer:
    _once(reader)
    if not isinstance(left, Number):
        return tree.times(value_of(left), Number(Fraction(1, 100)))
    return Number(left.value / 100, left.unit and left.unit / 100, left.digits)


def _degrees(reader: Expressions, left: Answer, _: str) -> Answer:
    _once(reader)
    if reader.next_is("^"):
        raise Unread("unparsable")
    return tree.Degrees(value_of(left))


INFIX: Mapping[str, tuple[int, Callable[[Expressions, Answer, str], Answer]]] = (
    dict.fromkeys(RELATIONS, (RELATION, _relate))
    | dict.fromkeys(("cup", "cap", "setminus"), (JOIN, _join))
    | dict.fromkeys(("+", "-", "pm", "mp"), (PLUS, _add))
    | dict.fromkeys(("*", "/"), (TIMES, _multiply))
    | {":": (COLON, _ratio), "^": (POWER, _raise), "!": (POWER, _factorial)}
    | {"%": (POWER, _percent), "deg": (POWER, _degrees)}
)
