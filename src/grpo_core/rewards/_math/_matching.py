"""Pairing the items of two collections, each with one that equals it."""

from collections.abc import Callable, Sequence

from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tree import Answer

MAX_COMPARISONS = 2_000


def matched(
    first: Sequence[Answer], second: Sequence[Answer], equal: Callable[[Answer, Answer], bool]
) -> bool:
    """Whether each item has a partner of its own. Equal trees are paired before any comparison.

    Being equal is transitive but for rounded decimals, so the first partner is as good as any.
    """
    if len(first) != len(second):
        return False
    left = list(second)
    alone: list[Answer] = []
    if len(first) > MAX_COMPARISONS:
        raise Unread("too_large")
    for item in first:
        if item in left:
            left.remove(item)
        else:
            alone.append(item)
    if len(alone) * len(left) > MAX_COMPARISONS:
        raise Unread("too_large")
    undecided: Unread | None = None
    for item in alone:
        for place, other in enumerate(left):
            try:
                found = equal(item, other)
            except Unread as unread:
                if unread.reason == "timeout":
                    raise
                undecided, found = unread, False
            if found:
                del left[place]
                break
        else:
            if undecided:
                raise undecided
            return False
    return True
