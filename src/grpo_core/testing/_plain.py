"""The plainest spelling of each kind of value."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import cast

from grpo_core.testing._values import (
    Answer,
    Equation,
    Interval,
    Kind,
    Numbers,
    Quantity,
    Sum,
    Term,
    Value,
)

Number = Callable[[Fraction], str]


def number(value: Fraction) -> str:
    r"""`3`, or `-\frac{1}{2}`."""
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def decimal(value: Fraction) -> str | None:
    """The digits of a value that has at most 12 after the point, or None."""
    shifted = abs(value) * 10**12
    if shifted.denominator != 1:
        return None
    digits = str(shifted.numerator).rjust(13, "0")
    text = f"{digits[:-12]}.{digits[-12:].rstrip('0')}".removesuffix(".")
    return "-" + text if value < 0 else text


def digits_of(value: Fraction) -> str:
    """The digits of a value that is known to have few."""
    text = decimal(value)
    if text is None:
        raise ValueError(f"value must have at most 12 decimal places, got {value}")
    return text


def function(term: Term) -> str:
    """A term without its coefficient."""
    name, count = term.function, term.number
    match name:
        case "one":
            return ""
        case "sqrt":
            return f"\\sqrt{{{count}}}"
        case "i":
            return "i"
        case "x" | "y" | "X":
            exponent = "" if count == 1 else f"^{count}" if count < 10 else f"^{{{count}}}"
            return name + exponent
        case _:
            return f"\\{name}({multiple(count)})"


def multiple(count: int) -> str:
    """So many `x`."""
    return "x" if count == 1 else "-x" if count == -1 else f"{count}x"


def total(
    terms: Iterable[tuple[Fraction, str]],
    *,
    coefficient: Number = number,
    times: str = "",
    spaced: bool = True,
) -> str:
    """Coefficients times texts, added up; an empty text is a coefficient alone."""
    pieces: list[str] = []
    for value, text in terms:
        size = coefficient(abs(value))
        body = text if text and abs(value) == 1 else size + (times if text else "") + text
        sign = "-" if value < 0 else "+"
        lead = "-" if value < 0 else ""
        gap = " " if spaced else ""
        pieces.append(f"{gap}{sign}{gap}{body}" if pieces else lead + body)
    return "".join(pieces)


def sum_of(terms: Sum) -> str:
    """The terms in their order."""
    return total((term.coefficient, function(term)) for term in terms)


def interval(value: Interval, write: Number = number) -> str:
    """The ends between brackets."""
    low = "-\\infty" if value.low is None else write(value.low)
    high = "\\infty" if value.high is None else write(value.high)
    return f"{'[' if value.has_low else '('}{low}, {high}{']' if value.has_high else ')'}"


def matrix(rows: Iterable[Iterable[str]], environment: str = "pmatrix") -> str:
    """Rows of texts."""
    body = " \\\\ ".join(" & ".join(row) for row in rows)
    return f"\\begin{{{environment}}} {body} \\end{{{environment}}}"


def answer(kind: Kind, value: Value) -> Answer:
    """An answer with its plainest spelling."""
    return Answer(kind, _latex(kind, value), value)


def _latex(kind: Kind, value: Value) -> str:
    match kind, value:
        case "percentage", Fraction():
            return digits_of(100 * value) + "\\%"
        case "angle", Fraction():
            return digits_of(value) + "^\\circ"
        case "decimal", Fraction():
            return digits_of(value)
        case _, Fraction():
            return number(value)
        case _, str():
            return value if len(value) == 1 else f"\\text{{{value}}}"
        case _, Interval():
            return interval(value)
        case _, Equation():
            return f"{sum_of(value.left)} = {number(value.right)}"
        case _, Quantity():
            return f"{digits_of(value.amount)}\\text{{ {value.unit}}}"
        case "matrix", _:
            return matrix([map(number, row) for row in cast("tuple[Numbers, ...]", value)])
        case "set", _:
            return f"\\{{{', '.join(map(number, cast('Numbers', value)))}\\}}"
        case "tuple", _:
            return f"({', '.join(map(number, cast('Numbers', value)))})"
        case _:
            return sum_of(cast("Sum", value))
