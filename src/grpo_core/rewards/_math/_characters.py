"""Characters outside ASCII, and spellings of plain text, as the LaTeX that says the same."""

import re
import unicodedata

from grpo_core.rewards._math._thousands import without_tight_separators

_CHARACTERS = str.maketrans(
    {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}
    | dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}", "-")
    | {"×": "*", "⋅": "*", "·": "*", "÷": "/", "≤": "<=", "≥": ">=", "⩽": "<=", "⩾": ">="}
    | {"≠": "!=", "≈": "\\approx ", "≡": "\\equiv ", "→": "\\to ", "∞": "\\infty "}
    | {"√": "\\sqrt ", "∛": "\\sqrt[3]", "∜": "\\sqrt[4]", "∑": "\\sum ", "∏": "\\prod "}
    | {"∫": "\\int ", "∪": "\\cup ", "∩": "\\cap ", "∖": "\\setminus ", "∈": "\\in "}
    | {"°": "^\\circ ", "º": "^\\circ ", "±": "\\pm ", "∓": "\\mp ", "…": "...", "′": "'"}
    | {"∅": "\\emptyset ", "ℝ": "\\R ", "ℤ": "\\mathbb{Z}", "ℕ": "\\mathbb{N}", "π": "\\pi "}
    | {"ℚ": "\\mathbb{Q}", "ℂ": "\\mathbb{C}", "∠": "\\angle ", "△": "\\triangle "}
    | {"⟨": "\\langle ", "⟩": "\\rangle ", "⌊": "\\lfloor ", "⌋": "\\rfloor "}
    | {"Ω": "Ω", "。": ".", "，": ",", "⁄": "/", "ℓ": "\\ell ", "∧": "\\land ", "¬": "\\neg "}
    | {"⌈": "\\lceil ", "⌉": "\\rceil ", "∣": "|", "ϵ": "ε", "ϕ": "φ", "µ": "μ", "’": "'"}
    | {"∀": "\\forall "}
)
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ⁽⁾]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥ]+")
_STYLED = re.compile("[\U0001d400-\U0001d7ff]+")  # 𝑥 and 𝟏
_VULGAR = re.compile("[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")

# Escaped twice, as from JSON: what follows a row break is never the bare name of a command.
_TWICE = re.compile(
    r"(?<!\\)\\\\(?=(?:left|right|frac|dfrac|tfrac|sqrt|begin|end|pi|infty|text|leq?|geq?|cdot"
    r"|times|cup|in|pm|mathrm|mathbb|alpha|beta|theta)(?![A-Za-z]))"
)
_GROUPED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,\S)")
_OUTER = re.compile(r"(?:\s|\$|\\[()\[\]]|\\[,;:! ])+")
_BRACKET = re.compile(r"[(\[]|\\\{")
_BEFORE = re.compile(r"(?:[\s~$]|\\[,;:! (\[]|\\displaystyle(?![A-Za-z]))+")
_AFTER = re.compile(r"(?<![\\\s~$])(?:[\s~$]|\\[,;:! )\]])+\Z")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_TIMES_TEN = re.compile(r"(?<=[0-9]) ?x ?(?=10\s*\^)")
_PRIME = re.compile(r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![A-Za-z]))")


_HALF_DAY = re.compile(r"(?<=[0-9])\s*\b([aApP])\.\s?[mM]\b\.?|(?<=[0-9])([ap])\.m\.")
_CHOOSE = re.compile(
    r"(?<![\w.\\}])(?:(?:\{\})?(?:_\{?([0-9]{1,3})\}?|([0-9]{1,3}) ?)"
    r"|(?:\{\}|\A)\^\{?([0-9]{1,3})\}?)([CP])"
    r"_?\{?([0-9]{1,3})\}?(?![\w.])"
)
_DOTTED = re.compile(r"\\dot\s*\{?([0-9])\}?(?:([0-9]*)\\dot\s*\{?([0-9])\}?)?")


_TEMPERATURE = re.compile(
    r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\^\s*\\circ)\s*(?:\\(?:text|mathrm)\s*\{\s*([CF])\s*\}|([CF])(?![A-Za-z]))"
)
_ROW_SPACE = re.compile(r"\\\\\s*\[\s*-?[0-9.]+\s*(?:pt|em|ex|mm|cm)\s*\]")
_LOOKS = re.compile(
    r"\\(?:textcolor|colorbox)\s*\{[A-Za-z]+\}|\\color\s*\{[A-Za-z]+\}|\\underline(?![A-Za-z])"
)
_SYSTEM = re.compile(
    r"\\left\s*\\(?:\{|lbrace)\s*(?:\\begin\s*\{array\}\s*\{[lcr| ]*\}(.*?)\\end\s*\{array\}"
    r"|(\\begin\{(aligned|gathered|split|d?cases)\}.*?\\end\{\3\}))\s*\\right\s*\.",
    re.DOTALL,
)
# C_5^2 and A_5^2 count choices and arrangements; C_1^2 is a constant squared.
_CHOOSE_ABOVE = re.compile(
    r"(?<![\w\\}])([CA])_(?:\{([0-9]{1,3})\}|([3-9]))\^(?:\{([0-9]{1,3})\}|([0-9]))(?![\w.!])"
)
_LOG_OF_BASE = re.compile(r"(?<![A-Za-z\\])log(2|10)(?=\()")  # log2(8), as code has it
_UNSEEN = re.compile(r"\\(?:[hv]?phantom|[hv]space\*?|tag\*?|label)\s*\{[^{}]*\}")
_OLD_ROMAN = re.compile(r"\{\s*\\rm\s+([^{}\\]*)\}")  # {\rm cm}
_LEADING = re.compile(r"\s*(?:=|\\approx(?![A-Za-z]))\s*")


def plain(text: str) -> str:
    """The text as the scanner reads it, without separators of thousands."""
    if not text.isascii():
        text = _STYLED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
        text = _VULGAR.sub(_fraction, _LOWERED.sub(_lowered, _RAISED.sub(_raised, text)))
        text = text.translate(_CHARACTERS)
    if "\\\\" in text and _TWICE.search(text):
        text = text.replace("\\\\", "\\")
    if text.startswith("**") and text.endswith("**"):  # bold in Markdown
        text = text[2:-2]
    if text.endswith(".") and text[-2:-1].isdigit():  # the full stop of a sentence
        text = text[:-1]
    if leading := _LEADING.match(text):
        text = text[leading.end() :]
    if "{-}" in text or "{+}" in text:
        text = text.replace("{-}", "-").replace("{+}", "+")
    if "circ" in text:
        text = _TEMPERATURE.sub(_degrees, text)
    if "\\\\" in text:
        text = _ROW_SPACE.sub(r"\\\\ ", text)
    if "color" in text or "underline" in text:
        text = _LOOKS.sub("", text)
    if "\\left" in text and "\\right." in text:
        text = _SYSTEM.sub(_system, text)
    if "\\forall" in text:
        text = text.replace("\\forall", r"\text{ for all }")
    if "phantom" in text or "space" in text or "\\tag" in text or "\\label" in text:
        text = _UNSEEN.sub(" ", text)
    if "\\rm" in text:
        text = _OLD_ROMAN.sub(r"\\mathrm{\1}", text)
    if "log" in text:
        text = _LOG_OF_BASE.sub(r"\\log_{\1}", text)
    if "+/-" in text:
        text = text.replace("+/-", "\\pm ")
    if "prime" in text:
        text = _PRIME.sub("'", text)
    if not text.isascii() or "\\," in text or "{,}" in text or "\\!" in text:
        text = without_tight_separators(text)
    if "," in text and not _BRACKET.search(_OUTER.sub(" ", text)):
        text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _bare(text)
    if "C_" in text or "A_" in text:
        text = _CHOOSE_ABOVE.sub(_chosen, text)
    if "C" in text or "P" in text:
        text = _CHOOSE.sub(r"\4(\1\2\3,\5)", text)
    if "m." in text or "M." in text:
        text = _HALF_DAY.sub(r"\\text{ \1\2m}", text)
    if "\\dot" in text:
        text = _DOTTED.sub(r"\\overline{\1\2\3}", text)
    return _TIMES_TEN.sub(r"\\times ", text) if "x" in text and "10" in text else text


def _bare(text: str) -> str:
    """The text without what is set around all of it: spaces, dollars and braces."""
    for _ in range(3):  # deeper is nobody's answer
        start = _BEFORE.match(text)
        text = _AFTER.sub("", text[start.end() if start else 0 :])
        if not _is_group(text):
            break
        text = text[1:-1]
    return text


def _is_group(text: str) -> bool:
    """Whether the first brace is closed by the last character."""
    if text[:1] != "{" or text[-1:] != "}":
        return False
    depth = 0
    for brace in _BRACE.finditer(text):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if not depth and brace[0] == "}":
            return brace.end() == len(text)
    return False


def _degrees(found: re.Match[str]) -> str:
    return r"\text{ celsius}" if "C" in (found[1] or found[2]) else r"\text{ fahrenheit}"


def _system(found: re.Match[str]) -> str:
    """Rows behind one brace as an environment that has it."""
    return found[2] or f"\\begin{{cases}}{found[1]}\\end{{cases}}"


def _chosen(found: re.Match[str]) -> str:
    n, k = found[2] or found[3], found[4] or found[5]
    if not int(k) <= int(n) or int(n) < 3:
        return found[0]
    return f"{'C' if found[1] == 'C' else 'P'}({n},{k})"


def _raised(found: re.Match[str]) -> str:
    return f"^{{{unicodedata.normalize('NFKC', found[0])}}}".replace("\N{MINUS SIGN}", "-")


def _lowered(found: re.Match[str]) -> str:
    return f"_{{{unicodedata.normalize('NFKC', found[0])}}}"


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("\N{FRACTION SLASH}")
    return f"\\frac{{{top}}}{{{bottom}}}"
