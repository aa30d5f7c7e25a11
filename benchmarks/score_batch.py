"""Rewards a second of `score_batch`: format and maths on completions of about 2,000 characters.

    python benchmarks/score_batch.py [--rows 20000] [--workers 2]

Every completion is another text, with an answer of its own, three in four of them right; the kinds
of answer are mixed as in a competition set: integers, decimals, fractions, roots, expressions,
intervals, tuples, texts that are no answer. The first 500 rows of each way, which load what is
needed, are not timed, and every way must give the same verdicts. Prints one Markdown table.
"""

import argparse
import random
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context

from grpo_core.rewards import Verdict, WorkerPool, score_batch, verify_format, verify_math

WARM_UP = 500
SENTENCES = (
    "Let us first write the sum as $\\sum_{k=1}^{n} k^2$ and look at small cases.",
    "For $n = 3$ this gives $1 + 4 + 9 = 14$, so the guess is off by one.",
    "Wait, the second condition says that $x$ is positive, so one root falls away.",
    "Factoring, $(a - b)(a + b) = 2^{10}$, and both factors are even.",
    "By symmetry we may assume that the smallest side is the first.",
    "So the remainder modulo $7$ repeats with period three.",
)
Item = tuple[str, str]


def pair(n: int, rng: random.Random) -> tuple[str, str]:
    """A right answer and the reference, spelled differently."""
    k = rng.randrange(2, 999)
    kinds = (
        (f"{n}", f"{n}"),
        (f"{k},000", f"{k}000"),
        (f"{n}.50", f"{2 * n + 1}/2"),
        (rf"\dfrac{{{n}}}{{{k}}}", f"{n}/{k}"),
        (rf"{k}\sqrt{{{n}}}", rf"\sqrt{{{n * k * k}}}"),
        (rf"x^2 + {2 * k}x + {k * k}", f"(x + {k})^2"),
        (rf"({k}, {n + k})", rf"({k},{n + k})"),
        (rf"\left[{k}, \infty\right)", rf"x \ge {k}"),
    )
    return kinds[n % len(kinds)]


def rows(count: int) -> Iterator[Item]:
    """Completions and references, always the same."""
    rng = random.Random(0)  # noqa: S311 - repeatable, not secret
    for n in range(1, count + 1):
        thoughts = ""
        while len(thoughts) < 1850:
            thoughts += rng.choice(SENTENCES) + " "
        answer, reference = pair(n, rng)
        if rng.random() < 0.25:
            answer += "1"
        said = rf"Together, the answer is $\boxed{{{answer}}}$, as small numbers confirm."
        yield f"<think>\nProblem {n}. {thoughts}</think>\n{said}", reference


def reward(completion: str, reference: str) -> Verdict:
    """Format, and then the answer."""
    form = verify_format(completion, kind="math")
    return verify_math(completion, reference) if form.score else form


def rate(items: Iterable[Item], executor: Executor | None) -> tuple[float, list[Verdict]]:
    """Results a second, and the results."""
    results = score_batch(items, reward, executor=executor)
    found = list(islice(results, WARM_UP))
    start = time.perf_counter()
    found += results
    return (len(found) - WARM_UP) / (time.perf_counter() - start), found


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    items = list(rows(chosen.rows))
    length = sum(len(completion) for completion, _ in items) / len(items)
    expected: list[Verdict] = []
    print(f"{len(items):,} rows of {length:,.0f} characters, {chosen.workers} workers\n")
    print("| executor | rewards a second | right |")
    print("|---|---|---|")
    ways: dict[str, Executor | None] = {
        "none: the caller's thread": None,
        "WorkerPool": WorkerPool(chosen.workers),
        "ProcessPoolExecutor, spawn": ProcessPoolExecutor(
            chosen.workers, mp_context=get_context("spawn")
        ),
        "ThreadPoolExecutor": ThreadPoolExecutor(chosen.workers),
    }
    for name, executor in ways.items():
        speed, found = rate(items, executor)
        if executor:
            executor.shutdown()
        expected = expected or found
        if found != expected:
            raise AssertionError(f"{name} gives other verdicts")
        right = sum(verdict.score == 1.0 for verdict in found) / len(found)
        print(f"| {name} | {speed:,.0f} | {right:.1%} |", flush=True)


if __name__ == "__main__":
    main()
