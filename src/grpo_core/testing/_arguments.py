"""Arguments that name what may be drawn."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=str)


def chosen(argument: str, names: Iterable[Name] | None, allowed: Sequence[Name]) -> list[Name]:
    """The names in the order of those that are allowed; None is all of these.

    Raises:
        ValueError: If a name is not allowed, or there is none.
    """
    if names is None:
        return list(allowed)
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in allowed]
    if unknown or not wanted:
        got = unknown[0] if unknown else "none"
        raise ValueError(f"{argument} must be some of {', '.join(allowed)}, got {got!r}")
    return [name for name in allowed if name in wanted]
