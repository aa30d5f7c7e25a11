"""Values as bytes, between processes that do not trust each other: no pickle, no `eval`.

This file is also sent into the processes that talk, so that it imports the standard library alone.
Bytes that a hostile process made up give a value of the types below or `WireError`, in linear time.
"""

import importlib
import struct
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 200
_MAX_DIGITS = 1 << 20  # hexadecimal ones of an integer
_MAX_COLLISIONS = 1000

# Types of the standard library that tests use: how a value of each becomes what its constructor
# takes. Named, not imported: a module is loaded when a value of it comes.
_PARTS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "builtins.range": lambda r: (r.start, r.stop, r.step),
    "builtins.bytearray": lambda b: (bytes(b),),
    "collections.deque": lambda d: (list(d),),
    "fractions.Fraction": lambda f: (f.numerator, f.denominator),
    "decimal.Decimal": lambda d: (str(d),),
    "datetime.date": lambda d: (d.year, d.month, d.day),
    "datetime.timedelta": lambda d: (d.days, d.seconds, d.microseconds),
    "datetime.datetime": lambda d: (*d.timetuple()[:6], d.microsecond),
}
_SEQUENCES: dict[type, bytes] = {list: b"L", tuple: b"U", set: b"E", frozenset: b"Z"}
_BASES = (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)


_NUMPY = "numpy.generic"  # the base of its scalars, which go as Python's own


class WireError(ValueError):
    """A value that cannot be sent, or bytes that are no value."""


def encode(value: object, refer: Callable[[object], object] | None = None) -> bytes:
    """The bytes of a value; `refer` gives what stands for an object that is not of these types."""
    chunks: list[bytes] = []
    _write(value, chunks.append, refer, 0)
    return b"".join(chunks)


def decode(data: bytes, resolve: Callable[[Any], object] | None = None) -> Any:
    """The value that all of the bytes make; `resolve` gives the object that a reference means."""
    reader = _Reader(data, resolve)
    try:
        value = reader.value(0)
    except RecursionError:  # the caller's own stack was nearly full
        raise WireError("nested too deep") from None
    if reader.at != len(data):
        raise WireError("bytes after the value")
    return value


def _write(
    value: object,
    put: Callable[[bytes], None],
    refer: Callable[[object], object] | None,
    depth: int,
) -> None:
    if depth > MAX_DEPTH:
        raise WireError(f"nested more than {MAX_DEPTH} deep")
    plain: Any = value
    kind = _basis(plain)
    if kind is _NUMPY:
        plain = plain.item()
        kind = _basis(plain)
    items: list[Any]
    if plain is None:
        put(b"N")
    elif kind is bool:
        put(b"T" if plain else b"F")
    elif kind is int:
        _put_sized(put, b"I", b"%x" % int.__index__(plain))
    elif kind is float:
        put(b"R" + struct.pack(">d", plain))
    elif kind is complex:
        put(b"C" + struct.pack(">dd", plain.real, plain.imag))
    elif kind is str:
        _put_sized(put, b"S", str.encode(plain, "utf-8", "surrogatepass"))
    elif kind is bytes:
        _put_sized(put, b"B", bytes(plain))
    elif kind in _SEQUENCES:
        items = list(kind.__iter__(plain))
        put(b"%s%d:" % (_SEQUENCES[kind], len(items)))
        for item in items:
            _write(item, put, refer, depth + 1)
    elif kind is dict:
        items = list({**plain}.items())
        put(b"D%d:" % len(items))
        for key, item in items:
            _write(key, put, refer, depth + 1)
            _write(item, put, refer, depth + 1)
    elif kind in _PARTS:
        put(b"X")
        _write((kind, *_PARTS[kind](plain)), put, None, depth + 1)
    elif refer is not None:
        put(b"H")
        _write(refer(plain), put, None, depth + 1)
    else:
        raise WireError(f"a {type(plain).__name__} cannot be sent")


def _basis(value: Any) -> Any:
    """The type that a value goes as, or its name in `_PARTS`, or None.

    A named tuple, a Counter or an IntEnum goes as what it is built on. Of numpy's longest floats
    and its records `item` gives no plain value, and they are sent as objects are.
    """
    kind: Any = value.__class__
    if kind in _BASES:
        return kind
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in _PARTS:
        return name
    if any(f"{b.__module__}.{b.__qualname__}" == _NUMPY for b in kind.__mro__[1:]):
        return _NUMPY
    return next((b for b in _BASES if isinstance(value, b)), None)


def _put_sized(put: Callable[[bytes], None], tag: bytes, content: bytes) -> None:
    put(b"%s%d:" % (tag, len(content)))
    put(content)


class _Reader:
    def __init__(self, data: bytes, resolve: Callable[[Any], object] | None) -> None:
        self.data, self.at, self.resolve = data, 0, resolve

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise WireError(f"nested more than {MAX_DEPTH} deep")
        tag = self.take(1)
        if tag in b"NTF":
            return {b"N": None, b"T": True, b"F": False}[tag]
        if tag == b"R":
            return struct.unpack(">d", self.take(8))[0]
        if tag == b"C":
            return complex(*struct.unpack(">dd", self.take(16)))
        if tag == b"X":
            return _rebuilt(self.value(depth + 1))
        if tag == b"H" and self.resolve is not None:
            return self.resolve(self.value(depth + 1))
        if tag not in b"ISBLUEZD":
            raise WireError(f"unknown tag {tag!r}")
        return self.sized(tag, depth)

    def sized(self, tag: bytes, depth: int) -> Any:
        count = self.count()
        try:
            if tag == b"I":
                if count > _MAX_DIGITS:
                    raise WireError("an integer of too many digits")
                return int(self.take(count), 16)
            if tag == b"S":
                return self.take(count).decode("utf-8", "surrogatepass")
            if tag == b"B":
                return self.take(count)
            if tag == b"D":
                keys: list[Any] = []
                values: list[Any] = []
                for _ in range(count):
                    keys.append(self.value(depth + 1))
                    values.append(self.value(depth + 1))
                return dict(zip(_spread(keys), values, strict=True))
            items = [self.value(depth + 1) for _ in range(count)]
            if tag in b"EZ":
                return set(_spread(items)) if tag == b"E" else frozenset(_spread(items))
            return items if tag == b"L" else tuple(items)
        except (ValueError, TypeError) as error:  # no number, no UTF-8, not hashable
            raise error if isinstance(error, WireError) else WireError(str(error)) from None

    def count(self) -> int:
        end = self.data.find(b":", self.at, self.at + 12)
        digits = self.data[self.at : end]
        if end < 0 or not digits.isdigit():
            raise WireError("no length")
        self.at = end + 1
        count = int(digits)
        if count > len(self.data) - self.at:  # each item takes a byte at least
            raise WireError("longer than the bytes")
        return count

    def take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) != size:
            raise WireError("cut short")
        self.at += size
        return taken


def _spread(keys: list[Any]) -> Iterable[Any]:
    """The keys, unless so many share a hash that a table of them takes quadratic time."""
    if len(keys) - len(set(map(hash, keys))) > _MAX_COLLISIONS:
        raise WireError("too many equal hashes")
    return keys


def _rebuilt(parts: Any) -> Any:
    try:
        name, *arguments = parts
        module, _, kind = name.rpartition(".")
        if name not in _PARTS:
            raise WireError(f"unknown type {name!r}")
        return getattr(importlib.import_module(module), kind)(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever a constructor says to made-up parts
        raise WireError(type(error).__name__) from None
