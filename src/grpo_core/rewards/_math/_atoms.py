"""Numbers and calls from their pieces: mixed and repeating numbers, bases, known functions."""

from fractions import Fraction

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Number, Unread, read_number
from grpo_core.rewards._math._tree import Answer

NOT_VALUES = (
    tree.Tuple, tree.List, tree.Set, tree.SetBuilder, tree.Interval, tree.Combination,
    tree.Relation, tree.Definition, tree.Quantity, tree.Ratio, tree.Choice, tree.Text, tree.Residue,
)  # fmt: skip


def known_call(
    name: str, arguments: tuple[Answer, ...], base: Answer | None, *, inverse: bool
) -> Answer:
    """The call of a function that is known; of `^{-1}`, its inverse."""
    if any(isinstance(argument, NOT_VALUES) for argument in arguments):
        raise Unread("unparsable")
    if name in ("max", "min", "gcd", "lcm") and len(arguments) > 1:
        return tree.Call(name, arguments)
    if name == "cbrt" and len(arguments) == 1:
        return tree.Call("root", (arguments[0], Number(Fraction(3))))
    if name == "cis" and len(arguments) == 1:
        turn = tree.times(tree.Constant("i"), tree.Call("sin", arguments))
        return tree.total(tree.Call("cos", arguments), turn)
    if name == "acot" and len(arguments) == 1:  # between 0 and pi
        right = tree.over(tree.Constant("pi"), Number(Fraction(2)))
        return tree.total(right, tree.negative(tree.Call("atan", arguments)))
    if len(arguments) != 1:
        raise Unread("unparsable")
    if name in ("max", "min", "gcd", "lcm"):  # of an expression over its domain
        raise Unread("unparsable")
    if inverse:
        if name not in ("sin", "cos", "tan"):
            raise Unread("unparsable")
        name = "a" + name
    if name == "exp":
        return tree.Power(tree.Constant("e"), arguments[0])
    if name == "log10":
        name, base = "log", Number(Fraction(10))
    if name == "ln":
        name = "log"
    return tree.Call(name, arguments if base is None else (*arguments, base))


def mixed_number(whole: Answer, top: Number, bottom: Number) -> Answer:
    """A mixed number has a proper fraction of two integers; `2 3/2` might be a product."""
    proper = top.unit is None and bottom.unit is None and bottom.value.denominator == 1
    if not isinstance(whole, Number) or not (proper and 0 < top.value < bottom.value):
        raise Unread("unparsable")
    return Number(whole.value + top.value / bottom.value)


def repeating_decimal(text: str, repeated: str) -> Number:
    r"""The value of `0.1\overline{6}`."""
    if not (repeated.isdigit() and "." in text and "e" not in text.lower()):
        raise Unread("unparsable")
    places = len(text.partition(".")[2])
    tail = read_number(repeated).value / (10 ** len(repeated) - 1) / 10**places
    return Number(read_number(text).value + tail)


def in_base(text: str, base: str) -> Number:
    """The value of digits in a base, as `1011_2`."""
    read_number(text)  # refuses what is too long
    plain = text.isdigit() and base.isdigit() and base.isascii()
    if not (plain and len(base) <= 2 and 2 <= int(base) <= 36):
        raise Unread("unparsable")
    try:
        return Number(Fraction(int(text, int(base))))
    except ValueError:
        raise Unread("unparsable") from None
