"""What each command of LaTeX, and each word of plain text, stands for."""

OPERATORS = {
    "cdot": "cdot", "times": "times", "ast": "*", "div": "/", "pm": "pm", "mp": "mp", "le": "<=",
    "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">",
    "ne": "!=", "neq": "!=", "approx": "~", "in": "in", "cup": "cup", "cap": "cap",
    "setminus": "setminus", "backslash": "setminus", "mid": "|", "vert": "|", "lvert": "abs(",
    "rvert": ")abs", "{": "{", "}": "}", "lbrace": "{", "rbrace": "}", "langle": "<(",
    "rangle": ")>", "lfloor": "floor(", "rfloor": ")floor", "lceil": "ceil(", "rceil": ")ceil",
    "frac": "frac", "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "binom": "binom",
    "dbinom": "binom", "tbinom": "binom", "sqrt": "sqrt",
    "circ": "deg", "degree": "deg", "%": "%", "$": "$", "begin": "begin", "end": "end",
    "\\": "row", "cdots": "...", "ldots": "...", "dots": "...", "colon": ":", "prime": "'",
    "lbrack": "[", "rbrack": "]", "sum": "sum", "prod": "prod", "int": "int", "lim": "lim",
    "to": "to", "rightarrow": "to", "pmod": "mod", "mod": "mod", "bmod": "mod", "equiv": "equiv",
    "choose": "choose", "over": "over",
}  # fmt: skip
CONSTANTS = {"pi": "pi", "infty": "oo", "R": "R", "emptyset": "empty", "varnothing": "empty"}
FUNCTIONS = {name: name for name in (
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "ln", "log", "exp",
    "asin", "acos", "atan", "cbrt", "cis", "acot", "max", "min", "gcd", "lcm", "abs", "floor",
    "ceil",
)} | {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "lg": "log10",
    "arctg": "atan", "tg": "tan", "ctg": "cot",
    "arccot": "acot", "arcctg": "acot"}  # fmt: skip
GREEK = frozenset(
    (
        "erf",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
        "hbar",
        "imath",
        "jmath",
        "nabla",
        "partial",
    )
)
# Another shape of the same letter.
VARIANTS = {
    "varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho",
    "varsigma": "sigma", "imath": "i", "jmath": "j", "top": "T",
}  # fmt: skip
GREEK_LETTERS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "ħ": "hbar", "∇": "nabla", "∂": "partial",
}  # fmt: skip
TEXTS = frozenset((
    "text", "textbf", "textit", "textrm", "textsf", "texttt", "textnormal", "emph", "mbox",
    "mathrm", "rm",
))  # fmt: skip
# They change the looks of what follows, or nothing.
LOOKS = frozenset((
    "left", "right", "mathit", "limits", "big", "Big",
    "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg", "textstyle",
    "mathsf", "mathtt", "mathop", "ensuremath", "bf", "it", "sf", "tt", "scriptstyle",
    "normalsize", "Huge", "tiny", "nonumber", "large", "Large", "LARGE", "huge", "small",
    "mathstrut",
    "(", ")", "[", "]",
))  # fmt: skip
# Marks that make another name of what they stand on; `vec` may be left out by the other side.
MARKS = {
    "bar": "bar",
    "hat": "hat",
    "tilde": "tilde",
    "dot": "dot",
    "ddot": "ddot",
    "widehat": "hat",
    "widetilde": "tilde",
    "vec": "vec",
    "mathbf": "vec",
    "boldsymbol": "vec",
    "bm": "vec",
    "overrightarrow": "vec",
    "mathcal": "cal",
    "mathscr": "cal",
    "mathfrak": "frak",
    "overline": "bar",
    "angle": "angle",
    "triangle": "triangle",
    "measuredangle": "angle",
    "overleftarrow": "from",
}
WORDS = frozenset(
    ("dne", "and", "or", "odd", "yes", "no", "the", "is", "not", "for", "all", "true")
)
# Units that plain text may have right after a number, and after a space.
TIGHT_UNITS = frozenset(("cm", "mm", "km", "kg", "ml", "mL", "mph", "kJ", "Hz"))
UNITS = TIGHT_UNITS | frozenset(
    (
        "ft",
        "mi",
        "hr",
        "min",
        "sec",
        "mol",
        "kHz",
        "MHz",
        "GHz",
        "nm",
        "kPa",
        "Pa",
        "eV",
        "keV",
        "MeV",
        "GeV",
        "kW",
        "MW",
        "kV",
        "mV",
        "mA",
        "kN",
        "atm",
        "rad",
        "rpm",
        "ms",
        "ns",
        "lb",
        "oz",
        "yd",
        "dB",
        "cal",
        "kWh",
        "mg",
        "hrs",
        "cup",
        "day",
        "ton",
        "yr",
        "yrs",
        "USD",
    )
)
