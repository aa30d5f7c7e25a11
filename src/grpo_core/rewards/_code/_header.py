"""Precompiled headers: `bits/stdc++.h` takes a second to read, and a tenth of one precompiled."""

import fcntl
import hashlib
import os
import stat
import subprocess
from functools import cache
from pathlib import Path

_BUILD_SECONDS = 120


@cache
def precompiled(compiler: str, flags: tuple[str, ...], header: str) -> Path | None:
    """A directory to search for `header` first, or None: compiling is slower then, not different.

    It is made once for this compiler, its version and these flags, with which GCC wants a header
    precompiled. Others may read it and only this user may write it.
    """
    try:
        version = subprocess.run(  # noqa: S603 - the developer's own compiler
            [compiler, "--version"], capture_output=True, check=True, timeout=_BUILD_SECONDS
        ).stdout
        key = repr((os.path.realpath(compiler), version, flags, header))
        home = _private(_root() / hashlib.sha256(key.encode()).hexdigest()[:24])
        built = home / f"{header}.gch"
        with (home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one builds, the others wait for it
            if not built.exists():
                _build(compiler, flags, home, header, built)
    except (OSError, RuntimeError, subprocess.SubprocessError):  # RuntimeError: nobody's home
        return None
    return home


def _build(compiler: str, flags: tuple[str, ...], home: Path, header: str, built: Path) -> None:
    source = home / header
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(f"#include_next <{header}>\n")
    unfinished = built.with_suffix(".part")
    subprocess.run(  # noqa: S603 - the developer's own compiler, on its own header
        [compiler, *flags, "-w", "-x", "c++-header", str(source), "-o", str(unfinished)],
        check=True, capture_output=True, timeout=_BUILD_SECONDS,
    )  # fmt: skip
    unfinished.chmod(0o644)
    unfinished.replace(built)


def _root() -> Path:
    # Root's programs run as another user, who may not enter root's home directory.
    usual = Path("/var/cache") if os.getuid() == 0 else Path.home() / ".cache"
    return _private(Path(os.environ.get("XDG_CACHE_HOME") or usual, "grpo_core"))


def _private(path: Path) -> Path:
    """The directory, made if it is not there; refused if anybody else could have written in it."""
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise PermissionError(f"{path} is not this user's own directory")
    return path
