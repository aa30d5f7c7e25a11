"""What a run shows: progress while it lasts, then one table, `demo.png` and `demo.jsonl`."""

import json
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from grpo_core.recipes.demo._task import HELD_OUT
from grpo_core.recipes.demo._train import Row

SHARES = ("reward", "held_out")
NAMES = {False: "policy", True: "control"}


def to_json(row: Row) -> str:
    """The line of `demo.jsonl`."""
    return json.dumps(row._asdict())


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` trials (Wilson, 1927): honest near 0 and 1 too."""
    z = 1.96
    middle = share + z * z / (2 * count)
    radius = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return (middle - radius) / (1 + z * z / count), (middle + radius) / (1 + z * z / count)


@contextmanager
def progress(console: Console, steps: int, *, control: bool) -> Generator[Callable[[Row], None]]:
    """A function that shows a row: a bar in a terminal, else a line for each evaluation."""
    if not console.is_terminal:
        yield lambda row: _print_line(console, row)
        return
    columns = (
        TextColumn("{task.description:7}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("reward {task.fields[reward]:>5}  held-out {task.fields[held_out]:>6}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {
            kind: bars.add_task(NAMES[kind], total=steps, reward="–", held_out="–")
            for kind in ([False, True] if control else [False])
        }

        def show(row: Row) -> None:
            task = tasks[row.control]
            bars.update(task, completed=row.step)
            if row.reward is not None:
                bars.update(task, reward=f"{row.reward:.3f}")
            if row.held_out is not None:
                bars.update(task, held_out=f"{row.held_out:.1%}")

        yield show


def _print_line(console: Console, row: Row) -> None:
    if row.held_out is not None:
        name, step, reward, held_out, *_ = NAMES[row.control], *_cells(row)
        console.print(f"{name:8} step {step:>4}  reward {reward:>5}  held-out {held_out}")


def table(rows: list[Row], *, minibatches: int) -> Table:
    """The evaluated steps and the first one, the control's after the policy's."""
    note = f"pass@1 at temperature 1 on {HELD_OUT:,} problems never trained on, 95 % interval."
    if minibatches == 1:
        note += "\nOne minibatch: the ratio is 1, so nothing is clipped (try --minibatches 2)."
    # 80 columns are all that a terminal is sure to have.
    result = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=0, caption=note, caption_justify="left"
    )
    result.add_column("")
    for name in (
        *("step", "reward", "held-out\npass@1", "mean\nlength", "kept\ngroups", "entropy"),
        *("clip\nfraction", "|ratio\n- 1|"),
    ):
        result.add_column(name, justify="right", vertical="bottom", no_wrap=True)
    for control in (False, True):
        for row in rows:
            if row.control == control and (row.held_out is not None or row.step == 1):
                result.add_row(NAMES[control], *_cells(row))
        result.add_section()
    return result


def _cells(row: Row) -> list[str]:
    def cell(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    held_out = cell(row.held_out, "6.1%")
    if row.held_out is not None:
        low, high = wilson(row.held_out, HELD_OUT)
        held_out += f" [{100 * low:4.1f}, {100 * high:4.1f}]"
    return [
        str(row.step),
        cell(row.reward, ".3f"),
        held_out,
        cell(row.mean_length, ".1f"),
        cell(row.kept_groups, ".0%"),
        cell(row.entropy, ".3f"),
        cell(row.clip_fraction, ".2%"),
        cell(row.ratio_error, ".1e"),
    ]


def save_picture(rows: list[Row], path: Path) -> None:
    """Reward, held-out accuracy with its interval, mean length and entropy by step."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = {
        "reward": "reward",
        "held_out": "held-out pass@1",
        "mean_length": "mean length (tokens)",
        "entropy": "entropy (nats a token)",
    }
    for axes, (field, title) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for control, style in ((False, "C0-"), (True, "C7--")):
            points = [
                (row.step, getattr(row, field))
                for row in rows
                if row.control == control and getattr(row, field) is not None
            ]
            if not points:
                continue
            steps, values = zip(*points, strict=True)
            marker = "o" if field == "held_out" else ""
            axes.plot(steps, values, style, marker=marker, label=NAMES[control])
            if field == "held_out":
                low, high = zip(*(wilson(value, HELD_OUT) for value in values), strict=True)
                axes.fill_between(steps, low, high, color=style[:2], alpha=0.25, linewidth=0)
        axes.set(title=title, xlabel="step", ylim=(0, 1 if field in SHARES else None))
        axes.grid(alpha=0.3)
    if any(row.control for row in rows):
        figure.axes[1].legend()  # the one that has both from step 0
    figure.savefig(path, dpi=120)
