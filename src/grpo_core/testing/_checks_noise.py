"""Changes outside the answer, which must not change a score."""

import re
from collections.abc import Callable

Noise = Callable[[str], str | None]
"""The completion with the noise, or None where it has no place for it."""

_OPENING, _CLOSING = "<think>", "</think>"
_STEPS = (
    "\nWait. Let me verify and double-check this, step by step:\n\nStep 1: I count.\n1. Once.\n"
    "2. Twice.\n- So $\\boxed{n}$ is $x^{2}$.\n\n**Therefore**, I am confident.\n"
)
_LONG = "Then the 7th of these 12 steps is done again. " * 150


def _in_thoughts(words: str) -> Noise:
    def noise(completion: str) -> str | None:
        if not completion.startswith(_OPENING) or completion.count(_CLOSING) != 1:
            return None
        return _OPENING + words + completion[len(_OPENING) :]

    return noise


def _after_thoughts(words: str) -> Noise:
    def noise(completion: str) -> str | None:
        if completion.count(_CLOSING) != 1:
            return None
        return completion.replace(_CLOSING, _CLOSING + words)

    return noise


def _before_all(words: str) -> Noise:
    return lambda completion: None if completion.startswith("<") else words + completion


def _at_end(words: str) -> Noise:
    """After the answer, where something marks the end of that."""

    def noise(completion: str) -> str | None:
        is_marked = re.search(r"\\boxed\s*\{|</answer>", completion)
        return completion + words if is_marked else None

    return noise


SPACE: dict[str, Noise] = {
    "white space at the end": lambda completion: completion + "\n \n\n",
    "a space at the end": lambda completion: completion + " ",
}
WORDS: dict[str, Noise] = SPACE | {
    "words in the thoughts": _in_thoughts("Is it 12? The correct answer is near 7. "),
    "many words in the thoughts": _in_thoughts(_LONG),
    "steps and boxes in the thoughts": _in_thoughts(_STEPS),
    "words after the thoughts": _after_thoughts(
        "\n\nThe summary of all 3 steps, correct to me:\n\n"
    ),
    "words before": _before_all("There are 3 steps. "),
    "many words before": _before_all(_LONG),
    "words after the answer": _at_end("\n\nThis was step 3 of 3, which is correct."),
    "an equation after the answer": _at_end(" So $1 + 1 = 2$ holds."),
    "braces after the answer": _at_end(" Of $x^{2}$ and {y}, neither is $\\frac{1}{2}$."),
    "many words after the answer": _at_end("\n\n" + _LONG),
}
CODE: dict[str, Noise] = SPACE | {
    "words in the thoughts": _in_thoughts("Is it 12? The correct answer is near 7. "),
    "many words in the thoughts": _in_thoughts(_LONG),
    "words after the thoughts": _after_thoughts("\n\nThe summary of all 3 steps:\n\n"),
    "words after the program": lambda completion: (
        completion + "\n\nThis is correct in 3 of 3 cases.\n"
    ),
}
