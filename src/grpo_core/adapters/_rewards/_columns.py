"""A trainer's columns and messages as texts, or an error that says which and what was expected."""

from collections.abc import Mapping, Sequence
from typing import Any, cast


def text_of(value: object, what: str, *, messages: bool = True) -> str:
    """A text, or those of the last message where messages stand for one.

    Raises:
        TypeError: If it is neither; the message says `what` it should have been.
    """
    content = value
    if messages and isinstance(value, Sequence) and not isinstance(value, str) and value:
        last = cast("Sequence[object]", value)[-1]
        content = (
            cast("Mapping[str, object]", last).get("content") if isinstance(last, Mapping) else None
        )
        if isinstance(content, Sequence) and not isinstance(content, str):
            parts = cast("Sequence[object]", content)
            texts = [
                cast("Mapping[str, object]", part).get("text")
                for part in parts
                if isinstance(part, Mapping)
            ]
            is_text = len(texts) == len(parts) and all(isinstance(text, str) for text in texts)
            content = "".join(cast("list[str]", texts)) if is_text else None
    if not isinstance(content, str):
        expected = "a text or a list of messages" if messages else "a text"
        raise TypeError(f"{what} must be {expected}, got {type(value).__name__}: {value!r:.80}")
    return content


def said_last(completion: object, what: str) -> str:
    """The text of a completion; of messages, what the policy said in the last one.

    Nothing, where the last one is of a tool, which TRL leaves there when the completion has no room
    for more: a tool's words are none of the policy's. Nothing, too, where it is a call alone.

    Raises:
        TypeError: If it is neither a text nor messages; the message says `what` it should be.
    """
    if isinstance(completion, Sequence) and not isinstance(completion, str) and completion:
        last = cast("Sequence[object]", completion)[-1]
        if isinstance(last, Mapping):
            message = cast("Mapping[str, object]", last)
            is_call = bool(message.get("tool_calls")) and not message.get("content")
            if is_call or message.get("role", "assistant") != "assistant":
                return ""
    return text_of(completion, what)


def value_of(values: Mapping[str, Any], name: str, where: str) -> Any:
    """What is in a column.

    Raises:
        LookupError: If it is not there; the message says `where` it should be, and what is.
    """
    if name not in values:
        there = ", ".join(map(repr, values)) or "none"
        raise LookupError(f"no column {name!r} in {where}; there are {there}")
    return values[name]
