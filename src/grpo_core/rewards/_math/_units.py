"""The words after a value: what they count, and which of them are none."""

import re
from unicodedata import name

from grpo_core.rewards._math._measures import measure
from grpo_core.rewards._math._number_words import number_in_words

MONTHS = frozenset((
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
))  # fmt: skip
# Words after a value that take it back, add another, or turn it into a claim.
_NO_UNIT = frozenset((
    "or", "and", "not", "no", "maybe", "perhaps", "possibly", "probably", "but", "if", "either",
    "neither", "wait", "is", "are", "was", "equals", "than", "false", "wrong",
    "incorrect", "correct", "answer", "approximately", "about", "roughly", "to", "plus", "minus",
    "times", "over", "squared", "cubed", "choose", "factorial", "pi", "negative", "less", "more",
    "greater", "below", "above", "infinity", "root", "half", "quarter", "third", "point", "mod",
    "modulo", "base", "plusminus", "nope", "fold", "equal", "none", "except", "unless",
    "minu", "plu", "lakh", "lakhs", "crore",
    "crores", "score", "ten", "half", "third", "fifth", "tenth", "hundredth", "thousandth",
    "kilo", "mega", "giga", "milli", "micro", "nano", "mille",
    "millionen", "millones", "prozent", "tens", "halves", "thirds",
    "quarters", "fifths", "tenths", "hundredths", "thousandths", "x", "error", "ish",
))  # fmt: skip
_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12,
}  # fmt: skip
# Of these, the ones that lead to a value.
_LABELS = frozenset((
    "answer", "is", "correct", "and", "to", "if", "infinity", "pi", "root", "point", "base", "half",
    "times", "above", "below", "over",
))  # fmt: skip
# After a number of another script a word may as well be a power of ten.
_COUNTERS = frozenset("个元种人米只本条次天年月日岁页块张件名位度斤分秒円個枚") | frozenset((
    "厘米", "千米", "公里", "千克", "小时", "分钟", "平方厘米", "平方米", "立方米", "立方厘米",
    "человек",
))  # fmt: skip
MAX_WORDS = 5
_WORD = re.compile(r"[^\W\d_]+|[°$¢]")
_ALIASES = {
    name: names[0]
    for names in (
        names.split("|")
        for names in (
            "dollar|dollars|usd", "yuan|rmb", "percent|percents|per cent|percentage",
            "degree|degrees|deg",
            "unit|units", "square unit|square units|sq units|units^2",
            "cubic unit|cubic units|units^3", "am|a m", "pm|p m",
            "celsius|°c|degrees celsius|degree celsius",
            "fahrenheit|°f|degrees fahrenheit|degree fahrenheit",
            "euro|euros", "pound|pounds",
        )
    )
    for name in names
}  # fmt: skip


def unit_name(words: str) -> str:
    """The one name of what is counted; a unit of measure keeps its spelling."""
    plain = words.casefold().strip()
    if plain in _ALIASES:
        return _ALIASES[plain]
    if measure(words):
        return words.strip()
    singular = plain[:-1] if len(plain) > 3 and plain.endswith("s") else plain
    return _ALIASES.get(singular, singular)


def is_unit(words: str) -> bool:
    """Whether the words may name what is counted: few, and none that hedges."""
    parts = _WORD.findall(words.casefold())
    if len(parts) <= MAX_WORDS and "per" in parts and measure(words):
        return True
    if not 0 < len(parts) <= MAX_WORDS or _NO_UNIT.intersection(parts):
        return False
    if any(number_in_words([part]) is not None for part in parts):
        return False
    return not (parts[0] == "per" or words == "k")


def is_label(words: list[str]) -> bool:
    """Whether words before a colon may name what follows, and deny nothing of it."""
    return not (_NO_UNIT - _LABELS).intersection(words)


def may_be_left_out(unit: str) -> bool:
    """Whether a bare value says the same: not where the word may be a power of ten."""
    if unit in ("am", "pm", "odd", "even", "prime"):
        return False
    if unit.isascii() or unit in _COUNTERS:
        return True
    return all("LATIN" in name(letter, "") for letter in unit if letter.isalpha())


def scaled_unit(words: str) -> tuple[int, str]:
    """What a unit multiplies by, as in `5 million dollars`, and the unit that is left."""
    scale, parts = 1, words.split()
    while parts and parts[0].casefold().removesuffix("s") in _SCALES:
        scale *= _SCALES[parts.pop(0).casefold().removesuffix("s")]
    return scale, unit_name(" ".join(parts)) if parts else ""
