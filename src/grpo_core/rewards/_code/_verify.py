"""The verifier of programs."""

from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Literal, get_args

from grpo_core.rewards._code._compile import compiled
from grpo_core.rewards._code._execute import Checker, Question, execute, judge, question
from grpo_core.rewards._code._languages import LANGUAGES, Language
from grpo_core.rewards._code._program import Program, program_of
from grpo_core.rewards._code._results import Ran, Settings
from grpo_core.rewards._code._tests import (
    AssertTest,
    FunctionTest,
    StdinTest,
    Test,
    read_tests,
    sample,
)
from grpo_core.rewards._sandbox import Backend, Level
from grpo_core.rewards._verdict import Verdict

Score = Literal["all", "share"]
_SCORES: tuple[Score, ...] = get_args(Score)


def verify_code(
    completion: str,
    tests: Test | str | Mapping[str, object] | Sequence[Test | str | Mapping[str, object]],
    /,
    *,
    language: str | None = None,
    seed: int | str = 0,
    step: int = 0,
    max_tests: int = 20,
    timeout_seconds: float = 4.0,
    memory_mb: float = 300,
    compile_seconds: float = 10.0,
    tolerance: float | None = None,
    checker: Checker | None = None,
    score: Score = "all",
    executor: Executor | None = None,
    languages: Sequence[Language] = (),
    packages: Sequence[str | Path] = (),
    minimum: Level = "strong",
    allow_weak: bool = False,
    backend: Backend = "auto",
) -> Verdict:
    r"""Whether the program in the answer passes its tests, run in a sandbox.

    Section 2.2.2 of Magistral (arXiv:2506.10910): the first fenced block of the answer, which is
    what follows the one `</think>`; C++20, compiled within 10 s with `bits/stdc++.h` precompiled;
    20 of the tests at random, the same for a whole group; 4 s and 300 MB a test; right only if all
    pass. The first failure ends it.

    The block must be closed and the fence name its language. `language` is what the problem asks
    for: it stands for the language of a fence that names none, and a program in another one is no
    answer. Only the first block counts, whatever stands in the second.

    The program knows its input and never what is expected. It passes a test if it exits with status
    0 and prints the same words: with `tolerance`, numbers within so much, or so large a share of
    the expected one; integers stay exact. See `StdinTest`, `FunctionTest` and `AssertTest` for what
    a test compares, and `sandbox_report` for the isolation that this machine gives.

    Args:
        completion: What the policy wrote. Any text at all.
        tests: One test or many: a test, the mapping of its fields, or an assert script in Python.
        language: What the problem asks for, as a fence would call it.
        seed: Of the problem: which tests are used follows from `seed` and `step` alone.
        step: Of training, so that another step uses other tests.
        max_tests: The most tests to use, at least 1.
        timeout_seconds: For each test, in seconds, more than 0.
        memory_mb: For each test, resident, in units of 10**6 bytes, more than 0.
        compile_seconds: For the compiler, in seconds, more than 0.
        tolerance: Absolute and relative, at least 0; 1e-6 is common. None: words are equal.
        checker: Called as `checker(stdin, stdout, expected)` in this process instead of comparing
            words; what it returns, as a bool, decides. It reads hostile text.
        score: `"all"`: 1 if all tests pass, else 0. `"share"`: the share that passes, for which all
            are run; the report found it 2 % worse on LiveCodeBench, since it rewards programs that
            pass some tests by luck (section 7).
        executor: Where tests run side by side. The verdict is the same: that of the first test, in
            their order, that fails. Not the executor that this call itself runs in.
        languages: More than Python, C++, Rust, Go, JavaScript, Java (a class `Main`) and Bash; one
            of a name that is taken stands in for that one.
        packages: Directories from which Python programs may import, besides the standard library,
            such as the `site-packages` that holds numpy. Programs read all that lies in them.
        minimum: The isolation to insist on, a level of `sandbox_report`.
        allow_weak: Whether to run programs below that level.
        backend: `"auto"`, `"bubblewrap"`, `"gvisor"`, or a function that is a remote sandbox.

    Returns:
        1.0 with reason `correct`; 0.0 (or a share) with `wrong_answer`, `runtime_error`, `timeout`,
        `memory`, `output_limit`, `forbidden`, `compile_error` or `no_code`; None with
        `infrastructure` if a fault of ours left it open: no compiler, a full disk, a fork refused.
        The detail holds the `language`, the index in `tests` of the `test` that failed, the
        `isolation` level, a word about the `error` and, of a `compile_error`, its `line`: never
        what was expected, nor any text of a compiler.

    Raises:
        TypeError: If the completion is no text, `tests` are no tests or `packages` is one text.
        ValueError: If an option is out of range, no test is given, a program that prints nothing
            would pass them all, a script asserts nothing, or `language` is unknown or is not that
            of a test.
        SandboxError: If this machine gives less isolation than `minimum`.

    Example:
        A program that prints the input in capitals:

        >>> from grpo_core.rewards import verify_code
        >>> answer = "<think>Easy.</think>\n```python\nprint(input().upper())\n```"
        >>> verify_code(answer, {"stdin": "abc", "stdout": "ABC"}, allow_weak=True).reason
        'correct'
    """
    if not isinstance(completion, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"completion must be a str, got {type(completion).__name__}")
    if isinstance(packages, str):
        raise TypeError(f"packages must be a sequence of directories, got {packages!r}")
    _check_options(max_tests, timeout_seconds, memory_mb, compile_seconds, tolerance, score)
    all_tests = read_tests(tests)
    known = (*languages, *LANGUAGES)
    required = _required(language, known, all_tests, checker)
    if backend != "auto" and any(_talks(test) for test in all_tests):
        raise ValueError(
            "a Python assert script is a conversation, for which backend must be 'auto'"
        )

    program = program_of(completion, required, known)
    if isinstance(program, str):
        return Verdict(0.0, "no_code", {"rule": program})
    written = program.language.name
    detail = {"language": written}
    if any(_other_language(test, written) for test in all_tests):
        return Verdict(0.0, "no_code", {**detail, "rule": "other_language"})

    settings = Settings(
        timeout_seconds, memory_mb, compile_seconds, minimum, allow_weak, backend,
        tuple(map(Path, packages)),
    )  # fmt: skip
    detail["isolation"] = settings.isolation
    chosen = sample(len(all_tests), max_tests, seed, step)
    ready = program
    if any(isinstance(all_tests[i], StdinTest) for i in chosen):
        made = compiled(program, settings)
        if isinstance(made, Ran):
            return _verdict(made, detail)
        ready = made
    asked = [question(all_tests[i]) for i in chosen]
    passed, failure, at = 0, None, -1
    with closing(_results(ready, asked, settings, executor)) as results:
        for i, result in zip(chosen, results, strict=False):
            done = judge(all_tests[i], result, tolerance, checker)
            passed += done.reason == "correct"
            if done.reason == "infrastructure":
                return _verdict(done, {**detail, "test": str(i)})
            if done.reason != "correct" and failure is None:
                failure, at = done, i
                if score == "all":
                    break
    if failure is None:
        return Verdict(1.0, "correct", {**detail, "tests": str(len(chosen))})
    share = passed / len(chosen) if score == "share" else 0.0
    return _verdict(failure, {**detail, "test": str(at)}, share)


def _results(
    program: Program, asked: list[Question], settings: Settings, executor: Executor | None
) -> Generator[Ran, None, None]:
    """How each test went, in order; what has not begun when nobody asks any more does not run."""
    if executor is None:
        for one in asked:
            yield execute(program, one, settings)
        return
    futures: list[Future[Ran]] = []
    try:
        futures += [executor.submit(execute, program, one, settings) for one in asked]
        for future in futures:
            yield future.result()
    except BrokenExecutor:
        yield Ran("infrastructure", note={"error": "the executor broke"})
    finally:
        for future in futures:
            future.cancel()


def _verdict(done: Ran, detail: dict[str, str], share: float = 0.0) -> Verdict:
    score = None if done.reason == "infrastructure" else share
    return Verdict(score, done.reason, {**detail, **done.note})


def _talks(test: Test) -> bool:
    return isinstance(test, AssertTest) and test.language == "python"


def _other_language(test: Test, written: str) -> bool:
    if isinstance(test, StdinTest):
        return False
    return written != ("python" if isinstance(test, FunctionTest) else test.language)


def _required(
    language: str | None,
    languages: Sequence[Language],
    tests: tuple[Test, ...],
    checker: Checker | None,
) -> Language | None:
    """The language that is asked for, once it and the tests are known to make sense together."""
    printed = [test.stdout for test in tests if isinstance(test, StdinTest)]
    blank = all(any(not text.split() for text in outputs) for outputs in printed)
    if blank and len(printed) == len(tests) and checker is None:
        raise ValueError("every expected output is blank: a program that does nothing passes")
    needed = {
        "python" if isinstance(test, FunctionTest) else test.language
        for test in tests
        if isinstance(test, FunctionTest | AssertTest)
    }
    if len(needed) > 1:
        raise ValueError("tests must be of one language, got Python and C++")
    if language is None:
        return None
    known = [known for known in languages if language.lower() in known.names()]
    if not known:
        raise ValueError(f"language must be one of {[k.name for k in languages]}, got {language!r}")
    if needed - {known[0].name}:
        raise ValueError(f"tests are in {needed.pop()}, and the language is {known[0].name}")
    return known[0]


def _check_options(
    max_tests: int,
    timeout_seconds: float,
    memory_mb: float,
    compile_seconds: float,
    tolerance: float | None,
    score: Score,
) -> None:
    if max_tests < 1:
        raise ValueError(f"max_tests must be at least 1, got {max_tests}")
    for name, value in (
        ("timeout_seconds", timeout_seconds),
        ("memory_mb", memory_mb),
        ("compile_seconds", compile_seconds),
    ):
        if not 0 < value < inf:
            raise ValueError(f"{name} must be finite and more than 0, got {value}")
    if tolerance is not None and not 0 <= tolerance < inf:
        raise ValueError(f"tolerance must be None or at least 0, got {tolerance}")
    if score not in _SCORES:
        raise ValueError(f"score must be one of {', '.join(map(repr, _SCORES))}, got {score!r}")
