"""Which column is what, and one row as the arguments of a verifier."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, Literal, NamedTuple, cast

Kind = Literal["math", "code"]

GUESSES = {
    "problem": ("problem", "prompt", "question", "instruction"),
    "completion": ("completion", "response", "output", "generation", "prediction"),
    "reference": ("reference", "answer", "ground_truth", "gold", "target"),
    "tests": ("tests", "test_cases"),
    "group": ("group", "group_id", "problem_id", "prompt_id"),
}


class ColumnError(Exception):
    """A column that was named, or one that nothing works without, is not there."""


class RowError(Exception):
    """This row cannot be scored."""


class Task(NamedTuple):
    """One row, ready to be scored: `answer` is the reference, or the tests."""

    problem: str
    completion: str
    answer: Any
    kind: Kind | None


@dataclass(frozen=True)
class Columns:
    """The name of each column, or None where it is to be guessed or is not there."""

    problem: str | None = None
    completion: str | None = None
    reference: str | None = None
    tests: str | None = None
    group: str | None = None

    def found_in(self, names: Sequence[str]) -> "Columns":
        """The same with guesses for what is not named.

        Raises:
            ColumnError: If a column that was named is not among `names`.
        """
        found: dict[str, str | None] = {}
        for part in fields(self):
            named = getattr(self, part.name)
            if named is not None and named not in names:
                raise ColumnError(f"no column {named!r}; there are {', '.join(names)}")
            guesses = (name for name in GUESSES[part.name] if name in names)
            found[part.name] = named or next(guesses, None)
        return replace(self, **found)

    def value(self, values: Mapping[str, Any], part: str) -> Any:
        """What a row has in the column for this part, or None."""
        name = getattr(self, part)
        if name is not None:
            return values.get(name)
        # Rows may differ in what they have: maths and code in one file.
        return next((values[n] for n in GUESSES[part] if values.get(n) is not None), None)

    def task(self, values: Mapping[str, Any], kind: Kind | Literal["auto"]) -> Task:
        """The row as a task.

        Raises:
            RowError: If the completion or the answer is not there, or is no text.
        """
        completion = text_of(self.value(values, "completion"))
        if completion is None:
            raise RowError(f"no text in {self.completion or 'any column for the completion'}")
        tests, reference = read_json(self.value(values, "tests")), self.value(values, "reference")
        if kind == "auto":
            kind = "math" if tests is None else "code"
        answer = reference if kind == "math" else tests
        if answer is None:
            raise RowError(f"no {'reference' if kind == 'math' else 'tests'}")
        if kind == "math":
            if isinstance(answer, bool) or not isinstance(answer, str | int | float):
                raise RowError(f"the reference must be a text, got {type(answer).__name__}")
            if isinstance(answer, float) and not isfinite(answer):
                raise RowError(f"the reference must be a finite number, got {answer}")
            answer = str(answer)
        return Task(text_of(self.value(values, "problem")) or "", completion, answer, kind)


def read_json(tests: Any) -> Any:
    """Tests out of a text of JSON, as data sets keep them; None for empty ones."""
    if isinstance(tests, str) and tests.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError):
            tests = json.loads(tests)
    return tests or None


def text_of(value: Any) -> str | None:
    """A text, or the content of the last message where messages stand for one."""
    if isinstance(value, list) and value:
        last = cast("list[Any]", value)[-1]
        value = cast("dict[str, Any]", last).get("content") if isinstance(last, dict) else None
    return value if isinstance(value, str) else None
