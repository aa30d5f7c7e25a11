"""Sums of terms in many spellings: radicals, polynomials, trigonometric and complex expressions."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, permutations
from math import gcd, lcm

from grpo_core.testing import _plain as plain
from grpo_core.testing._numerals import Spellings
from grpo_core.testing._terms import REWRITES, Piece
from grpo_core.testing._values import Equation, Sum, Term

_MOST_ORDERS = 24


def sums(terms: Sum) -> Spellings:
    """The spellings of a sum, by rule."""
    found = {rule: list(_rewritten(terms, rule)) for rule in REWRITES}
    found |= {rule: list(ways(terms)) for rule, ways in _WAYS.items()}
    return {rule: texts for rule, texts in found.items() if texts}


def equations(value: Equation) -> Spellings:
    """The spellings of an equation of a line, by rule."""
    left, right = plain.sum_of(value.left), plain.number(value.right)
    first, second = value.left
    moved = plain.sum_of((*value.left, Term(-value.right)) if value.right else value.left)
    slope, height = -first.coefficient / second.coefficient, value.right / second.coefficient
    line = (Term(slope, "x"), Term(height)) if height else (Term(slope, "x"),)
    return {
        "swapped": [f"{right} = {left}"],
        "order": [f"{plain.sum_of((second, first))} = {right}"],
        "scaled": [
            f"{plain.sum_of(_scaled(value.left, Fraction(k)))} = {plain.number(k * value.right)}"
            for k in (2, 3, -1)
        ],
        "moved": [f"{moved} = 0", f"0 = {moved}"],
        "solved": [f"y = {plain.sum_of(line)}"],
        "tight": [f"{plain.total(_pieces(value.left), spaced=False)}={right}"],
    }


def _pieces(terms: Sum) -> list[Piece]:
    return [(term.coefficient, plain.function(term)) for term in terms]


def _scaled(terms: Sum, factor: Fraction) -> Sum:
    return tuple(term._replace(coefficient=factor * term.coefficient) for term in terms)


def _rewritten(terms: Sum, rule: str) -> Iterator[str]:
    """The sum with every term that the rule is for in other words: in each way that there is."""
    functions, rewrite = REWRITES[rule]
    found = [rewrite(term) if term.function in functions else [] for term in terms]
    for way in range(max(map(len, found))):
        chosen = [
            pieces[min(way, len(pieces) - 1)] if pieces else piece
            for pieces, piece in zip(found, _pieces(terms), strict=True)
        ]
        yield plain.total(chosen)


def _tight(terms: Sum) -> Iterator[str]:
    if len(terms) > 1:
        yield plain.total(_pieces(terms), spaced=False)


def _order(terms: Sum) -> Iterator[str]:
    for order in islice(permutations(terms), 1, _MOST_ORDERS):
        yield plain.sum_of(order)


def _times(terms: Sum) -> Iterator[str]:
    if any(abs(term.coefficient) != 1 and term.function != "one" for term in terms):
        yield plain.total(_pieces(terms), times=" \\cdot ")
        yield plain.total(_pieces(terms), times="*")


def _decimal(terms: Sum) -> Iterator[str]:
    if any(term.coefficient.denominator > 1 for term in terms):
        yield plain.total(_pieces(terms), coefficient=plain.digits_of)


def _common_denominator(terms: Sum) -> Iterator[str]:
    bottom = lcm(*(term.coefficient.denominator for term in terms))
    if bottom > 1 and len(terms) > 1:
        top = plain.sum_of(_scaled(terms, Fraction(bottom)))
        yield f"\\frac{{{top}}}{{{bottom}}}"
        yield f"({top})/{bottom}"


def _factored(terms: Sum) -> Iterator[str]:
    common = gcd(*(term.coefficient.numerator for term in terms))
    if common > 1 and len(terms) > 1 and all(t.coefficient.denominator == 1 for t in terms):
        inner = plain.sum_of(_scaled(terms, Fraction(1, common)))
        yield f"{common}({inner})"
        yield f"{common} \\cdot ({inner})"


def _minus_outside(terms: Sum) -> Iterator[str]:
    if terms[0].coefficient < 0 and len(terms) > 1:
        yield f"-({plain.sum_of(_scaled(terms, Fraction(-1)))})"


def _taken_out(terms: Sum) -> Iterator[str]:
    """The lowest power of `x` before a bracket."""
    powers = [term for term in terms if term.function == "x"]
    if len(powers) < 2:
        return
    lowest = min(term.number for term in powers)
    inner = plain.sum_of(
        tuple(
            Term(term.coefficient, "x", term.number - lowest)
            if term.number > lowest
            else Term(term.coefficient)
            for term in powers
        )
    )
    rest = [(term.coefficient, "") for term in terms if term.function == "one"]
    factor = plain.function(Term(Fraction(1), "x", lowest))
    yield plain.total([(Fraction(1), f"{factor}({inner})"), *rest])


_WAYS = {
    "tight": _tight,
    "order": _order,
    "times": _times,
    "decimal": _decimal,
    "common_denominator": _common_denominator,
    "factored": _factored,
    "minus_outside": _minus_outside,
    "taken_out": _taken_out,
}
