"""Slips of sums of terms, and of equations of them."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from grpo_core.testing._slips_numbers import Misses
from grpo_core.testing._values import Equation, Sum, Term


def of_sum(terms: Sum) -> Misses:
    """Of a sum of terms; `case` is another symbol."""

    def with_one(change: Callable[[Term], Iterable[Term]]) -> list[Sum]:
        made = [
            (*terms[:at], *other, *terms[at + 1 :])
            for at, term in enumerate(terms)
            for other in [tuple(change(term))]
        ]
        return [sum_ for sum_ in made if sum_ and len({term[1:] for term in sum_}) == len(sum_)]

    def more(term: Term) -> Iterator[Term]:
        if term.coefficient != -1:
            yield term._replace(coefficient=term.coefficient + 1)

    def argument(term: Term) -> Iterator[Term]:
        if term.function in ("x", "sin", "cos", "tan"):
            yield term._replace(number=term.number + 1)
        elif term.function == "sqrt":
            yield term._replace(number={2: 3, 3: 2, 5: 6, 6: 5, 14: 15}.get(term.number, 2))
        else:
            yield term

    def function(term: Term) -> Iterator[Term]:
        others = {"sin": "cos", "cos": "sin", "tan": "sin"}
        yield term._replace(function=others.get(term.function, term.function))

    def capital(term: Term) -> Term:
        return term._replace(function="X") if term.function == "x" else term

    return {
        "off_by_one": with_one(more),
        "sign": with_one(lambda term: [term._replace(coefficient=-term.coefficient)]),
        "dropped_term": with_one(lambda _: []),
        "argument": with_one(argument),
        "function": with_one(function),
        "case": [tuple(capital(term) for term in terms)],
    }


def of_complex(terms: Sum) -> Misses:
    """Of a complex number."""
    real = next((term.coefficient for term in terms if term.function == "one"), Fraction(0))
    imaginary = terms[-1].coefficient
    found = {rule: sums for rule, sums in of_sum(terms).items() if rule in ("off_by_one", "sign")}
    if real:
        found["swapped"] = [(Term(imaginary), Term(real, "i"))]
    found["conjugate"] = [(*terms[:-1], Term(-imaginary, "i"))]
    return found


def of_equation(value: Equation) -> Misses:
    """Of the equation of a line."""
    first, second = value.left
    flipped = second._replace(coefficient=-second.coefficient)
    found: Misses = {
        "off_by_one": [value._replace(right=value.right + 1)],
        "coefficient": [
            value._replace(left=(first._replace(coefficient=first.coefficient + 1), second))
        ],
        "sign": [value._replace(left=(first, flipped))],
        "right_sign": [value._replace(right=-value.right)],
    }
    # With the two exchanged, x - y = 0 is itself again.
    if first.coefficient != second.coefficient and (value.right or first[0] != -second[0]):
        exchanged = (Term(second.coefficient, "x"), Term(first.coefficient, "y"))
        found["exchanged"] = [value._replace(left=exchanged)]
    return found
