"""What belongs to the whole process, and no call of a reward should change."""

import builtins
import decimal
import locale
import math
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple

_OTHERS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGINT, signal.SIGTERM,
           signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE)  # fmt: skip
_MODULES: tuple[ModuleType, ...] = (builtins, math, os, sys)
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
            if read() != self.values[name]:
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


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _OTHERS]


def _set_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(_OTHERS, handlers, strict=True):
        signal.signal(number, handler)


def _set_environment(values: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _numpy_state() -> str:
    numpy: Any = sys.modules.get("numpy")
    return repr(numpy.random.get_state()) if numpy and hasattr(numpy, "random") else ""


def _torch_state() -> bytes:
    torch: Any = sys.modules.get("torch")
    return (
        torch.get_rng_state().numpy().tobytes() if torch and hasattr(torch, "manual_seed") else b""
    )


_VALUES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the generator of random": (random.getstate, random.setstate),
    "the generator of numpy": (_numpy_state, lambda _: None),
    "the generator of torch": (_torch_state, lambda _: None),
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
