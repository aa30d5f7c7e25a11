"""Units of measure: how large one is, and of which dimension, so that `1.5 m` equals `150 cm`.

Factors are exact by definition. Temperatures on two scales are not converted.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_PREFIXES = {
    "": 0, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "d": -1, "c": -2, "m": -3, "μ": -6, "mu": -6,
    "u": -6, "n": -9, "p": -12, "f": -15,
}  # fmt: skip
_LONG_PREFIXES = {
    "giga": 9, "mega": 6, "kilo": 3, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9,
    "pico": -12,
}  # fmt: skip
# Symbol, its words, its size, and its dimensions: prefixes go with all of these.
_METRIC = """
m meter|metre 1 m | g gram|gramme 1/1000 kg | s second|sec 1 s | A ampere|amp 1 A | K kelvin 1 K
mol mole 1 mol | N newton 1 kg*m*s^-2 | J joule 1 kg*m^2*s^-2 | W watt 1 kg*m^2*s^-3
Pa pascal 1 kg*m^-1*s^-2 | C coulomb 1 A*s | V volt 1 kg*m^2*s^-3*A^-1
F farad 1 A^2*s^4*kg^-1*m^-2
Ω ohm|Omega 1 kg*m^2*s^-3*A^-2 | T tesla 1 kg*s^-2*A^-1 | Wb weber 1 kg*m^2*s^-2*A^-1
H henry 1 kg*m^2*s^-2*A^-2 | Hz hertz 1 s^-1 | L liter|litre|l 1/1000 m^3
eV electronvolt 1602176634/10000000000000000000000000000 kg*m^2*s^-2
cal calorie 523/125 kg*m^2*s^-2 | M molar 1000 mol*m^-3 | B byte 8 bit | bit - 1 bit
"""
_OTHERS = """
min minute 60 s | h hour|hr 3600 s | d day 86400 s | wk week 604800 s | - month 1 month
yr year 12 month | in inch|inches 127/5000 m | ft foot|feet 381/1250 m | yd yard 1143/1250 m
mi mile 201168/125 m | mph - 1397/3125 m*s^-1 | kph - 5/18 m*s^-1 | kmh - 5/18 m*s^-1
lb pound|lbs 45359237/100000000 kg | oz ounce 45359237/1600000000 kg | t tonne 1000 kg
ha hectare 10000 m^2 | cc - 1/1000000 m^3 | gal gallon 473176473/125000000000 m^3
atm atmosphere 101325 kg*m^-1*s^-2 | bar - 100000 kg*m^-1*s^-2 | mmHg torr 20265/152 kg*m^-1*s^-2
kWh - 3600000 kg*m^2*s^-2 | Wh - 3600 kg*m^2*s^-2 | Å angstrom|ångström 1/10000000000 m
$ dollar|usd 1 dollar | ¢ cent 1/100 dollar | rad radian 1 rad | rev revolution 1 rev
rpm - 1/60 rev*s^-1 | °C celsius 1 celsius | °F fahrenheit 1 fahrenheit | dB decibel 1 decibel
Cal kilocalorie 4184 kg*m^2*s^-2
"""
_PIECE = re.compile(
    r"\s*(?:(?P<name>[^\W\d_]+|[°][CF]|¢)|\^(?P<power>-?[0-9]{1,2})|(?P<op>[*/()]))"
)
_RESPELLED = (
    (re.compile(r"\bper\b"), "/"),
    (re.compile(r"\b(?:square|sq) (\w+)"), r"\1^2"),
    (re.compile(r"\bcubic (\w+)"), r"\1^3"),
    (re.compile(r"(\w) squared\b"), r"\1^2"),
    (re.compile(r"(\w) cubed\b"), r"\1^3"),
)

MAX_POWER = 12


class Measure(NamedTuple):
    """The size of a unit in base units, and the power of each of these."""

    size: Fraction
    dimensions: tuple[tuple[str, int], ...]


@lru_cache(maxsize=512)
def measure(unit: str) -> Measure | None:
    """The measure that a unit's name spells, or None if it is another word."""
    for pattern, spelling in _RESPELLED:
        unit = pattern.sub(spelling, unit)
    size, powers = Fraction(1), dict[str, int]()
    signs, sign, below, at = [1], 1, False, 0
    last: Measure | None = None
    while at < len(unit.rstrip()):
        piece = _PIECE.match(unit, at)
        if piece is None:
            return None
        at = piece.end()
        if piece["power"]:
            if last is None or abs(int(piece["power"])) > MAX_POWER:
                return None
            # The name itself is counted once already.
            size, last = _with(size, powers, last, sign * (int(piece["power"]) - 1)), None
        elif piece["name"]:
            last = _named(piece["name"])
            if last is None:
                return None
            sign = -signs[-1] if below else signs[-1]
            size, below = _with(size, powers, last, sign), False
        elif piece["op"] == "(":
            signs.append(-signs[-1] if below else signs[-1])
            below = False
        elif piece["op"] == ")":
            signs.pop()
            if not signs:
                return None
        else:
            below = piece["op"] == "/"
    if below or len(signs) != 1:
        return None
    return Measure(size, tuple(sorted((name, power) for name, power in powers.items() if power)))


def _with(size: Fraction, powers: dict[str, int], unit: Measure, power: int) -> Fraction:
    for name, each in unit.dimensions:
        powers[name] = powers.get(name, 0) + each * power
    return size * unit.size**power


def _named(name: str) -> Measure | None:
    table = _table()
    if name in table:
        return table[name]
    plain = name.casefold()
    if len(plain) > 2 and plain in table:
        return table[plain]
    return table.get(plain[:-1]) if len(plain) > 3 and plain.endswith("s") else None


@lru_cache(maxsize=1)
def _table() -> dict[str, Measure]:
    table: dict[str, Measure] = {}
    for source in (_OTHERS, _METRIC):
        for entry in re.split(r"\s*\n|\s+\|\s+", source.strip()):
            symbol, words, factor, dimensions = entry.split()
            unit = Measure(Fraction(factor), _dimensions(dimensions))
            prefixes = _PREFIXES if source is _METRIC else {"": 0}
            long = _LONG_PREFIXES if source is _METRIC else {}
            names = {prefix + symbol: power for prefix, power in prefixes.items() if symbol != "-"}
            for word in words.split("|"):
                names |= {p + word: power for p, power in ({"": 0} | long).items() if word != "-"}
            for also in ("l", "Omega"):
                if words.endswith("|" + also):
                    names |= {prefix + also: power for prefix, power in prefixes.items()}
            for name, power in names.items():
                # 5 pm is an hour of the day.
                if name != "pm":
                    table.setdefault(name, _scaled(unit, power))
    return table


def _scaled(unit: Measure, power: int) -> Measure:
    return unit._replace(size=unit.size * Fraction(10) ** power)


def _dimensions(text: str) -> tuple[tuple[str, int], ...]:
    powers = (each.partition("^") for each in text.split("*"))
    return tuple(sorted((name, int(power or "1")) for name, _, power in powers))
