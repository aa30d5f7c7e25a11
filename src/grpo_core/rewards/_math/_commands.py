"""What each command of LaTeX, and each word of plain text, stands for."""

OPERATORS = {
    "cdot": "*", "times": "*", "ast": "*", "div": "/", "pm": "pm", "mp": "mp", "le": "<=",
    "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">",
    "ne": "!=", "neq": "!=", "approx": "~", "in": "in", "cup": "cup", "cap": "cap",
    "setminus": "setminus", "backslash": "setminus", "mid": "|", "vert": "|", "lvert": "abs(",
    "rvert": ")abs", "{": "{", "}": "}", "lbrace": "{", "rbrace": "}", "langle": "<(",
    "rangle": ")>", "lfloor": "floor(", "rfloor": ")floor", "lceil": "ceil(", "rceil": ")ceil",
    "frac": "frac", "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "binom": "binom",
    "dbinom": "binom", "tbinom": "binom", "sqrt": "sqrt", "overline": "overline", "bar": "overline",
    "circ": "deg", "degree": "deg", "%": "%", "$": "$", "begin": "begin", "end": "end",
    "\\": "row", "cdots": "...", "ldots": "...", "dots": "...", "colon": ":", "prime": "'",
    "lbrack": "[", "rbrack": "]",
}  # fmt: skip
CONSTANTS = {"pi": "pi", "infty": "oo", "R": "R", "emptyset": "empty", "varnothing": "empty"}
FUNCTIONS = {name: name for name in (
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "ln", "log", "exp",
    "asin", "acos", "atan", "max", "min", "gcd", "lcm", "abs", "floor", "ceil",
)} | {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "lg": "log10"}  # fmt: skip
GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta",
    "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi",
    "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi",
    "Omega", "ell", "hbar",
))  # fmt: skip
GREEK_LETTERS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega",
}  # fmt: skip
TEXTS = frozenset(("text", "textbf", "textit", "textrm", "textsf", "mbox", "mathrm", "rm"))
# They change the looks of what follows, or nothing.
LOOKS = frozenset((
    "left", "right", "mathbf", "mathit", "boldsymbol", "bm", "mathcal", "limits", "big", "Big",
    "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg", "textstyle", "nonumber", "vec",
    "overrightarrow", "hat", "tilde", "angle", "triangle", "(", ")", "[", "]",
))  # fmt: skip
WORDS = frozenset(("and", "or", "odd", "yes", "no", "the", "is", "not", "for", "all", "true"))
UNITS_AFTER_SPACE = frozenset(("cm", "mm", "km", "kg", "ft", "mi", "hr", "min", "sec", "mph"))
