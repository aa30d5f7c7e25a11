"""Two answers made comparable: what one of them spells otherwise only because of the other."""

from fractions import Fraction
from math import comb, perm

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._classes import as_residue
from grpo_core.rewards._math._number_words import number_in_words
from grpo_core.rewards._math._numbers import Number
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._walk import parts, replaced, symbols

_NONE = (
    "no solution", "no solutions", "no real solution", "no real solutions", "empty set",
    "the empty set", "there is no solution", "there are no solutions", "has no solution",
    "no such solution", "no real roots", "no solution exists", "no solutions exist",
)  # fmt: skip
_NO_VALUE = (
    "dne", "does not exist", "doesn t exist", "the limit does not exist", "limit does not exist",
    "limit dne", "undefined", "is undefined", "not defined", "is not defined", "it does not exist",
)  # fmt: skip
_ALL = (
    "all real numbers", "all reals", "all real x", "any real number", "real numbers",
    "the real numbers", "all real values", "all real values of x", "every real number", "reals",
    "all numbers",
)  # fmt: skip
_CONVERGES = (
    "converges", "convergent", "it converges", "is convergent", "the series converges",
    "the integral converges", "the sequence converges", "the series is convergent",
)  # fmt: skip
_DIVERGES = tuple(text.replace("converge", "diverge") for text in _CONVERGES)
_ODD = ("odd", "odd function", "an odd function", "it is odd", "the function is odd")
_EVEN = tuple(text.replace("odd", "even") for text in _ODD)
_ENDLESS = ("infinity", "positive infinity", "plus infinity")
_MEANINGS: tuple[tuple[tuple[str, ...], Answer], ...] = (
    (_NONE, tree.Set(())),
    (_NO_VALUE, tree.Text(("dne",))),
    (_ALL, tree.Constant("R")),
    (_CONVERGES, tree.Text(("converges",))),
    (_DIVERGES, tree.Text(("diverges",))),
    (_ODD, tree.Text(("odd",))),
    (_EVEN, tree.Text(("even",))),
    (_ENDLESS, tree.Constant("oo")),
    (("negative infinity", "minus infinity"), tree.negative(tree.Constant("oo"))),
)
_SENTENCES: dict[tuple[str, ...], Answer] = {
    tuple(text.split()): meaning for texts, meaning in _MEANINGS for text in texts
}
_BASIS = ("i", "j", "k")
_VECTORS = (tree.Tuple, tree.Matrix)
MAX_CHOICES = 500


def prepared(first: Answer, second: Answer) -> tuple[Answer, Answer]:
    """The two answers, in terms that can be compared."""
    if isinstance(first, Number) and isinstance(second, Number):
        return first, second
    first, second = _sentence(first), _sentence(second)
    first, second = as_residue(first, second), as_residue(second, first)
    nodes = parts((first, second))
    plain = not any(isinstance(node, tree.Apply) for node in nodes) and not any(
        isinstance(node, tree.Symbol) and " " in node.name for node in nodes
    )
    if plain and not isinstance(first, _VECTORS) and not isinstance(second, _VECTORS):
        return first, second
    first, second = _point(first, second), _point(second, first)
    first, second = _vector(first, second), _vector(second, first)
    return _unmarked(_counted(first), second), _unmarked(_counted(second), first)


def _sentence(node: Answer) -> Answer:
    if not isinstance(node, tree.Text):
        return node
    number = number_in_words(node.words)
    return _SENTENCES.get(node.words, node) if number is None else Number(Fraction(number))


def _point(node: Answer, other: Answer) -> Answer:
    """The coordinates of `P(1, 2)`, where the other side has coordinates."""
    if not isinstance(node, tree.Apply) or not isinstance(other, (*_VECTORS, tree.Interval)):
        return node
    return tree.Tuple(node.items) if node.name[:1].isupper() and len(node.items) > 1 else node


def _counted(node: Answer) -> Answer:
    """The tree with the values of C(n, k) and P(n, k)."""
    if not any(isinstance(part, tree.Apply) for part in parts(node)):
        return node

    def change(part: Answer) -> Answer | None:
        if not isinstance(part, tree.Apply) or part.name not in ("C", "P") or len(part.items) != 2:
            return None
        n, k = part.items
        if not (isinstance(n, Number) and isinstance(k, Number)):
            return tree.Call("binom", part.items) if part.name == "C" else None
        if n.value.denominator != 1 or k.value.denominator != 1:
            return None
        if not 0 <= k.value <= n.value <= MAX_CHOICES:
            return None
        ways = (comb if part.name == "C" else perm)(n.value.numerator, k.value.numerator)
        return Number(Fraction(ways))

    return replaced(node, change)


def _vector(node: Answer, other: Answer) -> Answer:
    """The components of `2i - 3j + k`, where the other side has components."""
    if isinstance(other, tree.Relation) and other.operators == ("=",):
        other = other.items[1]
    if isinstance(node, (*_VECTORS, Number)):
        return node
    if isinstance(other, _VECTORS):
        size = len(other.items) if isinstance(other, tree.Tuple) else len(other.rows)
    elif _in_basis(other) or _in_basis(node):
        size = 3
    else:
        return node
    if isinstance(node, tree.Relation) and node.operators == ("=",):
        value = _vector(node.items[1], other)
        return tree.Relation(node.operators, (node.items[0], value))
    if size not in (2, 3) or not isinstance(node, tree.Sum | tree.Product | tree.Symbol):
        return node
    components: list[list[Answer]] = [[], [], []]
    for term in node.items if isinstance(node, tree.Sum) else (node,):
        factors = _factors(term)
        found = [factor for factor in factors if _basis(factor)]
        if len(found) != 1:
            return node
        factors.remove(found[0])
        coefficient: Answer = tree.ONE
        for factor in factors:
            coefficient = tree.times(coefficient, factor)
        components[_BASIS.index(_basis(found[0]))].append(coefficient)
    if any(len(each) > 1 for each in components) or (size == 2 and components[2]):
        return node
    zero = Number(Fraction(0))
    return tree.Tuple(tuple(each[0] if each else zero for each in components[:size]))


def _factors(node: Answer) -> list[Answer]:
    if not isinstance(node, tree.Product):
        return [node]
    return [factor for item in node.items for factor in _factors(item)]


def _in_basis(node: Answer) -> bool:
    """Whether a tree is written in marked vectors i, j and k."""
    return any(_basis(part) and " " in part.name for part in parts(node))


def _basis(node: Answer) -> str:
    name = node.name if isinstance(node, tree.Symbol | tree.Constant) else ""
    name = name.removeprefix("vec ").removeprefix("hat ")
    return name if name in _BASIS else ""


def _unmarked(node: Answer, other: Answer) -> Answer:
    """Vectors without their arrows, where the other side has the same names without."""
    marked = {name for name in symbols(node) if name.startswith("vec ")}
    bare = {name for name in marked if name.removeprefix("vec ") in symbols(other)}
    if not bare or any(name.startswith("vec ") for name in symbols(other)):
        return node
    return replaced(
        node,
        lambda part: (
            tree.Symbol(part.name.removeprefix("vec "))
            if isinstance(part, tree.Symbol) and part.name in bare
            else None
        ),
    )
