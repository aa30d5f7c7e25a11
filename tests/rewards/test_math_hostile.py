"""Texts made to hang, crash or fool the maths verifier: each gets a verdict, and soon."""

import time

import pytest

from grpo_core.rewards import check_references, math_equivalent, verify_math

# A piece to repeat, and what closes it.
REPEATED = {
    r"9^": "9", "-": "1", "x+": "x", r"\sqrt2+": "1", r"\sin(x)+": "1", "x<": "x", "1<": "x",
    "x=": "3", r"\pm 1,": "1", "|": "", "|x": "", r"\left|": "", r"\{": "", "[1,": "",
    "(1,2)\\cup": "(3,4)", r"(1,2)\cap": "(1,2)", r"(1,2)\cup(3,4)\cap": "(1,2)", "10^{999}": "",
    "a b c ": "", "abc": "", "1:": "2", "1,": "1", "1;": "1", r"\overline{": "", "1e999+": "1",
    "1/": "7", r"\frac": "", "!": "", "3%": "", r"3^\circ": "", "3°": "", r"\log ": "2",
    r"\sin^": "2", "f": "", "x_{": "", "x_": "", "x'": "", "$": "", "\\": "", r"\ ": "", "&": "",
    ".": "", "...,": "", r"\ldots,": "1", "and ": "", "1 and ": "1", " or ": "", "A,": "B",
    "(A)": "", "March ": "", r"\lceil x\rceil": "", "i^": "i", "{}": "", r"\{\}": "",
    r"\infty": "", r"\infty-": r"\infty", r"x\in": "x", r"\{x|": "", r"\{x|x>1\}": "",
    r"2\frac12": "", "1 1/2": "", "1.": "", "e": "", "1e": "", "1e5": "", "x^{0.5}": "",
    r"x^{\pi}": "", r"\cos x^{2}": "", r"\text{": "", r"\mathrm{": "", r"\begin{matrix}": "",
    r"\text{a}": "", "f(x)=": "1", r"\boxed{": "", "x!": "", r"\frac{x}{y}+": "1", "\u200b": "3",
    "\ud800": "", "１": "", "²": "", "٣": "", "\\not": "3",
}  # fmt: skip
NESTED = [
    ("(", "1", ")"), ("{", "1", "}"), ("[", "x", "]"), (r"\sqrt{", "2", "}"),
    (r"\frac{1}{", "2", "}"), (r"\sqrt{2+", "2", "}"), (r"\sin(", "x", ")"), ("e^{", "x", "}"),
    ("2^{", "x", "}"), ("2^{", "2", "}"), ("x^{", "2", "}"), (r"\log_{", "2", "}"),
    (r"\sqrt[", "3", "]{2}"), ("f(", "x", ")"), (r"\lfloor ", "x", r"\rfloor"),
    (r"\max(", "x", ")"), (r"\{", "1", r"\}"), ("(1,", "2", ")"),
    (r"\begin{matrix}", "1", r"\end{matrix}"), (r"\left|", "x", r"\right|"),
    (r"\ln(x+", "2", ")"),
]  # fmt: skip
LARGE = [
    "9^{9^{9^9}}", r"\frac{9^{9^9}}{9^{9^9}}", "1000!!!!!!", "10000!", "(9999!)!", "(((9!)!)!)!",
    r"\binom{10000}{5000}", r"\binom{9999}{x}", r"\sin(10^{999})", r"\sin(10^{1000}x)",
    "e^{20000}", "e^{e^{9}}", "e^{e^{10}}", r"\tan(\frac{\pi}{2})", "(x+1)^{1000}",
    r"(x+\sqrt2)^{1000}", "(x+y)^{10^{5}}", "((x+1)^{999})^{999}", "7^{7^{7}}",
    r"\cosh(\sinh(\cosh(10)))", "x^{x^{x^{x^x}}}", r"\exp(\exp(\exp(3)))", r"(1+10^{-999})^{999}",
    r"((1+10^{-999})^{99})^{99}", "10^{10^{3}}", "9" * 1_999, "9" * 999 + ".5",
    "0.\\overline{" + "3" * 990 + "}", "1" * 999 + "_{36}", r"\sqrt{" + "7" * 999 + "}",
    "1." + "1" * 900 + "^{999}", r"\gcd(10^{999},10^{998}+1)", r"\ln(0)", r"\frac{1}{x-x}",
    "0^{-1}", "0^{x}", r"\sqrt[0]{2}", r"\log_1 2", r"\arcsin(2)", "i^{i^i}",
    ",".join(rf"\sqrt{{{n}}}" for n in range(180)), ",".join(f"x^{{{n}}}" for n in range(250)),
    r"\cup".join(f"({n},{n + 1})" for n in range(150)), r"\pm".join("1" * 300),
    r"\setminus".join(["(0,999)", *(rf"\{{{n}\}}" for n in range(130))]),
    r"\begin{pmatrix}" + "1&" * 900 + r"1\end{pmatrix}",
    r"\begin{cases}" + r"x&x>0\\" * 180 + r"0&x<0\end{cases}",
    r"\sqrt{" + "+".join(rf"\sqrt{{{n}}}" for n in range(2, 150)) + "}", r"\binom{n}{k}" * 100,
    "n!" * 400, r"\tan x" * 150, r"\log_{x} y" * 150,
]  # fmt: skip
HACKS = [
    "__import__('os').system('touch /tmp/grpo_core_hack')", "eval('1')", "exec('import os')",
    "().__class__.__bases__[0].__subclasses__()", "lambda: 3", "3 if True else 4",
    "open('/etc/passwd')", "x.__init__", "'3'", '"3"', "3;import os", "math.pi", "{x: 3}",
    "[3 for x in y]", "3 # comment", "1 or 2 or 3", "1,2,3,4,5", "A, B, C, D",
    "3 (or possibly 4)", "3 = 4", "4 = 3", "x", "n", "f(3)", r"0 \le x \le 100", r"\infty-\infty",
    "...", "?", "3 or not 3", r"3 \text{ or } 4", "3/4 or 3", r"\{1,2,3\}", r"[0, 100]",
    r"x \in \mathbb{R}", r"3 \ne 4", "3 < 4", "3 = x = 4", "x=3, x=4", "3 pm", r"3 \text{ am}",
    r"\text{any number}", "c", r"\mathbb{R}", "[3, 4]", "3, 3", "3 and 3",
]  # fmt: skip


def texts():
    for piece, end in REPEATED.items():
        for times in (20, 1_999 // len(piece)):
            yield (piece * times)[: 2_000 - len(end)] + end
    for opening, inside, closing in NESTED:
        for depth in (20, 60, 100, 1_990 // (len(opening) + len(closing))):
            text = opening * depth + inside + closing * depth
            if len(text) <= 2_000:
                yield text
    yield from LARGE
    yield from HACKS


TEXTS = list(texts())


def test_a_hostile_text_is_graded_in_a_tenth_of_a_second_and_all_in_a_few():
    math_equivalent(r"\sqrt2+x", r"x+\sqrt{2}")  # imports
    spent = dict.fromkeys(TEXTS, 0.0)
    for text in TEXTS:
        for reference in ("3", r"x+\sqrt2", "(1, 2)"):
            begin = time.process_time()
            assert verify_math(f"\\boxed{{{text}}}", reference).score in {0.0, 1.0}
            spent[text] += time.process_time() - begin
    slowest = max(spent, key=lambda text: spent[text])
    assert len(TEXTS) >= 200
    assert spent[slowest] < 1.0, slowest[:100]
    assert sum(spent.values()) < 10.0


def test_a_hostile_reference_raises_or_is_graded_in_time():
    for text in TEXTS:
        begin = time.process_time()
        if not check_references([text]) and "boxed" not in text:
            assert math_equivalent(f"{text} ", text).score in {0.0, 1.0}
            assert math_equivalent(f"{text}+0", text).score in {0.0, 1.0}
        assert time.process_time() - begin < 1.5, text[:100]


@pytest.mark.parametrize("text", HACKS)
def test_a_hack_earns_nothing(text):
    assert math_equivalent(text, "3").score == 0.0
    assert math_equivalent(text, "42").score == 0.0


def test_a_deep_stack_of_the_caller_raises_nothing():
    def deep(levels):
        if levels:
            return deep(levels - 1)
        return math_equivalent("(" * 90 + "x+1" + ")" * 90, "x+1").reason

    assert deep(700) in {"correct", "too_large"}
