"""Compiling a program, confined like the program itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grpo_core.rewards._code._header import precompiled
from grpo_core.rewards._code._languages import Language, located, needed
from grpo_core.rewards._code._messages import first_error
from grpo_core.rewards._code._program import Program
from grpo_core.rewards._code._results import Ran, Settings, unreadable
from grpo_core.rewards._sandbox import Backend, Limits, run

MEMORY_MB = 2000.0
_PATIENCE = 10.0
_WITH_MESSAGES = 'exec "$@" 2>&1'
_NOTHING = {
    "cpp": b"int main() {}\n", "rust": b"fn main() {}\n", "go": b"package main\nfunc main() {}\n",
    "java": b"public class Main { public static void main(String[] a) {} }\n",
}  # fmt: skip
_worked: set[tuple[Language, Backend]] = set()


def compiled(
    program: Program,
    settings: Settings,
    *,
    extra: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> Program | Ran:
    """The program with its product, or how it failed: never with a word of the compiler's.

    `extra` goes to the end of the command and `files` stand beside the source.
    """
    if not program.language.compile:
        return program
    made = _attempt(program, settings, extra, files or {})
    if isinstance(made, Ran) and made.reason == "compile_error":
        signalled = made.note["compiler"] == "signalled"
        if not _works(program.language, settings, or_else=not signalled):
            note = {"error": "the compiler fails on a program that does nothing"}
            return Ran("infrastructure", note=note)
    if isinstance(made, Program):
        _worked.add((program.language, settings.backend))
    return made


def _works(language: Language, settings: Settings, *, or_else: bool) -> bool:
    """Whether this compiler has made a program here, or can make one that does nothing.

    A compiler that is killed at once, or may not read its own files, fails on every program.
    """
    known = (language, settings.backend)
    if known not in _worked:
        if language.name not in _NOTHING:
            return or_else
        patient = replace(settings, compile_seconds=max(_PATIENCE, settings.compile_seconds))
        made = _attempt(Program(language, _NOTHING[language.name]), patient, (), {})
        if isinstance(made, Ran):
            return False
        _worked.add(known)
    return True


def _attempt(
    program: Program, settings: Settings, extra: Sequence[str], files: Mapping[str, bytes]
) -> Program | Ran:
    language = program.language
    compiler = located(language.compile[0])
    if compiler is None:
        return Ran("infrastructure", note={"error": f"no {language.compile[0]} on PATH"})
    words = [
        word.replace("{memory_mb}", str(int(MEMORY_MB))) for word in (*language.compile[1:], *extra)
    ]
    readable = needed(language)
    home = _header(compiler, language)
    if home:
        words.insert(0, f"-I{home}")
        readable.append(home)
    outcome = run(
        ["sh", "-c", _WITH_MESSAGES, "sh", compiler, *words],
        limits=Limits(
            wall_seconds=settings.compile_seconds,
            memory_mb=MEMORY_MB,
            address_space_mb=language.address_space_mb,
            processes=max(language.processes, 64),
        ),
        files={language.source: program.source, **files},
        collect=[language.product],
        readable=readable,
        environment={"LC_ALL": "C", **language.environment},
        **settings.sandbox,
    )
    if outcome.status == "infrastructure" or (outcome.status, outcome.code) == ("exited", 127):
        return Ran("infrastructure", note={"error": outcome.detail or "the compiler is missing"})
    product = outcome.files.get(language.product, b"")
    if (outcome.status, outcome.code) == ("exited", 0) and product:
        return replace(program, product=product)
    how = f"status {outcome.code}" if outcome.status == "exited" else outcome.status
    category, line = "none", 0
    if outcome.status == "exited":
        category, line = first_error(outcome.stdout, language.source)
    done = unreadable(category, line if line <= program.source.count(b"\n") + 1 else 0)
    return replace(done, note={**done.note, "compiler": how})


def _header(compiler: str, language: Language) -> Path | None:
    if not language.header:
        return None
    flags = tuple(word for word in language.compile[1:] if word[0] == "-" and word != "-o")
    return precompiled(compiler, flags, language.header)
