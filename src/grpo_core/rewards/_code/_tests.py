"""What a program is tested with, and which of a problem's tests are used."""

import ast
import builtins
import hashlib
import random
import symtable
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

from grpo_core.rewards._code._asserted import asserts
from grpo_core.rewards._code._wire import WireError, encode


@dataclass(frozen=True, slots=True)
class StdinTest:
    """A program is run on `stdin` and must print `stdout`, word by word, and exit with status 0.

    Args:
        stdin: What the program reads.
        stdout: What it must print; a tuple or list of texts if several outputs are right.

    Raises:
        TypeError: If a field is no text.
        ValueError: If there is no right output.

    Example:
        >>> from grpo_core.rewards import StdinTest
        >>> StdinTest("1 2", "3")
        StdinTest(stdin='1 2', stdout=('3',))
    """

    stdin: str
    stdout: str | Sequence[str]

    def __post_init__(self) -> None:
        outputs = (self.stdout,) if isinstance(self.stdout, str) else tuple(self.stdout)
        if not outputs:
            raise ValueError("stdout must hold one right output or more, got none")
        for text in (self.stdin, *outputs):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"stdin and stdout must be str, got {type(text).__name__}")
        object.__setattr__(self, "stdout", outputs)


@dataclass(frozen=True, slots=True)
class FunctionTest:
    """A Python function is called and must return `expected`.

    Values are compared here, outside the candidate's process, by `==` between plain values, with a
    NaN equal to a NaN and, since JSON has no tuples, a tuple accepted for a list. What is expected
    and what is given are made of None, bool, int, float, complex, str, bytes, list, tuple, dict,
    set, frozenset, and of the standard library's range, bytearray, deque, Fraction, Decimal, date,
    datetime and timedelta.

    Args:
        function: Its name; `Solution.solve` is a method of a new instance of `Solution`.
        arguments: What it is called with.
        expected: What it must return.
        keywords: What it is called with by name.

    Raises:
        TypeError: If the name is no text, or the arguments are no sequence.
        ValueError: If the name is no dotted name, or a value is none of these.

    Example:
        >>> from grpo_core.rewards import FunctionTest
        >>> FunctionTest("gcd", (12, 18), 6).expected
        6
    """

    function: str
    arguments: Sequence[object]
    expected: object
    keywords: Mapping[str, object] = field(default_factory=dict[str, object])

    def __post_init__(self) -> None:
        if not isinstance(self.function, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"function must be a str, got {type(self.function).__name__}")
        if not all(part.isidentifier() for part in self.function.split(".")):
            raise ValueError(f"function must be a dotted name, got {self.function!r}")
        if isinstance(self.arguments, str | bytes) or not isinstance(self.arguments, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"arguments must be a sequence, got {type(self.arguments).__name__}")
        try:
            encode((tuple(self.arguments), dict(self.keywords), self.expected))
        except WireError as error:
            raise ValueError(f"{self.function}: {error}") from None


@dataclass(frozen=True, slots=True)
class AssertTest:
    """A script of asserts, as of HumanEval and MBPP, must come to its end.

    A Python script runs in a process of its own, in which what the candidate defines is remote:
    calls go over to the candidate's process and results come back, as values or as references, and
    what ought to come back stays in the script. A list, dict or set that the candidate changes in
    place is changed here too. Which names are the candidate's is read off the script: those that it
    uses, does not define and that are not built in; `math` in `math.isclose` is the module's.

    An object of a class of the candidate's own equals no plain value and takes no operator with
    one, since it could answer whatever suits it; its methods are called, and compared with objects
    of the candidate's own it is asked. A helper that the script uses and does not define (`poly` in
    HumanEval/32) is asked of the candidate as well: put it into the script.

    A C++ script holds `main` and is compiled behind the candidate's source, into one program: there
    the expected values are in its reach. Exits, a `main` or an `abort` of its own and a redefined
    `assert` fail; a type or an operator that equals everything, or a search of
    memory, passes. With `declarations` the two are compiled apart, so that only memory is left to
    search.

    Args:
        script: The asserts.
        language: `"python"` or `"cpp"`; an answer in another language is none.
        entry_point: The candidate's function which `check` of a Python script is called with.
        declarations: For C++, the prototypes of what the script uses, with what they include.

    Raises:
        TypeError: If a field is no text.
        ValueError: If the language is another, a Python script does not parse, or defines `check`
            that nothing calls.

    Example:
        >>> from grpo_core.rewards import AssertTest
        >>> AssertTest("assert gcd(12, 18) == 6").names()
        ('gcd',)
    """

    script: str
    language: str = "python"
    entry_point: str = ""
    declarations: str = ""

    def __post_init__(self) -> None:
        for part in fields(self):
            if not isinstance(getattr(self, part.name), str):
                raise TypeError(f"{part.name} must be a str, got {getattr(self, part.name)!r}")
        if self.language not in ("python", "cpp"):
            raise ValueError(f"language must be 'python' or 'cpp', got {self.language!r}")
        if self.language == "python":
            defined, used, _ = _names(self.script)
            if "check" in defined and "check" not in used and not self.entry_point:
                raise ValueError("nothing calls check: give entry_point")
            if not asserts(self.script, entry_point=bool(self.entry_point)):
                raise ValueError("the script asserts nothing that is run: any program would pass")

    def names(self) -> tuple[str, ...]:
        """What a Python script asks of the candidate."""
        defined, used, modules = _names(self.script)
        names = used - defined - modules - set(dir(builtins)) | {self.entry_point} - {""}
        return tuple(sorted(names))

    def modules(self) -> tuple[str, ...]:
        """The standard library's modules that a Python script uses and does not import."""
        defined, used, modules = _names(self.script)
        return tuple(sorted((modules & used) - defined - {self.entry_point}))


Test = StdinTest | FunctionTest | AssertTest
_KINDS = (StdinTest, FunctionTest, AssertTest)


def _names(script: str) -> tuple[set[str], set[str], set[str]]:
    """Global names that a script defines, those that it reads, and those it reads as modules."""
    try:
        tree = ast.parse(script)
        scopes = [symtable.symtable(script, "tests.py", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the script does not parse: {error}") from None
    defined: set[str] = set()
    used: set[str] = set()
    for scope in scopes:  # which grows
        scopes += scope.get_children()
        top = scope is scopes[0]
        for symbol in scope.get_symbols():
            if top or symbol.is_global():
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    defined.add(symbol.get_name())
                if symbol.is_referenced():
                    used.add(symbol.get_name())
    reads = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    bases = Counter(
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )
    modules = {name for name in bases if name in sys.stdlib_module_names}
    return defined, used, {name for name in modules if reads[name] == bases[name]}


def read_tests(tests: object) -> tuple[Test, ...]:
    """The tests of a problem: one or a sequence of tests, mappings of fields, or assert scripts."""
    if isinstance(tests, (*_KINDS, str, Mapping)):
        return (_read(cast("object", tests)),)
    if not isinstance(tests, Sequence) or isinstance(tests, bytes):
        raise TypeError(f"tests must be a sequence of tests, got {type(tests).__name__}")
    found = tuple(_read(test) for test in cast("Sequence[object]", tests))
    if not found:
        raise ValueError("tests must not be empty")
    return found


def _read(test: object) -> Test:
    if isinstance(test, _KINDS):
        return test
    if isinstance(test, str):
        return AssertTest(test)
    if isinstance(test, Mapping):
        given = cast("Mapping[str, Any]", test)
        for kind in _KINDS:
            if next(iter(kind.__slots__)) in given:
                unknown = set(given) - set(kind.__slots__)
                if unknown:
                    raise ValueError(f"{kind.__name__} has no field {min(unknown)!r}")
                return kind(**given)
        raise ValueError(f"a test has stdin, function or script, got {sorted(given)}")
    raise TypeError(f"a test must be a test, a mapping or a str, got {type(test).__name__}")


def sample(count: int, most: int, seed: int | str, step: int) -> list[int]:
    """Which of `count` tests are used, in order: the same on every machine and in every process."""
    if count <= most:
        return list(range(count))
    digest = hashlib.sha256(f"{type(seed).__name__} {seed} {step}".encode()).digest()
    # The sampling of `random` is stable across versions for a seed that is an int.
    return sorted(random.Random(int.from_bytes(digest, "big")).sample(range(count), most))  # noqa: S311
