"""Texts that cost time, memory or the process: runs, nests, odd characters, payloads."""

from collections.abc import Iterator
from itertools import product

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.testing._checks_cases import Args, Case

_UNITS = (
    "1", "a", " ", "\n", "\t", "{", "}", "(", ")", "[", "\\", "$", "-", ",", ".", "^", "_", "=",
    "<", "\\{", "\\frac", "\\boxed{", "\\boxed{}", "<think>", "</think>", "```", "`", "1,", "1 ",
    "a ", "1+", "x^", "((", "{}", "\\sqrt{", "\\left(", "&", "\\\\", "%", "é", "\u202e", "\x00",
    "𝟙", "²", "\ud800",
)  # fmt: skip
_COUNTS = (30, 60, 1_500, 100_000)
_TAILS = ("", "!")
_SHAPES = {
    "in the box": "<think>a</think>\\boxed{{{0}}}",
    "before the box": "<think>a</think>{0}\\boxed{{1}}",
    "after the box": "<think>a</think>\\boxed{{1}}{0}",
    "alone": "{0}",
    "in a fence": "<think>a</think>\n```python\n{0}\n```\n",
}
_PAYLOADS = (
    "__import__('os').environ.__setitem__('PAYLOAD', '1')",
    "__import__('builtins').__dict__.__setitem__('payload', 1)",
    "[setattr(m, 'pi', 3) for m in [__import__('math')]]",
    "(lambda: exec(\"import os; os.environ['PAYLOAD'] = '1'\"))()",
    "().__class__.__base__.__subclasses__() and __import__('os').chdir('/')",
    "exec('import random; random.payload = 1; import builtins; builtins.payload = 1')",
    "__import__('os')._exit(0)",
    "exit()",
    "1/0",
    "float('nan')",
    "open('/dev/zero').read(10**10)",
    "9**9**9**9",
    "[0]*10**9",
)


def floods(rest: Args) -> Iterator[Case]:
    """Long runs of one thing, with and without an end that does not fit; the short ones first.

    30 and 60 are enough for a pattern that takes exponential time, 1,500 for a parser that is as
    deep as what it reads and refuses what is long, and 100,000 for quadratic time.
    """
    for count in _COUNTS:
        for unit in _UNITS:
            for shape, tail in product(_SHAPES, _TAILS):
                run = unit * max(1, count // len(unit)) + tail
                yield Case((_SHAPES[shape].format(run), *rest), f"a run {shape}")


def payloads(rest: Args) -> SearchStrategy[Case]:
    """Python that shows if it is run."""

    def made(payload: str, shape: str) -> Case:
        return Case((_SHAPES[shape].format(payload), *rest), "a payload to be executed")

    return st.builds(
        made, st.sampled_from(_PAYLOADS), st.sampled_from(("in the box", "alone", "in a fence"))
    )


def texts(rest: Args) -> SearchStrategy[Case]:
    """Any text, bare or in a box, lone surrogates included."""
    characters = st.characters(exclude_categories=())
    plain = st.text(characters, max_size=30)
    symbols = st.text(st.sampled_from("0123456789.,-+*/^_=(){}[]\\$% \nabcxyz<>|!√π∞"), max_size=20)
    chosen = st.one_of(plain, symbols)
    shapes = st.sampled_from(("alone", "in the box"))
    return st.builds(
        lambda text, shape: Case((_SHAPES[shape].format(text), *rest), "any text"), chosen, shapes
    )
