"""Accuracy, speed and hostile texts of maths verifiers, side by side in one run.

    python benchmarks/verify_math.py pairs.jsonl

A line of the file is an object with `prediction`, `gold`, `equivalent` and `contested`; contested
rows are timed, and left out of the accuracy. Each verifier is asked as its users ask it: for a
completion with a box, and a reference (the peers read one best in a box, too). It works in a
process of its own, one verdict after another, with its own time-outs on; the clock runs in that
process, and the parent kills what takes longer than `--kill-seconds`. The first verdict, which
loads what it needs, is not timed. A peer that cannot be imported is said to be missing.

Prints Markdown tables: the pairs; the hostile texts of `tests/rewards/test_math_hostile.py`
(`--no-hostile` leaves them out: a peer may take minutes); imports in a fresh process; and with
`--memory`, by how much resident memory grows over 100,000 verdicts of ours.
"""

import argparse
import json
import logging
import multiprocessing
import os
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

from grpo_core.rewards import verify_math

Grade = Callable[[str, str], bool]
HOSTILE = Path(__file__).parents[1] / "tests" / "rewards" / "test_math_hostile.py"
VERDICTS = 100_000
# Where the box stands; the answer is 3, and none of these gives it.
LAYOUTS = [
    r"<think>\boxed{3}</think>It is done.", r"<think>3</think>It is 3.", r"\boxed{3}\boxed{4}",
    r"<think>a</think>\boxed{3}</think>\boxed{4}", r"<think>a</think><think>\boxed{3}</think>",
    "<think>a</think>\n```\n\\boxed{3}\n```\n", "<think>a</think>`\\boxed{3}`", r"\boxed{3", "3",
    "\\boxed{\u200b3}", "\\boxed{\u0663}", r"\boxed{}", r"\boxed{?}", r"\boxed{3}\boxed{ }",
    r"\boxed{3} or \boxed{4}", "\\boxed{" * 10_000, "\\boxed{" * 2_000 + "4" + "}" * 1_999,
    "{" * 100_000, "\\boxed{" + "9" * 100_000 + "}", "</think><think>" * 10_000,
]  # fmt: skip


class Row(TypedDict):
    """A labelled pair."""

    prediction: str
    gold: str
    equivalent: bool
    contested: bool


class Answer(NamedTuple):
    """What a verifier said, and how long it took; None if it was killed."""

    said: bool | None
    milliseconds: float


def ours() -> Grade:
    """A reference that cannot be read raises: here, as in training, that is no reward."""

    def grade(completion: str, gold: str) -> bool:
        try:
            return verify_math(completion, gold).score == 1.0
        except ValueError:
            return False

    return grade


def math_verify() -> Grade:
    """Hugging Face's Math-Verify, both sides parsed from a box."""
    from math_verify import parse, verify  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    def grade(completion: str, gold: str) -> bool:
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(completion)))

    return grade


def trl() -> Grade:
    """TRL's `accuracy_reward`; None, where it cannot read the reference, is no reward."""
    from trl.rewards.accuracy_rewards import accuracy_reward  # noqa: PLC0415

    def grade(completion: str, gold: str) -> bool:
        messages = [[{"role": "assistant", "content": completion}]]
        return accuracy_reward(messages, [f"\\boxed{{{gold}}}"]) == [1.0]

    return grade


VERIFIERS: dict[str, tuple[str, Callable[[], Grade]]] = {  # name -> its import, its maker
    "grpo_core": ("from grpo_core.rewards import verify_math", ours),
    "Math-Verify": ("from math_verify import parse, verify", math_verify),
    "TRL `accuracy_reward`": ("from trl.rewards import accuracy_reward", trl),
}


def serve(make: Callable[[], Grade], connection: Any) -> None:
    """Grade what comes through the connection until it closes."""
    logging.disable()
    grade = make()
    grade("\\boxed{\\sqrt2+x}", "x+\\sqrt{2}+1")
    connection.send(None)
    while True:
        try:
            completion, gold = connection.recv()
        except EOFError:
            return
        start = time.perf_counter()
        try:
            said = grade(completion, gold)
        except Exception:  # noqa: BLE001 - no verdict is no reward
            said = False
        connection.send((said, 1000 * (time.perf_counter() - start)))


class Killable:
    """A verifier in a process that is killed, and started again, when it does not answer."""

    def __init__(self, make: Callable[[], Grade], kill_seconds: float) -> None:
        """Start it, and wait until it has loaded."""
        self.make, self.kill_seconds = make, kill_seconds
        self.start()

    def start(self) -> None:
        """Fork the process that grades."""
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(self.make, theirs))
        self.process.start()
        theirs.close()
        self.connection.recv()

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def grade(self, completion: str, gold: str) -> Answer:
        """A verdict, or None after the time is up."""
        self.connection.send((completion, gold))
        try:
            if self.connection.poll(self.kill_seconds):
                return Answer(*self.connection.recv())
        except EOFError:  # it died, of a recursion in C for one
            pass
        self.stop()
        self.start()
        return Answer(None, 1000 * self.kill_seconds)


def row(name: str, verifier: Killable, pairs: list[Row]) -> str:
    """The line of one verifier: accuracy and time on labelled pairs."""
    times: list[float] = []
    wrongly: dict[bool, list[bool]] = {True: [], False: []}  # by label, whether it erred
    for pair in pairs:
        answer = verifier.grade(f"\\boxed{{{pair['prediction']}}}", pair["gold"])
        times.append(answer.milliseconds)
        if not pair["contested"]:
            wrongly[pair["equivalent"]].append(bool(answer.said) != pair["equivalent"])
    errors = wrongly[True] + wrongly[False]
    times.sort()
    cells = (
        f"{1 - statistics.mean(errors):.1%}",
        f"{statistics.mean(wrongly[False]):.1%} ({sum(wrongly[False])})",
        f"{statistics.mean(wrongly[True]):.1%} ({sum(wrongly[True])})",
        f"{statistics.median(times):.2f}",
        f"{times[int(0.99 * len(times))]:.1f}",
        f"{times[-1]:.0f}",
        f"{1000 * len(times) / sum(times):,.0f}",
    )
    return f"| {name} | {' | '.join(cells)} |"


def hostile_row(name: str, verifier: Killable, texts: list[str], hacks: list[str]) -> str:
    """The line of one verifier: hostile texts, none of which is the answer 3."""
    answers = [verifier.grade(f"\\boxed{{{text}}}", "3") for text in texts]
    answers += [verifier.grade(text, "3") for text in LAYOUTS]
    rewarded = sum(bool(answer.said) for answer in answers[len(texts) :])
    rewarded += sum(
        bool(answer.said)
        for text, answer in zip(texts, answers[: len(texts)], strict=True)
        if text in hacks
    )
    killed = sum(answer.said is None for answer in answers)
    times = [answer.milliseconds for answer in answers]
    cells = f"{sum(times) / 1000:.1f}", f"{max(times):,.0f}", str(killed), str(rewarded)
    return f"| {name} | {' | '.join(cells)} |"


def import_row(statement: str) -> str:
    """The line of one import, in fresh processes: time, and resident memory beyond Python's own."""
    code = f"""
import os, time
def pages(): return int(open("/proc/self/statm").read().split()[1])
start, before = time.perf_counter(), pages()
{statement}
print(time.perf_counter() - start, (pages() - before) * os.sysconf("SC_PAGE_SIZE") / 2**20)
"""
    seconds: list[float] = []
    mebibytes: list[float] = []
    for _ in range(5):
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        took, grown = done.stdout.split()[-2:]
        seconds.append(float(took))
        mebibytes.append(float(grown))
    middle = 1000 * statistics.median(seconds), statistics.median(mebibytes)
    return f"| `{statement}` | {middle[0]:.0f} | {middle[1]:.1f} |"


def resident_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory_lines(pairs: list[Row], texts: list[str]) -> Iterator[str]:
    """Resident memory as verdicts go by, over all pairs and hostile texts again and again."""
    grade = ours()
    work = [(f"\\boxed{{{pair['prediction']}}}", pair["gold"]) for pair in pairs]
    hostile = [(f"\\boxed{{{text}}}", "3") for text in texts]
    done, first = 0, 0.0
    marks = {VERDICTS // 100, VERDICTS // 10, VERDICTS}
    yield "| verdicts | resident, MiB | more than after the first thousand |\n|---|---|---|"
    while done < VERDICTS:
        # The hostile ones once in ten rounds: they are slow.
        for completion, gold in work if done % (10 * len(work)) else work + hostile:
            grade(completion, gold)
            done += 1
            if done in marks:
                now = resident_mib()
                first = first or now
                yield f"| {done:,} | {now:.1f} | {now - first:+.1f} |"
            if done == VERDICTS:
                break


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("pairs", type=Path)
    options.add_argument("--hostile", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--memory", action="store_true", help="100,000 verdicts more")
    options.add_argument("--kill-seconds", type=float, default=20.0, metavar="SECONDS")
    chosen = options.parse_args()
    pairs = [cast("Row", json.loads(line)) for line in chosen.pairs.read_text().splitlines()]
    different = sum(not pair["equivalent"] for pair in pairs if not pair["contested"])
    decided = sum(not pair["contested"] for pair in pairs)

    here: dict[str, Killable] = {}
    for name, (_, make) in VERIFIERS.items():
        try:
            make()
        except ImportError as error:
            print(f"{name}: left out, it cannot be imported ({error})\n")
        else:
            here[name] = Killable(make, chosen.kill_seconds)

    print(f"{decided} uncontested pairs, {different} of them different; {len(pairs)} timed\n")
    print("| | right | false positives | false negatives | median, ms | p99 | max | a second |")
    print("|---|---|---|---|---|---|---|---|")
    for name, verifier in here.items():
        print(row(name, verifier, pairs), flush=True)

    texts: list[str] = []
    hacks: list[str] = []
    if HOSTILE.exists():
        found = runpy.run_path(str(HOSTILE))
        texts, hacks = cast("list[str]", found["TEXTS"]), cast("list[str]", found["HACKS"])
    if chosen.hostile:
        wrong = len(hacks) + len(LAYOUTS)
        print(f"\n{len(texts) + len(LAYOUTS)} hostile texts, {wrong} of them hacks; reference 3\n")
        print("| | all, s | slowest, ms | killed | hacks rewarded |\n|---|---|---|---|---|")
        for name, verifier in here.items():
            print(hostile_row(name, verifier, texts, hacks), flush=True)
    for verifier in here.values():
        verifier.stop()

    print("\n| in a fresh process | ms | MiB |\n|---|---|---|")
    for name in here:
        print(import_row(VERIFIERS[name][0]), flush=True)
    if chosen.memory:
        print()
        for line in memory_lines(pairs, texts):
            print(line, flush=True)


if __name__ == "__main__":
    main()
