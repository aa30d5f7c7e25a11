"""What may be done to the spelling of any answer without a change of its meaning."""

import re
from collections.abc import Callable

_WORDS = re.compile(r"[A-Za-z]{2,}")
_COMMANDS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathbb|begin|end)\{[^{}]*\}|\\[A-Za-z]+")
_OPENING = ("(", "[", "\\{")
_BRACKETS = re.compile(r"\\[{}]|[()\[\]]")


def is_formula(text: str) -> bool:
    r"""Whether no words stand outside `\text{}`, so that it could stand between dollars."""
    bare = _COMMANDS.sub("", text)
    return not _WORDS.search(bare) and "$" not in text


def _between_dollars(text: str) -> list[str]:
    return [f"${text}$", f"$ {text} $", f"\\({text}\\)"] if is_formula(text) else []


def _outer_spaces(text: str) -> list[str]:
    return [f" {text}", f"{text} ", f"\n{text}\n", f"{text}\\ "]


def _left_and_right(text: str) -> list[str]:
    found = [*_BRACKETS.finditer(text)]
    if not found or not is_formula(text) or "\\left" in text or "text" in text:
        return []
    return [_BRACKETS.sub(_sized, text), _BRACKETS.sub(_sized_apart, text)]


def _sized(bracket: re.Match[str]) -> str:
    return ("\\left" if bracket[0] in _OPENING else "\\right") + bracket[0]


def _sized_apart(bracket: re.Match[str]) -> str:
    sized = _sized(bracket)
    return f"{sized} " if bracket[0] in _OPENING else f" {sized}"


def _sizes_of_fractions(text: str) -> list[str]:
    sizes = ("\\dfrac", "\\tfrac", "\\cfrac")
    return [text.replace("\\frac", size) for size in sizes] if "\\frac" in text else []


def _display_style(text: str) -> list[str]:
    return [f"\\displaystyle {text}"] if is_formula(text) else []


def _signs_of_unicode(text: str) -> list[str]:
    return [text.replace("-", "\u2212")] if "-" in text else []


def _full_stop(text: str) -> list[str]:
    return [f"{text}."]


def _braces(text: str) -> list[str]:
    return [f"{{{text}}}"] if is_formula(text) else []


DRESSINGS: dict[str, Callable[[str], list[str]]] = {
    "spaces": _outer_spaces,
    "dollars": _between_dollars,
    "fraction_size": _sizes_of_fractions,
    "left_right": _left_and_right,
    "display_style": _display_style,
    "unicode_minus": _signs_of_unicode,
    "full_stop": _full_stop,
    "braces": _braces,
}
