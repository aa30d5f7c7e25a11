"""The process of an assert script, in which what the candidate defines is remote.

Sent into the sandbox, where it is the main program. It alone knows what ought to come back, and it
alone says whether the script came to its end.
"""

import importlib
import os
from typing import Any

from grpo_core.rewards._code._peer import CALLABLE, Channel, Peer, Remote, refill
from grpo_core.rewards._code._wire import decode, encode

_PLAIN_TYPES = (bool, int, float, str, list, tuple, set, frozenset, dict)


def _ask(operation: str) -> Any:
    def method(self: Remote, *args: object) -> Any:
        return vars(self)["_grpo_peer"].ask(operation, self, *args)

    return method


def _plain(operation: str, kind: type) -> Any:
    """A method whose result has to be of one type of plain values, as Python asks."""

    def method(self: Remote) -> Any:
        result = vars(self)["_grpo_peer"].ask(operation, self)
        if type(result) is not kind:
            raise TypeError(f"{operation} gave no {kind.__name__}")
        return result

    return method


def _between(operation: str, *, reflected: bool = False) -> Any:
    """An operator. The candidate is asked only about two objects of its own.

    Of an object and a value it could answer whatever suits it: that it equals all values, or that
    its difference from any is 0.
    """

    def method(self: Remote, other: object) -> Any:
        if not isinstance(other, Remote):
            return NotImplemented
        pair = (other, self) if reflected else (self, other)
        return vars(self)["_grpo_peer"].ask(operation, *pair)

    return method


class Object(Remote):
    """An object of the candidate, as the script sees it."""

    __hash__ = _plain("hash", int)
    __bool__, __len__ = _plain("bool", bool), _plain("len", int)
    __str__, __repr__ = _plain("str", str), _plain("repr", str)
    __int__, __float__, __index__ = _plain("int", int), _plain("float", float), _plain("index", int)
    __iter__, __abs__, __neg__ = _ask("iter"), _ask("abs"), _ask("neg")
    __getitem__, __setitem__, __delitem__ = _ask("getitem"), _ask("setitem"), _ask("delitem")
    __setattr__, __delattr__ = _ask("setattr"), _ask("delattr")
    __eq__, __ne__, __lt__ = _between("eq"), _between("ne"), _between("lt")
    __le__, __gt__, __ge__ = _between("le"), _between("gt"), _between("ge")
    __add__, __sub__, __mul__ = _between("add"), _between("sub"), _between("mul")
    __truediv__, __floordiv__ = _between("truediv"), _between("floordiv")
    __mod__, __pow__, __matmul__ = _between("mod"), _between("pow"), _between("matmul")
    __and__, __or__, __xor__ = _between("and_"), _between("or_"), _between("xor")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # such as a protocol that Python probes for
        return vars(self)["_grpo_peer"].ask("getattr", self, name)

    def __call__(self, *args: object, **keywords: object) -> Any:
        peer = vars(self)["_grpo_peer"]
        result, changed = peer.ask("call", self, args, keywords)
        given = [*args, *keywords.values()]
        for at, value in changed:
            refill(given[at], value)
        return result

    def __enter__(self) -> Any:
        return vars(self)["_grpo_peer"].ask("getattr", self, "__enter__")()

    def __exit__(self, *error: object) -> None:
        vars(self)["_grpo_peer"].ask("getattr", self, "__exit__")(None, None, None)


class Iterating(Object):
    """A generator, or another iterator."""

    __next__ = _ask("next")


class Class(Object):
    """A class: `isinstance` works with it."""

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Remote) and (
            vars(self)["_grpo_peer"].ask("isinstance", instance, self) is True
        )


def _remote(peer: Peer, number: int, kind: str) -> object:
    if kind.startswith("error "):  # a real class, which `except` can name
        base, name = kind.split()[1:]
        above: Any = type(peer.error([base], ()))
        made: Any = type(name, (above,), {})
        return peer.errors.setdefault(name, made)
    return {"iterator": Iterating, "class": Class}.get(kind, Object)(peer, number)


def _serve(word: str, target: Any, args: tuple[Any, ...] = ()) -> object:
    """What the candidate may do with the script's own objects: call a function, go through one."""
    if word == "next":
        return next(target)
    plain = target in _PLAIN_TYPES if isinstance(target, type) else False
    if word != "call" or not (plain or type(target).__name__ in CALLABLE):
        raise TypeError("only functions are called")
    return target(*args)


def _line(error: BaseException) -> int:
    """Where in the script it was."""
    line, at = 0, error.__traceback__
    while at:
        if at.tb_frame.f_code.co_filename == "tests.py":
            line = at.tb_lineno
        at = at.tb_next
    return line


def main() -> None:
    """Runs the script that comes first and says how it ended."""
    channel = Channel()
    script, names, modules, entry_point, nonce = decode(channel.receive())
    peer = Peer(channel, _serve, _remote, mark=b"M")
    scope: dict[str, Any] = {"__name__": "__main__"}
    ended, error_name, line = "passed", "", 0
    try:
        for module in modules:
            scope[module] = importlib.import_module(module)
        for name in names:
            try:
                scope[name] = peer.ask("name", name)
            except NameError:
                continue  # the script may do without; if not, it says so
        exec(compile(script, "tests.py", "exec", dont_inherit=True, optimize=0), scope)  # noqa: S102
        if entry_point and "check" in scope:
            scope["check"](scope[entry_point])
    except BaseException as error:  # noqa: BLE001 - an exit is no pass
        ended = "raised" if error is peer.raised else "failed"
        error_name, line = type(error).__name__, _line(error)
    channel.send(b"V" + encode((nonce, ended, error_name, line)))
    os._exit(0)
