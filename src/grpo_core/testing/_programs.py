"""Programs that behave in every way that a sandbox must tell apart."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from grpo_core.rewards import StdinTest
from grpo_core.testing._arguments import chosen
from grpo_core.testing._sources import SOLUTIONS, SOURCES, TASKS, WRONG


class Program(NamedTuple):
    """A program, what it does, and what it must be told.

    Args:
        source: The program, without a fence.
        language: `python` or `cpp`.
        behaviour: What it does, as in `programs`.
        reasons: Reasons of `verify_code` that are right; `correct` only where it solves the task.
        tests: What it is run on; each expects another output.
    """

    source: str
    language: str
    behaviour: str
    reasons: frozenset[str]
    tests: tuple[StdinTest, ...]


REASONS = {
    "correct": frozenset(("correct",)),
    "wrong": frozenset(("wrong_answer",)),
    "talkative": frozenset(("wrong_answer",)),
    "misplaced": frozenset(("wrong_answer", "runtime_error", "forbidden")),
    "first_only": frozenset(("wrong_answer",)),
    "silent": frozenset(("wrong_answer",)),
    "broken": frozenset(("compile_error", "runtime_error")),
    "crashing": frozenset(("runtime_error",)),
    "looping": frozenset(("timeout",)),
    "memory_hungry": frozenset(("memory", "runtime_error")),
    "flooding": frozenset(("output_limit", "wrong_answer", "timeout")),
    "cheating": frozenset(("wrong_answer", "runtime_error", "forbidden")),
}
_LANGUAGES = tuple(SOURCES)


def programs(
    language: Literal["python", "cpp"] = "python", *, behaviours: Iterable[str] | None = None
) -> SearchStrategy[Program]:
    """Programs that read integers and print a line, with their tests and the verdicts due.

    None of them does harm where it is run without a sandbox: the hungry one asks for 1 GiB, the
    flooding one prints 64 MiB, the looping one never ends.

    Args:
        language: What they are written in.
        behaviours: `correct`, `wrong`, `talkative` (prints more beside it), `misplaced` (prints
            it to standard error), `first_only` (knows the first test's output), `silent`, `broken`
            (no program at all), `crashing` (before or after the right output), `looping`,
            `memory_hungry` and `flooding` (with the right output besides), `cheating` (leaves
            early, prints every answer, looks for the right one in frames, files, parents and the
            environment). None is all of them.

    Returns:
        The strategy. It shrinks to a correct program with two short tests.

    Raises:
        ValueError: If the language or a behaviour is unknown, or there is none.

    Example:
        >>> from hypothesis import find
        >>> from grpo_core.testing import programs
        >>> program = find(programs(), lambda program: True)
        >>> print(program.source)
        numbers = [*map(int, input().split())]
        print(sum(numbers))
        >>> [(test.stdin, test.stdout) for test in program.tests]
        [('0', ('0',)), ('1', ('1',))]
    """
    if language not in _LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(_LANGUAGES)}, got {language!r}")
    names = chosen("behaviours", behaviours, tuple(REASONS))
    return st.tuples(st.sampled_from(names), st.sampled_from(list(TASKS))).flatmap(
        lambda pair: programs_of(language, *pair)
    )


@st.composite
def programs_of(draw: st.DrawFn, language: str, behaviour: str, task: str) -> Program:
    """Programs of one behaviour that solve one task, or fail to."""
    solve = TASKS[task]
    lines = st.lists(st.integers(-1000, 1000), min_size=1, max_size=8)
    if task == "in order":  # so that the order can be wrong
        lines = lines.filter(lambda line: len({*line}) > 1)
    found = draw(st.lists(lines, min_size=2, max_size=4, unique_by=solve))
    template = draw(st.sampled_from(SOURCES[language][behaviour]))
    if "@WRONG@" in template:
        template = template.replace("@WRONG@", draw(st.sampled_from(WRONG[language][task])))
    source = template.replace("@SOLUTION@", SOLUTIONS[language][task])
    return Program(
        source.replace("@FIRST@", str(solve(found[0]))),
        language,
        behaviour,
        REASONS[behaviour],
        tuple(StdinTest(" ".join(map(str, line)), str(solve(line))) for line in found),
    )
