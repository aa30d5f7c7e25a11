"""What begins with a number, a name or a function: `1011_2`, `f(x)`, `\\log_2 8`."""

from typing import TYPE_CHECKING

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._atoms import in_base, known_call, repeating_decimal
from grpo_core.rewards._math._numbers import Unread, read_number
from grpo_core.rewards._math._tree import Answer

if TYPE_CHECKING:
    from grpo_core.rewards._math._expressions import Expressions

POWER, TIGHT = 60, 46  # how tight a power binds, and a factor of `\sin 2x`
_APPLIED = frozenset("fghFGH")
_SPECIAL = frozenset(("Gamma", "zeta", "erf"))


def number(reader: "Expressions", text: str) -> Answer:
    """A number, and the repeating digits or the base after it."""
    if reader.take("overline"):
        reader.expect("group(")
        repeated = reader.peek().text
        reader.at += 1
        reader.expect(")group")
        return repeating_decimal(text, repeated)
    if reader.take("_"):
        grouped = reader.take("group(")
        base = reader.peek().text
        reader.at += 1
        if grouped:
            reader.expect(")group")
        return in_base(text, base)
    return read_number(text)


def symbol(reader: "Expressions", name: str) -> Answer:
    """A name, or what it gives for the arguments after it."""
    if not reader.next_is("("):
        return tree.Symbol(name)
    # I(0) is the value of I at 0 and no product, which would be 0 whatever stands beside it.
    at_zero = [reader.peek(n).text for n in (1, 2)] == ["0", ")"]
    pair = len(name) == 1 and name.isupper() and _has_comma(reader)
    named = name[0].isupper() or "_" in name
    one_name = named and reader.peek(1).kind == "symbol" and reader.peek(2).text == ")"
    if (
        at_zero or pair or one_name or name.rstrip("'")[:1] in _APPLIED or name in _SPECIAL
    ) and reader.take("("):
        return tree.Apply(name, reader.items(")")[0])
    return tree.Symbol(name)


def call(reader: "Expressions", name: str) -> Answer:
    """A function with its base, its power and its argument."""
    base = None
    if reader.take("_"):
        if name not in ("log", "max", "min"):
            raise Unread("unparsable")
        base = reader.group(")group") if reader.take("group(") else reader.prefix(POWER)
    raised = reader.exponent() if reader.take("^") else None
    if reader.take("("):
        arguments = reader.items(")")[0]
    elif name in ("max", "min", "gcd", "lcm") and reader.take("{"):
        arguments = reader.items("}")[0]
    elif reader.take("group("):
        arguments = reader.items(")group")[0]
    else:
        arguments = (reader.expression(TIGHT - 1),)
    found = known_call(name, arguments, base, inverse=raised == tree.MINUS_ONE)
    return found if raised is None or raised == tree.MINUS_ONE else tree.Power(found, raised)


def _has_comma(reader: "Expressions") -> bool:
    """Whether a comma stands in the brackets that come next, and in none within them."""
    depth = 0
    for place in range(reader.at, len(reader.tokens)):
        text = reader.tokens[place].text
        if text in ("(", "{", "[", "group("):
            depth += 1
        elif text in (")", "}", "]", ")group"):
            depth -= 1
            if depth == 0:
                return False
        elif text == "," and depth == 1:
            return True
    return False
