"""The typed tree that an answer is read into: small, frozen, comparable, and printable."""

from dataclasses import dataclass
from fractions import Fraction

from grpo_core.rewards._math._numbers import Number


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name with its subscript and primes: `x`, `a_1`, `f'`."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """One of `pi`, `e`, `i`, `oo` (infinity), and the sets `R`, `Z`, `N`, `Q`, `C`."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Its items added up."""

    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Product:
    """Its items multiplied; a quotient has a power of -1."""

    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Power:
    """A base and its exponent; a square root is a power of 1/2."""

    base: "Answer"
    exponent: "Answer"


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is known: `sin`, `log` (of a base too), `abs`, `root`, `binom`, ..."""

    name: str
    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of which the name alone is known: `f(x)`."""

    name: str
    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Bound:
    """A `sum`, `prod`, `int` or `lim` of a body over a variable.

    A limit has its point in `low` and nothing in `high`, or `+` or `-` for the side; an indefinite
    integral has neither end.
    """

    operator: str
    variable: Symbol
    low: "Answer | None"
    high: "Answer | str | None"
    body: "Answer"


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """Plus or minus an item; `upper` is the sign that goes with the upper signs elsewhere."""

    item: "Answer"
    upper: int


@dataclass(frozen=True, slots=True)
class Tuple:
    """Items in parentheses or angle brackets, in order."""

    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class List:
    """Items without brackets, separated by commas, `and` or `or`."""

    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Set:
    """Items in braces."""

    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class SetBuilder:
    """The items for which a condition holds."""

    item: "Answer"
    condition: "Answer"


@dataclass(frozen=True, slots=True)
class Interval:
    """All between two ends, each of which belongs to it or not."""

    low: "Answer"
    high: "Answer"
    has_low: bool
    has_high: bool


@dataclass(frozen=True, slots=True)
class Combination:
    r"""Sets joined by one of `\cup`, `\cap` and `\setminus`."""

    operator: str
    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain: one operator fewer than items, each of `= != < > <= >= ~ in`."""

    operators: tuple[str, ...]
    items: "tuple[Answer, ...]"


@dataclass(frozen=True, slots=True)
class Definition:
    """A function's name, its parameters, and what it is equal to."""

    name: str
    parameters: "tuple[Answer, ...]"
    body: "Answer"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length; a column vector has rows of one item."""

    rows: "tuple[tuple[Answer, ...], ...]"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its unit, as words."""

    value: "Answer"
    unit: str


@dataclass(frozen=True, slots=True)
class Degrees:
    """An angle in degrees."""

    value: "Answer"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Items between colons: `2:1`, and a time of day, which has two digits after each colon."""

    items: "tuple[Answer, ...]"
    is_time: bool


@dataclass(frozen=True, slots=True)
class Residue:
    """All integers that leave the remainder of a value by a modulus."""

    value: "Answer"
    modulus: "Answer"


@dataclass(frozen=True, slots=True)
class Choice:
    """The letter of an option."""

    letter: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words, in lower case."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Formula:
    """Signs in order, of which the meaning is not known."""

    signs: tuple[str, ...]


Answer = (
    Number | Symbol | Constant | Sum | Product | Power | Call | Apply | Bound | PlusMinus | Tuple
    | List | Set | SetBuilder | Interval | Combination | Relation | Definition | Matrix | Quantity
    | Degrees | Ratio | Residue | Choice | Text | Formula
)  # fmt: skip

ZERO, ONE, TWO = (Number(Fraction(n)) for n in range(3))
MINUS_ONE, HALF = Number(Fraction(-1)), Number(Fraction(1, 2))


def negative(node: Answer) -> Answer:
    """The node with its sign turned, folded into a number."""
    if isinstance(node, Number):
        return node._replace(value=-node.value)
    return Product((MINUS_ONE, node))


def total(first: Answer, second: Answer) -> Answer:
    """The sum of two nodes, flat on the left."""
    head = first.items if isinstance(first, Sum) else (first,)
    return Sum((*head, second))


def times(first: Answer, second: Answer) -> Answer:
    """The product of two nodes, flat on the left."""
    head = first.items if isinstance(first, Product) else (first,)
    return Product((*head, second))


def over(top: Answer, bottom: Answer) -> Answer:
    """The quotient of two nodes; of two whole numbers it is a number."""
    if isinstance(top, Number) and isinstance(bottom, Number) and bottom.value:
        exact = top.unit is None and bottom.unit is None
        return Number(top.value / bottom.value, None if exact else Fraction(0))
    return times(top, Power(bottom, MINUS_ONE))
