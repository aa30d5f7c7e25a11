"""A plugin for pytest: reward functions are collected as tests. It imports pytest alone until used.

    @pytest.mark.verifier(kind="math")
    def my_reward(completion, reference): ...

in a test module, or `pytest --verifier=package.module:function`, gives one item a verifier. It
fails with the report of `grpo_core.testing.check_verifier`.
"""

import inspect
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import pytest

_MARK = "verifier"
_USE = "verifier(**options): a reward function to be checked; options of check_verifier"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--verifier` and `--verifier-kind`."""
    group = parser.getgroup("grpo_core")
    group.addoption(
        "--verifier",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="check this reward function, as an item of its own; may be given again",
    )
    group.addoption(
        "--verifier-kind",
        default="math",
        choices=("math", "code", "format", "language"),
        help="what the functions of --verifier grade",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The mark is known."""
    config.addinivalue_line("markers", _USE)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> "VerifierItem | None":
    """A marked function is an item, in the module that defines it or under a test's name."""
    mark = _mark_of(obj)
    if mark is None or not callable(obj) or not isinstance(collector, pytest.Module):
        return None
    if obj.__module__ != collector.obj.__name__ and not name.startswith("test"):
        return None
    options = dict(mark.kwargs)
    return VerifierItem.from_parent(  # pyright: ignore[reportUnknownMemberType] - pytest's **kw
        collector, name=name, verifier=obj, options=options
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """One more item for each `--verifier`."""
    options = {"kind": config.getoption("--verifier-kind")}
    names: list[str] = config.getoption("--verifier") or []
    for where in names:
        verifier = found(where)
        item = VerifierItem.from_parent(  # pyright: ignore[reportUnknownMemberType] - pytest's
            session, name=where, verifier=verifier, options=options
        )
        items.append(item)


def found(where: str) -> Callable[..., Any]:
    """What `module:function` names.

    Raises:
        pytest.UsageError: If it names nothing that can be called.
    """
    module, _, name = where.partition(":")
    try:
        value: Any = import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"--verifier={where}: {error}") from None
    if not callable(value):
        raise pytest.UsageError(f"--verifier={where}: needs module:function")
    return value


def _mark_of(value: object) -> Any:
    if not inspect.isroutine(value):
        return None
    marks: Iterable[Any] = getattr(value, "pytestmark", ())
    return next((mark for mark in marks if mark.name == _MARK), None)


class VerifierItem(pytest.Item):
    """The checks of one verifier."""

    def __init__(
        self, *, verifier: Callable[..., Any], options: dict[str, Any], **keywords: Any
    ) -> None:
        super().__init__(**keywords)  # pyright: ignore[reportUnknownMemberType] - pytest's
        self.verifier, self.options = verifier, options
        for mark in getattr(verifier, "pytestmark", ()):
            self.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))

    def runtest(self) -> None:
        """Fail with the report, or for want of the extra."""
        try:
            from grpo_core.testing import check_verifier  # noqa: PLC0415 - the extra
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("hypothesis"):
                raise
            pytest.fail("needs hypothesis: pip install 'grpo_core[testing]'", pytrace=False)
        check_verifier(self.verifier, **self.options).check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report alone: the lines of this library say nothing about a verifier."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the verifier is written."""
        try:
            path, line = inspect.getfile(self.verifier), inspect.getsourcelines(self.verifier)[1]
        except (TypeError, OSError):
            return self.path, None, f"verifier {self.name}"
        return path, line - 1, f"verifier {self.name}"
