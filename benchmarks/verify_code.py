"""Speed, verdicts and cheats of code verifiers, side by side on one core.

    python benchmarks/verify_code.py programs.jsonl [--hostile 40]

A line of the file is an object with `language`, `solution`, `correct` and either `tests`, pairs of
`stdin` and `stdout`, or `asserts`, a script. Three runners grade the Python programs: ours; a plain
`subprocess` a test, without isolation; and `exec` in a forked child that also holds the expected
outputs and judges itself. The third is a minimal re-implementation, by us, of the in-process design
that LiveCodeBench and verl publish: a patched `sys.stdin` and a guard of names set to None.
LiveCodeBench and verl themselves were not run, and what it shows is that design, not their code.

Cheats are programs that solve nothing, harm nothing and try to pass; a runner pays for those that
it grades as right. Hostile programs are those of `tests/rewards/code_hostile`, an equal share of
each class up to `--hostile`: one is survived if its verdict is among those allowed, nothing outside
was read, changed, ended or left, and an honest program is graded in time after it. They run under
ours, in a process that is watched. Plain `subprocess` runs those alone that only print answers of
every kind (class `answers`), where to survive is not to pay; the rest would harm the machine. The
in-process design is not run on any. Prints two Markdown tables.
"""

import argparse
import faulthandler
import io
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict
from unittest import mock

from grpo_core.rewards import AssertTest, Language, StdinTest, sandbox_report, verify_code

SECONDS = 4.0


class Row(TypedDict):
    """A program with its tests and whether it is right."""

    language: str
    solution: str
    tests: list[dict[str, str]]
    asserts: str
    correct: bool


Runner = Callable[[Row], bool]

_PAIR = [{"stdin": "3\n", "stdout": "secret 91\n"}]
_SCRIPT = "assert solve(3) == 'secret 91'\n"
_SEARCH = """
import gc, sys
frame, found = sys._getframe(), []
while frame:
    found += [v for v in list(frame.f_locals.values())]
    frame = frame.f_back
text = repr([found, [o for o in gc.get_objects() if isinstance(o, (dict, list))][:20000]])
at = text.find("secret" + " ")
"""
CHEATS: list[tuple[str, str]] = [
    ("print(open('/dev/stdin').name)\nimport sys\nsys.exit(0)", ""),
    (_SEARCH + "print(text[at:at + 9])", ""),
    ("import os\nos._exit(0)", _SCRIPT),
    ("import sys\nsys.exit(0)", _SCRIPT),
    ("class E:\n    def __eq__(self, other): return True\ndef solve(x): return E()", _SCRIPT),
    ("class E(str):\n    def __eq__(self, other): return True\ndef solve(x): return E()", _SCRIPT),
    (_SEARCH + "def solve(x): return text[at:at + 9]", _SCRIPT),
]


def ours(row: Row) -> bool:
    """The verifier of this library."""
    tests = [StdinTest(**test) for test in row["tests"]] or AssertTest(row["asserts"])
    fence = f"```python\n{row['solution']}\n```"
    return verify_code(fence, tests, timeout_seconds=SECONDS, allow_weak=True).score == 1.0


def plain(row: Row) -> bool:
    """A process a test; an assert script stands behind the program."""
    tests = row["tests"] or [{"stdin": "", "stdout": ""}]
    for test in tests:
        source = row["solution"] + "\n" + row["asserts"]
        try:
            done = subprocess.run(  # noqa: S603 - nothing that harms
                [sys.executable, "-c", source],
                input=test["stdin"], capture_output=True, text=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        if done.returncode or (row["tests"] and done.stdout.split() != test["stdout"].split()):
            return False
    return True


def in_process(row: Row) -> bool:
    """`exec` in one forked child for all tests; the child judges itself."""
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        result: Any = manager.list()
        child = context.Process(target=_judge, args=(row, result))
        child.start()
        child.join(SECONDS * max(1, len(row["tests"])) + 1)
        if child.is_alive():
            child.kill()
            child.join()
        return bool(result) and all(result)


def _judge(row: Row, result: Any) -> None:
    sys.stderr = io.StringIO()
    faulthandler.disable()
    for name in ("kill", "system", "fork", "remove", "rmdir", "rename", "chdir"):
        setattr(os, name, None)  # their guard
    if not row["tests"]:
        exec(row["solution"] + "\n" + row["asserts"], {"__name__": "tests"})  # noqa: S102
        result.append(True)
        return
    for test in row["tests"]:
        out = io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(test["stdin"].encode()))
        with mock.patch("sys.stdin", stdin), mock.patch("sys.stdout", out):
            try:
                exec(compile(row["solution"], "solution", "exec"), {"__name__": "__main__"})  # noqa: S102
            except SystemExit:
                pass
            except Exception:  # noqa: BLE001 - the program's own
                result.append(False)
                return
        result.append(out.getvalue().split() == test["stdout"].split())


HOSTILE = Path(__file__).resolve().parents[1] / "tests" / "rewards" / "code_hostile"
_CORPUS = HOSTILE.parents[1] / "code_corpus.py"


def hostile(most: int) -> list[dict[str, Any]]:
    """The first programs of each class in turn, `most` in all."""
    lines = (HOSTILE / "manifest.jsonl").read_text().splitlines()
    rows: list[dict[str, Any]] = [row for row in map(json.loads, lines) if not row.get("slow")]
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for i, row in enumerate(rows):
        turns.append((seen[row["class"]], i))
        seen[row["class"]] += 1
    return [rows[i] for _, i in sorted(turns)[:most]]


def survived_by_ours(most: int) -> str:
    """How many hostile programs gain and harm nothing, of how many."""
    rows = {row["id"]: row for row in hostile(most)}
    command = [sys.executable, str(_CORPUS), *rows]
    done = subprocess.run(  # noqa: S603 - each is confined and bounded
        command, capture_output=True, text=True, check=False, timeout=60 + 12 * len(rows)
    )
    graded: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    held = [
        line["id"]
        for line in graded
        if line["id"] in rows
        and not line["harm"]
        and set(line["reasons"]) <= set(rows[line["id"]]["expected"])
        and not any(line["scores"])
    ]
    return f"{len(held)}/{len(rows)}"


def survived_by_plain() -> str:
    """The same of the harmless class, where it shows that nothing was paid."""
    rows = [row for row in hostile(10_000) if row["class"] == "answers" and row["kind"] == "stdin"]
    held = 0
    for row in rows:
        source = (HOSTILE / row["file"]).read_text()
        tests = [{"stdin": "token x\n", "stdout": "7 8 9"}]
        cheat = Row(
            language="python", solution=source, tests=tests, asserts="", correct=False
        )  # fmt: skip
        held += not plain(cheat)
    return f"{held}/{len(rows)}, the rest not run"


def row_of(name: str, runner: Runner, rows: list[Row], survived: str) -> str:
    """The line of one runner."""
    stdin = [row for row in rows if row["tests"] and row["correct"]]
    runner(stdin[0])
    start = time.perf_counter()
    for row in stdin:
        runner(row)
    rate = sum(len(row["tests"]) for row in stdin) / (time.perf_counter() - start)
    said = [(row["correct"], runner(row)) for row in rows]
    refused = sum(right and not passed for right, passed in said)
    accepted = sum(passed and not right for right, passed in said)
    paid = 0
    for source, script in CHEATS:
        cheat = Row(language="python", solution=source, tests=[], asserts=script, correct=False)
        paid += runner(cheat if script else {**cheat, "tests": _PAIR})
    right = len(said) - refused - accepted
    cells = f"{rate:.0f} | {right}/{len(said)} | {refused} | {accepted} | {paid}/{len(CHEATS)}"
    return f"| {name} | {cells} | {survived} |"


def compiling(header: str) -> str:
    """Median milliseconds from a completion in C++ to its verdict on one test."""
    flags = ("-std=c++20", "-O2", "-w", "-pipe")
    language = Language(
        "cpp", "main.cpp", header=header, product="program", run=["./program"],
        compile=["g++", *flags, "main.cpp", "-o", "program"],
    )  # fmt: skip
    fence = "```cpp\n#include <bits/stdc++.h>\nint main() { std::cout << 6; }\n```"
    times: list[float] = []
    for _ in range(6):
        start = time.perf_counter()
        verdict = verify_code(
            fence, StdinTest("", "6"), languages=[language], compile_seconds=60, allow_weak=True
        )
        times.append(1000 * (time.perf_counter() - start))
        if verdict.score != 1.0:
            raise SystemExit(f"expected a right program, got {verdict}")
    return f"{sorted(times[1:])[2]:.0f}"  # the first may build the header


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("programs", type=Path)
    options.add_argument("--hostile", type=int, default=40, help="how many hostile programs")
    given = options.parse_args()
    lines = given.programs.read_text().splitlines()
    rows: list[Row] = [row for row in map(json.loads, lines) if row["language"] == "python"]
    print(f"isolation: {sandbox_report().level}\n")
    columns = ["runner", "stdin tests/s", "right", "right refused", "wrong accepted", "cheats paid"]
    print(f"| {' | '.join(columns)} | hostile programs survived |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    runners: dict[str, tuple[Runner, str]] = {
        "verify_code": (ours, survived_by_ours(given.hostile)),
        "subprocess": (plain, survived_by_plain()),
        "exec in a fork, ours after the published design": (in_process, "not run"),
    }
    for name, (runner, survived) in runners.items():
        print(row_of(name, runner, rows, survived), flush=True)
    print("\n| `bits/stdc++.h` | compile and one test, ms |\n|---|---:|")
    print(f"| precompiled | {compiling('bits/stdc++.h')} |\n| as it is | {compiling('')} |")


if __name__ == "__main__":
    main()
