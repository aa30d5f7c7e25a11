"""Rows of a file of completions, each with its place, whatever is wrong with one of them."""

import gzip
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from grpo_core.cli._columns import Columns

GZIP = b"\x1f\x8b"


class InputError(Exception):
    """The file as a whole cannot be read."""


class Row(NamedTuple):
    """A row by its line, from 1, and its text; without values where these cannot be read."""

    line: int
    text: bytes
    values: Mapping[str, Any] | None
    fault: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of JSONL, gzip'd or not, of Parquet, or of a folder that `datasets` saved.

    Raises:
        InputError: If the file cannot be read, or needs pyarrow and it is not here.
    """
    try:
        if path.is_dir():
            yield from _numbered(_folder(path))
        elif path.suffix == ".parquet":
            yield from _numbered(_parquet(path))
        else:
            yield from _jsonl(path)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: {error}") from error


def count_rows(path: Path) -> int | None:
    """How many rows there are, if that is quick to say."""
    if path.is_dir():
        return None
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - where it is installed

        return pq.ParquetFile(path).metadata.num_rows
    try:
        with _opened(path) as lines:
            return sum(1 for text in lines if text.strip())
    except (OSError, EOFError):
        return None


def first_columns(path: Path) -> list[str]:
    """The names of the first row that has any."""
    return next((list(row.values) for row in read_rows(path) if row.values is not None), [])


def chosen(path: Path, columns: Columns) -> Columns:
    """The columns of this file: named ones must be in its first row, others are guessed."""
    return columns.found_in(first_columns(path))


def _jsonl(path: Path) -> Iterator[Row]:
    with _opened(path) as lines:
        for number, text in enumerate(lines, start=1):
            if text.strip():
                yield _parsed(number, text.strip())


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")


def _parsed(number: int, text: bytes) -> Row:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # no UTF-8 is a ValueError too
        return Row(number, text, None, f"no JSON: {error}")
    if not isinstance(values, dict):
        return Row(number, text, None, f"must be an object, got {type(values).__name__}")
    return Row(number, text, cast("dict[str, Any]", values))


def _numbered(rows: Iterator[dict[str, Any]]) -> Iterator[Row]:
    for number, values in enumerate(rows, start=1):
        yield Row(number, json.dumps(values, sort_keys=True, default=str).encode(), values)


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    _need_pyarrow(path)
    import pyarrow as pa  # noqa: PLC0415 - where it is installed
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise InputError(f"{path}: {error}") from error


def _folder(path: Path) -> Iterator[dict[str, Any]]:
    """What `Dataset.save_to_disk` wrote, or the Parquet files of a folder."""
    if (path / "dataset_dict.json").exists():
        splits = json.loads((path / "dataset_dict.json").read_text())["splits"]
        raise InputError(f"{path} has the splits {', '.join(splits)}: name one, as {path}/...")
    _need_pyarrow(path)
    import pyarrow as pa  # noqa: PLC0415 - where it is installed

    state = path / "state.json"
    if not state.exists():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise InputError(f"{path} has neither a state.json nor Parquet files")
        for file in files:
            yield from _parquet(file)
        return
    about = json.loads(state.read_text())
    if about.get("_indices_data_files"):
        raise InputError(f"{path} has an order of its own: save it after .flatten_indices()")
    try:
        for file in about["_data_files"]:
            with pa.memory_map(str(path / file["filename"])) as source:
                for batch in pa.ipc.open_stream(source):
                    yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise InputError(f"{path}: {error}") from error


def _need_pyarrow(path: Path) -> None:
    if find_spec("pyarrow") is None:
        raise InputError(f"{path} needs pyarrow: pip install pyarrow")
