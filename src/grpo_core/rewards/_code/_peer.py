"""Two processes that ask each other, one at a time, to call and read what the other one holds.

Sent, with `_wire.py`, into the process of the candidate and into that of the assert script. A value
crosses as a copy. An object that is no plain value stays where it is and crosses as a reference, of
which the other side makes a `Remote`.
"""

import builtins
import os
from collections.abc import Callable
from typing import Any

from grpo_core.rewards._code._wire import WireError, decode, encode

CALLABLE = "function", "builtin_function_or_method", "method", "method_descriptor"


class Channel:
    """Frames over two descriptors: four bytes of length, then so many bytes."""

    def __init__(self) -> None:
        """Takes descriptors 0 and 1 for itself; standard input is then empty, output dropped."""
        self.reader, self.writer = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)

    def receive(self) -> bytes:
        """The next frame."""
        return self._read(int.from_bytes(self._read(4), "big"))

    def send(self, frame: bytes) -> None:
        """All of a frame."""
        rest = memoryview(len(frame).to_bytes(4, "big") + frame)
        while rest:
            rest = rest[os.write(self.writer, rest) :]

    def _read(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            some = os.read(self.reader, min(size - len(got), 1 << 20))
            if not some:
                os._exit(0)  # whoever asked is gone
            got += some
        return bytes(got)


class Remote:
    """An object that the other side holds."""

    def __init__(self, peer: "Peer", number: int) -> None:
        vars(self).update(_grpo_peer=peer, _grpo_number=number)


class Peer:
    """One side: what it holds for the other one, how it answers and how it asks."""

    def __init__(
        self,
        channel: Channel,
        serve: Callable[..., object],
        remote: Callable[["Peer", int, str], object],
        mark: bytes = b"",
    ) -> None:
        """`serve` answers a question, `remote` makes a `Remote`, `mark` begins each frame."""
        self.channel, self.serve, self.remote, self.mark = channel, serve, remote, mark
        self.errors: dict[str, type[BaseException]] = {}
        self.raised: BaseException | None = None  # the last error that came from the other side
        self._held: list[object] = []
        self._numbers: dict[int, int] = {}  # id of an object that is held -> where

    def ask(self, *question: object) -> Any:
        """What the other side answers. Meanwhile it may ask, too."""
        self.channel.send(self.mark + self.pack(("ask", *question)))
        while True:
            word, *content = self.unpack(self.channel.receive())
            if word == "ask":
                self.answer(content)
            elif word == "value":
                return content[0]
            else:
                self.raised = self.error(*content)
                if isinstance(self.raised, StopIteration) and question[0] != "next":
                    self.raised = RuntimeError("StopIteration")  # it would end a loop of the caller
                raise self.raised

    def answer(self, question: list[Any]) -> None:
        """Serves a question of the other side, whatever comes of it."""
        try:
            frame = self.pack(("value", self.serve(*question)))
        except WireError:
            frame = self.pack(("raise", ["WireError"], ()))
        except BaseException as error:  # noqa: BLE001 - an exit too is an answer
            names = [kind.__name__ for kind in type(error).__mro__]
            arguments: Any = error.args
            try:
                frame = self.pack(("raise", names, list(arguments)))
            except Exception:  # noqa: BLE001 - arguments that raise, or cannot be sent
                frame = self.pack(("raise", names, ()))
        self.channel.send(self.mark + frame)

    def pack(self, value: object) -> bytes:
        """The bytes of a value, with references to what stays here."""
        return encode(value, self._refer)

    def unpack(self, frame: bytes) -> Any:
        """The value of bytes, with a `Remote` for each reference."""
        return decode(frame, self._resolve)

    def _refer(self, value: object) -> object:
        if issubclass(type(value), Remote):
            return "yours", vars(value)["_grpo_number"], ""
        at = self._numbers.setdefault(id(value), len(self._held))
        if at == len(self._held):
            self._held.append(value)
        return "mine", at, _kind(value)

    def _resolve(self, reference: Any) -> object:
        owner, number, kind = reference
        return self._held[number] if owner == "yours" else self.remote(self, number, kind)

    def error(self, names: Any, arguments: Any) -> BaseException:
        """The exception of the first of these names that is known here."""
        for name in names:
            kind: Any = self.errors.get(name) or getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                try:
                    return kind(*arguments)
                except TypeError:  # such as UnicodeDecodeError, which takes five
                    continue
        return RuntimeError()


def _kind(value: Any) -> str:
    """Of a class, an iterator, a function or else an object; errors are classes by name."""
    if isinstance(value, type):
        if not issubclass(value, BaseException):
            return "class"
        base = next(kind.__name__ for kind in value.__mro__ if kind.__module__ == "builtins")
        return f"error {base} {value.__name__}"
    if hasattr(_type(value), "__next__"):
        return "iterator"
    return "function" if _type(value).__name__ in CALLABLE else "object"


def _type(value: Any) -> Any:
    return value.__class__


def refill(old: Any, new: Any) -> Any:
    """`old` with the content of `new`, in place where it can be; else `new`."""
    kind = _type(old)
    if kind is not _type(new):
        return new
    if kind is list:
        pairs: Any = zip(old, new, strict=False)
        old[:] = [refill(*pair) for pair in pairs] + new[len(old) :]
    elif kind is dict:
        content = {key: refill(old[key], new[key]) if key in old else new[key] for key in new}
        old.clear()
        old.update(content)
    elif kind is set:
        old.clear()
        old.update(new)
    elif kind is bytearray:
        old[:] = new
    elif kind is tuple and len(old) == len(new):
        for a, b in zip(old, new, strict=True):
            refill(a, b)
        return old if old == new else new
    else:
        return new
    return old
