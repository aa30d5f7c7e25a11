"""Answers that are nearly right."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _plain as plain
from grpo_core.testing._arguments import chosen
from grpo_core.testing._spellings import spellings
from grpo_core.testing._values import (
    CHOICES,
    UNITS,
    Answer,
    Equation,
    Interval,
    Numbers,
    Quantity,
    Sum,
    Term,
)

Misses = dict[str, list[Any]]  # a rule's name -> other values of the same kind


def near_misses(answer: Answer, *, rules: Iterable[str] | None = None) -> SearchStrategy[str]:
    """Texts that look like an answer and mean another: a slip away from it, in any spelling.

    Args:
        answer: The answer.
        rules: Names from `miss_rules`: the slips. None is all of them.

    Returns:
        The strategy. It shrinks to the plain spelling of a slip.

    Raises:
        ValueError: If a rule is unknown or does not apply to this answer, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import answers, near_misses
        >>> half = find(answers(["rational"]), lambda answer: True)
        >>> find(near_misses(half, rules=["inverted"]), lambda text: True)
        '2'
    """
    found = _misses(answer)
    names = chosen("rules", rules, tuple(found))
    others = [other for name in names for other in found[name]]
    return st.sampled_from(others).flatmap(_spelled)


def miss_rules(answer: Answer) -> tuple[str, ...]:
    """The names of the slips that make another answer of this one.

    Args:
        answer: The answer.

    Returns:
        The names, which say what a failure is about.

    Example:
        >>> from fractions import Fraction
        >>> from grpo_core.testing import Answer, miss_rules
        >>> miss_rules(Answer("angle", r"90^\\circ", Fraction(90)))
        ('off_by_one', 'sign', 'tenfold')
    """
    return tuple(_misses(answer))


def other_answers(answer: Answer) -> list[Answer]:
    """The answers that the slips make, plainest rules first."""
    return [other for others in _misses(answer).values() for other in others]


def _spelled(other: Answer) -> SearchStrategy[str]:
    match other.value:
        case Interval(low=Fraction() as low, high=Fraction() as high) if low >= high:
            return st.just(other.latex)  # no inequality says this
        case _:
            return spellings(other)


def _misses(answer: Answer) -> dict[str, list[Answer]]:
    found = _SLIPS[answer.kind](answer.value)
    return {
        rule: [plain.answer(_kind(answer, value, rule), value) for value in kept]
        for rule, values in found.items()
        if (kept := [value for value in values if value != answer.value])
    }


def _kind(answer: Answer, value: object, rule: str) -> Any:
    """The kind of a slip: an inverted fraction may be whole, and 50 is no percentage."""
    if rule == "no_percent_sign" and isinstance(value, Fraction):
        return "integer" if value.denominator == 1 else "decimal"
    if answer.kind in ("integer", "rational") and isinstance(value, Fraction):
        return "integer" if value.denominator == 1 else "rational"
    return answer.kind


def _of_number(value: Fraction) -> Misses:
    return {
        "off_by_one": [value + 1, value - 1],
        "sign": [-value],
        "tenfold": [10 * value],
    }


def _of_integer(value: Fraction) -> Misses:
    digits = str(abs(value.numerator))
    sign = -1 if value < 0 else 1
    swapped = [
        digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :] for i in range(len(digits) - 1)
    ]
    return _of_number(value) | {
        "digits_swapped": [Fraction(sign * int(text)) for text in swapped if text[0] != "0"],
        "digit_dropped": [Fraction(sign * int(digits[:-1]))] if len(digits) > 1 else [],
    }


def _of_fraction(value: Fraction) -> Misses:
    top, bottom = value.numerator, value.denominator
    return {
        "numerator": [Fraction(top + 1, bottom), Fraction(top - 1, bottom)],
        "denominator": [Fraction(top, bottom + 1)],
        "sign": [-value],
        "inverted": [1 / value],
        "off_by_one": [value + 1],
    }


def _of_decimal(value: Fraction) -> Misses:
    places = 1
    while (value * 10**places).denominator > 1:
        places += 1
    last = Fraction(1, 10**places)
    return _of_number(value) | {"last_digit": [value + last, value - last], "point": [value / 10]}


def _of_percentage(value: Fraction) -> Misses:
    point = Fraction(1, 100)
    return {"no_percent_sign": [100 * value]} | {
        "off_by_one": [value + point],
        "tenfold": [10 * value],
        "sign": [-value],
    }


def _of_sum(terms: Sum) -> Misses:
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

    return {
        "off_by_one": with_one(more),
        "sign": with_one(lambda term: [term._replace(coefficient=-term.coefficient)]),
        "dropped_term": with_one(lambda _: []),
        "argument": with_one(argument),
        "function": with_one(function),
    }


def _of_complex(terms: Sum) -> Misses:
    real = next((term.coefficient for term in terms if term.function == "one"), Fraction(0))
    imaginary = terms[-1].coefficient
    found = {rule: sums for rule, sums in _of_sum(terms).items() if rule in ("off_by_one", "sign")}
    if real:
        found["swapped"] = [(Term(imaginary), Term(real, "i"))]
    found["conjugate"] = [(*terms[:-1], Term(-imaginary, "i"))]
    return found


def _of_interval(value: Interval) -> Misses:
    low, high, has_low, has_high = value
    found: Misses = {"off_by_one": [], "end_included_or_not": [], "swapped_ends": [], "half": []}
    if low is not None:
        found["off_by_one"].append(value._replace(low=low - 1))
        found["end_included_or_not"].append(value._replace(has_low=not has_low))
    if high is not None:
        found["off_by_one"].append(value._replace(high=high + 1))
        found["end_included_or_not"].append(value._replace(has_high=not has_high))
    if low is not None and high is not None:
        found["swapped_ends"].append(Interval(high, low, has_low, has_high))
        found["half"].append(Interval(low, None, has_low, has_high=False))
    elif low is not None:
        found["half"].append(Interval(None, low, has_low=False, has_high=has_low))
    else:
        found["half"].append(Interval(high, None, has_high, has_high=False))
    return found


def _of_items(values: Numbers) -> Misses:
    first, rest = values[0], values[1:]
    found: Misses = {
        "off_by_one": [(*values[:at], v + 1, *values[at + 1 :]) for at, v in enumerate(values)],
        "sign": [(-first, *rest)],
        "extra": [(*values, max(values) + 1)],
        "dropped": [values[:-1]] if len(values) > 2 else [],
    }
    return found


def _of_set(values: Numbers) -> Misses:
    found = _of_items(values) | {"dropped": [values[:-1]] if len(values) > 1 else []}
    return {rule: [tuple(sorted(set(other))) for other in others] for rule, others in found.items()}


def _of_tuple(values: Numbers) -> Misses:
    return _of_items(values) | {"swapped": [(values[1], values[0], *values[2:]), values[::-1]]}


def _of_matrix(rows: tuple[Numbers, ...]) -> Misses:
    first = rows[0]
    return {
        "off_by_one": [((first[0] + 1, *first[1:]), *rows[1:])],
        "sign": [(tuple(-value for value in first), *rows[1:])],
        "transposed": [tuple(zip(*rows, strict=True))],
        "rows_swapped": [(rows[1], first, *rows[2:])],
        "columns_swapped": [tuple((row[1], row[0], *row[2:]) for row in rows)],
    }


def _of_equation(value: Equation) -> Misses:
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


def _of_quantity(value: Quantity) -> Misses:
    amount, symbol = value
    return {
        "off_by_one": [value._replace(amount=amount + 1)],
        "tenfold": [value._replace(amount=10 * amount)],
        "unit": [value._replace(unit=name) for name in UNITS if name != symbol],
    }


def _of_choice(value: str) -> Misses:
    family = next(words for words in CHOICES if value in words)
    return {"another": [word for word in family if word != value]}


_SLIPS: dict[str, Callable[[Any], Misses]] = {
    "integer": _of_integer,
    "rational": _of_fraction,
    "decimal": _of_decimal,
    "percentage": _of_percentage,
    "radical": _of_sum,
    "interval": _of_interval,
    "set": _of_set,
    "tuple": _of_tuple,
    "matrix": _of_matrix,
    "equation": _of_equation,
    "polynomial": _of_sum,
    "trigonometric": _of_sum,
    "complex": _of_complex,
    "quantity": _of_quantity,
    "angle": _of_number,
    "choice": _of_choice,
}
