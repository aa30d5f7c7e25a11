"""Scoring a file into another, row by row, so that an interrupted run goes on where it stopped."""

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import tee
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from grpo_core.cli._columns import Columns, Kind, RowError, Task
from grpo_core.cli._rows import Row, read_rows
from grpo_core.rewards import Reward, Verdict, magistral_reward, score_batch, verify_language

Record = dict[str, Any]


class OutputError(Exception):
    """The output is there already, and is not the beginning of this run's."""


@dataclass(frozen=True)
class Settings:
    """What decides a score; a run goes on only with the same."""

    columns: Columns
    kind: Kind | Literal["auto"]
    language: bool


class Prepared(NamedTuple):
    """A row and its task, which is of no kind where the row is none."""

    row: Row
    id: str
    task: Task


def reward_of(
    problem: str, completion: str, answer: Any, kind: Kind | None, *, language: bool
) -> Reward | Verdict:
    """The reward of one row, in a worker; without a kind, `completion` says what is wrong."""
    if kind is None:
        return Verdict(None, "invalid_row", {"message": completion})
    check = verify_language if language and problem else None
    return magistral_reward(problem, completion, answer, kind=kind, language=check)


def prepared(path: Path, settings: Settings) -> Iterator[Prepared]:
    """Every row of the file, known again by an id of its text and of the settings."""
    salt = repr(settings).encode()
    for row in read_rows(path):
        name = blake2b(salt + row.text, digest_size=8).hexdigest()
        try:
            if row.values is None:
                raise RowError(row.fault)
            task = settings.columns.task(row.values, settings.kind)
        except RowError as error:
            task = Task("", str(error), None, None)
        yield Prepared(row, name, task)


def resumed(rows: Iterator[Prepared], output: Path) -> Iterator[Record]:
    """The records that are there already, each taken from `rows`; a torn last line is cut off.

    Raises:
        OutputError: If the output belongs to another input or other settings.
    """
    with output.open("r+b") as file:
        whole = 0
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if not isinstance(record, dict):
                if file.read(1):
                    raise OutputError(f"{output}:{number} is no line of ours")
                break
            record = cast("Record", record)
            row = next(rows, None)
            if row is None or (record.get("line"), record.get("id")) != (row.row.line, row.id):
                raise OutputError(
                    f"{output}:{number} is of another input or of other options: "
                    "name another output, or give --overwrite"
                )
            yield record
            whole += len(line)
        if whole < file.seek(0, os.SEEK_END):
            file.truncate(whole)


def scored(
    rows: Iterable[Prepared],
    settings: Settings,
    *,
    workers: int,
    timeout_seconds: float,
) -> Generator[Record, None, None]:
    """The records of the rows, in order."""
    ours, theirs = tee(rows)
    results = score_batch(
        (row.task for row in theirs),
        partial(reward_of, language=settings.language),
        executor=workers,
        timeout_seconds=timeout_seconds,
    )
    with closing(results):
        for row, result in zip(ours, results, strict=True):
            yield record_of(row, settings.columns, result)


def record_of(row: Prepared, columns: Columns, result: Reward | Verdict) -> Record:
    """A line of the output."""
    record: Record = {"line": row.row.line, "id": row.id}
    group = (row.row.values or {}).get(columns.group) if columns.group else None
    if group is not None:
        record["group"] = str(group)
    if row.task.kind:
        record |= {"kind": row.task.kind, "characters": len(row.task.completion)}
    if isinstance(result, Verdict):
        return record | {
            "total": None,
            "format": None,
            "correctness": None,
            "reason": result.reason,
            "reasons": {},
            "message": result.detail.get("message", ""),
        }
    reasons = {part: verdict.reason for part, verdict in result.verdicts.items()}
    record |= {"total": result.total, "format": result.format, "correctness": result.correctness}
    if "language" in reasons:
        record["language"] = result.language
    # What decided: the form where it failed, else the answer.
    return record | {"reason": reasons.get("correctness", reasons["format"]), "reasons": reasons}


def run(
    path: Path,
    output: Path,
    settings: Settings,
    *,
    overwrite: bool,
    workers: int,
    timeout_seconds: float,
    show: Callable[[Record, bool], object],
) -> None:
    """Score what is not scored yet; `show` sees every record, and whether it was there before."""
    rows = prepared(path, settings)
    if output.exists() and not overwrite:
        for record in resumed(rows, output):
            show(record, True)
    else:
        output.write_bytes(b"")
    with (
        output.open("a", encoding="utf-8", buffering=1) as file,  # a line at a time
        closing(
            scored(rows, settings, workers=workers, timeout_seconds=timeout_seconds)
        ) as records,
    ):
        for record in records:
            file.write(json.dumps(record) + "\n")
            show(record, False)
