r"""What is set around a whole answer: marks of Markdown, and the words that lead to a value.

The words are a closed list, of which none denies, compares or bounds what follows.
"""

import re
from fractions import Fraction

from grpo_core.rewards._math._measures import measure
from grpo_core.rewards._math._number_words import number_in_words

_INVISIBLE = "\ufeff"  # a byte order mark; any other hides something
_SUBJECTS = (
    r"(?:(?:final|correct|right|required|desired|exact|total|maximum|minimum|whole) )*"
    r"(?:answer|solution|result|value|probability|total|sum|product|area|volume|length|distance"
    r"|perimeter|radius|number|count|option|choice|limit|integral|derivative|determinant"
    r"|expression|function|equation|average|mean|median|speed|cost|price|ratio|angle|slope"
    r"|remainder|minimum|maximum)"
)
_SO = r"(?:(?:so|thus|hence|therefore|then)\s*,?\s+)?"
_LEAD = re.compile(
    rf"{_SO}(?:(?:the|our|my|its) )?{_SUBJECTS}(?: of (?:this|the) \w+)?"
    r"(?:\s+(?:is|equals|equal to)\s*(?:therefore|thus|then)?\s*:?|\s*:)\s*"
    rf"|{_SO}(?:there (?:are|is)|it is|it equals|we get|we have|this is|i get|this equals)\s+"
    r"(?:exactly |a total of )?|(?:exactly|precisely)\s+",
    re.IGNORECASE,
)
_IN_TEXT = re.compile(r"\A\\text\s*\{(?![^{}]*[A-Za-z]{2})([^{}\\]*=\s*)\}")  # \text{p + q = } 5
_KIND = re.compile(
    r"(?:the )?(?:point|pair|ordered (?:pair|triple)|triple|interval|vector|set|coordinates)s?:?",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"(?:\\left\s*)?(?:[(\[]|\\\{|\\langle|\\begin\{[pb]?matrix\})")
_IN_WORDS = re.compile(
    r"([0-9]+)\s*(?:\\text\{\s*\(([a-z\s-]+)\)\s*\}|\((?:\\text\{)?([a-z\s-]+)\}?\))", re.IGNORECASE
)
_OUT_OF = re.compile(r"([0-9]+)\s*(?:\\text\{)?\s*out of\s*\}?\s*([0-9]+)\s*\}?")
_TEXT = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mbox|mathbf)\s*\{([^{}]*)\}\s*:?\s*")
_MARKS = (("**", "**"), ("``", "``"), ("`", "`"), ("__", "__"))
_ARTICLE = re.compile(r"(?:an?|the)\s+(?=[a-z]{4,}$)", re.IGNORECASE)
_BASE = re.compile(
    r"\(?\s*(?:\\(?:text|mathrm)\s*\{)?([0-9A-Za-z]+)\}?\s*\)?\s*_\s*\{?\s*\(?\s*"
    r"(?:\\(?:text|mathrm)\s*\{\s*)?([0-9]{1,2}|two|three|four|five|six|seven|eight|nine|ten|twelve"
    r"|sixteen)\s*\}?\s*\)?\s*\}?"
)
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "sixteen": 16,
}  # fmt: skip
_ELLIPSIS = r"\s*(?:\.{3}|…|\\[lc]?dots)"
_PERIOD = re.compile(rf"(-?[0-9]*\.)([0-9]*?)(?:([0-9])\3\3+|([0-9]{{2,6}}?)\4+){_ELLIPSIS}")
_DURATION = re.compile(
    r"([0-9]{1,9})\s*(?:\\text\s*\{)?\s*(h|hrs?|hours?|weeks?|days?|ft|feet|min|minutes?"
    r"|dollars?|pounds?|years?)\s*,?\s*(?:and)?\s*\}?\s*(?:and\s+)?"
    r"([0-9]{1,9})\s*(?:\\text\s*\{)?\s*(min|mins|minutes?|hours?|days?|in|inches|inch|sec|seconds?|cents?"
    r"|ounces?|months?)\.?\s*\}?"
)
_NAMES = {"h": "hours", "hr": "hours", "hrs": "hours", "ft": "feet", "in": "inches"}
_WITH_UNIT = re.compile(
    r"([0-9][0-9.,]*(?:\s*(?:x|×|\*|\\times|\\cdot)\s*10\s*\^\s*\{?-?[0-9]+\}?)?)"
    r"\s+([A-Za-z]+(?:(?:[/*·]|\^-?[0-9]|[²³])+[A-Za-z]*)+)\.?"
)
_ARRAY = re.compile(r"(?:Matrix|(?:np\.)?array)\((\[.*\])\)")  # as SymPy and NumPy print them
_DETERMINANT = re.compile(r"\\det\s*(?:\\left)?\s*\(?\s*\\begin\{[pb]matrix\}")


def unwrapped(text: str) -> str:
    """The answer without what is around it, and with a few spellings of plain text in LaTeX."""
    text = text.strip().strip(_INVISIBLE).strip()
    bare = text.strip("$ ")
    for opening, closing in _MARKS:
        inside = bare[len(opening) : -len(closing)]
        if bare.startswith(opening) and bare.endswith(closing) and inside.strip("`* _"):
            text = text if opening[0] in inside else inside.strip()
    text = _without_lead(_IN_TEXT.sub(r"\1", text, count=1))
    text = "no" if text == "NO" else text  # elsewhere a product
    if text[:1] in "aAtT":
        text = _ARTICLE.sub("", text)
    if text.isascii() and text[:1].isalpha():
        number = number_in_words(re.split(r"[\s-]+", text.casefold().rstrip(".")))
        text = text if number is None else str(number)
    if text[:1].isdigit() and (found := _IN_WORDS.fullmatch(text)):
        words = re.split(r"[\s-]+", (found[2] or found[3]).casefold().strip())
        text = found[1] if str(number_in_words(words)) == found[1] else text
    if text[:1].isdigit() and (found := _OUT_OF.fullmatch(text)):
        text = f"\\frac{{{found[1]}}}{{{found[2]}}}"
    if text[:1].isdigit() and (found := _WITH_UNIT.fullmatch(text)):
        unit = found[2].replace("²", "^2").replace("³", "^3").replace("·", "*")
        is_unit = measure(unit) and re.search("[A-Za-z]{2}", unit)
        text = f"{found[1]} \\text{{ {unit}}}" if is_unit else text
    if "_" in text and (found := _BASE.fullmatch(text)):
        text = _in_base(found) or text
    if ("..." in text or "dots" in text or "…" in text) and (found := _PERIOD.fullmatch(text)):
        text = f"{found[1]}{found[2]}\\overline{{{found[3] or found[4]}}}"
    if text[:1].isdigit() and (found := _DURATION.fullmatch(text)):
        text = _compound(found) or text
    if text.endswith("])") and (found := _ARRAY.fullmatch(text)):
        text = found[1]
    if text.startswith("\\det") and _DETERMINANT.match(text) and text.count("matrix}") == 2:
        body = text[text.index("matrix}") + 7 : text.rindex("\\end{")]
        if text.rstrip(") ").endswith(("\\end{pmatrix}", "\\end{bmatrix}", "\\right")):
            text = f"\\begin{{vmatrix}}{body}\\end{{vmatrix}}"
    return text


def _without_lead(text: str) -> str:
    for _ in range(2):  # "So the answer is: exactly 5"
        wrapped = _TEXT.match(text)
        words = f"{wrapped[1].strip()} " if wrapped else text
        found = _LEAD.fullmatch(words) if wrapped else _LEAD.match(words)
        if wrapped and _KIND.fullmatch(words.strip()) and _BRACKETED.match(text, wrapped.end()):
            return text[wrapped.end() :]
        if wrapped and not found and wrapped.end() == len(text):
            found = _LEAD.match(words)  # \text{The total is 24.}
            rest = f"\\text{{{words[found.end() :].strip()}}}" if found else ""
            if found and words[found.end() :].strip(" .").isdigit():
                rest = words[found.end() :].strip(" .")
        else:
            rest = text[wrapped.end() :] if wrapped else text[found.end() :] if found else ""
        if not found or not rest.strip():
            return text
        text = rest.strip()
    return text


def _compound(found: re.Match[str]) -> str:
    """Two amounts as one, if the second is less than one of the first unit: no list of two."""
    units = [_NAMES.get(found[place], found[place]) for place in (2, 4)]
    larger, smaller = map(measure, units)
    if not larger or not smaller or larger.dimensions != smaller.dimensions:
        return ""
    if int(found[3]) * smaller.size >= larger.size:
        return ""
    return f"{found[1]} \\text{{ {units[0]} }} {found[3]} \\text{{ {units[1]} }}"


def _in_base(found: re.Match[str]) -> str:
    digits, base = found[1], _BASES.get(found[2]) or int(found[2])
    is_number = any(map(str.isdigit, digits)) and (digits.isdigit() or base > 10)
    if not is_number or not 2 <= base <= 36 or len(digits) > 300:
        return ""
    if digits[0].isalpha() and len(digits) < 3:  # a name
        return ""
    try:
        return str(Fraction(int(digits, base)))
    except ValueError:
        return ""
