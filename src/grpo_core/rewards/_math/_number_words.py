"""Whole numbers in English words: `forty-two`, `one hundred`, `minus two million`."""

from collections.abc import Sequence

_ONES = {
    word: value
    for value, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
            "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
            "eighteen", "nineteen",
        )
    )
}  # fmt: skip
_TENS = {
    word: 20 + 10 * place
    for place, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    )
}
_MINUS = ("minus", "negative")
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}


def number_in_words(words: Sequence[str]) -> int | None:
    """The number that the words are, up to 99 and these times one power of ten; or None."""
    if len(words) > 1 and words[0] in _MINUS:
        value = None if words[1] in _MINUS else number_in_words(words[1:])
        return -value if value else None
    scale = _SCALES.get(words[-1], 1)
    small = words[:-1] if scale > 1 else words
    if len(small) == 1:
        value = _ONES.get(small[0], _TENS.get(small[0]))
    elif len(small) == 2 and small[0] in _TENS and 0 < _ONES.get(small[1], 0) < 10:
        value = _TENS[small[0]] + _ONES[small[1]]
    else:
        value = None
    return None if value is None else value * scale
