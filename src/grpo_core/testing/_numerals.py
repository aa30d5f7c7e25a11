"""One number in many spellings, by the rule that makes them."""

from collections.abc import Iterable
from fractions import Fraction

from grpo_core.testing import _plain as plain

Spellings = dict[str, list[str]]  # a rule's name -> its texts, the plainest one first


def numerals(value: Fraction) -> Spellings:
    """The spellings that may also stand between commas."""
    found = _of_integer(value) if value.denominator == 1 else _of_fraction(value)
    digits = plain.decimal(value)
    if digits is not None:
        found["scientific"] = list(_scientific(value))
        if value.denominator > 1:
            found["decimal"] = [digits]
            found["trailing_zeros"] = [digits + "0", digits + "00"]
            if abs(value) < 1:
                found["bare_point"] = [digits.replace("0.", ".", 1)]
    return {rule: texts for rule, texts in found.items() if texts}


def lone_numerals(value: Fraction) -> Spellings:
    """The spellings of a number that stands alone."""
    found = numerals(value)
    text = plain.number(value)
    digits = plain.decimal(value)
    if digits is not None and abs(value) >= 1000:
        found["thousands"] = list(_thousands(digits))
    if digits is not None:
        found["text"] = [f"\\text{{{digits}}}"]
        found["bold"] = [f"\\mathbf{{{digits}}}"]
    found["assignment"] = [f"{name} = {text}" for name in ("x", "n")]
    return found


def _of_integer(value: Fraction) -> Spellings:
    sign, size = _parts(value)
    return {
        "plus": [f"+{size}"] if value > 0 else [],
        "point": [f"{sign}{size}.0", f"{sign}{size}.00"],
        "unreduced": [text for k in (2, 3, 10) for text in _quotients(value, k)],
    }


def _of_fraction(value: Fraction) -> Spellings:
    sign, size = _parts(value)
    top, bottom = size.numerator, size.denominator
    whole, rest = divmod(top, bottom)
    mixed = [
        f"{sign}{whole}\\frac{{{rest}}}{{{bottom}}}",
        f"{sign}{whole} \\frac{{{rest}}}{{{bottom}}}",
        f"{sign}{whole} {rest}/{bottom}",
    ]
    return {
        "slash": [f"{sign}{top}/{bottom}", f"{sign}{{{top}}}/{{{bottom}}}"],
        "sign_inside": [f"\\frac{{-{top}}}{{{bottom}}}", f"\\frac{{{top}}}{{-{bottom}}}"]
        if value < 0
        else [],
        "unreduced": [text for k in (2, 3, 10) for text in _quotients(value, k)],
        "mixed": mixed if whole else [],
        "short_fraction": [f"{sign}\\frac{top}{bottom}"] if max(top, bottom) < 10 else [],
    }


def _parts(value: Fraction) -> tuple[str, Fraction]:
    return ("-" if value < 0 else ""), abs(value)


def _quotients(value: Fraction, scale: int) -> Iterable[str]:
    sign, size = _parts(value)
    top, bottom = size.numerator * scale, size.denominator * scale
    return f"{sign}\\frac{{{top}}}{{{bottom}}}", f"{sign}{top}/{bottom}"


def _scientific(value: Fraction) -> Iterable[str]:
    if not value:
        return
    exponent = len(str(int(abs(value)))) - 1
    while abs(value) < Fraction(10) ** exponent:
        exponent -= 1
    mantissa = plain.decimal(value / Fraction(10) ** exponent)
    if mantissa is None:  # long ones are written in full
        return
    yield f"{mantissa} \\times 10^{{{exponent}}}"
    yield f"{mantissa} \\cdot 10^{{{exponent}}}"
    yield f"{mantissa}e{exponent}"
    yield f"{mantissa}E{exponent:+03}"
    if 0 <= exponent < 10:
        yield f"{mantissa}\\times10^{exponent}"


def _thousands(digits: str) -> Iterable[str]:
    sign = "-" if digits[0] == "-" else ""
    whole, point, rest = digits.removeprefix("-").partition(".")
    head = len(whole) % 3 or 3
    groups = [whole[:head], *(whole[i : i + 3] for i in range(head, len(whole), 3))]
    for separator in (",", "{,}", "\\,", " ", "~", "\\ ", "\\;", "\\:"):
        yield sign + separator.join(groups) + point + rest
