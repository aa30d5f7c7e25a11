"""The directory of one run: fresh, its own, and gone afterwards whatever the program made of it."""

import os
import stat
import time
from contextlib import suppress

from . import _system
from ._namespaces import BOX

_PATIENCE_SECONDS = 0.25
_ASIDE = "-aside"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MountedBox:
    """A file system in memory, mounted for one run: it has a size, and unmounting empties it."""

    def __init__(self, user: int) -> None:
        self._user = user
        self.path = BOX

    def fresh(self, size: int) -> int:
        """Make it, with room for `size` bytes, and open it."""
        options = f"size={size},nr_inodes=65536,mode=0700,uid={self._user},gid={self._user}"
        flags = _system.MS_NOSUID | _system.MS_NODEV
        _system.mount("tmpfs", BOX, "tmpfs", flags, options)
        return os.open(BOX, _DIRECTORY)

    def clear(self) -> None:
        """Let it go."""
        _system.unmount(BOX)

    def close(self) -> None:
        """Nothing outlives the namespace."""


class DirectoryBox:
    """A directory among the machine's temporary files.

    What takes long to remove is put aside, for the outer process to remove while others run.
    """

    def __init__(self, base: str, user: int | None) -> None:
        self._user, self._base, self._count = user, base, 0
        self._descriptor = os.open(base, _DIRECTORY)
        self.path = ""

    def fresh(self, size: int) -> int:
        """Make it and open it; nothing bounds its size as a whole."""
        del size
        self._count += 1
        name = f"box{self._count}"
        os.mkdir(name, 0o700, dir_fd=self._descriptor)
        box = os.open(name, _DIRECTORY, dir_fd=self._descriptor)
        if self._user is not None:
            os.fchown(box, self._user, self._user)
        self.path = f"{self._base}/{name}"
        return box

    def clear(self) -> None:
        """Remove it, or put it aside."""
        if empty(self._descriptor, patience_seconds=_PATIENCE_SECONDS):
            return
        for name in _names(self._descriptor):
            os.chmod(name, 0o700, dir_fd=self._descriptor)  # to move a directory is to write to it
            self._put_aside(name)

    def _put_aside(self, name: str) -> None:
        while True:
            self._count += 1
            with suppress(FileExistsError):
                os.mkdir(f"{self._base}{_ASIDE}", 0o700)  # noqa: PTH102
            with suppress(FileNotFoundError):  # the outer process removes it when it is empty
                os.rename(name, f"{self._base}{_ASIDE}/{self._count}", src_dir_fd=self._descriptor)
                return

    def close(self) -> None:
        """Remove the base as well."""
        self.clear()
        with suppress(OSError):
            os.rmdir(self._base)  # noqa: PTH106


def sweep(base: str) -> None:
    """Remove what was put aside."""
    with suppress(OSError):
        aside = os.open(f"{base}{_ASIDE}", _DIRECTORY)
        try:
            empty(aside, patience_seconds=float("inf"))
            os.rmdir(f"{base}{_ASIDE}")  # noqa: PTH106
        finally:
            os.close(aside)


def empty(top: int, *, patience_seconds: float) -> bool:
    """Remove all that is in the directory open at `top`: no link is followed, no depth too deep.

    It goes down by name and up by `..`, one directory open at a time. Nothing is moved: to move a
    directory takes time for all that is below it.

    Returns:
        Whether all of it is gone; not if that takes longer than `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    here, path = os.dup(top), list[str]()
    pending = [_names(here)]
    try:
        while time.monotonic() <= deadline:
            if pending[-1]:
                name = pending[-1].pop()
                if _unlinked(here, name):
                    continue
                os.chmod(name, 0o700, dir_fd=here)  # a directory, and nobody is left to swap it
                here = _step(here, name)
                path.append(name)
                pending.append(_names(here))
            elif path:
                pending.pop()
                here = _step(here, "..")
                os.rmdir(path.pop(), dir_fd=here)
            else:
                return True
        return False
    finally:
        os.close(here)


def _step(here: int, name: str) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _unlinked(directory: int, name: str) -> bool:
    """Remove what is no directory; False where it is one."""
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=directory)
    return True


def put(box: int, name: str, source: int, mode: int, user: int | None) -> None:
    """Write the file open at `source` as `name`, with the directories above it."""
    *directories, last = name.split("/")
    at = os.dup(box)
    try:
        for directory in directories:
            with suppress(FileExistsError):
                os.mkdir(directory, 0o755, dir_fd=at)
                if user is not None:
                    os.chown(directory, user, user, dir_fd=at)
            below = os.open(directory, _DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        created = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(last, created, mode, dir_fd=at)
        try:
            size, done = os.fstat(source).st_size, 0
            while done < size:  # from file to file: no byte of it enters this process
                copied = os.sendfile(target, source, done, size - done)
                if copied == 0:
                    raise OSError(28, "a file was not written whole")
                done += copied
            if user is not None:
                os.fchown(target, user, user)
        finally:
            os.close(target)
    finally:
        os.close(at)


def take(box: int, name: str) -> int | None:
    """Open what the program left as `name`, if that is a plain file of its directory."""
    try:
        found = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=box
        )
    except OSError:
        return None
    if "/" not in name and stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return None
