"""One completion, and how each of its verdicts came about."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_core.cli._columns import Columns, RowError, Task
from grpo_core.cli._rows import InputError, read_rows
from grpo_core.cli._score import reward_of
from grpo_core.cli._status import columns_of, stop
from grpo_core.rewards import Verdict, verify_format, verify_math

# What a reason means, where its name leaves a question.
MEANINGS = {
    "different": "both sides were read, and they are not equal",
    "unparsable": "the answer could not be read; it may be right",
    "undecided": "neither proven equal nor told apart",
    "no_answer": "nothing to grade was found",
    "too_large": "a limit was reached before anything was computed",
    "no_box": "no \\boxed{} follows the thoughts",
    "empty_box": "the box holds nothing",
    "unbalanced_box": "the box is never closed",
    "box_in_code_only": "what is in code is no answer",
    "no_opening_tag": "the text has no <think>",
    "text_before_opening_tag": "something stands before <think>",
    "closing_without_opening": "</think> comes first",
    "unclosed_thoughts": "</think> never comes",
    "nested_thoughts": "a second <think> stands within the thoughts",
    "second_pair": "there are two pairs of tags",
    "second_opening_tag": "there is a <think> in the answer",
    "second_closing_tag": "there is a </think> in the answer",
    "fence_without_language": "the code block does not name its language",
    "unclosed_fence": "the code block is never closed",
    "invalid_reference": "the reference, which is ours, cannot be read",
}
NAMES = {
    "extracted": "found",
    "prediction": "read as",
    "reference": "reference read as",
    "rule": "decided by",
}


def explained(task: Task, *, language: bool) -> dict[str, Any]:
    """The reward, its parts, and each verdict with its detail.

    Where the format fails, nothing else counts; the answer is looked at all the same, apart.
    """
    assert task.kind is not None  # noqa: S101 - a task that was read
    try:
        reward = reward_of(*task, language=language)
    except (ValueError, ImportError) as error:
        form = verify_format(task.completion, kind=task.kind)
        reason = "invalid_reference" if isinstance(error, ValueError) else "error"
        refused = Verdict(None, reason, {"message": str(error)})
        return {"total": None, "verdicts": {"format": asdict(form), "correctness": asdict(refused)}}
    if isinstance(reward, Verdict):
        return {"total": None, "verdicts": {"correctness": asdict(reward)}}
    result: dict[str, Any] = {
        "total": reward.total,
        "format": reward.format,
        "correctness": reward.correctness,
        "language": reward.language,
        "verdicts": {part: asdict(verdict) for part, verdict in reward.verdicts.items()},
    }
    if "correctness" not in reward.verdicts and task.kind == "math":
        try:
            alone = verify_math(task.completion, task.answer)
        except ValueError as error:
            alone = Verdict(None, "invalid_reference", {"message": str(error)})
        result["not_counted"] = {"correctness": asdict(alone)}
    return result


def show(explanation: dict[str, Any], console: Console) -> None:
    """The same for people."""
    total = explanation["total"]
    if total is None:
        console.print("[bold red]no reward[/]: this sample would be left out")
    else:
        parts = ("format", "correctness", "language")
        terms = " + ".join(f"{explanation[part]:g} {part}" for part in parts if explanation[part])
        style = "green" if explanation["correctness"] else "yellow" if total else "red"
        console.print(f"[bold {style}]reward {total:g}[/]" + (f" = {terms}" if terms else ""))
    for part, verdict in explanation["verdicts"].items():
        _show(part, verdict, console)
    for part, verdict in explanation.get("not_counted", {}).items():
        _show(f"{part}, which does not count since the format failed", verdict, console)


def _show(part: str, verdict: dict[str, Any], console: Console) -> None:
    score, reason = verdict["score"], verdict["reason"]
    style = "red" if not score else "green"
    said = f"\n[bold]{part}[/]: [{style}]{reason}[/]"
    if reason in MEANINGS:
        said += f" ({escape(MEANINGS[reason])})"
    console.print(said, highlight=False)
    table = Table.grid(padding=(0, 2))
    for name, text in verdict["detail"].items():
        shown = printable(text) if text else "[dim]nothing[/]"
        table.add_row(f"  [dim]{NAMES.get(name, name)}[/]", shown)
    if verdict["detail"]:
        console.print(table)


def printable(text: str) -> str:
    """What a completion holds, without the power to steer a terminal."""
    return escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


def row_of(source: str, line: int, kind: Literal["math", "code", "auto"]) -> Task:
    """One row of a file of rows, or the end."""
    path = Path(source)
    if not path.exists():
        stop(f"{source} is not there")
    columns = columns_of(path, Columns())
    try:
        row = next((row for row in read_rows(path) if row.line == line), None)
        if row is None:
            stop(f"{source} has no row at line {line}")
        if row.values is None:
            stop(f"{source}:{line}: {row.fault}")
        return columns.task(row.values, kind)
    except (InputError, RowError) as error:
        stop(f"{source}:{line}: {error}")


def task_of(source: str, reference: str | None, tests: Path | None, problem: str) -> Task:
    """A completion by itself, or the end."""
    if (reference is None) == (tests is None):
        stop("give --line, or one of --reference and --tests")
    try:
        text = typer.get_text_stream("stdin").read() if source == "-" else Path(source).read_text()
        if tests is None:
            return Task(problem, text, reference, "math")
        return Task(problem, text, json.loads(tests.read_text()), "code")
    except (OSError, ValueError) as error:
        stop(str(error))
