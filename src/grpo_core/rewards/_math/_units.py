"""The names of units: one for each that can be written in several ways."""

MONTHS = frozenset((
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
))  # fmt: skip
# Words after a value that take it back, add another, or turn it into a claim.
_NO_UNIT = frozenset((
    "or", "and", "not", "no", "maybe", "perhaps", "possibly", "probably", "but", "if", "either",
    "neither", "unless", "wait", "is", "are", "was", "equals", "than", "false", "wrong",
    "incorrect", "correct", "answer", "approximately", "about", "roughly", "to", "plus", "minus",
    "times", "over", "squared", "cubed", "choose", "factorial", "pi", "negative", "less", "more",
    "greater", "below", "above", "infinity", "root", "half", "quarter", "third", "point", "mod",
    "modulo", "base", "except", "plusminus",
))  # fmt: skip
_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9,
    "trillion": 10**12,
}  # fmt: skip
MAX_WORDS = 5
_ALIASES = {
    name: names[0]
    for names in (
        names.split("|")
        for names in (
            "dollar|dollars|usd", "cent|cents", "euro|euros", "pound|pounds", "yuan|rmb",
            "percent|percents|per cent", "degree|degrees|deg", "radian|radians|rad",
            "m|meter|meters|metre|metres", "cm|centimeter|centimeters|centimetre|centimetres",
            "mm|millimeter|millimeters", "km|kilometer|kilometers|kilometre|kilometres",
            "in|inch|inches", "ft|foot|feet", "yd|yard|yards", "mi|mile|miles",
            "s|sec|secs|second|seconds", "min|mins|minute|minutes", "h|hr|hrs|hour|hours",
            "day|days", "week|weeks", "month|months", "year|years", "g|gram|grams",
            "kg|kilogram|kilograms", "mg|milligram|milligrams", "l|liter|liters|litre|litres",
            "ml|milliliter|milliliters", "m/s|meters per second|m s^-1", "km/h|kph|kmh",
            "mph|miles per hour|mi/h", "unit|units", "square unit|square units|sq units|units^2",
            "cubic unit|cubic units|units^3", "cm^2|square centimeters|sq cm|square cm",
            "m^2|square meters|sq m|square m", "ft^2|square feet|sq ft", "in^2|square inches|sq in",
            "cm^3|cubic centimeters|cc", "m^3|cubic meters", "ft^3|cubic feet",
            "in^3|cubic inches", "am|a m", "pm|p m",
        )
    )
    for name in names
}  # fmt: skip


def unit_name(words: str) -> str:
    """The one name of a unit; a plain plural of a word is that word."""
    plain = words.casefold().strip()
    if plain in _ALIASES:
        return _ALIASES[plain]
    singular = plain[:-1] if len(plain) > 3 and plain.endswith("s") else plain
    return _ALIASES.get(singular, singular)


def is_unit(words: str) -> bool:
    """Whether the words may name what is counted: few, and none that hedges."""
    parts = words.split()
    return 0 < len(parts) <= MAX_WORDS and not _NO_UNIT.intersection(parts)


def scaled_unit(words: str) -> tuple[int, str]:
    """What a unit multiplies by, as in `5 million dollars`, and the unit that is left."""
    scale, parts = 1, words.split()
    while parts and parts[0].removesuffix("s") in _SCALES:
        scale *= _SCALES[parts.pop(0).removesuffix("s")]
    return scale, unit_name(" ".join(parts))
