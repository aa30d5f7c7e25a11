"""Isolated runs a second and core, and what each layer costs.

    python benchmarks/sandbox.py

The program reads three numbers and prints their sum. A run's cost is the CPU time of all processes
that take part (trainer, launcher, program), of which the best of several rounds counts; runs a
second and core are its inverse. Prints one Markdown table.
"""

import argparse
import os
import resource
import subprocess
import time
from collections.abc import Callable, Sequence

from grpo_core.rewards._sandbox import run, run_python, sandbox_report
from grpo_core.rewards._sandbox._launcher import pool
from grpo_core.rewards._sandbox._readable import interpreter
from grpo_core.rewards._sandbox._report import LAYERS

SOURCE = b"n = int(input())\nprint(sum(map(int, input().split())))\n"
STDIN, STDOUT = b"3\n1 2 3\n", b"6\n"
PYTHON = (interpreter(), "-s", "-S")


def cpu_seconds() -> float:
    """CPU time of this process and of all that it started; ends the launchers to count them."""
    pool.close()
    spent = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def subprocess_alone() -> bytes:
    """What everyone does: no isolation at all."""
    command = [*PYTHON, "-c", SOURCE]
    return subprocess.run(command, input=STDIN, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603


def plain_start(layers: Sequence[str] = LAYERS) -> bytes:
    """A new interpreter in the sandbox."""
    files = {"main.py": SOURCE}
    command = (*PYTHON, "main.py")
    return run(command, stdin=STDIN, files=files, layers=layers, allow_weak=True).stdout


def fork_server(layers: Sequence[str] = LAYERS) -> bytes:
    """A fork of a warm interpreter in the sandbox."""
    return run_python(SOURCE, stdin=STDIN, layers=layers, allow_weak=True).stdout


def cost(act: Callable[[], bytes], runs: int, rounds: int) -> tuple[float, float]:
    """Seconds of CPU and of the clock for one `act`, without those of starting a launcher."""
    cpu, wall = [], []
    for _ in range(rounds):
        before = cpu_seconds()
        act()
        start = cpu_seconds()
        act()
        began = time.perf_counter()
        for _ in range(runs):
            if act() != STDOUT:
                raise RuntimeError(f"{act} gave the wrong answer")
        wall.append((time.perf_counter() - began) / runs)
        cpu.append((cpu_seconds() - start - (start - before)) / runs)
    return min(cpu), min(wall)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    report = sandbox_report()
    print(
        f"level {report.level}: {', '.join(report.layers)}; missing: {report.missing or 'nothing'}"
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    rows: list[tuple[str, Callable[[], bytes]]] = [
        ("`subprocess.run`, no isolation", subprocess_alone),
        ("sandbox, plain start", plain_start),
        ("sandbox, fork server", fork_server),
    ]
    for layer in LAYERS:
        rest = tuple(name for name in LAYERS if name != layer)
        rows.append((f"fork server without {layer}", lambda rest=rest: fork_server(rest)))
    rows.append(("fork server, limits alone", lambda: fork_server(())))
    print("| way | CPU ms | runs/s/core | wall ms |\n|---|---:|---:|---:|")
    for name, act in rows:
        cpu, wall = cost(act, arguments.runs, arguments.rounds)
        print(f"| {name} | {cpu * 1e3:.2f} | {1 / cpu:.0f} | {wall * 1e3:.2f} |", flush=True)


if __name__ == "__main__":
    main()
