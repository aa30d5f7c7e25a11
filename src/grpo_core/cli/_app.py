"""The commands and their options. Status 0: all well; 1: findings; 2: wrong use."""

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from grpo_core.cli._check import check
from grpo_core.cli._columns import Columns
from grpo_core.cli._explain import explained, printable, row_of, show, task_of
from grpo_core.cli._progress import bar
from grpo_core.cli._rows import InputError, read_rows
from grpo_core.cli._score import OutputError, Settings, run
from grpo_core.cli._serve import serve
from grpo_core.cli._status import (
    FINDINGS,
    INTERRUPTED,
    columns_of,
    need_language,
    report,
    stop,
    warn,
)
from grpo_core.cli._summary import Summary
from grpo_core.rewards import check_references

app = typer.Typer(
    help="Verifiable rewards from the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        help="JSONL, gzip'd or not, Parquet, or a folder that `datasets` saved.",
        show_default=False,
    ),
]
Kinds = Annotated[
    Literal["math", "code", "auto"],
    typer.Option(help="What the answers are; auto: code where a row has tests."),
]
Language = Annotated[
    bool,
    typer.Option("--language/--no-language", help="Reward the problem's language too."),
]
_PANEL = "Columns (guessed from their names if not given)"
Problem = Annotated[str | None, typer.Option(rich_help_panel=_PANEL)]
Completion = Annotated[str | None, typer.Option(rich_help_panel=_PANEL)]
Reference = Annotated[str | None, typer.Option(rich_help_panel=_PANEL)]
Tests = Annotated[str | None, typer.Option(rich_help_panel=_PANEL)]
Group = Annotated[str | None, typer.Option(rich_help_panel=_PANEL)]


@app.command()
def score(
    file: File,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSONL, a line for each row.")],
    kind: Kinds = "auto",
    language: Language = False,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw rewards, groups and lengths.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores if not given.")
    ] = None,
    timeout_seconds: Annotated[
        float, typer.Option(min=0.001, help="For one row; then it is set aside.")
    ] = 300.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew instead of going on.")
    ] = False,
    problem_column: Problem = None,
    completion_column: Completion = None,
    reference_column: Reference = None,
    tests_column: Tests = None,
    group_column: Group = None,
) -> None:
    """Score completions: format, answer, and the reward of the Magistral report.

    A line of the output is the row's number, its total and parts, and the reason for them. A row
    that cannot be scored has the total null and a message, and is left out of every mean. Run again
    after an interruption, it goes on where it stopped.
    """
    if plot is not None and plot.suffix not in (".png", ".pdf", ".svg"):
        stop(f"--plot writes .png, .pdf or .svg, got {plot.name}")
    if plot is not None and find_spec("matplotlib") is None:
        stop("--plot needs matplotlib: pip install 'grpo_core[plot]'")
    if language:
        need_language()
    if output.exists() and output.samefile(file):
        stop(f"{output} is the input")
    names = Columns(problem_column, completion_column, reference_column, tests_column, group_column)
    console, summary = Console(), Summary()
    settings = Settings(columns_of(file, names), kind, language)
    interrupted = False
    with bar(file) as advance:

        def count(record: dict[str, Any], before: bool) -> None:
            summary.add(record)
            advance(before)

        try:
            run(
                file,
                output,
                settings,
                overwrite=overwrite,
                workers=workers or os.cpu_count() or 1,
                timeout_seconds=timeout_seconds,
                show=count,
            )
        except KeyboardInterrupt:
            interrupted = True
        except (InputError, OutputError, OSError) as error:
            stop(str(error))
    console.print(summary.table())
    for sentence in summary.sentences():
        console.print(sentence, highlight=False, soft_wrap=True)
    report(f"{file}:{line}: {reason}: {text}" for line, reason, text in summary.unscored)
    if plot is not None and summary.totals:
        try:
            summary.save_picture(plot)
        except (OSError, ValueError) as error:  # nowhere to write to, or no such kind of picture
            stop(f"--plot: {error}")
    if interrupted:
        warn(f"interrupted: {summary.rows:,} rows are in {output}; the same command goes on")
        raise typer.Exit(INTERRUPTED)
    if summary.unscored:
        warn(f"{len(summary.unscored):,} rows were set aside")
        raise typer.Exit(FINDINGS)


@app.command()
def explain(
    source: Annotated[
        str,
        typer.Argument(
            help="A file with one completion, - for standard input, or, with --line, "
            "a file of rows.",
            show_default=False,
        ),
    ],
    line: Annotated[int | None, typer.Option(min=1, help="Which row of the file.")] = None,
    reference: Annotated[str | None, typer.Option(help="The right answer.")] = None,
    tests: Annotated[Path | None, typer.Option(exists=True, help="Tests, as JSON.")] = None,
    problem: Annotated[str, typer.Option(help="The problem.")] = "",
    kind: Kinds = "auto",
    language: Language = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how one completion was graded: what was found, how it was read, which rule decided."""
    if language:
        need_language()
    if line is not None and not (reference is None and tests is None and not problem):
        stop("--line takes reference, tests and problem from the file: leave them out")
    if line is None and kind != "auto":
        stop("--kind is for --line: --reference is maths, --tests is code")
    task = (
        row_of(source, line, kind)
        if line is not None
        else task_of(source, reference, tests, problem)
    )
    explanation = explained(task, language=language)
    if as_json:
        typer.echo(json.dumps(explanation, indent=2))
    else:
        show(explanation, Console())
    if not explanation.get("correctness"):
        raise typer.Exit(FINDINGS)


@app.command("check-references")
def references(file: File, reference_column: Reference = None) -> None:
    """Find the references that the maths verifier cannot read, before training does."""
    columns = columns_of(file, Columns(reference=reference_column))
    lines: list[int] = []
    broken: list[tuple[int, str]] = []

    def texts() -> Iterator[str]:
        for row in read_rows(file):
            if row.values is None:
                broken.append((row.line, row.fault))
                continue
            value = columns.value(row.values, "reference")
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                lines.append(row.line)
                yield str(value)
            elif columns.value(row.values, "tests") is None:
                broken.append((row.line, "no reference"))

    try:
        refused = check_references(texts())
    except InputError as error:
        stop(str(error))
    found = sorted(broken + [(lines[at], message) for at, message in refused.items()])
    report(f"{file}:{line}: {message}" for line, message in found)
    typer.echo(f"{len(lines) - len(refused):,} of {len(lines):,} references can be read")
    if found:
        raise typer.Exit(FINDINGS)


app.command()(check)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Say what works here and what is missing. Fails only if a base dependency does."""
    from grpo_core.cli._doctor import findings  # noqa: PLC0415 - it imports torch

    found = findings()
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in found], indent=2))
    else:
        styles = {"works": "green", "missing": "yellow", "broken": "red"}
        table = Table.grid(padding=(0, 2))
        for finding in found:
            state = f"[{styles[finding.state]}]{finding.state}[/]"
            table.add_row(finding.name, state, printable(finding.text))
        Console().print(table)
    if any(finding.state != "works" for finding in found if finding.needed):
        raise typer.Exit(FINDINGS)


app.command("serve")(serve)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
def demo(context: typer.Context) -> None:
    """Repair a small policy by verifiable rewards alone; half a minute on a laptop's CPU."""
    from grpo_core.recipes.demo.__main__ import main  # noqa: PLC0415 - the extra `demo`

    raise typer.Exit(main(context.args))
