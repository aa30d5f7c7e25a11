"""A bar with rate and remaining time, in a terminal only."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from grpo_core.cli._rows import count_rows


@contextmanager
def bar(file: Path) -> Generator[Callable[[bool], None]]:
    """A function to call for each row: whether it was there before, and so is no work of ours."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>8} rows/s"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        before_total = 0
        task = progress.add_task("", total=count_rows(file), rate="–")

        def advance(before: bool) -> None:
            nonlocal before_total
            if before:
                before_total += 1
                progress.update(task, advance=1)
                return
            seconds = progress.tasks[0].elapsed or 0.0
            done = progress.tasks[0].completed + 1 - before_total
            progress.update(task, advance=1, rate=f"{done / seconds:,.0f}" if seconds else "–")

        yield advance
