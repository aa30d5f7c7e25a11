"""Intervals, sets, tuples and matrices in many spellings."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing import _plain as plain
from grpo_core.testing._numerals import numerals
from grpo_core.testing._values import Interval, Numbers

Rules = dict[str, SearchStrategy[str]]  # a rule's name -> its texts

# Not all close up: `{1,234}` is two numbers only to those who know.
_SEPARATORS = (",\\ ", ",\\, ", ",~", " , ", ",  ")


def items(value: Fraction) -> SearchStrategy[str]:
    """A number as it may stand among others: of two spellings the one with fewer tricks."""
    other = [text for texts in numerals(value).values() for text in texts]
    return st.sampled_from([*other, plain.number(value)])


def _filled(
    values: Sequence[Fraction], write: Callable[[Sequence[str]], str]
) -> SearchStrategy[str]:
    """All of the numbers in other spellings, put together."""
    return st.tuples(*map(items, values)).map(write)


def intervals(value: Interval) -> Rules:
    """The spellings of an interval, by rule."""
    low, high, has_low, has_high = value
    below, above = ("\\le" if has else "<" for has in (has_low, has_high))
    over, under = ("\\ge" if has else ">" for has in (has_low, has_high))
    ends = [None if end is None else plain.number(end) for end in (low, high)]
    if low is None:
        forms = [f"x {above} {ends[1]}", f"{ends[1]} {under} x"]
    elif high is None:
        forms = [f"x {over} {ends[0]}", f"{ends[0]} {below} x"]
    else:
        forms = [f"{ends[0]} {below} x {above} {ends[1]}", f"{ends[1]} {under} x {over} {ends[0]}"]
    rules: Rules = {
        "inequality": st.sampled_from(forms),
        "set_builder": st.sampled_from(
            [
                f"\\{{x \\mid {forms[0]}\\}}",
                f"\\{{x : {forms[0]}\\}}",
                f"\\{{x \\in \\mathbb{{R}} \\mid {forms[0]}\\}}",
            ]
        ),
        "membership": st.just(f"x \\in {plain.interval(value)}"),
        "separator": st.sampled_from(
            [plain.interval(value).replace(", ", mark) for mark in _SEPARATORS]
        ),
        "items": _filled([end for end in (low, high) if end is not None], _Ends(value)),
    }
    if high is None:
        rules["plus_infinity"] = st.just(plain.interval(value).replace("\\infty", "+\\infty"))
    if low is None or high is None:
        rules["infinity_sign"] = st.just(plain.interval(value).replace("\\infty", "∞"))
    return rules


class _Ends:
    """Writes an interval with these texts as its finite ends, from the lower one on."""

    def __init__(self, value: Interval) -> None:
        self.value = value

    def __call__(self, texts: Sequence[str]) -> str:
        left = iter(texts)
        return plain.interval(self.value, lambda _: next(left))


def sets(values: Numbers) -> Rules:
    """The spellings of a set, by rule; its items may come in any order."""
    texts = [*map(plain.number, values)]
    rules: Rules = {
        "items": _filled(values, lambda found: f"\\{{{', '.join(found)}\\}}"),
        "repeated": st.just(f"\\{{{', '.join([*texts, texts[0]])}\\}}"),
    }
    if len(values) > 1:
        shuffled = st.permutations(texts).filter(lambda order: order != texts)
        rules |= {
            "order": shuffled.map(lambda order: f"\\{{{', '.join(order)}\\}}"),
            "separator": _separated("\\{", texts, "\\}"),
            "list": st.permutations(texts).map(", ".join),
            "and": st.permutations(texts).map(
                lambda order: f"{', '.join(order[:-1])} \\text{{ and }} {order[-1]}"
            ),
            "solutions": st.permutations(texts).map(
                lambda order: " \\text{ or } ".join(f"x = {text}" for text in order)
            ),
        }
    return rules


def tuples(values: Numbers) -> Rules:
    """The spellings of a tuple, by rule."""
    return {
        "items": _filled(values, lambda found: f"({', '.join(found)})"),
        "separator": _separated("(", [*map(plain.number, values)], ")"),
    }


def matrices(rows: tuple[Numbers, ...]) -> Rules:
    """The spellings of a matrix, by rule."""
    width = len(rows[0])
    texts = [[*map(plain.number, row)] for row in rows]
    lists = ", ".join("[" + ", ".join(row) + "]" for row in texts)
    tight = "\\\\".join("&".join(row) for row in texts)
    columns = "c" * width

    def written(found: Sequence[str]) -> str:
        return plain.matrix(found[at : at + width] for at in range(0, len(found), width))

    return {
        "environment": st.sampled_from(
            [
                plain.matrix(texts, "bmatrix"),
                f"\\left({plain.matrix(texts, 'matrix')}\\right)",
                f"\\left[\\begin{{array}}{{{columns}}} {tight} \\end{{array}}\\right]",
            ]
        ),
        "tight": st.just(f"\\begin{{pmatrix}}{tight}\\end{{pmatrix}}"),
        "trailing_row_end": st.just(plain.matrix(texts).replace(" \\end", " \\\\ \\end")),
        "nested_lists": st.just(f"[{lists}]"),
        "items": _filled([value for row in rows for value in row], written),
    }


def _separated(opening: str, texts: list[str], closing: str) -> SearchStrategy[str]:
    return st.sampled_from([opening + mark.join(texts) + closing for mark in _SEPARATORS])
