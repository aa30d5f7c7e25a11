"""The languages that programs are written in, and how each is compiled and run."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Language:
    """How a program of one language is compiled and run.

    In a command `{memory_mb}` stands for what a test may use. The first word is looked up on PATH.

    Args:
        name: What a fence calls it and a verdict's detail names.
        source: The file that the program is written into.
        run: The command that runs it, in the directory that holds `source` or `product`.
        compile: The command that makes `product` from `source`; empty if there is nothing to make.
        product: The file that is run, if compiled.
        aliases: What else a fence may call it, in lower case.
        header: A header to precompile, which the compiler then finds as `<header>`.
        environment: Variables of both commands, beside PATH.
        readable: Directories that both may read, beside the system's own.
        address_space_mb: The most that one process may reserve, or None. What a program uses is
            bounded elsewhere; a runtime that reserves far more than it uses needs None here.
        processes: Processes and threads at a time: some runtimes start many.

    Raises:
        ValueError: If there is no command to run, or a product without a command that makes it.

    Example:
        Another language in a few lines:

        >>> from grpo_core.rewards import Language
        >>> lua = Language("lua", "main.lua", run=("lua", "main.lua"))
        >>> lua.names()
        ('lua',)
    """

    name: str
    source: str
    run: Sequence[str]
    compile: Sequence[str] = ()
    product: str = ""
    aliases: Sequence[str] = ()
    header: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    readable: Sequence[str] = ()
    address_space_mb: float | None = 8192
    processes: int = 64

    def __post_init__(self) -> None:
        if not self.run or not self.run[0]:
            raise ValueError(f"{self.name}: run must name a command")
        if bool(self.compile) != bool(self.product):
            raise ValueError(f"{self.name}: compile and product need each other")
        for name in ("run", "compile", "aliases", "readable"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def names(self) -> tuple[str, ...]:
        """What a fence may call it."""
        return (self.name.lower(), *self.aliases)


_JAVAC = "javac -J-XX:+UseSerialGC -encoding UTF-8 -d classes Main.java"
_JAR = "jar -J-XX:+UseSerialGC cfe program.jar Main -C classes ."
_SYSTEM = ("/usr/", "/bin/", "/sbin/")
# Of what the compiler says nothing is kept: the first error ends it, and no line is repeated.
_QUIET = ("-w", "-fmax-errors=1", "-fno-diagnostics-show-caret", "-pipe")
PYTHON = Language(
    "python", "main.py", run=(sys.executable, "-I", "main.py"), aliases=("py", "python3")
)
CPP = Language(
    "cpp",
    "main.cpp",
    compile=("g++", "-std=c++20", "-O2", *_QUIET, "main.cpp", "-o", "program"),
    product="program",
    run=("./program",),
    aliases=("c++", "cc", "cxx", "cpp20", "c++20", "cpp17", "c++17"),
    header="bits/stdc++.h",
)
LANGUAGES: tuple[Language, ...] = (
    PYTHON,
    CPP,
    Language(
        "rust",
        "main.rs",
        compile=("rustc", "--edition", "2021", "-O", "main.rs", "-o", "program"),
        product="program",
        run=("./program",),
        aliases=("rs",),
    ),
    Language(
        "go",
        "main.go",
        compile=("go", "build", "-o", "program", "main.go"),
        product="program",
        run=("./program",),
        aliases=("golang",),
        environment={"GOCACHE": "/tmp/go", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"},  # noqa: S108
        address_space_mb=None,
        processes=256,
    ),
    Language(
        "javascript",
        "main.js",
        run=("node", "--max-old-space-size={memory_mb}", "--stack-size=16000", "main.js"),
        aliases=("js", "node"),
        address_space_mb=None,
    ),
    Language(
        "java",  # whose class is called Main, as on judges
        "Main.java",
        compile=(*("sh", "-c", f"{_JAVAC} && {_JAR}"),),
        product="program.jar",
        run=(
            *("java", "-XX:MaxRAM={memory_mb}m", "-XX:MaxRAMPercentage=60", "-Xss64m"),
            *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
            *("-jar", "program.jar"),
        ),
        address_space_mb=None,
        processes=128,
    ),
    Language("bash", "main.sh", run=("bash", "main.sh"), aliases=("sh", "shell")),
)


@cache
def located(command: str) -> str | None:
    """Where a command is: the program itself, not rustup's stand-in for it."""
    if "/" in command:
        return command
    path = shutil.which(command)
    if path and Path(path).resolve().name == "rustup":
        shown = subprocess.run(  # noqa: S603 - the developer's own toolchain
            [path, "--print", "sysroot"], capture_output=True, text=True, check=False
        )
        real = Path(shown.stdout.strip(), "bin", command)
        return str(real) if real.is_file() else None
    return path


def needed(language: Language) -> list[Path]:
    """What its commands may read beside the system's own: their toolchain too, if elsewhere."""
    more = [Path(path) for path in language.readable]
    for command in (language.compile[:1], language.run[:1]):
        path = located(command[0]) if command else None
        if path and path.startswith("/") and not path.startswith(_SYSTEM):
            more.append(Path(path).resolve().parent.parent)
    return list(dict.fromkeys(more))
