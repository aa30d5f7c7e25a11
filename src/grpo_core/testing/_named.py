"""Percentages, angles, quantities and choices in many spellings."""

from fractions import Fraction

from grpo_core.testing import _plain as plain
from grpo_core.testing._numerals import Spellings, numerals
from grpo_core.testing._values import UNITS, Quantity


def percentages(value: Fraction) -> Spellings:
    """The spellings of a percentage, by rule: a percent is a hundredth."""
    digits = plain.digits_of(100 * value)
    found: Spellings = {
        "percent_space": [f"{digits} \\%", f"{digits}\\,\\%"],
        "percent_sign": [f"{digits}%"],
        "percent_word": [f"{digits} percent", f"{digits}\\text{{ percent}}"],
        "percent_decimal": [plain.digits_of(value)],
    }
    if value.denominator > 1:
        found["percent_fraction"] = [plain.number(value)]
    return found


def angles(value: Fraction) -> Spellings:
    """The spellings of an angle, by rule."""
    digits = plain.digits_of(value)
    word = "degree" if value == 1 else "degrees"
    return {
        "braced_circle": [f"{digits}^{{\\circ}}", f"{digits}^{{ \\circ }}"],
        "degree_sign": [f"{digits}°"],
        "degree_word": [f"{digits} {word}", f"{digits}\\text{{ {word}}}"],
        "degree_space": [f"{digits} ^\\circ", f"{digits}\\,^\\circ"],
    }


def quantities(value: Quantity) -> Spellings:
    """The spellings of a quantity, by rule."""
    amount, symbol = value
    unit = UNITS[symbol]
    digits = plain.digits_of(amount)
    word = unit.singular if amount == 1 else unit.plural
    others = {
        name: amount * unit.size / other.size
        for name, other in UNITS.items()
        if other.dimension == unit.dimension and name != symbol
    }
    written = {name: plain.decimal(size) for name, size in others.items()}
    found: Spellings = {
        "unit_upright": [f"{digits}\\,\\mathrm{{{symbol}}}", f"{digits}~\\mathrm{{{symbol}}}"],
        "unit_bare": [f"{digits} {symbol}"],
        "unit_space": [f"{digits} \\text{{ {symbol}}}", f"{digits}\\ \\text{{{symbol}}}"],
        "unit_word": [f"{digits} {word}", f"{digits}\\text{{ {word}}}"],
        "unit_converted": [f"{text}\\text{{ {name}}}" for name, text in written.items() if text],
        "amount": [
            f"{text}\\text{{ {symbol}}}" for texts in numerals(amount).values() for text in texts
        ],
    }
    return found


def choices(value: str) -> Spellings:
    """The spellings of a choice, by rule."""
    if len(value) > 1:
        return {
            "bare": [value],
            "upright": [f"\\mathrm{{{value}}}"],
            "bold": [f"\\textbf{{{value}}}"],
            "lower_case": [f"\\text{{{value.lower()}}}", value.lower()],
        }
    return {
        "parentheses": [f"({value})"],
        "text": [f"\\text{{{value}}}", f"\\text{{({value})}}"],
        "upright": [f"\\mathrm{{{value}}}"],
        "bold": [f"\\textbf{{{value}}}", f"\\textbf{{({value})}}", f"\\mathbf{{{value}}}"],
        "closing_parenthesis": [f"{value})"],
        "option": [f"\\text{{Option {value}}}"],
    }
