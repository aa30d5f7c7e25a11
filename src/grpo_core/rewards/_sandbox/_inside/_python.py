"""A Python program in a fork of an interpreter that has started already."""

import _sitebuiltins
import atexit
import builtins
import gc
import importlib
import io
import os
import signal
import sys
import threading
import types
from contextlib import suppress
from typing import NoReturn

from . import _system

# What programs import most; nothing here starts a thread, opens a file or keeps a secret.
PREIMPORTED = (
    "abc", "array", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy",
    "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq", "io",
    "itertools", "json", "math", "numbers", "operator", "queue", "random", "re", "statistics",
    "string", "struct", "textwrap", "threading", "time", "traceback", "types", "typing",
)  # fmt: skip


_INTERRUPT, _IGNORED_BY_PYTHON = 2, (13, 25)  # SIGINT; SIGPIPE, SIGXFSZ
_streams: list[io.TextIOWrapper] = []
_not_the_programs: list[str] = []


def prepare(packages: list[str]) -> None:
    """Do what every program needs done before it is forked: what a fork writes to, it copies."""
    for name in PREIMPORTED:
        importlib.import_module(name)
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    builtins.help = _sitebuiltins._Helper()  # type: ignore[assignment]  # noqa: SLF001
    sys.path += packages
    spare, keep = os.pipe(), os.dup(1)
    os.dup2(spare[1], 1)  # output will be a pipe, and input a file: streams remember which
    _streams[:] = [_reader(), _writer(1, "surrogateescape")]
    _streams.append(_writer(2, "backslashreplace", line_buffering=True))
    os.dup2(keep, 1)
    for descriptor in (*spare, keep):
        os.close(descriptor)
    _not_the_programs[:] = [n for n in sys.modules if n.partition(".")[0] == "_inside"]
    gc.collect()
    gc.freeze()
    gc.disable()


def run_main(file: str, source: bytes, said: int) -> NoReturn:
    """Run `source` as `python file` would, and end the process as Python would.

    If it is no Python, its first line that is none is written to `said`. That is closed before the
    program begins.
    """
    main = types.ModuleType("__main__")
    here = os.getcwd()  # noqa: PTH109
    main.__dict__.update(__file__=f"{here}/{file}", __builtins__=builtins, __annotations__={})
    sys.argv, sys.orig_argv = [file], [sys.executable, file]
    sys.path.insert(0, here)
    for name in _not_the_programs:
        del sys.modules[name]
    sys.modules["__main__"] = main
    if not _seekable(0):
        _streams[0] = _reader()
    sys.stdin, sys.stdout, sys.stderr = _streams  # type: ignore[misc]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = _streams  # type: ignore[misc]
    _streams.clear()
    _system.handle(_INTERRUPT, signal.default_int_handler)
    for number in _IGNORED_BY_PYTHON:
        _system.handle(number, _system.IGNORED)
    gc.enable()
    code = 0
    try:
        program = _compiled(source, file, said)
        os.close(said)
        exec(program, main.__dict__)  # noqa: S102 - confined; it is the point
    except SystemExit as leave:
        code = _exit_code(leave.code)
    except BaseException:  # noqa: BLE001 - as the interpreter's own top level
        code = 1
        with suppress(BaseException):
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    _finish(main, code)


def _compiled(source: bytes, file: str, said: int) -> types.CodeType:
    try:
        return compile(source, file, "exec")
    except BaseException as error:  # SyntaxError, ValueError, RecursionError, MemoryError
        if not isinstance(error, MemoryError):
            os.write(said, b"%d" % max(0, getattr(error, "lineno", None) or 0))
        raise


def _seekable(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def _reader() -> io.TextIOWrapper:
    raw = io.FileIO(0, "r", closefd=False)
    stream = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", "surrogateescape")
    stream.mode = "r"  # type: ignore[misc]
    return stream


def _writer(descriptor: int, errors: str, *, line_buffering: bool = False) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw), "utf-8", errors, line_buffering=line_buffering
    )
    stream.mode = "w"  # type: ignore[misc]
    return stream


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    with suppress(BaseException):
        print(code, file=sys.stderr)
    return 1


def _finish(main: types.ModuleType, code: int) -> NoReturn:
    """What the interpreter does at its end, as far as a program can tell: then no more."""
    try:
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        with suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        failed = _flush()
        main.__dict__.clear()  # files that were left open write what they hold
        with suppress(BaseException):
            gc.collect()
        failed = _flush() or failed
        os._exit(120 if failed and code == 0 else code)
    finally:
        os._exit(1)


def _flush() -> bool:
    failed = False
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:  # noqa: BLE001 - a program may put anything there
            failed = stream is not sys.stderr
    return failed
