"""What a worker process runs: it answers requests until its standard input ends.

It is started as a script, by its path, so that the caller's `sys.path` can be set before anything
but the standard library is imported. Standard input is a socket, and answers go back through it.
"""

import os
import pickle
import signal
import socket
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

# Seconds after the deadline when the system ends the process, if its parent has not.
GRACE_SECONDS = 1.0
_LOOK_SECONDS = 5.0  # between two looks at whether the parent is alive
_FOREVER = 1e8


class Limits(NamedTuple):
    """When a worker ends: bytes above what its imports take, bytes resident, and requests."""

    memory: int = 1_000_000_000
    resident: int = 400_000_000
    requests: int = 2_000


def main() -> None:
    """Read the set-up, import, say that all is ready, and answer."""
    # A terminal's Ctrl-C is for the caller. What it ignores or blocks itself is inherited.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.set_int_max_str_digits(0)
    parent, channel = os.getppid(), socket.socket(fileno=0)
    path, modules, limits = _loaded(_received(channel, parent))
    sys.path[:] = path
    try:
        for module in modules:
            import_module(module)
        _limit_memory(limits[0])
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
        _send(channel, ("failed", f"{type(error).__name__}: {error}", True))
        return
    _send(channel, ("ready", None, False))
    _serve(channel, parent, Limits(*limits))


def _serve(channel: socket.socket, parent: int, limits: Limits) -> None:
    for count in range(1, limits.requests + 1):
        module, name, arguments, seconds = _loaded(_received(channel, parent))
        # The default action of SIGALRM ends the process even within one long operation in C.
        signal.setitimer(signal.ITIMER_REAL, min(seconds, _FOREVER) + GRACE_SECONDS)
        status, value = _answer(module, name, arguments)
        resident = _memory()[1]
        last = count == limits.requests or resident > limits.resident or status == "too_large"
        _send(channel, (status, value, last))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if last:
            return


def _answer(module: str, name: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        value = getattr(import_module(module), name)(*arguments)
        pickle.dumps(value)
    except MemoryError:
        return "too_large", None
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
        return "failed", f"{type(error).__name__}: {error}"[:500]
    return "answered", value


def _received(channel: socket.socket, parent: int) -> bytes:
    (size,) = struct.unpack("<Q", _exactly(channel, 8, parent))
    return _exactly(channel, size, parent)


def _exactly(channel: socket.socket, size: int, parent: int) -> bytes:
    """The next bytes; at their end, or where the parent is gone, the process ends."""
    data = bytearray()
    channel.settimeout(_LOOK_SECONDS)
    while len(data) < size:
        try:
            piece = channel.recv(min(size - len(data), 1 << 20))
        except TimeoutError:
            # Another child of a parent that died may hold the socket open.
            if os.getppid() == parent:
                continue
            piece = b""
        except OSError:
            piece = b""
        if not piece:
            os._exit(0)
        data += piece
    return bytes(data)


def _send(channel: socket.socket, answer: tuple[str, Any, bool]) -> None:
    data = pickle.dumps(answer)
    channel.settimeout(None)
    try:
        channel.sendall(struct.pack("<Q", len(data)) + data)
    except OSError:  # nobody is there to read it
        os._exit(0)


def _loaded(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - written by the caller's own process


def _memory() -> tuple[int, int]:
    """Bytes of address space, and resident; zeros where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()
    except OSError:
        return 0, 0
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[0]) * size, int(pages[1]) * size


def _limit_memory(spare: int) -> None:
    import resource  # noqa: PLC0415 - Windows has none, and must be able to import this module

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = _memory()[0]
    if not used:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = used + spare
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
