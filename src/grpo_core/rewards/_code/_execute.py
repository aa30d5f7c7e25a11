"""One test of one program: run it, then judge what came out, each where it belongs.

`execute` may run on any worker. It knows no expected output, but for assert scripts, which run in a
process of their own. `judge` runs in the caller's process, as does a checker of the caller's.
"""

from collections.abc import Callable
from typing import Any

from grpo_core.rewards._code._asserts import run_script
from grpo_core.rewards._code._cpp_asserts import run_cpp_script
from grpo_core.rewards._code._frames import frame
from grpo_core.rewards._code._languages import PYTHON, located, needed
from grpo_core.rewards._code._output import same_value, same_words
from grpo_core.rewards._code._program import Program
from grpo_core.rewards._code._results import Ran, Settings, raised, ran
from grpo_core.rewards._code._shipped import START, shipped
from grpo_core.rewards._code._tests import AssertTest, FunctionTest, StdinTest, Test
from grpo_core.rewards._code._wire import WireError, decode, encode
from grpo_core.rewards._sandbox import run, run_python

Checker = Callable[[str, str, str], object]


Question = str | tuple[object, ...] | AssertTest


def question(test: Test) -> Question:
    """What a worker needs of a test: without what is expected, where that can be."""
    if isinstance(test, StdinTest):
        return test.stdin
    if isinstance(test, FunctionTest):
        return (test.function, tuple(test.arguments), dict(test.keywords))
    return test


def execute(program: Program, asked: Question, settings: Settings) -> Ran:
    """Runs the program on what `question` gave."""
    if isinstance(asked, str):
        return _on_stdin(program, asked.encode("utf-8", "surrogatepass"), settings)
    if isinstance(asked, AssertTest):
        script = run_script if asked.language == "python" else run_cpp_script
        return script(program, asked, settings)
    return _call(program, asked, settings)


def judge(test: Test, done: Ran, tolerance: float | None, checker: Checker | None) -> Ran:
    """The same, with a verdict's reason in any case."""
    if done.reason:
        return done
    if isinstance(test, FunctionTest):
        return _judge_value(test, done, tolerance)
    if isinstance(test, AssertTest):
        return Ran("infrastructure", note={"error": "a script ended without a word"})
    for expected in test.stdout:
        if checker is None:
            right = same_words(done.output, expected.encode("utf-8", "surrogatepass"), tolerance)
        else:
            try:
                right = bool(checker(test.stdin, done.output.decode("utf-8", "replace"), expected))
            except Exception as error:  # noqa: BLE001 - a fault of ours, which says nothing of the program
                note = {"error": f"the checker raised {type(error).__name__}"}
                return Ran("infrastructure", note=note)
        if right:
            return Ran("correct")
    return Ran("wrong_answer")


def _on_stdin(program: Program, stdin: bytes, settings: Settings) -> Ran:
    language = program.language
    limits = settings.limits(language.address_space_mb, language.processes)
    if language.run == PYTHON.run:  # forked from a process that has Python loaded
        outcome = run_python(
            program.source,
            stdin=stdin,
            limits=limits,
            packages=settings.packages,
            **settings.sandbox,
        )
        return ran(outcome)
    command = located(language.run[0])
    if command is None:
        return Ran("infrastructure", note={"error": f"no {language.run[0]} on PATH"})
    memory = str(int(settings.memory_mb))
    name = language.product or language.source
    outcome = run(
        [command, *(word.replace("{memory_mb}", memory) for word in language.run[1:])],
        stdin=stdin,
        limits=limits,
        files={name: program.product or program.source},
        executable=[name] if language.product else [],
        readable=needed(language),
        environment=language.environment,
        **settings.sandbox,
    )
    return ran(outcome)


def _call(program: Program, asked: tuple[object, ...], settings: Settings) -> Ran:
    source = program.source.decode("utf-8", "surrogatepass")
    questions = frame(("ask", "load", source)) + frame(("ask", "invoke", *asked))
    outcome = run_python(
        START,
        files=shipped("_candidate"),
        stdin=questions,
        limits=settings.limits(PYTHON.address_space_mb, PYTHON.processes),
        packages=settings.packages,
        **settings.sandbox,
    )
    return ran(outcome)


def _judge_value(test: FunctionTest, done: Ran, tolerance: float | None) -> Ran:
    """Two answers, and not a byte more: to the loading of the source and to the call."""
    rest, answers = done.output, list[Any]()
    while rest and len(answers) < 3:
        size = int.from_bytes(rest[:4], "big")
        content, rest = rest[4 : 4 + size], rest[4 + size :]
        try:
            answers.append(decode(content, lambda _: _OBJECT))
        except WireError:
            return Ran("wrong_answer", note={"error": "no plain value"})
    for answer in answers:
        match answer:
            case ("raise", ["WireError", *_], _):
                return Ran("wrong_answer", note={"error": "no plain value"})
            case ("raise", [str(name), *_], arguments):
                return raised(name, arguments)
            case ("value", _):
                continue
            case _:
                return Ran("wrong_answer", note={"error": "no plain value"})
    if len(answers) > 2:
        return Ran("wrong_answer", note={"error": "more than one answer"})
    if len(answers) < 2:
        return Ran("runtime_error", note={"error": "ended before the call returned"})
    right = same_value(answers[1][1], decode(encode(test.expected)), tolerance)
    return Ran("correct" if right else "wrong_answer")


class _Object:
    """Stands for what is no plain value: it equals nothing."""

    __slots__ = ()


_OBJECT = _Object()
