"""What belongs to the whole process, and no call of a reward should change."""

import builtins
import decimal
import gc
import locale
import logging
import math
import os
import random
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple

_OTHERS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGINT, signal.SIGTERM,
           signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE)  # fmt: skip
_MODULES: tuple[ModuleType, ...] = (builtins, math, os, sys)
_ABSENT = object()
_LOOSE = {"_", "last_exc", "last_type", "last_value", "last_traceback"}  # the interpreter's own


class State(NamedTuple):
    """A picture of the process."""

    values: dict[str, Any]
    names: list[dict[str, Any]]

    @classmethod
    def now(cls) -> "State":
        """The state as it is, after each value that a call might set again was made another one.

        The generator is seeded anew, so that a call which seeds it is seen each time.
        """
        random.seed(random.getrandbits(64))
        return cls(
            {name: read() for name, (read, _) in _VALUES.items()},
            [dict(vars(module)) for module in _MODULES],
        )

    def restored(self) -> tuple[str, ...]:
        """What is not as it was, by name; afterwards it is, as far as that can be done."""
        changed: list[str] = []
        for name, (read, write) in _VALUES.items():
            value, before = read(), self.values[name]
            if value != before and not _is_of_an_import(name, before, value):
                changed.append(name)
                with suppress(Exception):
                    write(self.values[name])
        for module, names in zip(_MODULES, self.names, strict=True):
            current = vars(module)
            differing = [
                name
                for name in {*names, *current} - _LOOSE
                if current.get(name, _LOOSE) is not names.get(name, _LOOSE)
            ]
            for name in differing:
                changed.append(f"{module.__name__}.{name}")
                if name in names:
                    setattr(module, name, names[name])
                else:
                    delattr(module, name)
        return tuple(sorted(changed))


def _is_of_an_import(name: str, before: Any, value: Any) -> bool:
    """Whether a module may have done it as it was loaded, which happens once."""
    if name == "the filters of warnings":
        return before[0] != value[0]
    return before is _ABSENT


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _OTHERS]


def _set_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(_OTHERS, handlers, strict=True):
        signal.signal(number, handler)


def _set_environment(values: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _loaded(module: str, name: str) -> Any:
    """Something of a module, or `_ABSENT` as long as that is not loaded to its last line."""
    return getattr(sys.modules.get(module), name, _ABSENT)


def _numpy_state() -> Any:
    random_ = _loaded("numpy", "random")
    if random_ is _ABSENT:
        return _ABSENT
    name, keys, *rest = random_.get_state()
    return (name, tuple(keys.tolist()), *rest)


def _set_numpy_state(state: Any) -> None:
    _loaded("numpy", "random").set_state(state)


def _torch_state() -> Any:
    read = _loaded("torch", "get_rng_state")
    return _ABSENT if read is _ABSENT else read().numpy().tobytes()


def _set_torch_state(state: bytes) -> None:
    torch: Any = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _read(module: str, name: str) -> Callable[[], Any]:
    def read() -> Any:
        function = _loaded(module, name)
        return _ABSENT if function is _ABSENT else function()

    return read


def _write(module: str, name: str) -> Callable[[Any], object]:
    def write(value: Any) -> object:
        return _loaded(module, name)(value)

    return write


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _filters() -> Any:
    """Those of warnings; modules that are imported add some, so that they are counted too."""
    return len(sys.modules), [*warnings.filters]


def _set_filters(value: Any) -> None:
    warnings.filters[:] = value[1]  # type: ignore[index]


def _precision() -> Any:
    mp = _loaded("mpmath", "mp")
    return _ABSENT if mp is _ABSENT else mp.dps


def _set_precision(value: int) -> None:
    _loaded("mpmath", "mp").dps = value


_VALUES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the generator of random": (random.getstate, random.setstate),
    "the generator of numpy": (_numpy_state, _set_numpy_state),
    "the generator of torch": (_torch_state, _set_torch_state),
    "whether torch has gradients": (
        _read("torch", "is_grad_enabled"),
        _write("torch", "set_grad_enabled"),
    ),
    "the default type of torch": (
        _read("torch", "get_default_dtype"),
        _write("torch", "set_default_dtype"),
    ),
    "the threads of torch": (_read("torch", "get_num_threads"), _write("torch", "set_num_threads")),
    "how numpy takes errors": (
        _read("numpy", "geterr"),
        lambda value: _loaded("numpy", "seterr")(**value),
    ),
    "the precision of mpmath": (_precision, _set_precision),
    "the filters of warnings": (_filters, _set_filters),
    "the collector of garbage": (
        gc.isenabled,
        lambda value: gc.enable() if value else gc.disable(),
    ),
    "the level of logging": (
        lambda: (logging.root.level, logging.root.manager.disable),
        lambda value: (logging.root.setLevel(value[0]), logging.disable(value[1])),
    ),
    "the mask of new files": (_umask, os.umask),
    "the timeout of sockets": (socket.getdefaulttimeout, socket.setdefaulttimeout),
    "the working directory": (os.getcwd, os.chdir),
    "the environment": (lambda: dict(os.environ), _set_environment),
    "the handlers of signals": (_handlers, _set_handlers),
    "an alarm that is set": (
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        lambda _: signal.setitimer(signal.ITIMER_REAL, 0),
    ),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "the limit on digits": (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "the locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    "the precision of decimal": (
        lambda: decimal.getcontext().prec,
        lambda value: setattr(decimal.getcontext(), "prec", value),
    ),
    "the path of imports": (
        lambda: list(sys.path),
        lambda value: sys.path.__setitem__(slice(None), value),
    ),
}
