"""A thousand pairs of answers in the styles of competitions, textbooks and models, by hand."""

import json
from pathlib import Path

from grpo_core.rewards import math_equivalent

PAIRS = [
    json.loads(line)
    for line in Path(__file__).with_name("math_pairs_own.jsonl").read_text("utf-8").splitlines()
]

# Equal to a reader, and refused: (prediction, reference) with the reason.
REFUSED = {
    ("3 to 2", "3:2"): "`to` between numbers is also a range",
    (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"): "a closed form, left to a computer algebra system",
}


def score(prediction, reference):
    try:
        return math_equivalent(prediction, reference).score
    except ValueError:  # the reference cannot be read
        return 0.0


def test_there_are_enough_pairs_of_both_kinds():
    assert sum(pair["equivalent"] for pair in PAIRS) >= 500
    assert sum(not pair["equivalent"] for pair in PAIRS) >= 500


def test_no_answer_that_is_wrong_is_accepted_either_way_round():
    wrong = [(p["prediction"], p["reference"]) for p in PAIRS if not p["equivalent"]]
    assert [(a, b) for a, b in wrong if score(a, b) or score(b, a)] == []


def test_every_answer_that_is_right_is_accepted_but_for_those_listed():
    right = {(p["prediction"], p["reference"]) for p in PAIRS if p["equivalent"]}
    assert {(a, b) for a, b in right if not score(a, b)} <= REFUSED.keys()


def test_a_pair_is_graded_alike_both_ways_round():
    # A list in parentheses fixes the order of a bare one, and only as the reference.
    pairs = [(p["prediction"], p["reference"]) for p in PAIRS]
    assert [(a, b) for a, b in pairs if score(a, b) != score(b, a)] == []
