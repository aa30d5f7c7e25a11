"""Answers in words, and options by their letter."""

from grpo_core.rewards._math import _tree as tree
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._tree import Answer

_ARTICLES = frozenset(("the", "a", "an"))
MAX_WORDS = 4


def same_text(first: Answer, second: Answer) -> bool:
    """Whether two answers in words are the same; a letter alone may be an option."""
    letters = [_letter(node) for node in (first, second)]
    if letters[0] and letters[1]:
        return letters[0] == letters[1]
    if isinstance(first, tree.Text) and isinstance(second, tree.Text):
        a, b = _words(first), _words(second)
        lower = any(all(word.islower() for word in words) for words in (a, b))
        return a == b or (lower and [w.casefold() for w in a] == [w.casefold() for w in b])
    if any(isinstance(node, tree.Text) and len(node.words) > MAX_WORDS for node in (first, second)):
        raise Unread("unparsable")  # a sentence may well hold the right value
    return False


def _letter(node: Answer) -> str:
    if isinstance(node, tree.Choice):
        return node.letter
    if isinstance(node, tree.Symbol) and len(node.name.removeprefix("vec ")) == 1:
        return node.name.removeprefix("vec ")  # in bold
    return ""


def _words(text: tree.Text) -> list[str]:
    return [word for word in text.words if word not in _ARTICLES] or list(text.words)
