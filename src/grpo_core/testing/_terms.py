"""One term in other words, each with a coefficient before it: roots, powers, functions of `x`."""

from collections.abc import Callable
from fractions import Fraction

from grpo_core.testing import _plain as plain
from grpo_core.testing._values import Term

Piece = tuple[Fraction, str]  # a coefficient, and the text after it
Rewrite = Callable[[Term], list[Piece]]


def _sign(term: Term) -> Fraction:
    return Fraction(-1 if term.coefficient < 0 else 1)


def _multiplied(term: Term, text: str) -> Piece:
    """The text with a sign of multiplication before it, where a coefficient is written."""
    return term.coefficient, text if abs(term.coefficient) == 1 else " \\cdot " + text


def _power_of_a_half(term: Term) -> list[Piece]:
    exponents = ("1/2", "\\frac{1}{2}", "0.5")
    return [_multiplied(term, f"{term.number}^{{{exponent}}}") for exponent in exponents]


def _under_the_root(term: Term) -> list[Piece]:
    size = abs(term.coefficient)
    if size.denominator > 1 or size == 1:
        return []
    return [(_sign(term), f"\\sqrt{{{size.numerator**2 * term.number}}}")]


def _in_the_denominator(term: Term) -> list[Piece]:
    size, root = abs(term.coefficient), plain.function(term)
    bottom = root if size.denominator == 1 else f"{size.denominator}{root}"
    return [(_sign(term), f"\\frac{{{size.numerator * term.number}}}{{{bottom}}}")]


def _without_braces(term: Term) -> list[Piece]:
    return [(term.coefficient, f"\\sqrt{term.number}")] if term.number < 10 else []


def _root_sign(term: Term) -> list[Piece]:
    return [(term.coefficient, f"√{term.number}" if term.number < 10 else f"√({term.number})")]


def _over_its_denominator(term: Term) -> list[Piece]:
    size = abs(term.coefficient)
    if size.denominator == 1:
        return []
    top = plain.total([(Fraction(size.numerator), plain.function(term))])
    return [(_sign(term), f"\\frac{{{top}}}{{{size.denominator}}}")]


def _upright(term: Term) -> list[Piece]:
    return [(term.coefficient, "\\mathrm{i}")]


def _braced_exponent(term: Term) -> list[Piece]:
    return [(term.coefficient, f"x^{{{term.number}}}")] if term.number > 1 else []


def _repeated(term: Term) -> list[Piece]:
    if term.number == 1:
        return []
    return [(term.coefficient, mark.join("x" * term.number)) for mark in (" \\cdot ", "*")]


def _without_parentheses(term: Term) -> list[Piece]:
    inner = plain.multiple(term.number)
    name = f"\\{term.function}"
    return [(term.coefficient, f"{name} {inner}"), (term.coefficient, f"{name}{{{inner}}}")]


def _named_plainly(term: Term) -> list[Piece]:
    return [(term.coefficient, f"{term.function}({plain.multiple(term.number)})")]


def _negated_argument(term: Term) -> list[Piece]:
    sign = 1 if term.function == "cos" else -1
    text = f"\\{term.function}({plain.multiple(-term.number)})"
    return [(sign * term.coefficient, text)]


def _cofunction(term: Term) -> list[Piece]:
    other = {"sin": "cos", "cos": "sin"}[term.function]
    inner = plain.multiple(term.number)
    return [
        (term.coefficient, f"\\{other}(\\frac{{\\pi}}{{2}} - {inner})"),
        (term.coefficient, f"\\{other}(\\pi/2 - {inner})"),
    ]


def _doubled_angle(term: Term) -> list[Piece]:
    if term.number % 2:
        return []
    half = f"({plain.multiple(term.number // 2)})"
    if term.function == "sin":
        return [(2 * term.coefficient, f"\\sin{half}\\cos{half}")]
    return [
        (term.coefficient, f"(1 - 2\\sin^2{half})"),
        (term.coefficient, f"(2\\cos^2{half} - 1)"),
    ]


def _shifted_by_a_period(term: Term) -> list[Piece]:
    period = "\\pi" if term.function == "tan" else "2\\pi"
    return [(term.coefficient, f"\\{term.function}({plain.multiple(term.number)} + {period})")]


def _quotient(term: Term) -> list[Piece]:
    inner = f"({plain.multiple(term.number)})"
    return [(term.coefficient, f"\\frac{{\\sin{inner}}}{{\\cos{inner}}}")]


_ALL = frozenset(("sqrt", "i", "x", "sin", "cos", "tan"))
_WAVES = frozenset(("sin", "cos", "tan"))
_ROOT = frozenset(("sqrt",))
_POWER = frozenset(("x",))

REWRITES: dict[str, tuple[frozenset[str], Rewrite]] = {  # a rule's name -> functions it is for, how
    "over": (_ALL, _over_its_denominator),
    "no_braces": (_ROOT, _without_braces),
    "root_sign": (_ROOT, _root_sign),
    "power": (_ROOT, _power_of_a_half),
    "under_the_root": (_ROOT, _under_the_root),
    "in_the_denominator": (_ROOT, _in_the_denominator),
    "upright": (frozenset(("i",)), _upright),
    "braced_exponent": (_POWER, _braced_exponent),
    "repeated": (_POWER, _repeated),
    "no_parentheses": (_WAVES, _without_parentheses),
    "plain_name": (_WAVES, _named_plainly),
    "negated_argument": (_WAVES, _negated_argument),
    "cofunction": (frozenset(("sin", "cos")), _cofunction),
    "double_angle": (frozenset(("sin", "cos")), _doubled_angle),
    "period": (_WAVES, _shifted_by_a_period),
    "quotient": (frozenset(("tan",)), _quotient),
}
