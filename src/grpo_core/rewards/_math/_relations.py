"""Equations, inequalities and definitions: what they name, and when two of them say the same."""

from itertools import pairwise

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._approximate import is_about, without_approximations
from grpo_core.rewards._math._indices import of_one_index
from grpo_core.rewards._math._kits import DOUBLES, Undefined
from grpo_core.rewards._math._numeric import evaluate, real_point
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._pieces import NoRegion
from grpo_core.rewards._math._regions import region, same_region
from grpo_core.rewards._math._solutions import DERIVATIVE, has_value, same_slope, solves
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._math._values import proportional, same_value
from grpo_core.rewards._math._walk import parts, replaced, symbols

_WAVES = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_TURNED = {"<": ">", "<=": ">="}


def values_of(node: Answer) -> list[Answer]:
    """What a definition or a chain of equations gives its names: each must then be right.

    Of `x = 1/3 = 2/6` both fractions; of `x = 1/3 ~ 0.33` the first alone. An inequality, and an
    equation that names nothing on one side, has none.
    """
    if isinstance(node, tree.Definition):
        return [node.body]
    if not isinstance(node, tree.Relation):
        return [node]
    if node.operators == ("in",) and is_name(node.items[0]):
        return [node.items[1]]
    if any(operator not in ("=", "~") for operator in node.operators):
        return []
    names = [item for item in node.items if is_name(item)]
    values = [item for item in node.items if not is_name(item)]
    if not names and _is_asked(node):
        names, values = [node.items[0]], list(node.items[1:])
    if not values and all(map(_is_option, names)):  # (A) = (D)
        return []
    if not values:  # x = y: the name on the left is named
        names, values = list(node.items[:-1]), [node.items[-1]]
    if _known(*map(label, names)) & _known(*values):
        return []
    if set(node.operators) == {"~"} and not all(is_about(*pair) for pair in pairwise(values)):
        return []
    exact = [
        item
        for operator, item in zip(("=", *node.operators), node.items, strict=True)
        if operator == "=" and item in values
    ]
    return exact or values


def _is_option(node: Answer) -> bool:
    """Whether a name may be the letter of an option as well, whatever is set on it."""
    name = node.name.rpartition(" ")[2] if isinstance(node, tree.Symbol) else ""
    return len(name) == 1 and name.isupper()


def _is_asked(node: tree.Relation) -> bool:
    r"""Whether a chain says what `m + n` or `\cos 2x` is, as no equation to be solved would."""
    left, values = node.items[0], node.items[1:]
    if symbols(values) or not all(map(has_value, values)):
        return False
    if isinstance(left, tree.Sum):
        names = {item for item in left.items if isinstance(item, tree.Symbol)}
        return 1 < len(names) == len(left.items) and not names & set(map(tree.Symbol, "xyz"))
    return isinstance(left, tree.Call) and left.name in _WAVES and bool(symbols(left))


def _known(*nodes: Answer) -> set[str]:
    """The names in some trees, of functions too."""
    return symbols(nodes) | {part.name for part in parts(nodes) if isinstance(part, tree.Apply)}


def is_name(node: Answer) -> bool:
    """Whether a side of an equation names the other: `x`, `f(x)`, `(x, y)`, `AB/CD`."""
    if isinstance(node, tree.Symbol | tree.Apply):
        return True
    if isinstance(node, tree.Tuple | tree.Ratio):
        return all(map(is_name, node.items))
    if isinstance(node, tree.Combination):  # the union of A and B
        return all(map(_is_capital, node.items))
    if isinstance(node, tree.Product):  # a length, an abbreviation or a quotient, but not xy
        if node.items[0] == tree.Symbol("nabla"):
            return len(node.items) == 2 and is_name(node.items[1])
        return all(map(_is_capital, node.items))
    if isinstance(node, tree.Call):
        return node.name == "abs" and is_name(node.items[0])
    if isinstance(node, tree.Power):
        return is_name(node.base) and (node.exponent == tree.MINUS_ONE or is_name(node.exponent))
    return False


def _is_capital(node: Answer) -> bool:
    if isinstance(node, tree.Power):
        return node.exponent == tree.MINUS_ONE and _is_capital(node.base)
    if isinstance(node, tree.Product):
        return all(map(_is_capital, node.items))
    return isinstance(node, tree.Symbol | tree.Apply) and node.name[0].isupper()


def label(node: Answer) -> Answer:
    """A name without what it is applied to: `V` of `V(t)`, `y'` of `dy/dx`."""
    if isinstance(node, tree.Symbol) and (found := DERIVATIVE.fullmatch(node.name)):
        return tree.Symbol(found[1] + "'")
    return replaced(
        node, lambda part: tree.Symbol(part.name) if isinstance(part, tree.Apply) else None
    )


def same_relation(first: Answer, second: Answer, options: Options) -> bool:
    """Whether two relations say the same, an equation up to a factor that is not 0."""
    if isinstance(first, tree.Definition) and isinstance(second, tree.Definition):
        return _same_definition(first, second, options)
    if isinstance(first, tree.Definition) or isinstance(second, tree.Definition):
        return _same_named(first, second, options)
    if not (isinstance(first, tree.Relation) and isinstance(second, tree.Relation)):
        return False
    first, second = (
        _forward(without_approximations(first)),
        _forward(without_approximations(second)),
    )
    second = of_one_index(first, second)
    try:
        if symbols(first) == symbols(second) and "=" not in first.operators:
            return same_region(region(first), region(second), options)
    except NoRegion:
        pass
    if first.operators != second.operators:
        return False
    if first.operators == ("=",) and (_same_name(first, second) or _same_label(first, second)):
        return same_value(first.items[1], second.items[1], options)
    if first.operators == ("=",) and same_slope(first, second, options):
        return True
    if first.operators == ("=",) and (
        solves(first, second, options) or solves(second, first, options)
    ):
        return True
    pairs = list(zip(pairwise(first.items), pairwise(second.items), strict=True))
    return all(
        _same_side(a, b, operator, options)
        for (a, b), operator in zip(pairs, first.operators, strict=True)
    )


def _same_name(first: tree.Relation, second: tree.Relation) -> bool:
    """Whether both give a value to one symbol that is not in either value."""
    name, values = first.items[0], (first.items[1], second.items[1])
    alone = isinstance(name, tree.Symbol) and name.name not in symbols(values)
    return alone and name == second.items[0] and all(map(has_value, values))


def _same_label(first: tree.Relation, second: tree.Relation) -> bool:
    """Whether both give a value to names that differ by what these are applied to."""
    names = [relation.items[0] for relation in (first, second)]
    values = [relation.items[1] for relation in (first, second)]
    if names[0] == names[1] or not (all(map(is_name, names)) and all(map(has_value, values))):
        return False
    if all(isinstance(name, tree.Symbol) and "/" in name.name for name in names):
        return False  # with respect to different names
    return label(names[0]) == label(names[1])


def _same_named(first: Answer, second: Answer, options: Options) -> bool:
    for node in (first, second):
        given = node.parameters if isinstance(node, tree.Definition) else ()
        if any(isinstance(item, tree.Sum | tree.Product) and symbols(item) for item in given):
            return False  # x(y - z) may be a product
    a, b = values_of(first), values_of(second)
    return (
        bool(a and b)
        and all(same_value(x, y, options) for x in a for y in b if has_value(x) and has_value(y))
        and all(map(has_value, a + b))
    )


def _forward(relation: tree.Relation) -> tree.Relation:
    """The chain read so that it rises."""
    if ">" in relation.operators[0]:
        turned = {value: key for key, value in _TURNED.items()}
        operators = tuple(turned.get(op, op) for op in reversed(relation.operators))
        return tree.Relation(operators, relation.items[::-1])
    return relation


def _same_side(
    first: tuple[Answer, Answer], second: tuple[Answer, Answer], operator: str, options: Options
) -> bool:
    """Whether `a op b` and `c op d` say the same."""
    items = first + second
    if not all(map(has_value, items)):
        return first == second
    if operator == "in":
        return first == second
    left, right = (tree.total(a, tree.negative(b)) for a, b in (first, second))
    if not symbols(left) or not symbols(right):
        sides = zip(first, second, strict=True)
        return all(same_value(a, b, options) for a, b in sides)
    if not proportional(left, right, options):
        return False
    return operator in ("=", "!=", "~") or _same_sign(left, right)


def _same_sign(left: Answer, right: Answer) -> bool:
    for trial in range(8):
        try:
            ratio = evaluate(left, DOUBLES, real_point(trial)) / evaluate(
                right, DOUBLES, real_point(trial)
            )
        except (Undefined, ZeroDivisionError, OverflowError, ValueError):
            continue
        return ratio.real > 0
    return False


def _same_definition(first: tree.Definition, second: tree.Definition, options: Options) -> bool:
    if first.name != second.name or len(first.parameters) != len(second.parameters):
        return False
    names = dict(zip(second.parameters, first.parameters, strict=True))
    if not all(isinstance(each, tree.Symbol) for pair in names.items() for each in pair):
        names = {}
        if first.parameters != second.parameters:
            return False
    if (symbols(first.parameters) - symbols(second.parameters)) & symbols(second.body):
        return False

    def change(node: Answer) -> Answer | None:
        return names.get(node) if isinstance(node, tree.Symbol) else None

    if not (has_value(first.body) and has_value(second.body)):
        return first.body == replaced(second.body, change)
    return same_value(first.body, replaced(second.body, change), options)
