"""What `check_verifier` and `check_loss` say: every check, and a case for each way to fail it."""

import re
from dataclasses import dataclass

_LONG = 120  # characters from which a text is looked at for runs
_RUN = re.compile(r"(?s)(.{1,40}?)\1{9,}")


@dataclass(frozen=True)
class Failure:
    """A way to fail a check.

    Args:
        label: The class of cases that fail so; empty where there is one only.
        message: What was wrong.
        example: The plainest case, as a call.
        test: A regression test, ready to paste.
        count: How many of the cases that were tried fail so.
    """

    label: str
    message: str
    example: str
    test: str
    count: int = 1


@dataclass(frozen=True)
class Result:
    """A check and how it went.

    Args:
        name: Of the check, such as `rejects_wrong`.
        says: What holds if it passes, as a sentence.
        failures: One for each way to fail; none if it passes.
        cases: How many cases were tried.
        note: Why it did not run, or what it left out; empty if nothing.
        is_run: Whether it ran at all.
    """

    name: str
    says: str
    failures: tuple[Failure, ...] = ()
    cases: int = 0
    note: str = ""
    is_run: bool = True

    @property
    def state(self) -> str:
        """`fails`, `holds`, or `not run`."""
        return "fails" if self.failures else "holds" if self.is_run else "not run"


@dataclass(frozen=True)
class Report:
    """Which properties hold, and for each that does not, its plainest counterexamples.

    `str(report)` is the whole of it, as a text. It is true (`bool(report)`) if nothing fails.

    Args:
        subject: The name of what was checked.
        results: One for each check, in the order in which they are shown.
        seconds: What it took.
    """

    subject: str
    results: tuple[Result, ...]
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return not any(result.failures for result in self.results)

    def __getitem__(self, name: str) -> Result:
        """The result of the check of that name."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that fail."""
        return tuple(result.name for result in self.results if result.failures)

    def check(self) -> None:
        """Raise with all that failed.

        Raises:
            AssertionError: If anything did; its text is the report.
        """
        if not self:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        width = max((len(result.name) for result in self.results), default=0)
        ran = [result for result in self.results if result.is_run]
        held = f"{len(ran) - len(self.failed)} of {len(ran)} properties hold"
        lines = [f"{self.subject}: {held} ({self.seconds:.0f} s)"]
        for result in self.results:
            note = f"  [{result.note}]" if result.note else ""
            lines.append(f"  {result.state:7}  {result.name:{width}}  {result.says}{note}")
        for result in self.results:
            if result.failures:
                lines += ["", f"{result.name}: {len(result.failures)} ways to fail"]
            for failure in result.failures:
                label = f"{failure.label}: " if failure.label else ""
                times = f" ({failure.count} cases)" if failure.count > 1 else ""
                lines += ["", f"  {label}{failure.message}{times}"]
                lines += [f"    {line}".rstrip() for line in failure.test.splitlines()]
        return "\n".join(lines)


def literal(value: object) -> str:
    """A value as Python would read it again; long runs in a text as products."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        parts: list[str] = [literal(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return (
            f"({', '.join(parts)}{',' * (len(parts) == 1)})"
            if type(value) is tuple
            else repr(value)
        )  # pyright: ignore[reportUnknownArgumentType]
    return repr(value)


def _text(text: str) -> str:
    if len(text) <= _LONG:
        return repr(text)
    parts: list[str] = []
    end = 0
    for run in _RUN.finditer(text):
        if run.start() > end:
            parts.append(repr(text[end : run.start()]))
        parts.append(f"{run[1]!r} * {len(run[0]) // len(run[1])}")
        end = run.end()
    if end < len(text):
        parts.append(repr(text[end:]))
    return " + ".join(parts)
