"""The process of the candidate: holds what it defines, and does what it is asked to.

Sent into the sandbox, where it is the main program. Nothing that it knows is worth stealing: the
arguments of one call, and never what ought to come back.
"""

import operator
import sys
import types
from typing import Any

from grpo_core.rewards._code._peer import Channel, Peer, Remote

_BUILT_IN = (
    next, iter, len, bool, str, repr, hash, int, float, abs, getattr, setattr, delattr, isinstance,
)  # fmt: skip
_OPERATORS = (
    "index", "neg", "getitem", "setitem", "delitem", "eq", "ne", "lt", "le", "gt", "ge", "add",
    "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "matmul",
)  # fmt: skip


class Callback(Remote):
    """A function or an iterator of the script, as the candidate sees it."""

    def __call__(self, *args: object) -> Any:
        return vars(self)["_grpo_peer"].ask("call", self, args)

    def __iter__(self) -> "Callback":
        return self

    def __next__(self) -> Any:
        return vars(self)["_grpo_peer"].ask("next", self)


def main() -> None:
    """Serves until whoever asks is gone."""
    channel = Channel()
    # Its own name, not "__main__": what stands under `if __name__ == "__main__"` is not called for.
    module = types.ModuleType("solution")
    sys.modules["solution"] = module

    def load(source: str) -> None:
        exec(compile(source, "solution.py", "exec", dont_inherit=True), vars(module))  # noqa: S102

    def name(word: str) -> object:
        if word not in vars(module):
            raise NameError(word)
        return vars(module)[word]

    def invoke(path: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> object:
        target: Any = name(path.partition(".")[0])
        if "." in path:
            instance = target() if isinstance(target, type) else target
            target = operator.attrgetter(path.partition(".")[2])(instance)
        return target(*args, **keywords)

    def call(target: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> object:
        """The result, and those of the arguments that the call has changed."""
        given = [*args, *keywords.values()]
        before = [peer.pack(value) for value in given]
        result = target(*args, **keywords)
        changed = [
            (i, value)
            for i, (value, packed) in enumerate(zip(given, before, strict=True))
            if peer.pack(value) != packed
        ]
        return result, changed

    words: dict[str, Any] = {word: getattr(operator, word) for word in _OPERATORS}
    words |= {function.__name__: function for function in (*_BUILT_IN, load, name, invoke, call)}

    def serve(word: str, *rest: object) -> object:
        return words[word](*rest)

    peer = Peer(channel, serve, lambda peer, number, _: Callback(peer, number))
    while True:
        peer.answer(peer.unpack(channel.receive())[1:])
