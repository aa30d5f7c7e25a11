r"""Exact answers to whether two texts mean the same, by reading the texts alone.

A small reader of its own makes SymPy's objects out of what stands in a text; nothing of the library
and nothing of the strategies' makers is imported. Numbers become `Rational`, roots stay roots, and
two sides are equal only if SymPy proves their difference to be 0. What it cannot read raises
`UnreadableError`, which is never "equal": a maker that writes nonsense is found by that.
"""

import re

import sympy as sp

X, Y, CAPITAL = sp.symbols("x y X", real=True)
TOKEN = re.compile(
    r"\s+|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<command>\\[A-Za-z]+|\\.)|(?P<word>[a-z]{2,})"
    r"|(?P<sign>.)",
    re.DOTALL,
)
FUNCTIONS = {"sin": sp.sin, "cos": sp.cos, "tan": sp.tan}
UNITS = {
    "m": ("length", 1), "meter": ("length", 1), "cm": ("length", sp.Rational(1, 100)),
    "centimeter": ("length", sp.Rational(1, 100)), "km": ("length", 1000),
    "kilometer": ("length", 1000), "kg": ("mass", 1), "kilogram": ("mass", 1),
    "g": ("mass", sp.Rational(1, 1000)), "gram": ("mass", sp.Rational(1, 1000)),
    "s": ("time", 1), "second": ("time", 1), "min": ("time", 60), "minute": ("time", 60),
}  # fmt: skip


class UnreadableError(ValueError):
    """The text is nothing that this reader knows."""


def equal(kind, first, second):
    """Whether two texts of a kind mean the same, exactly."""
    return _same(value_of(kind, first), value_of(kind, second))


def value_of(kind, text):
    """What a text means, where an answer of this kind is asked for."""
    text = undressed(text)
    readers = {
        "interval": _interval, "set": _set, "tuple": _tuple, "matrix": _matrix,
        "equation": _equation, "quantity": _quantity, "angle": _angle, "choice": _choice,
    }  # fmt: skip
    return readers.get(kind, _scalar)(text)


def undressed(text):
    """Without what only dresses: dollars, sizes, spaces, signs of other alphabets, a full stop."""
    text = re.sub(r"(?<!\\)\\[,;: !]|~", " ", text)
    for mark in ("\\displaystyle", "\\left", "\\right", "\\(", "\\)", "$"):
        text = text.replace(mark, "")
    text = text.strip()
    text = re.sub(r"\\[dtc]frac", r"\\frac", text)
    text = text.replace("\u2212", "-").replace("√", "\\sqrt ").replace("∞", "\\infty ")
    text = re.sub(r"\\(?:mathbf|textbf|mathrm)\{", r"\\text{", text)
    text = text.removesuffix(".").strip()
    while text.startswith("{") and _closes(text, 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text.removesuffix(".").strip()


def _closes(text, start):
    """Where the bracket closes that opens at `start`."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "{([") - (text[at] in "})]")
        if depth == 0:
            return at
    raise UnreadableError(text)


def _same(first, second):
    if type(first) is not type(second) and not isinstance(first, sp.Basic):
        return False
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, sp.Expr) and (first - second).free_symbols <= {X, Y, CAPITAL}:
        return first == second or (first.is_finite is not False and _is_zero(first - second))
    return first == second


def _is_zero(difference):
    if difference.is_number and difference.has(sp.nan, sp.zoo):
        return False
    # Far from 0 at one point says different at once; that it is 0 has to be proven.
    at = {X: sp.Rational(37, 100), Y: sp.Rational(-113, 100), CAPITAL: sp.Rational(271, 100)}
    if abs(difference.subs(at).evalf(40)) > sp.Float("1e-20"):
        return False
    if sp.expand(difference) == 0 or sp.simplify(difference) == 0:
        return True
    if sp.simplify(sp.expand(difference, trig=True)) == 0:
        return True
    raise UnreadableError(f"cannot prove that {difference} is 0")


# Each kind.


def _scalar(text):
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"^[xn] = ", "", text)
    percent = re.search(r"\s*(\\%|%|percent)$", text)
    value = Reader(text[: percent.start()] if percent else text).whole()
    return value / 100 if percent else value


def _angle(text):
    text = re.sub(r"\\text\{\s*(degrees?)\s*\}", r" \1", text)
    found = re.fullmatch(r"(.*?)\s*(\^\s*\{?\s*\\circ\s*\}?|°|degrees?)", text)
    if not found:
        raise UnreadableError(text)
    return Reader(found[1]).whole()


def _quantity(text):
    found = re.fullmatch(r"(.*?)\s*(?:\\text\{\s*([a-z]+)\s*\}|\s([a-z]+))", text)
    name = found and (found[2] or found[3])
    if name not in UNITS:
        name = (name or "").removesuffix("s")
    if name not in UNITS:
        raise UnreadableError(text)
    dimension, size = UNITS[name]
    return (sp.Symbol(dimension), Reader(found[1]).whole() * size)


def _choice(text):
    words = re.sub(r"\\text|[{}()\s]", " ", text).split()
    words = [word for word in words if word.lower() != "option"]
    if len(words) != 1:
        raise UnreadableError(text)
    return words[0].upper()


def _set(text):
    if text.startswith("\\{"):
        if not text.endswith("\\}"):
            raise UnreadableError(text)
        text = text[2:-2]
    text = re.sub(r"\\text\{ (?:and|or) \}", ",", text)
    return sp.FiniteSet(*(Reader(re.sub(r"^x = ", "", item)).whole() for item in _split(text)))


def _tuple(text):
    if not (text.startswith("(") and text.endswith(")")):
        raise UnreadableError(text)
    return [Reader(item).whole() for item in _split(text[1:-1])]


def _split(text, mark=","):
    """The parts between marks that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign in "{([") - (sign in "})]")
        if sign == mark and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _matrix(text):
    if text.startswith("[["):
        rows = [_split(row[1:-1]) for row in _split(text[1:-1])]
    else:
        inner = re.fullmatch(
            r"[(\[]?\\begin\{(p?matrix|bmatrix|array)\}(?:\{c+\})?(.*)\\end\{\1\}[)\]]?", text
        )
        if not inner:
            raise UnreadableError(text)
        rows = [row.split("&") for row in inner[2].split("\\\\") if row.strip()]
    return [[Reader(entry).whole() for entry in row] for row in rows]


def _equation(text):
    sides = text.split("=")
    if len(sides) != 2:
        raise UnreadableError(text)
    form = sp.Poly(Reader(sides[0]).whole() - Reader(sides[1]).whole(), X, Y)
    if form.total_degree() > 1:
        raise UnreadableError(text)
    return form.monic().as_expr()  # a line is its equation up to a factor


def _interval(text):
    builder = re.fullmatch(r"\\\{\s*x(?: \\in \\mathbb\{R\})? (?:\\mid|:) (.*)\\\}", text)
    text = (builder[1] if builder else text.removeprefix("x \\in ")).strip()
    bracketed = re.fullmatch(r"([\[(])(.*)([\])])", text)
    if bracketed and "," in bracketed[2] and not re.search(r"[<>]|\\[lg]e", text):
        ends = _split(bracketed[2])
        if len(ends) != 2:
            raise UnreadableError(text)
        return _between(*ends, bracketed[1] == "[", bracketed[3] == "]")
    parts = re.split(r"(<|>|\\le|\\ge)", text)
    signs = {"<": (1, False), "\\le": (1, True), ">": (-1, False), "\\ge": (-1, True)}
    items = [part.strip() for part in parts]
    if items[1::2] and signs.get(items[1], (0,))[0] < 0:  # the greater side comes first
        items = [{">": "<", "\\ge": "\\le"}.get(item, item) for item in reversed(items)]
    closed = [signs[sign][1] for sign in items[1::2]]
    match items:
        case [low, "<" | "\\le", "x", "<" | "\\le", high]:
            return _between(low, high, *closed)
        case ["x", _, high]:
            return _between("-\\infty", high, False, closed[0])
        case [low, _, "x"]:
            return _between(low, "\\infty", closed[0], False)
    raise UnreadableError(text)


def _between(low, high, has_low, has_high):
    return [Reader(low).whole(), Reader(high).whole(), sp.Integer(has_low), sp.Integer(has_high)]


class Reader:
    """Sums, products and powers by recursive descent."""

    def __init__(self, text):
        # Thousands; anything else between digits stays and is read or refused.
        grouped = re.fullmatch(r"-?\d{1,3}((?:,|\{,\}| )\d{3}(?!\d))+(\.\d+)?", text.strip())
        text = re.sub(r"[,{} ]", "", text) if grouped else text
        self.at, self.tokens = 0, []
        self.digits = self.was_digits = False  # of the group before, of the fraction before
        for found in TOKEN.finditer(text):
            if found.lastgroup:
                self.tokens.append((found.lastgroup, found[0]))

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self):
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ("end", "")

    def take(self, *texts):
        found = self.peek()[1] in texts and self.peek()[0] != "end"
        self.at += found
        return found

    def expect(self, text):
        if not self.take(text):
            raise UnreadableError((self.tokens, self.at, text))

    def whole(self):
        value = self.sum()
        if self.peek()[0] != "end":
            raise UnreadableError((self.tokens, self.at))
        return value

    def sum(self):
        sign = 1
        while self.peek()[1] in ("+", "-"):
            sign *= -1 if self.next()[1] == "-" else 1
        value = sign * self.product()
        while self.peek()[1] in ("+", "-"):
            sign = -1 if self.next()[1] == "-" else 1
            value += sign * self.product()
        return value

    def product(self):
        value = self.factor()
        while True:
            if self.take("\\cdot", "\\times", "*"):
                value *= -self.factor() if self.take("-") else self.factor()
            elif self.take("/"):
                value /= self.factor()
            elif self.ends():
                return value
            else:
                value = self.juxtaposed(value)

    def ends(self):
        """Whether what follows is no factor."""
        kind, text = self.peek()
        if kind in ("end", "word"):
            return text not in FUNCTIONS
        return text in ("+", "-", ")", "}", "]", ",", "=")

    def juxtaposed(self, value):
        """A mixed number adds: a whole number before a fraction of two; all else multiplies."""
        before = self.tokens[self.at - 1]
        whole = before[0] == "number" and "." not in before[1] and "e" not in before[1].lower()
        if whole and self.peek()[1] == "\\frac":
            fraction = self.factor()
            if self.was_digits:
                return value + fraction if value >= 0 else value - fraction
            return value * fraction
        if whole and self.peek()[0] == "number":
            top = self.factor()
            self.expect("/")
            return value + top / self.factor()
        return value * self.factor()

    def factor(self):
        base = self.atom()
        if self.take("^"):
            exponent = self.group()
            return base**exponent
        if self.take("*"):
            if self.take("*"):
                return base ** self.factor()
            self.at -= 1
        return base

    def group(self):
        """What a command takes: a braced group, or one digit or sign."""
        if self.take("{"):
            start = self.at
            value = self.sum()
            self.expect("}")
            self.digits = all(token[0] == "number" for token in self.tokens[start : self.at - 1])
            return value
        kind, text = self.peek()
        self.digits = True
        if kind == "number":  # of `\frac12` one digit is the numerator
            head, rest = text[0], text[1:]
            parts = [("number", part) for part in (head, rest) if part]
            self.tokens[self.at : self.at + 1] = parts
        return self.atom()

    def atom(self):
        kind, text = self.next()
        if kind == "number":
            return _number(text)
        if text in ("(", "{"):
            value = self.sum()
            self.expect(")" if text == "(" else "}")
            return value
        if text in ("x", "y", "X"):
            return {"x": X, "y": Y, "X": CAPITAL}[text]
        if text == "i":
            return sp.I
        if text == "\\text":
            self.expect("{")
            value = self.sum()
            self.expect("}")
            return value
        name = text.removeprefix("\\")
        if name in FUNCTIONS:
            return self.function(FUNCTIONS[name])
        match text:
            case "\\frac":
                top, digits = self.group(), self.digits
                bottom = self.group()
                self.was_digits = digits and self.digits
                return top / bottom
            case "\\sqrt":
                return sp.sqrt(self.atom() if self.peek()[1] == "(" else self.group())
            case "\\pi":
                return sp.pi
            case "\\infty":
                return sp.oo
        raise UnreadableError((self.tokens, self.at))

    def function(self, apply):
        power = self.group() if self.take("^") else 1
        if self.peek()[1] in ("(", "{"):
            argument = self.atom()
        else:  # `\sin 2x`: numbers and names up to the next sign
            argument = sp.Integer(1)
            while self.peek()[0] == "number" or self.peek()[1] in ("x", "y", "X"):
                argument *= self.atom()
        return apply(argument) ** power


def _number(text):
    return sp.Rational(text if not text.endswith(".") else text + "0")
