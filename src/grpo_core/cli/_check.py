"""`grpo-core check`: the report on a reward function, as a table."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grpo_core.cli._status import FINDINGS, stop

_STYLES = {"holds": "green", "fails": "red", "not run": "yellow"}


def check(
    where: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            help="A function of a completion and, unless the kind is format, a reference.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        Literal["math", "code", "format", "language"],
        typer.Option(help="What it grades: which cases it is tried on."),
    ] = "math",
    low: Annotated[float, typer.Option(help="The least score.")] = 0.0,
    high: Annotated[float, typer.Option(help="The greatest score.")] = 1.0,
    passing: Annotated[
        float | None, typer.Option(help="The score from which an answer counts as right.")
    ] = None,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="It claims that two answers may change places.")
    ] = False,
    deadline_seconds: Annotated[float | None, typer.Option(help="For one verdict.")] = None,
    seconds: Annotated[float, typer.Option(help="For all of it, about.")] = 40.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Try a reward function on right, wrong and hostile completions, before a policy does.

    Each property that does not hold comes with the plainest case that breaks it, as a test to
    paste.
    """
    if find_spec("hypothesis") is None:
        stop("check needs hypothesis: pip install 'grpo_core[testing]'")
    from grpo_core.testing import check_verifier  # noqa: PLC0415 - the extra `testing`

    verifier = _found(where)
    try:
        report = check_verifier(
            verifier, kind=kind, bounds=(low, high), passing=passing, symmetric=symmetric,
            deadline_seconds=deadline_seconds, seconds=seconds,
        )  # fmt: skip
    except ValueError as error:
        stop(str(error))
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        console = Console()
        table = Table("property", "", "cases", "what holds, or does not", title=escape(where))
        for result in report.results:
            state = f"[{_STYLES[result.state]}]{result.state}[/]"
            says = result.says + (f" ({result.note})" if result.note else "")
            table.add_row(result.name, state, f"{result.cases:,}", escape(says))
        console.print(table)
        for line in str(report).splitlines()[len(report.results) + 1 :]:
            typer.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))
    if not report:
        raise typer.Exit(FINDINGS)


def _found(where: str) -> Callable[..., Any]:
    """The function, from the folder of the call as `python -m` would find it, or the end."""
    module, _, name = where.partition(":")
    if not (module and name):
        stop(f"needs MODULE:FUNCTION, got {where}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError, ValueError) as error:
        stop(f"{where}: {error}")
    if not callable(value):
        stop(f"{where} is no function")
    return value
