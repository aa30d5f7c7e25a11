"""Accuracy and speed of maths verifiers on labelled pairs, side by side in one process.

    python benchmarks/verify_math.py pairs.jsonl

A line of the file is an object with `prediction`, `gold`, `equivalent` and `contested`; contested
rows are timed, and left out of the accuracy. A peer that cannot be imported is said to be missing.
One process, one core, no memo between rows; the first verdict, which loads what it needs, is not
timed. Prints one Markdown table.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

from grpo_core.rewards import math_equivalent

Grader = Callable[[str, str], bool]


class Row(TypedDict):
    """A labelled pair."""

    prediction: str
    gold: str
    equivalent: bool
    contested: bool


def ours(prediction: str, gold: str) -> bool:
    """A reference that cannot be read raises: here, as in training, that is no reward."""
    try:
        return math_equivalent(prediction, gold).score == 1.0
    except ValueError:
        return False


def math_verify() -> Grader:
    """Hugging Face's Math-Verify, both sides parsed from a box, its own time-outs on."""
    from math_verify import parse, verify  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    def grade(prediction: str, gold: str) -> bool:
        sides = [parse(f"\\boxed{{{text}}}") for text in (gold, prediction)]
        return bool(verify(*sides))

    return grade


def row(name: str, grade: Grader, pairs: list[Row]) -> str:
    """The line of one grader."""
    grade("1", "2")
    times: list[float] = []
    wrongly: dict[bool, list[bool]] = {True: [], False: []}  # by label, whether it erred
    for pair in pairs:
        start = time.perf_counter()
        said = grade(pair["prediction"], pair["gold"])
        times.append(1000 * (time.perf_counter() - start))
        if not pair["contested"]:
            wrongly[pair["equivalent"]].append(said != pair["equivalent"])
    errors = wrongly[True] + wrongly[False]
    times.sort()
    cells = (
        f"{1 - statistics.mean(errors):.1%}",
        f"{statistics.mean(wrongly[False]):.1%}",
        f"{statistics.mean(wrongly[True]):.1%}",
        f"{statistics.median(times):.2f}",
        f"{times[int(0.99 * len(times))]:.1f}",
        f"{times[-1]:.0f}",
        f"{1000 * len(times) / sum(times):,.0f}",
    )
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("pairs", type=Path)
    lines = options.parse_args().pairs.read_text().splitlines()
    pairs = [cast("Row", json.loads(line)) for line in lines]
    different = sum(not pair["equivalent"] for pair in pairs if not pair["contested"])
    decided = sum(not pair["contested"] for pair in pairs)
    print(f"{decided} uncontested pairs, {different} of them different; {len(pairs)} timed\n")
    print("| | right | false positives | false negatives | median, ms | p99 | max | a second |")
    print("|---|---|---|---|---|---|---|---|")
    print(row("grpo_core", ours, pairs), flush=True)
    try:
        peer = math_verify()
    except ImportError as error:
        print(f"\nMath-Verify: not here ({error})")
    else:
        print(row("Math-Verify", peer, pairs))


if __name__ == "__main__":
    main()
