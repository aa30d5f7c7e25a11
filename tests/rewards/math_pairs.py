r"""Pairs of answers of which it is known, by how they were made, whether they mean the same.

A value is made first, of Python's integers and `Fraction`s alone, and a second one that differs
from it. Each is then spelled in LaTeX or plain text, in one of many ways. Two spellings of one
value are equal, spellings of two values are not; nothing here parses, and nothing of the library is
imported. `pairs(seed, count)` gives the same pairs for the same seed on every machine.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from random import Random
from typing import Any, NamedTuple

Ends = tuple[Fraction | None, Fraction | None, bool, bool]  # low, high, and whether each belongs
Polynomial = dict[tuple[int, ...], Fraction]  # exponents of each name -> coefficient


class Pair(NamedTuple):
    """An answer and a reference of one kind, and whether they mean the same."""

    kind: str
    prediction: str
    reference: str
    equal: bool


def pairs(seed: int, count: int) -> list[Pair]:
    """`count` pairs of all kinds in turn, every other one equal."""
    made: list[Pair] = []
    names = list(KINDS)
    for number in range(count):
        kind = names[number // 2 % len(names)]
        made.append(pair(Random(f"{seed}/{number}"), kind, equal=number % 2 == 0))  # noqa: S311
    return made


def pair(random: Random, kind: str, *, equal: bool) -> Pair:
    """One pair of a kind."""
    prediction, reference = KINDS[kind](random, equal)
    return Pair(kind, prediction, reference, equal)


# How things are set, whatever they mean.


def group(random: Random, text: str, opening: str = "(", closing: str = ")") -> str:
    r"""Brackets, with or without `\left` and spaces."""
    ways = ["{}@{}", "{}@{}", r"\left{} @ \right{}", r"\left{}@\right{}", "{} @ {}"]
    return random.choice(ways).format(opening, closing).replace("@", text)


def dressed(random: Random, text: str) -> str:
    """The text, set in one of the ways that change nothing."""
    if random.random() < 0.3:
        text = text.replace("\\frac", random.choice(["\\dfrac", "\\tfrac", "\\cfrac"]))
    if random.random() < 0.15:
        text = text.replace("-", random.choice(["−", "–"]))
    ways = ["@"] * 6 + ["$@$", "\\(@\\)", " @ ", "@.", "\\displaystyle @", "$ @ $", "@\\,", "\\ @"]
    return random.choice(ways).replace("@", text)


def times(random: Random) -> str:
    return random.choice([r" \cdot ", r"\cdot ", r"\times ", r" \times ", "*", " * ", "×", " · "])


def joined(random: Random, items: list[str]) -> str:
    """The items between commas; bare, `1,234` would be one number."""
    tight = not any(item[:3].isdigit() for item in items)
    return random.choice([", ", "," if tight else ", ", " , ", r",\ ", r",\; "]).join(items)


def raised(random: Random, base: str, exponent: int | str) -> str:
    plain = str(exponent)
    if plain == "1":
        return base
    return f"{base}^{plain}" if len(plain) == 1 and random.random() < 0.5 else f"{base}^{{{plain}}}"


# Numbers.


def decimal(value: Fraction) -> str | None:
    """The digits of a value that has finitely many, or None."""
    size, places = abs(value), 0
    while places < 12 and (size * 10**places).denominator != 1:
        places += 1
    digits = size * 10**places
    if digits.denominator != 1:
        return None
    text = str(digits.numerator).rjust(places + 1, "0")
    text = f"{text[:-places]}.{text[-places:]}" if places else text
    return "-" + text if value < 0 else text


def quotient(random: Random, value: Fraction) -> str:
    """A fraction, reduced or not; an integer stays one."""
    sign = "-" if value < 0 else ""
    scale = random.choice([1, 1, 1, 2, 3, 10])
    top, bottom = abs(value.numerator) * scale, value.denominator * scale
    if bottom == 1:
        return sign + str(top)
    ways = [f"{sign}\\frac{{{top}}}{{{bottom}}}", f"{sign}{top}/{bottom}"]
    ways += [f"\\frac{{{sign}{top}}}{{{bottom}}}", f"{sign}\\frac {{{top}}} {{{bottom}}}"]
    if top < 10 and bottom < 10:
        ways += [f"{sign}\\frac{top}{bottom}", f"{sign}\\frac{top}{{{bottom}}}"]
    return random.choice(ways)


def number(random: Random, value: Fraction) -> str:
    """A fraction or a decimal, as it may stand among others."""
    digits = decimal(value)
    return digits if digits and random.random() < 0.4 else quotient(random, value)


def some(random: Random, largest: int = 30, bottom: int = 12) -> Fraction:
    """A fraction that is not 0."""
    top = random.choice([-1, 1, 1]) * random.randint(1, largest)
    return Fraction(top, random.choice([1, 1, random.randint(1, bottom)]))


def other(random: Random, value: Fraction) -> Fraction:
    """Another number, as a slip makes it: of sign, digit, inversion or power of ten."""
    slips = [-value, value + 1, value - 1, 2 * value, 10 * value, value / 10, value + 10]
    slips += [1 / value] if value else []
    slips += [Fraction(value.numerator + 1, value.denominator)]
    return random.choice([slip for slip in slips if slip != value])


Draw = Callable[[Random], Any]
Slip = Callable[[Random, Any], Any]
Write = Callable[[Random, Any], str]
Kind = Callable[[Random, bool], tuple[str, str]]


def kind_of(draw: Draw, slip: Slip, write: Write, *, plain: bool = False) -> Kind:
    """The kind whose values are drawn, changed by a slip to another, and written by these."""

    def make(random: Random, equal: bool) -> tuple[str, str]:
        value = draw(random)
        second = value if equal else slip(random, value)
        texts = write(random, value), write(random, second)
        one, two = texts if random.random() < 0.5 else texts[::-1]
        return (one, two) if plain else (dressed(random, one), dressed(random, two))

    return make


def _write_integer(random: Random, value: Fraction) -> str:
    plain = str(value.numerator)
    commas = f"{value.numerator:,}"
    ways = [plain, plain, commas, commas.replace(",", "{,}"), commas.replace(",", r"\,")]
    ways += [commas.replace(",", r",\!"), plain + ".0", "(" + plain + ")", f"\\text{{{plain}}}"]
    ways += [f"{2 * value.numerator}/2", f"\\frac{{{3 * value.numerator}}}{{3}}"]
    return random.choice(ways)


def _integer(random: Random) -> Fraction:
    return Fraction(random.choice([1, 1, -1]) * random.randint(1, 10 ** random.randint(1, 10)))


def _other_integer(random: Random, value: Fraction) -> Fraction:
    digits = list(str(abs(value.numerator)))
    place = random.randrange(len(digits))
    digits[place] = random.choice([d for d in "123456789" if d != digits[place]])
    slips = [-value, value + 1, value - 1, 10 * value, 1000 * value, Fraction("".join(digits))]
    return random.choice([slip for slip in slips if slip != value])


def _write_fraction(random: Random, value: Fraction) -> str:
    part = some(random)
    ways = [quotient(random, value)] * 4 + [group(random, quotient(random, value))]
    ways += [f"{quotient(random, value - part)}+{quotient(random, abs(part))}"] if part > 0 else []
    ways += [f"{quotient(random, value / part)}{times(random)}{quotient(random, part)}"] * (
        part > 0
    )
    top, bottom = value.numerator, value.denominator
    ways += [f"{top}{random.choice([' ÷ ', '/', ' / '])}{bottom}"]
    ways += [f"{top}{times(random)}{bottom}^{{-1}}"]
    return random.choice(ways)


def _decimal(random: Random) -> Fraction:
    # Six digits at most: with more, a decimal may stand for a fraction that it is rounded from.
    places = random.randint(1, 4)
    return Fraction(random.choice([1, -1]) * random.randint(1, 10 ** (places + 2) - 2), 10**places)


def _other_decimal(random: Random, value: Fraction) -> Fraction:
    text = decimal(abs(value)) or ""
    last = Fraction(1, 10 ** len(text.partition(".")[2]))
    slips = [-value, value + last, value - last, 10 * value, value / 10, value + 1]
    return random.choice([slip for slip in slips if slip != value])


def _write_decimal(random: Random, value: Fraction) -> str:
    plain = decimal(value) or ""
    ways = [plain, plain, plain + ("0" if "." in plain else ".00"), quotient(random, value)]
    ways += [plain.replace("0.", ".", 1) if abs(value) < 1 and "." in plain else plain]
    shift = random.randint(-4, 4)
    digits = decimal(value / Fraction(10) ** shift)
    ways += [f"{digits}e{shift}", f"{digits}{times(random)}10^{{{shift}}}"] if digits else []
    return random.choice(ways)


def _mixed(random: Random) -> Fraction:
    bottom = random.randint(2, 12)
    value = random.randint(1, 40) + Fraction(random.randint(1, bottom - 1), bottom)
    return random.choice([1, 1, -1]) * value


def _write_mixed(random: Random, value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 1)
    if not whole or not rest:
        return number(random, value)
    top, bottom = rest.numerator, rest.denominator
    ways = [f"{sign}{whole}\\frac{{{top}}}{{{bottom}}}", f"{sign}{whole} {top}/{bottom}"]
    ways += [
        f"{sign}{whole} \\frac{{{top}}}{{{bottom}}}",
        f"{sign}{whole}\\,\\frac{{{top}}}{{{bottom}}}",
    ]
    ways += [f"{sign}{group(random, f'{whole}+{quotient(random, rest)}')}"]
    return random.choice([*ways, number(random, value)])


def _percentage(random: Random) -> Fraction:
    return Fraction(random.randint(1, 2000), random.choice([1, 2, 4, 5, 10])) / 100


def _write_percent(random: Random, value: Fraction) -> str:
    hundred = decimal(100 * value) or quotient(random, 100 * value)
    ways = [f"{hundred}\\%", f"{hundred}%", f"{hundred} \\%", f"{hundred}\\text{{ percent}}"]
    return random.choice([*ways, number(random, value)])


def _scientific(random: Random) -> Fraction:
    return Fraction(random.choice([1, -1]) * random.randint(1, 9999), 1) * Fraction(10) ** (
        random.randint(-12, 12)
    )


def _write_scientific(random: Random, value: Fraction) -> str:
    shift = random.randint(-12, 12)
    digits = decimal(value / Fraction(10) ** shift)
    if digits is None or len(digits) > 12:
        return quotient(random, value)
    ten = random.choice(["10^{@}", "10^{@}", "10^@", "{10}^{@}"])
    ways = [f"{digits}{times(random)}{ten.replace('@', str(shift))}", f"{digits}e{shift}"]
    ways += [f"{digits}E{shift:+}", f"{digits} x 10^{{{shift}}}"]
    ways += [f"10^{{{shift}}}"] if digits == "1" else []
    return random.choice(ways)


def _write_repeating(random: Random, value: Fraction) -> str:
    sign, size = ("-" if value < 0 else ""), abs(value)
    whole, rest = divmod(size, 1)
    head, tail = "", ""
    seen: dict[Fraction, int] = {}
    while rest and rest not in seen:
        seen[rest] = len(head)
        digit, rest = divmod(10 * rest, 1)
        head += str(digit)
    if not rest:
        return number(random, value)
    head, tail = head[: seen[rest]], head[seen[rest] :]
    tail *= random.choice([1, 1, 2])
    return random.choice([f"{sign}{whole}.{head}\\overline{{{tail}}}", quotient(random, value)])


# Constants that are no fractions. A surd is (a, b, c): a + b times the root of c, free of squares.


def _surd(random: Random) -> tuple[Fraction, Fraction, int]:
    first = random.choice([Fraction(0), some(random, 12, 6)])
    return first, some(random, 9, 6), random.choice([2, 3, 5, 6, 7, 10, 11, 13])


def _other_surd(random: Random, value: tuple[Fraction, Fraction, int]) -> Any:
    a, b, c = value
    slips = [(a, -b, c), (a, b, c + 12), (a, b + 1 if b != -1 else b + 2, c), (a + 1, b, c)]
    slips += [(a, 2 * b, c), (a, b * c, c), (-a, b, c) if a else (a, b / c, c)]
    return random.choice(slips)


def _root(random: Random, coefficient: Fraction, c: int) -> str:
    """A positive multiple of a root."""
    top, bottom = coefficient.numerator, coefficient.denominator
    root = random.choice([f"\\sqrt{{{c}}}", f"\\sqrt{{{c}}}", f"sqrt({c})", f"{c}^{{1/2}}"])
    root = random.choice([root, f"{{{c}}}^{{\\frac{{1}}{{2}}}}"]) if "^" in root else root
    if c < 10 and random.random() < 0.2:
        root = f"\\sqrt{c}"
    tight = "" if root.startswith(("\\", "s")) else times(random)
    over = "" if top == 1 else f"{top}{random.choice([tight, times(random)])}"
    ways = [f"\\sqrt{{{c * top * top}}}" if bottom == 1 else f"\\frac{{{over}{root}}}{{{bottom}}}"]
    ways += [f"{over}{root}" if bottom == 1 else f"({over}{root})/{bottom}"]
    ways += [f"\\frac{{{top * c}}}{{{'' if bottom == 1 else str(bottom)}\\sqrt{{{c}}}}}"]
    ways += [f"\\sqrt{{{quotient(random, coefficient**2 * c)}}}"]
    ways += [f"{quotient(random, coefficient)}{times(random)}{root}"]
    return random.choice(ways)


def _write_surd(random: Random, value: tuple[Fraction, Fraction, int]) -> str:
    a, b, c = value
    sign, root = ("-" if b < 0 else ""), _root(random, abs(b), c)
    if not a:
        return sign + root
    plus, rational = "-" if b < 0 else "+", number(random, a)
    ways = [f"{rational}{plus}{root}", f"{rational} {plus} {root}"]
    ways += [f"{sign}{root}{'-' if a < 0 else '+'}{number(random, abs(a))}"]
    scale = random.choice([1, 2, 3]) * max(a.denominator, b.denominator)
    x, y = a * scale, b * scale
    if x.denominator == y.denominator == 1:
        size = "" if abs(y) == 1 else str(abs(y))
        ways += [f"\\frac{{{x}{plus}{size}\\sqrt{{{c}}}}}{{{scale}}}"]
        ways += [f"({x}{plus}{size}\\sqrt{{{c}}})/{scale}"]
        norm = x * x - y * y * c  # the conjugate below
        minus = "-" if plus == "+" else "+"
        conjugate = group(random, f"{x}{minus}{size}\\sqrt{{{c}}}")
        ways += [f"\\frac{{{norm}}}{{{scale}{conjugate}}}"]
    return random.choice(ways)


def _cube_root(random: Random) -> tuple[Fraction, int, int]:
    return some(random, 9, 4), random.choice([2, 3, 5, 6, 7, 10]), random.choice([3, 4, 5])


def _write_cube_root(random: Random, value: tuple[Fraction, int, int]) -> str:
    size, c, degree = value
    sign, size = ("-" if size < 0 else ""), abs(size)
    root = random.choice(
        [f"\\sqrt[{degree}]{{{c}}}", f"{c}^{{1/{degree}}}", f"{c}^{{\\frac1{degree}}}"]
    )
    ways = [f"{sign}{quotient(random, size)}{times(random)}{root}"]
    if size.denominator == 1:
        ways += [f"{sign}\\sqrt[{degree}]{{{c * size.numerator**degree}}}"]
        ways += [f"{sign}{size if size != 1 else ''}\\sqrt[{degree}]{{{c}}}"]
    return random.choice(ways)


def _pi_multiple(random: Random) -> tuple[Fraction, Fraction, int]:
    """(a, b, n): a plus b times the n-th power of pi."""
    return (
        random.choice([Fraction(0), Fraction(0), some(random)]),
        some(random, 40),
        random.choice([1, 1, 1, 2]),
    )


def _other_pi_multiple(random: Random, value: tuple[Fraction, Fraction, int]) -> Any:
    a, b, n = value
    return random.choice([(a, other(random, b), n), (a + 1, b, n), (a, b, n + 1), (b, a + b, n)])


def _write_pi(random: Random, value: tuple[Fraction, Fraction, int]) -> str:
    a, b, n = value
    if not b:
        return number(random, a)
    sign, size = ("-" if b < 0 else ""), abs(b)
    pi = raised(random, random.choice(["\\pi", "\\pi", "π", "{\\pi}"]), n)
    top = "" if size.numerator == 1 else str(size.numerator)
    ways = [f"{sign}{quotient(random, size)}{times(random)}{pi}"]
    ways += [f"{sign}{pi}{times(random)}{quotient(random, size)}"]
    if size.denominator == 1:
        ways += [f"{sign}{top}{pi}", f"{sign}{top} {pi}", f"{sign}{top}\\,{pi}"]
    else:
        ways += [f"{sign}\\frac{{{top}{pi}}}{{{size.denominator}}}"] * 2
        ways += [
            f"{sign}{top}{pi}/{size.denominator}",
            f"{sign}\\frac{{{pi}}}{{{size.denominator}}}",
        ]
        ways[-1] += f"{times(random)}{size.numerator}" if size.numerator > 1 else ""
        ways += [f"{sign}\\frac{{{size.numerator}}}{{{size.denominator}}}{pi}"]
    digits = decimal(size)
    ways += [f"{sign}{digits}{pi}"] if digits and "." in digits else []
    text = random.choice(ways)
    if not a:
        return text
    rational = number(random, a)
    plus = "" if text.startswith("-") else "+"
    return random.choice([f"{rational}{plus}{text}", f"{rational} {plus} {text}"])


def _logarithm(random: Random) -> tuple[int, int, Fraction]:
    """(b, n, k): k times the logarithm of n to base b; base 0 is natural."""
    return random.choice([0, 0, 2, 3, 5, 10]), random.choice([6, 7, 11, 12, 15]), some(random, 5, 3)


def _other_logarithm(random: Random, value: tuple[int, int, Fraction]) -> Any:
    b, n, k = value
    return random.choice([(b, n + 1, k), (b, n, other(random, k)), (7 if b != 7 else 0, n, k)])


def _write_logarithm(random: Random, value: tuple[int, int, Fraction]) -> str:
    b, n, k = value
    name = random.choice(["\\ln", "\\ln", "\\log"]) if not b else f"\\log_{{{b}}}"
    if 0 < b < 10 and random.random() < 0.5:
        name = f"\\log_{b}"
    call = random.choice(
        [f"{name} {n}", f"{name}({n})", f"{name}{{{n}}}", f"{name}\\left({n}\\right)"]
    )
    split = 2 if n % 2 == 0 else 3 if n % 3 == 0 else 0
    if split:
        call = random.choice([call, f"({name} {n // split}+{name} {split})"])
    if b:
        call = random.choice([call, f"\\frac{{\\ln {n}}}{{\\ln {b}}}"])
    sign, size = ("-" if k < 0 else ""), abs(k)
    ways = [f"{sign}{quotient(random, size)}{times(random)}{call}"]
    if size.denominator == 1:
        power = f"{name}({n**size.numerator})"
        ways += [f"{sign}{size if size != 1 else ''}{call}", sign + power]
    inverse = f"\\frac{{1}}{{{n**size.numerator}}}"
    ways += [f"{'' if sign else '-'}{name}({inverse})"] if size.denominator == 1 else []
    return random.choice(ways)


def _counted(random: Random) -> tuple[int, int, int]:
    """(n, k, shift): n over k, plus a shift."""
    n = random.randint(3, 12)
    return n, random.randint(1, n - 1), random.choice([0, 0, 1, -1])


def _write_counted(random: Random, value: tuple[int, int, int]) -> str:
    n, k, shift = value
    chosen = 1
    for step in range(k):
        chosen = chosen * (n - step) // (step + 1)
    ways = [
        f"\\binom{{{n}}}{{{k}}}",
        f"\\dbinom{{{n}}}{{{k}}}",
        f"\\frac{{{n}!}}{{{k}!({n - k})!}}",
    ]
    ways += [f"\\binom{{{n}}}{{{n - k}}}", str(chosen), f"{n}!/({k}! {times(random)} {n - k}!)"]
    after = "" if not shift else f"{shift:+}"
    return random.choice([random.choice(ways) + after, str(chosen + shift)])


def _other_counted(random: Random, value: tuple[int, int, int]) -> Any:
    n, k, shift = value
    return random.choice([(n, k, shift + 1), (n, k, shift - 1), (n, k, shift + 10)])


def _complex(random: Random) -> tuple[Fraction, Fraction]:
    return random.choice([Fraction(0), some(random, 12, 5), some(random, 12, 5)]), some(
        random, 12, 5
    )


def _other_complex(random: Random, value: tuple[Fraction, Fraction]) -> Any:
    a, b = value
    slips = [(a, -b), (a + 1, b), (a, b + 1 if b != -1 else b + 2), (-a, -b), (b, a), (a, 2 * b)]
    return random.choice([slip for slip in slips if slip != value])


def _imaginary(random: Random, size: Fraction) -> str:
    if size == 1:
        return "i"
    top = "" if size.numerator == 1 else str(size.numerator)
    ways = [
        f"{quotient(random, size)}{times(random)}i",
        f"i{times(random)}{quotient(random, size)}",
    ]
    if size.denominator == 1:
        return random.choice([*ways, f"{top}i", f"{top}i", f"{top} i", f"{top}*i"])
    ways += [f"\\frac{{{top}i}}{{{size.denominator}}}", f"{top}i/{size.denominator}"]
    return random.choice([*ways, f"\\frac{{{size.numerator}}}{{{size.denominator}}}i"])


def _write_complex(random: Random, value: tuple[Fraction, Fraction]) -> str:
    a, b = value
    if not b:
        return number(random, a)
    sign, size = ("-" if b < 0 else ""), _imaginary(random, abs(b))
    if not a:
        return sign + size
    ways = [f"{number(random, a)}{'-' if b < 0 else '+'}{size}"] * 2
    ways += [f"{sign}{size}{'-' if a < 0 else '+'}{number(random, abs(a))}"]
    c, d = random.choice([(1, 1), (2, -1), (0, 1), (1, -2)])  # times c + di, over c + di
    x, y = a * c - b * d, a * d + b * c
    below = f"{c}{d:+}i".replace("1i", "i") if c else "i"
    ways += [f"\\frac{{{x}+{group(random, str(y))}i}}{{{below}}}"]
    return random.choice(ways)


# Polynomials in one or two names, as exponents and coefficients.


def product(first: Polynomial, second: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for left, a in first.items():
        for right, b in second.items():
            key = tuple(x + y for x, y in zip(left, right, strict=True))
            found[key] = found.get(key, Fraction(0)) + a * b
    return {key: value for key, value in found.items() if value}


def total(first: Polynomial, second: Polynomial) -> Polynomial:
    found = {
        key: first.get(key, Fraction(0)) + second.get(key, Fraction(0)) for key in first | second
    }
    return {key: value for key, value in found.items() if value}


def expanded(factors: list[Polynomial]) -> Polynomial:
    found = factors[0]
    for factor in factors[1:]:
        found = product(found, factor)
    return found


def monomial(random: Random, names: str, exponents: tuple[int, ...], size: Fraction) -> str:
    """A positive term."""
    powers = [raised(random, name, n) for name, n in zip(names, exponents, strict=True) if n]
    random.shuffle(powers)
    if not powers:
        return number(random, size)
    # x^{2}(...) would be read as it is meant, but x^2 3 would not.
    body = random.choice(["", "", times(random), " "]).join(powers)
    if size == 1:
        return body
    if size.denominator == 1:
        return f"{size}{random.choice(['', '', times(random), ' '])}{body}"
    top = "" if size.numerator == 1 else str(size.numerator)
    ways = [f"\\frac{{{top}{body}}}{{{size.denominator}}}"]
    ways += [f"\\frac{{{size.numerator}}}{{{size.denominator}}}{body}"]
    ways += [f"{quotient(random, size)}{times(random)}{body}"]
    digits = decimal(size)
    return random.choice([*ways, f"{digits}{body}"] if digits else ways)


def written(random: Random, names: str, polynomial: Polynomial) -> str:
    """A polynomial, its terms in any order."""
    if not polynomial:
        return "0"
    terms = list(polynomial.items())
    random.shuffle(terms)
    space = random.choice(["", " "])
    text = ""
    for exponents, value in terms:
        sign = "-" if value < 0 else "+" if text else ""
        text += (f"{space}{sign}{space}" if text else sign) + monomial(
            random, names, exponents, abs(value)
        )
    return text


NAMES = ["x", "x", "y", "t", "n", "a", "z", "xy", "ab", "xt", "mn", "pq"]


def linear(random: Random, count: int) -> Polynomial:
    """A linear factor in the first name, and sometimes in the second."""
    units = [tuple(int(i == j) for i in range(count)) for j in range(count)]
    factor = {units[0]: Fraction(random.choice([1, 1, 2, 3, -1]))}
    if count == 2 and random.random() < 0.6:
        factor[units[1]] = Fraction(random.choice([1, -1, 2, -3]))
    if len(factor) == 1 or random.random() < 0.5:
        factor[(0,) * count] = Fraction(random.randint(1, 9) * random.choice([1, -1]))
    return factor


Factors = tuple[str, list[Polynomial]]


def _polynomial(random: Random) -> Factors:
    names = random.choice(NAMES)
    factors = [linear(random, len(names)) for _ in range(random.randint(1, 3))]
    scale = random.choice([Fraction(1), Fraction(1), some(random, 6, 4)])
    return names, [{(0,) * len(names): scale}, *factors]


def _other_polynomial(random: Random, value: Factors) -> Factors:
    names, factors = value
    changed = [dict(factor) for factor in factors]
    factor = changed[random.randrange(1, len(changed))]
    key = random.choice(list(factor))
    factor[key] = -factor[key] if random.random() < 0.3 else factor[key] + 1 or Fraction(5)
    if expanded(changed) == expanded(factors):  # two factors may have changed places
        return names, [total(expanded(factors), {(0,) * len(names): Fraction(1)})]
    return names, changed


def _write_polynomial(random: Random, value: Factors) -> str:
    names, factors = value
    whole = written(random, names, expanded(factors))
    if len(factors) == 1 or random.random() < 0.4:
        return whole
    scale = next(iter(factors[0].values()))
    parts = [group(random, written(random, names, factor)) for factor in factors[1:]]
    random.shuffle(parts)
    if len(parts) == 2 and factors[1] == factors[2]:
        parts = [raised(random, parts[0], 2)]
    text = random.choice(["", "", " ", times(random)]).join(parts)
    ways = []
    if scale == 1:
        ways += [text]
    elif scale == -1:
        ways += [f"-{text}"]
    else:
        ways += [f"{quotient(random, scale)}{times(random)}{text}"]
        ways += [f"{scale}{text}"] if scale.denominator == 1 else []
    if scale.denominator > 1 and scale > 0:
        top = "" if scale.numerator == 1 else str(scale.numerator)
        ways += [f"\\frac{{{top}{text}}}{{{scale.denominator}}}"]
    return random.choice(ways)


Rational = tuple[str, Polynomial, Polynomial]  # names, above and below


def _rational(random: Random) -> Rational:
    name = random.choice("xxyztn")
    above = expanded(
        [linear(random, 1) for _ in range(random.randint(0, 2))] or [{(0,): some(random, 9, 1)}]
    )
    below = expanded([linear(random, 1) for _ in range(random.randint(1, 2))])
    return name, above, below


def _other_rational(random: Random, value: Rational) -> Rational:
    name, above, below = value
    scaled = {key: -size for key, size in above.items()}
    slips = [(name, total(above, below), below), (name, scaled, below)]
    slips += [(name, above, {key: 2 * size for key, size in below.items()})]
    higher = total(below, {(5,): Fraction(1)})
    return random.choice([*slips, (name, above, higher)])


def _write_rational(random: Random, value: Rational) -> str:
    name, above, below = value
    common = random.choice([{(0,): Fraction(1)}, {(0,): some(random, 4, 1)}, linear(random, 1)])
    top, bottom = (
        written(random, name, side)
        for side in random.choice(
            [(above, below), (above, below), (product(above, common), product(below, common))]
        )
    )
    whole = random.choice([1, -1, 2])  # and the same with a whole part apart
    less = total(above, {key: -whole * size for key, size in below.items()})
    ways = [f"\\frac{{{top}}}{{{bottom}}}"] * 3 + [f"({top})/({bottom})"]
    ways += [f"{group(random, top)}{group(random, bottom)}^{{-1}}"]
    ways += [f"{whole}+\\frac{{{written(random, name, less)}}}{{{written(random, name, below)}}}"]
    return random.choice(ways)


# Identities: each is a list of spellings of one function of @, which is no constant.

IDENTITIES = [
    [r"\sin^2 @", r"1-\cos^2 @", r"(\sin @)^2", r"\sin^{2}@", r"\frac{1-\cos(2@)}{2}"],
    [r"\sin(2@)", r"2\sin @\cos @", r"2 \cdot \cos @ \cdot \sin @", r"\sin{2@}"],
    [r"\cos(2@)", r"\cos^2 @-\sin^2 @", r"2\cos^2@-1", r"1-2\sin^2@", r"-1+2(\cos @)^2"],
    [r"\tan @", r"\frac{\sin @}{\cos @}", r"\frac{1}{\cot @}", r"\sin @\sec @"],
    [r"\sec^2 @", r"1+\tan^2 @", r"\frac{1}{\cos^2 @}", r"\frac1{(\cos @)^2}"],
    [r"e^{2@}", r"(e^{@})^2", r"\exp(2@)", r"e^{@}e^{@}", r"\frac{1}{e^{-2@}}"],
    [r"2^{@+1}", r"2\cdot 2^{@}", r"2^{@}\cdot 2", r"2^{1+@}", r"2^{@}+2^{@}"],
    [r"\cosh @", r"\frac{e^{@}+e^{-@}}{2}", r"\frac{\exp(@)+\exp(-@)}{2}"],
    [r"\sinh(2@)", r"2\sinh @\cosh @", r"\frac{e^{2@}-e^{-2@}}{2}"],
    [r"\sin(@+\pi)", r"-\sin @", r"\sin(-@)", r"\cos(@+\frac{\pi}{2})"],
    [r"\sqrt{@^2+1}", r"(@^2+1)^{1/2}", r"\sqrt{1+@^2}", r"\frac{@^2+1}{\sqrt{@^{2}+1}}"],
    [r"\cos^3 @", r"\frac{3\cos @+\cos(3@)}{4}", r"(\cos @)^3", r"\cos @\cos^2 @"],
    [r"|@|", r"\sqrt{@^2}", r"\left|@\right|", r"\lvert @ \rvert", r"|-@|"],
    [r"3^{2@}", r"9^{@}", r"(3^{@})^2", r"3^{@}\cdot 3^{@}"],
]  # fmt: skip


def _identity(random: Random) -> tuple[int, str, Fraction, Fraction]:
    return (
        random.randrange(len(IDENTITIES)),
        random.choice("xxty"),
        random.choice([Fraction(1), Fraction(1), some(random, 6, 3)]),
        random.choice([Fraction(0), Fraction(0), some(random, 6, 3)]),
    )


def _other_identity(random: Random, value: tuple[int, str, Fraction, Fraction]) -> Any:
    which, name, scale, shift = value
    slips = [
        (which, name, scale, shift + 1),
        (which, name, scale + (1 if scale != -1 else 2), shift),
    ]
    slips += [(which, name, -scale, shift), (which, "z", scale, shift)]
    return random.choice([*slips, ((which + 1) % len(IDENTITIES), name, scale, shift)])


def _write_identity(random: Random, value: tuple[int, str, Fraction, Fraction]) -> str:
    which, name, scale, shift = value
    text = random.choice(IDENTITIES[which]).replace("@", name)
    if scale != 1:
        text = f"{quotient(random, scale)}{times(random)}{group(random, text)}"
    if shift:
        sign = "-" if shift < 0 else "+"
        text = f"{text}{sign}{number(random, abs(shift))}"
    return text


# Sets of real numbers: pieces apart and in order, as (low, high, has_low, has_high).


def _pieces(random: Random) -> list[Ends]:
    count = random.choice([1, 1, 1, 2, 2, 3])
    ends = sorted({some(random, 20, 4) for _ in range(4 * count)})[: 2 * count]
    pieces: list[Ends] = []
    for low, high in zip(ends[::2], ends[1::2], strict=False):
        pieces.append((low, high, random.random() < 0.5, random.random() < 0.5))
    if random.random() < 0.4:
        pieces[0] = (None, pieces[0][1], False, pieces[0][3])
    if random.random() < 0.4 and (len(pieces) > 1 or pieces[0][0] is not None):
        pieces[-1] = (pieces[-1][0], None, pieces[-1][2], False)
    return pieces


def _other_pieces(random: Random, value: list[Ends]) -> list[Ends]:
    pieces = list(value)
    at = random.randrange(len(pieces))
    low, high, has_low, has_high = pieces[at]
    slips: list[Ends] = []
    if low is not None:
        slips += [
            (low, high, not has_low, has_high),
            (low - Fraction(1, 8), high, has_low, has_high),
        ]
        slips += [(None, high, False, has_high)] if at == 0 and high is not None else []
    if high is not None:
        slips += [
            (low, high, has_low, not has_high),
            (low, high + Fraction(1, 64), has_low, has_high),
        ]
    changed = [*pieces[:at], random.choice(slips), *pieces[at + 1 :]]
    return random.choice([changed, changed, pieces[:-1]] if len(pieces) > 1 else [changed])


def _interval(random: Random, piece: Ends) -> str:
    low, high, has_low, has_high = piece
    left = (
        random.choice(["-\\infty", "-\\infty", "-∞", "-oo"]) if low is None else number(random, low)
    )
    infinite = random.choice(["\\infty", "\\infty", "+\\infty", "∞"])
    right = infinite if high is None else number(random, high)
    inside = random.choice([f"{left},{right}", f"{left}, {right}", f"{left} , {right}"])
    return group(random, inside, "[" if has_low else "(", "]" if has_high else ")")


def _inequality(random: Random, piece: Ends, name: str = "x") -> str:
    low, high, has_low, has_high = piece
    less = {
        True: random.choice(["\\le ", "\\leq ", "≤", " <= "]),
        False: random.choice(["<", " < ", "\\lt "]),
    }
    more = {
        True: random.choice(["\\ge ", "\\geq ", "≥"]),
        False: random.choice([">", " > ", "\\gt "]),
    }
    if low is None:
        end = number(random, high or Fraction(0))
        ways = [f"{name}{less[has_high]}{end}", f"{end}{more[has_high]}{name}"]
        return random.choice(
            [*ways, f"2{name}{less[has_high]}{number(random, 2 * (high or Fraction(0)))}"]
        )
    if high is None:
        end = number(random, low)
        return random.choice([f"{name}{more[has_low]}{end}", f"{end}{less[has_low]}{name}"])
    a, b = number(random, low), number(random, high)
    ways = [
        f"{a}{less[has_low]}{name}{less[has_high]}{b}",
        f"{b}{more[has_high]}{name}{more[has_low]}{a}",
    ]
    return random.choice(ways)


def _write_pieces(random: Random, value: list[Ends]) -> str:
    pieces = list(value)
    random.shuffle(pieces)
    cup = random.choice(["\\cup", " \\cup ", "∪"])
    union = cup.join(
        f" {_interval(random, piece)} " if cup[-1] != " " else _interval(random, piece)
        for piece in pieces
    ).strip()
    ways = [union, union, f"x \\in {union}", f"x\\in{union}"]
    if len(pieces) == 1:
        bar = random.choice(["\\mid ", "| ", ": "])
        inequality = _inequality(random, pieces[0])
        ways += [inequality, inequality, f"\\{{x {bar}{inequality}\\}}"]
    else:
        ors = [_inequality(random, piece) for piece in pieces]
        ways += [random.choice([r" \text{ or } ", " or ", r"\text{ or }"]).join(ors)]
    return random.choice(ways)


# Collections of numbers.


def _numbers(random: Random, least: int = 2, most: int = 5) -> list[Fraction]:
    found: list[Fraction] = []
    size = random.randint(least, most)
    while len(found) < size:
        value = some(random)
        if value not in found:
            found.append(value)
    return found


def _other_numbers(random: Random, value: list[Fraction]) -> list[Fraction]:
    at = random.randrange(len(value))
    fresh = next(n for n in (some(random, 99) for _ in iter(int, 1)) if n not in value)
    changed = [*value[:at], fresh, *value[at + 1 :]]
    fewer = value[:at] + value[at + 1 :]
    return random.choice([changed, [*value, fresh], fewer if len(fewer) > 1 else changed])


def _mixed_order(random: Random, value: list[Fraction]) -> list[str]:
    texts = [number(random, item) for item in value]
    random.shuffle(texts)
    return texts


def _write_set(random: Random, value: list[Fraction]) -> str:
    texts = _mixed_order(random, value)
    if random.random() < 0.2:
        texts.append(number(random, random.choice(value)))
    braces = "\\{@\\}", "\\left\\{@\\right\\}", "\\{ @ \\}", "\\lbrace @ \\rbrace"
    return random.choice(braces).replace("@", joined(random, texts))


def _write_list(random: Random, value: list[Fraction]) -> str:
    texts = _mixed_order(random, value)
    if random.random() < 0.3:
        last = texts.pop()
        word = random.choice([r" \text{ and } ", r" \text{ or } ", " and ", r", \text{ and } "])
        return joined(random, texts) + word + last
    if random.random() < 0.2:
        return "; ".join(texts)
    return joined(random, texts)


def _write_tuple(random: Random, value: list[Fraction]) -> str:
    inside = joined(random, [number(random, item) for item in value])
    return group(random, inside)


def _other_tuple(random: Random, value: list[Fraction]) -> list[Fraction]:
    swapped = [*value[1:], value[0]]
    return random.choice([swapped, swapped, _other_numbers(random, value)])


def _points(random: Random) -> list[tuple[Fraction, Fraction]]:
    first = some(random, 9, 3), some(random, 9, 3)
    rest = [
        (some(random, 9, 3) + 20 * n, some(random, 9, 3)) for n in range(1, random.randint(2, 3))
    ]
    return [first, *rest]


def _other_points(random: Random, value: list[tuple[Fraction, Fraction]]) -> Any:
    (a, b), *rest = value
    return [(a, other(random, b)), *rest] if random.random() < 0.6 else [*value, (a + 99, b)]


def _write_points(random: Random, value: list[tuple[Fraction, Fraction]]) -> str:
    texts = [_write_tuple(random, list(point)) for point in value]
    random.shuffle(texts)
    word = random.choice([", ", ", ", r" \text{ and } "])
    return random.choice([word.join(texts), "\\{" + ", ".join(texts) + "\\}"])


Rows = tuple[tuple[Fraction, ...], ...]


def _matrix(random: Random) -> Rows:
    height, width = random.choice([(2, 2), (2, 2), (3, 3), (2, 3), (2, 1), (3, 1), (3, 2)])
    return tuple(
        tuple(random.choice([Fraction(0), some(random, 9, 4)]) for _ in range(width))
        for _ in range(height)
    )


def _other_matrix(random: Random, value: Rows) -> Rows:
    turned = tuple(zip(*value, strict=True))
    if turned != value and len(turned) > 1 and random.random() < 0.3:
        return turned
    at = random.randrange(len(value))
    row = list(value[at])
    place = random.randrange(len(row))
    row[place] = other(random, row[place])
    return (*value[:at], tuple(row), *value[at + 1 :])


def _write_matrix(random: Random, value: Rows) -> str:
    if len(value[0]) == 1 and random.random() < 0.3:
        inside = joined(random, [number(random, row[0]) for row in value])
        return random.choice([f"({inside})", f"\\langle {inside} \\rangle"])
    name = random.choice(["pmatrix", "pmatrix", "bmatrix", "array"])
    between = random.choice([r"\\", r" \\ ", "\\\\\n"])
    beside = random.choice(["&", " & "])
    rows = between.join(beside.join(number(random, item) for item in row) for row in value)
    if name == "array":
        columns = "{" + "c" * len(value[0]) + "}"
        return f"\\left(\\begin{{array}}{columns} {rows} \\end{{array}}\\right)"
    return f"\\begin{{{name}}} {rows} \\end{{{name}}}"


# Statements.


def _equation(random: Random) -> tuple[str, Polynomial]:
    """A polynomial in x and y that is 0; one of them at least is linear in y."""
    found: Polynomial = {(0, 1): some(random, 6, 3), (1, 0): some(random, 6, 3)}
    if random.random() < 0.8:
        found[0, 0] = some(random, 9, 3)
    if random.random() < 0.3:
        found[2, 0] = some(random, 4, 2)
    return "xy", found


def _other_equation(random: Random, value: tuple[str, Polynomial]) -> Any:
    names, found = value
    changed = dict(found)
    key = random.choice(list(changed))
    changed[key] = -changed[key] if random.random() < 0.4 else changed[key] * 3
    return names, changed


def _write_equation(random: Random, value: tuple[str, Polynomial]) -> str:
    names, found = value
    scale = random.choice([Fraction(1), Fraction(-1), some(random, 6, 2)])
    if random.random() < 0.3:  # solved for y
        rest = {key: -size / found[0, 1] for key, size in found.items() if key != (0, 1)}
        sides = ["y", written(random, names, rest)]
    else:
        scaled = {key: scale * size for key, size in found.items()}
        moved = {key for key in scaled if random.random() < 0.4}
        left = {key: size for key, size in scaled.items() if key not in moved}
        right = {key: -size for key, size in scaled.items() if key in moved}
        sides = [written(random, names, left), written(random, names, right)]
        random.shuffle(sides)
    return random.choice([" = ", "=", " =", "&="][:3]).join(sides)


def _write_named(random: Random, value: tuple[str, Fraction]) -> str:
    name, size = value
    text = number(random, size)
    equals = random.choice(["=", " = ", "= "])
    return random.choice([f"{name}{equals}{text}", f"{name}{equals}{text}", text])


def _named(random: Random, equal: bool) -> tuple[str, str]:
    """A named value beside the same name or no name; of two names the values say nothing."""
    name = random.choice(["x", "k", "n", r"\theta", "a_1", "x_{0}", "AB", r"\alpha", "m"])
    size = some(random, 60)
    second = (name, size if equal else other(random, size))
    if not equal and random.random() < 0.2:
        texts = f"{name}={number(random, size)}", f"w={number(random, size)}"
    else:
        texts = _write_named(random, (name, size)), _write_named(random, second)
    return dressed(random, texts[0]), dressed(random, texts[1])


UNITS = [
    ("cm", "centimeters", "centimetres"), ("m", "meters", "metres"),
    ("kg", "kilograms", "kilogram"),
    ("hours", "hour", "hr"), ("minutes", "min", "mins"), ("dollars", "dollar", "USD"),
    ("miles", "mile", "mi"), ("cm^2", "square centimeters", "sq cm"), ("days", "day", "days"),
    ("apples", "apple", "apples"), ("inches", "inch", "in"), ("feet", "foot", "ft"),
]  # fmt: skip


def _quantity(random: Random) -> tuple[Fraction, int]:
    return abs(some(random, 500, 4)), random.randrange(len(UNITS))


def _write_quantity(random: Random, value: tuple[Fraction, int]) -> str:
    size, unit = value
    text = number(random, size)
    name = random.choice(UNITS[unit])
    ways = [f"{text}\\text{{ {name}}}", f"{text} \\text{{ {name}}}", f"{text}\\ \\text{{{name}}}"]
    ways += [f"{text}\\,\\mathrm{{{name}}}", f"{text}~\\text{{{name}}}", f"{text}\\mbox{{ {name}}}"]
    if "^" in name:
        base = name.partition("^")[0]
        ways = [f"{text}\\text{{ {base}}}^2", f"{text}\\,\\mathrm{{{base}}}^{{2}}"]
    if UNITS[unit][0] == "dollars" and decimal(size):
        ways += [f"\\${decimal(size)}"]
    return random.choice(ways)


def _quantities(random: Random, equal: bool) -> tuple[str, str]:
    """A unit may be left out; another unit is another answer."""
    size, unit = _quantity(random)
    first = _write_quantity(random, (size, unit))
    if equal:
        second = random.choice([_write_quantity(random, (size, unit)), number(random, size)])
    elif random.random() < 0.4:
        shift = random.randrange(1, len(UNITS))
        second = _write_quantity(random, (size, (unit + shift) % len(UNITS)))
    else:
        second = _write_quantity(random, (other(random, size), unit))
    texts = (first, second) if random.random() < 0.5 else (second, first)
    return dressed(random, texts[0]), dressed(random, texts[1])


def _write_angle(random: Random, value: Fraction) -> str:
    text = number(random, value)
    ways = [f"{text}^\\circ", f"{text}^{{\\circ}}", f"{text}°", f"{text}\\text{{ degrees}}", text]
    return random.choice(ways)


def _time(random: Random) -> tuple[int, int, str]:
    return random.randint(1, 12), random.randint(0, 59), random.choice(["", "am", "pm"])


def _other_time(random: Random, value: tuple[int, int, str]) -> Any:
    hour, minute, half = value
    slips = [(hour % 12 + 1, minute, half), (hour, (minute + random.randint(1, 59)) % 60, half)]
    slips += [(hour, minute, "am" if half == "pm" else "pm")] if half else []
    return random.choice(slips)


def _write_time(random: Random, value: tuple[int, int, str]) -> str:
    hour, minute, half = value
    clock = f"{hour}{random.choice([':', ':', '{:}'])}{minute:02}"
    dotted = {"am": "a.m.", "pm": "p.m.", "": ""}[half]
    ways = [f" \\text{{ {dotted}}}", f"\\text{{ {half.upper()}}}", f" {half}", f"\\text{{ {half}}}"]
    return clock + (random.choice(ways) if half else "")


def _choice(random: Random) -> str:
    return random.choice("ABCDE")


def _other_choice(random: Random, value: str) -> str:
    return random.choice([letter for letter in "ABCDE" if letter != value])


def _write_choice(random: Random, value: str) -> str:
    ways = ["@", "(@)", r"\text{@}", r"\text{(@)}", r"\textbf{(@)}", r"\mathrm{(@)}", r"\textbf{@}"]
    ways += [r"\mathbf{@}", "(@).", r"\textbf{(@) }7", r"\text{(@) all of them}"]
    return random.choice(ways).replace("@", value)


WORDS = [
    ("even",), ("odd",), ("yes",), ("no",), ("true",), ("false",), ("Evelyn",), ("Thursday",),
    ("ellipse",), ("hyperbola",), ("isosceles", "triangle"), ("right", "triangle"),
    ("neither", "even", "nor", "odd"), ("no", "solution"), ("decreasing",), ("convergent",),
    ("March",), ("blue",), ("west",),
]  # fmt: skip


def _write_text(random: Random, value: tuple[str, ...]) -> str:
    text = " ".join(value)
    text = random.choice([text, text, text.capitalize()])
    ways = ["\\text{@}", "\\text{@}", "\\textbf{@}", "\\mathrm{@}", "\\textit{@}", "\\text{ @ }"]
    ways += ["@", "@"] if len(value) == 1 else []
    ways += ["\\text{@.}", "\\text{@}."]
    return random.choice(ways).replace("@", text)


def _other_text(random: Random, value: tuple[str, ...]) -> tuple[str, ...]:
    return random.choice([words for words in WORDS if words != value])


def _solution(random: Random) -> tuple[Fraction, Fraction]:
    return some(random), some(random)


def _other_solution(random: Random, value: tuple[Fraction, Fraction]) -> Any:
    a, b = value
    slips = [(other(random, a), b), (a, other(random, b)), (b, a)]
    return random.choice([slip for slip in slips if slip != value])


def _write_solution(random: Random, value: tuple[Fraction, Fraction]) -> str:
    a, b = (number(random, each) for each in value)
    return random.choice([f"x={a}, y={b}", f"y = {b}, x = {a}", f"x = {a} \\text{{ and }} y = {b}"])


def _ratio(random: Random) -> tuple[int, int]:
    # Two digits after the colon are minutes.
    return random.randint(1, 9), random.randint(1, 3)


def _other_ratio(random: Random, value: tuple[int, int]) -> tuple[int, int]:
    a, b = value
    return random.choice([(a + b, b), (a, b % 3 + 1), (3 * a, b)])


def _write_ratio(random: Random, value: tuple[int, int]) -> str:
    scale = random.choice([1, 1, 2, 3])
    colon = random.choice([":", " : ", "{:}", r"\colon "])
    return f"{scale * value[0]}{colon}{scale * value[1]}"


def _plus_minus(random: Random) -> tuple[Fraction, tuple[Fraction, Fraction, int]]:
    """(a, b): a plus or minus the surd b, which has no rational part."""
    root = random.choice([1, 1, 2, 3, 5, 7])
    return random.choice([Fraction(0), some(random, 9, 3)]), (
        Fraction(0),
        abs(some(random, 9, 3)),
        root,
    )


def _other_plus_minus(random: Random, value: Any) -> Any:
    a, (_, b, root) = value
    return random.choice([(a + 1, (0, b, root)), (a, (0, b + 1, root)), (a, (0, b, root + 10))])


def _write_plus_minus(random: Random, value: Any) -> str:
    a, (_, b, root) = value
    size = number(random, b) if root == 1 else _root(random, b, root)
    head = number(random, a) if a else ""
    sign = random.choice(["\\pm", " \\pm ", "±", "\\mp "])
    if random.random() < 0.5:
        both = [f"{head}{plus}{size}" for plus in ("-", "+" if head else "")]
        random.shuffle(both)
        word = random.choice([", ", ",", r" \text{ and } ", r" \text{ or } "])
        return word.join(both)
    return f"{head}{sign}{' ' if sign[-1].isalpha() else ''}{size}"


def _write_function(random: Random, value: tuple[str, Factors]) -> str:
    name, (names, factors) = value
    renamed = random.choice([names, "xtus"[random.randrange(4)]])
    text = _write_polynomial(random, (renamed, factors))
    return f"{name}({renamed}){random.choice(['=', ' = '])}{text}"


def _function(random: Random) -> tuple[str, Factors]:
    _, factors = _polynomial(random)
    while len(next(iter(factors[0]))) > 1:
        _, factors = _polynomial(random)
    return random.choice("fgh"), ("x", factors)


def _other_function(random: Random, value: tuple[str, Factors]) -> tuple[str, Factors]:
    name, factors = value
    if random.random() < 0.2:
        return {"f": "g", "g": "h", "h": "f"}[name], factors
    return name, _other_polynomial(random, factors)


Piecewise = tuple[Fraction, Polynomial, Polynomial, bool]  # edge, below, above, edge belongs above


def _piecewise(random: Random) -> Piecewise:
    edge = Fraction(random.randint(-5, 5))
    below = linear(random, 1)
    above = total(below, {(1,): Fraction(random.randint(7, 9)), (0,): Fraction(1, 2)})
    return edge, below, above, random.random() < 0.5


def _other_piecewise(random: Random, value: Piecewise) -> Piecewise:
    edge, below, above, belongs = value
    one = {(0,): Fraction(random.choice([1, -1]))}
    slips = [(edge + 1, below, above, belongs), (edge, above, below, belongs)]
    slips += [(edge, total(below, one), above, belongs), (edge, below, total(above, one), belongs)]
    slips += [(edge, below, above, not belongs)]  # it jumps at its edge
    return random.choice(slips)


def _write_piecewise(random: Random, value: Piecewise) -> str:
    edge, below, above, belongs = value
    less, more = ("<", r"\ge ") if belongs else (r"\le ", ">")
    word = random.choice(["", "", r"\text{if } ", r"\text{ for } "])
    conditions = [f"{word}x{less}{edge}", f"{word}x{more}{edge}"]
    rows = [
        f"{written(random, 'x', body)}{random.choice(['', ','])} & {condition}"
        for body, condition in zip((below, above), conditions, strict=True)
    ]
    if random.random() < 0.3:
        rows[1] = f"{written(random, 'x', above)} & \\text{{otherwise}}"
    elif random.random() < 0.5:
        rows.reverse()
    return "\\begin{cases} " + random.choice([r" \\ ", r"\\"]).join(rows) + " \\end{cases}"


def _hedges(random: Random, equal: bool) -> tuple[str, str]:
    """The right answer among others, which is none."""
    value = some(random, 40)
    right, reference = number(random, value), number(random, value)
    if equal:
        return dressed(random, right), dressed(random, reference)
    wrong = [number(random, other(random, value)) for _ in range(random.randint(1, 4))]
    at = random.randint(0, len(wrong))
    items = [*wrong[:at], right, *wrong[at:]]
    separators = [
        ", ",
        r" \text{ or } ",
        " or ",
        r" \text{ and } ",
        "; ",
        "=",
        " = ",
        r"\quad",
        "<",
    ]
    separators += [r"\ne ", r"\cup", r" \text{ maybe } ", "|", "\\\\", r"\to ", " ; ", "&", "\n"]
    text = random.choice(separators).join(items)
    around = ["@", "@", "@", r"\{@\}", "[@]", "@, \\ldots", r"\text{one of } @", r"\text{not } @"]
    return random.choice(around).replace("@", text), dressed(random, reference)


def _rounded(random: Random, equal: bool) -> tuple[str, str]:
    """A decimal of few digits is no constant; and of many, no other decimal."""
    value = Fraction(random.randint(1, 200), random.choice([3, 7, 9, 11, 13, 17]))
    value += Fraction(1, 3) if value.denominator == 1 else 0
    if equal:
        return dressed(random, quotient(random, value)), dressed(random, quotient(random, value))
    places = random.randint(1, 3)
    digits = decimal(Fraction(round(value * 10**places), 10**places)) or "0"
    reference = quotient(random, value)
    return (digits, reference) if random.random() < 0.5 else (reference, digits)


def _any_fraction(random: Random) -> Fraction:
    return some(random, 99, 40)


KINDS: dict[str, Kind] = {
    "integer": kind_of(_integer, _other_integer, _write_integer),
    "fraction": kind_of(_any_fraction, other, _write_fraction),
    "decimal": kind_of(_decimal, _other_decimal, _write_decimal),
    "mixed number": kind_of(_mixed, other, _write_mixed),
    "percent": kind_of(_percentage, other, _write_percent),
    "scientific": kind_of(_scientific, other, _write_scientific),
    "repeating decimal": kind_of(_any_fraction, other, _write_repeating),
    "square root": kind_of(_surd, _other_surd, _write_surd),
    "higher root": kind_of(
        _cube_root,
        lambda random, value: (other(random, value[0]), *value[1:]),
        _write_cube_root,
    ),
    "multiple of pi": kind_of(_pi_multiple, _other_pi_multiple, _write_pi),
    "logarithm": kind_of(_logarithm, _other_logarithm, _write_logarithm),
    "binomial": kind_of(_counted, _other_counted, _write_counted),
    "complex": kind_of(_complex, _other_complex, _write_complex),
    "polynomial": kind_of(_polynomial, _other_polynomial, _write_polynomial),
    "rational function": kind_of(_rational, _other_rational, _write_rational),
    "identity": kind_of(_identity, _other_identity, _write_identity),
    "interval": kind_of(_pieces, _other_pieces, _write_pieces),
    "set": kind_of(_numbers, _other_numbers, _write_set),
    "list": kind_of(_numbers, _other_numbers, _write_list),
    "tuple": kind_of(_numbers, _other_tuple, _write_tuple),
    "points": kind_of(_points, _other_points, _write_points),
    "matrix": kind_of(_matrix, _other_matrix, _write_matrix),
    "equation": kind_of(_equation, _other_equation, _write_equation),
    "named value": _named,
    "unit": _quantities,
    "angle": kind_of(lambda random: abs(some(random, 300)), other, _write_angle),
    "time": kind_of(_time, _other_time, _write_time),
    "ratio": kind_of(_ratio, _other_ratio, _write_ratio),
    "solution": kind_of(_solution, _other_solution, _write_solution),
    "choice": kind_of(_choice, _other_choice, _write_choice, plain=True),
    "text": kind_of(lambda random: random.choice(WORDS), _other_text, _write_text, plain=True),
    "plus or minus": kind_of(_plus_minus, _other_plus_minus, _write_plus_minus),
    "function": kind_of(_function, _other_function, _write_function),
    "piecewise": kind_of(_piecewise, _other_piecewise, _write_piecewise),
    "hedge": _hedges,
    "rounded": _rounded,
}


def texts(seed: int, count: int) -> list[str]:
    """Both sides of as many pairs as that takes."""
    found = (text for each in pairs(seed, count) for text in each[1:3])
    return list(islice(found, count))
