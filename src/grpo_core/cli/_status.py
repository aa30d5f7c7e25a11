"""Findings and wrong use: what is said on standard error, and the status that follows."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

import typer

from grpo_core.cli._columns import ColumnError, Columns
from grpo_core.cli._rows import InputError, chosen
from grpo_core.rewards import verify_language

FINDINGS, USAGE, INTERRUPTED = 1, 2, 130
SHOWN = 20  # findings that are printed, one a line


def columns_of(file: Path, columns: Columns) -> Columns:
    """The file's columns, or the end."""
    try:
        return chosen(file, columns)
    except (InputError, ColumnError) as error:
        stop(str(error))


def need_language() -> None:
    """The extra `language`, or the end."""
    try:
        verify_language("", "")
    except ImportError as error:
        stop(f"--language: {error}")


def report(messages: Iterator[str]) -> None:
    """The first findings, one a line, on standard error."""
    for message in islice(messages, SHOWN):
        warn(message)
    if next(messages, None) is not None:
        warn("...")


def warn(message: str) -> None:
    """One line on standard error."""
    typer.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in message), err=True)


def stop(message: str) -> NoReturn:
    """End with status 2 and one line."""
    warn(f"grpo-core: {message}")
    raise typer.Exit(USAGE)
