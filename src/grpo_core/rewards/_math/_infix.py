"""What stands between two expressions, or after one: the right side of each operator."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
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
from grpo_core.rewards._math._vectors import (
    added,
    divided,
    multiplied,
    negated,
    transposed,
    value_of,
)

LOWEST = 5  # what divides a whole group
RELATIONS = frozenset(("=", "!=", "<", ">", "<=", ">=", "~", "in", "equiv"))


def _add(reader: Expressions, left: Answer, operator: str) -> Answer:
    right = reader.expression(PLUS)
    sets = tree.Combination | tree.SetBuilder | tree.Interval
    if operator == "-" and (isinstance(left, sets) or left == tree.Constant("R")):
        return tree.Combination("setminus", (left, right))
    if operator in ("pm", "mp"):
        right = tree.PlusMinus(value_of(right), 1 if operator == "pm" else -1)
    elif operator == "-":
        right = negated(right)
    return added(left, right)


def _multiply(reader: Expressions, left: Answer, operator: str) -> Answer:
    right = reader.expression(FACTOR)
    if operator == "/":
        # The sign after 85/3 is one of the whole quotient.
        if isinstance(left, Number) and isinstance(right, tree.Degrees):
            return tree.Degrees(divided(left, right.value))
        return divided(left, right)
    if _is_arrow(left) and _is_arrow(right):
        return _product_of_vectors(left, right, operator)
    return multiplied(left, right)


def _is_arrow(node: Answer) -> bool:
    last = node.items[-1] if isinstance(node, tree.Product) else node
    return isinstance(last, tree.Symbol) and last.name.startswith("vec ")


def _product_of_vectors(left: Answer, right: Answer, operator: str) -> Answer:
    r"""`\vec a \times \vec b` keeps its order; `\vec a \cdot \vec b` has none."""
    if operator == "times":
        return tree.Apply("#cross", (left, right))
    return tree.Apply("#dot", tuple(sorted((left, right), key=repr)))


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
    if isinstance(left, tree.Tuple | tree.Matrix) and raised == tree.Symbol("T"):
        return transposed(left)
    return left if raised is None else tree.Power(value_of(left), value_of(raised))


def _relate(reader: Expressions, left: Answer, operator: str) -> Answer:
    operators, items = [operator], [left, reader.expression(RELATION)]
    while reader.peek().text in RELATIONS and reader.peek().kind == "op":
        operators.append(reader.peek().text)
        reader.at += 1
        items.append(reader.expression(RELATION))
    if "equiv" in operators:
        return _congruent(operators, items)
    return tree.Relation(tuple(operators), tuple(items))


def _congruent(operators: list[str], items: list[Answer]) -> Answer:
    """A congruence says in which class the left side is; without a modulus it is an identity."""
    if operators == ["equiv"]:
        return tree.Relation(("in" if isinstance(items[1], tree.Residue) else "=",), tuple(items))
    raise Unread("unparsable")


def _residue(reader: Expressions, left: Answer, _: str) -> Answer:
    return tree.Residue(value_of(left), value_of(reader.expression(COLON)))


def _choose(reader: Expressions, left: Answer, _: str) -> Answer:
    return tree.Call("binom", (value_of(left), value_of(reader.expression(LOWEST))))


def _over(reader: Expressions, left: Answer, _: str) -> Answer:
    return divided(left, value_of(reader.expression(LOWEST)))


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
    | dict.fromkeys(("*", "/", "cdot", "times"), (TIMES, _multiply))
    | {":": (COLON, _ratio), "^": (POWER, _raise), "!": (POWER, _factorial)}
    | {"%": (POWER, _percent), "deg": (POWER, _degrees), "mod": (COLON, _residue)}
    | {"choose": (LOWEST, _choose), "over": (LOWEST, _over)}
)
