"""The same pairs to this verifier and to Hugging Face's Math-Verify, called as TRL 1.16 calls it.

The truth of each pair is known by how it was made, so each disagreement has a side that is right.
All that were found were read; what they have in common is a class below, and a disagreement of
another sort fails the test. `pytest -s` prints how many of each there are.
"""

import logging
import re
from collections import Counter

import pytest

from grpo_core.rewards import math_equivalent
from rewards import math_pairs

math_verify = pytest.importorskip(
    "math_verify", reason="needs Math-Verify: pip install 'grpo_core[maths]'"
)

SEED = 7

# What Math-Verify stumbles over, and the same without it. A cause is established by repair: of the
# repairs, made one after another on both texts, it is the first after which Math-Verify is right.
REPAIRS = [
    ("a full stop within the box", [(r"\.(\s*(?:\$|\\\))?\s*)$", r"\1")]),
    ("a minus sign or dash that is not ASCII", [("[−–]", "-")]),
    (
        "another sign that is not ASCII",
        [
            ("×", r"\\times "), ("·", r"\\cdot "), ("÷", "/"), ("π", r"\\pi "), ("±", r"\\pm "),
            ("∞", r"\\infty "), ("∪", r"\\cup "), ("°", r"^{\\circ}"), ("≤", r"\\le "),
            ("≥", r"\\ge "),
        ],
    ),
    ("1e3 read as Euler's number times 3", [(r"([0-9])[eE]\+?(-?[0-9]+)", r"\1 \\times 10^{\2}")]),
    ("x for times", [("([0-9]) x (10)", r"\1 \\times \2")]),
    ("a mixed number without LaTeX", [(r"([0-9]+) ([0-9]+)/([0-9]+)", r"\1\\frac{\2}{\3}")]),
    (r"\log read as the decimal logarithm", [(r"\\log(?!_)", r"\\ln")]),
    ("the word percent", [(r"\\text\{ percent\}", r"\\%")]),
    ("separators of thousands", [(r"(?<=[0-9])(?:\{,\}|\\,|,\\!|,)(?=[0-9]{3})", "")]),
    (
        "fractions without braces, or with spaces",
        [
            (r"\\[cdt]?frac ?([0-9])", r"\\frac{\1}"), (r"\\[cdt]?frac", r"\\frac"),
            (r"(\\frac *\{[^{}]*\}) *([0-9])", r"\1{\2}"),
            (r"(\\frac) *(\{[^{}]*\}) *\{", r"\1\2{"),
        ],
    ),
    (
        "commands of space and style, or dollar signs",
        [(r"\\[,; ]|\\displaystyle|~|\$|\\[()]", " "), (r"\s+", " "), ("^ | $", "")],
    ),
]  # fmt: skip
# What is left is of a kind that Math-Verify does not read, or reads otherwise.
KIND_CAUSES = {
    "angle": "degrees are read as a number, a word or radians",
    "choice": "the letter of a choice with words beside it",
    "complex": "i is a name, so i times i is not -1",
    "decimal": "two floating-point numbers that differ in the last bit",
    "equation": "an equation scaled or with its sides swapped",
    "function": "a function whose variable has another name",
    "hedge": "a chain of claims around the right value",
    "identity": "an identity that simplify does not find",
    "interval": "oo for infinity, x in a set, a set-builder or an inequality",
    "list": "a semicolon, or a word between items",
    "matrix": "an array, or a vector beside a tuple",
    "named value": "a name with a subscript",
    "piecewise": "cases",
    "plus or minus": "minus or plus, and two signs beside a list",
    "points": "(2, 6) is an open interval, in a set or a list",
    "polynomial": "a name that is also a unit, as t or m, is dropped from the end",
    "ratio": "a colon is a quotient, or not read",
    "repeating decimal": "a bar over digits",
    "scientific": "two floating-point numbers that differ in the last bit",
    "set": "braces spelled lbrace, or an item twice",
    "solution": "equations joined by and",
    "square root": "sqrt(2) without a backslash",
    "text": "words",
    "time": "a time of day is a quotient; morning and evening agree",
    "tuple": "(2, 6) is an open interval beside a tuple",
    "unit": "units are dropped, so that any two agree, or not known",
}

# What this verifier gets wrong, and why it is left so: kind, pattern of either text, reason.
OURS = []


@pytest.fixture(scope="module")
def peer():
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it says that time-outs are off
    boxed = LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )

    def grade(prediction, reference):
        # In a box the reference is read best. No signals: the pairs are small.
        gold = parse(f"\\boxed{{{reference}}}", parsing_timeout=None)
        answer = parse(
            f"\\boxed{{{prediction}}}",
            extraction_config=[boxed],
            extraction_mode="first_match",
            parsing_timeout=None,
        )
        return bool(gold) and bool(verify(gold, answer, timeout_seconds=None))

    return grade


def ours(prediction, reference):
    try:
        return math_equivalent(prediction, reference).score == 1.0
    except ValueError:  # the reference cannot be read
        return False


def cause(pair, peer):
    """Why Math-Verify is wrong about a pair."""
    texts = pair[1:3]
    for name, changes in REPAIRS:
        repaired = texts
        for pattern, instead in changes:
            repaired = tuple(re.sub(pattern, instead, text) for text in repaired)
        if repaired != texts and peer(*repaired) == pair.equal:
            return name
        texts = repaired
    return KIND_CAUSES.get(pair.kind)


def is_known_error_of_ours(pair):
    return any(
        pair.kind == kind and any(re.search(pattern, text) for text in pair[1:3])
        for kind, pattern, _ in OURS
    )


@pytest.mark.parametrize("count", [500, pytest.param(2_500, marks=pytest.mark.slow)])
def test_every_disagreement_is_of_a_known_class_and_this_side_of_it_is_right(peer, count):
    found, right = Counter(), Counter()
    unknown, wrong = [], []
    for pair in math_pairs.pairs(SEED, count):
        mine, theirs = ours(*pair[1:3]), peer(*pair[1:3])
        right.update(grpo_core=mine == pair.equal, math_verify=theirs == pair.equal)
        if mine != pair.equal and not is_known_error_of_ours(pair):
            wrong.append(pair)
        if mine == theirs:
            continue
        who, over = (
            ("Math-Verify", cause(pair, peer)) if mine == pair.equal else ("grpo_core", pair.kind)
        )
        found[who, over, pair.equal] += 1
        if over is None:
            unknown.append(pair)
    print(f"\n{count} pairs; right: {dict(right)}; {sum(found.values())} disagreements")
    print("| wrong is | over | equal pairs | different pairs |\n|---|---|---|---|")
    for who, over in dict.fromkeys(key[:2] for key, _ in found.most_common()):
        print(f"| {who} | {over} | {found[who, over, True]} | {found[who, over, False]} |")
    assert not wrong
    assert not unknown
