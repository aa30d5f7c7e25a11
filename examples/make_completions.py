r"""Write `completions.jsonl`: what a policy might answer, and the reason that each must get.

    python examples/make_completions.py

Problems and completions were written for this project, in seven languages: right in many
spellings, wrong, malformed in every way that the format can fail, and hostile, as a policy gets
that farms its verifier. Then what the demo's policy wrote before it was trained. Always the same
file.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("completions.jsonl")
DEMO = Path(__file__).with_name("demo_completions.jsonl")


class Voice(NamedTuple):
    """A language: sentences for thoughts, and how an answer begins."""

    name: str
    thoughts: tuple[str, ...]
    answer: str
    doubt: str


class Problem(NamedTuple):
    """A text, the reference, right spellings and plausible slips."""

    text: str
    reference: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


VOICES = {
    "en": Voice(
        "en",
        (
            "Let me try a small case first and look for a pattern.",
            "That does not add up, so I go back one step and count again.",
            "Both ways of counting agree now, which makes me confident.",
        ),
        "Counting in two ways gives the result",
        "It could also be another value",
    ),
    "fr": Voice(
        "fr",
        (
            "Commençons par un petit cas pour voir ce qui se passe.",
            "Je me suis trompé d'un signe, je reprends donc le calcul depuis le début.",
            "Les deux méthodes donnent maintenant la même valeur.",
        ),
        "En reprenant le calcul, on trouve",
        "On pourrait aussi trouver une autre valeur",
    ),
    "de": Voice(
        "de",
        (
            "Ich rechne zuerst einen kleinen Fall von Hand durch.",
            "Hier stimmt das Vorzeichen nicht, also noch einmal von vorn.",
            "Jetzt kommen beide Wege auf denselben Wert, das sollte stimmen.",
        ),
        "Damit ist das Ergebnis",
        "Vielleicht ist es aber auch ein anderer Wert",
    ),
    "es": Voice(
        "es",
        (
            "Primero pruebo con un caso pequeño para ver la regla.",
            "Aquí falta un término, así que vuelvo a sumar con cuidado.",
            "Ahora los dos caminos llevan al mismo valor.",
        ),
        "Por lo tanto, el resultado es",
        "Aunque también podría ser otro valor",
    ),
    "zh": Voice(
        "zh",
        (
            "先看一个简单的情形,找出其中的规律。",
            "刚才漏掉了一项,所以重新计算一遍。",
            "现在两种方法得到同样的结果,应该没有问题。",
        ),
        "综上所述,最后的结果是",
        "也可能是另外一个数",
    ),
    "ja": Voice(
        "ja",
        (
            "まず小さい場合を調べて、きまりを見つけます。",
            "さきほどの計算では項が一つ足りないので、もう一度やり直します。",
            "二つの方法の結果が一致したので、正しいと思われます。",
        ),
        "したがって、求める値は次のとおりです。",
        "ほかの値になるかもしれません",
    ),
    "ru": Voice(
        "ru",
        (
            "Сначала рассмотрим небольшой пример и найдём закономерность.",
            "Здесь потерян один множитель, поэтому считаю заново.",
            "Теперь оба способа дают одно и то же значение.",
        ),
        "Таким образом, получаем ответ",
        "Возможно, это и другое число",
    ),
}

HALF = (r"\frac12", "0.5", "1/2", r"\dfrac{1}{2}", r"\frac{2}{4}")
HALF_WRONG = ("2", r"\frac{1}{3}")
INTERVAL = (r"[2, \infty)", r"x \ge 2", r"\left[2, +\infty\right)", r"2 \leq x")
INTERVAL_WRONG = (r"(2, \infty)", r"x \le 2")
SQUARE = ("(x+1)^2", "x^2 + 2x + 1", "1 + 2x + x^2", r"(x+1)(x+1)")
SQUARE_WRONG = ("x^2 + 1", "x^2 + 2x")
ROOT = (r"2\sqrt{3}", r"\sqrt{12}", r"\frac{6}{\sqrt{3}}")
ROOT_WRONG = (r"3\sqrt{2}", r"\sqrt{6}")
PAIR = ("(3, 7)", "(3,7)", r"\left(3, 7\right)", r"(\frac{6}{2}, 7)")
PAIR_WRONG = ("(7, 3)", "(3, 8)")

PROBLEMS = {
    "en": (
        Problem(
            "A lamp maker packs 48 lamps a day, five days a week. How many lamps in five weeks?",
            "1200",
            ("1200", "1,200", r"1200\text{ lamps}", r"1.2 \times 10^3"),
            ("240", "1680"),
        ),
        Problem(
            "A fair coin is thrown once. What is the chance of heads?", "1/2", HALF, HALF_WRONG
        ),
        Problem("For which real $x$ is $3x - 1 \\ge 5$?", r"[2, \infty)", INTERVAL, INTERVAL_WRONG),
        Problem(
            "The sides of a box are $x + 1$ and $x + 1$. Give the area of its base in $x$.",
            "(x+1)^2",
            SQUARE,
            SQUARE_WRONG,
        ),
        Problem(
            "Which two primes $p < q$ have the sum 10 and the product 21? Answer as $(p, q)$.",
            "(3, 7)",
            PAIR,
            PAIR_WRONG,
        ),
    ),
    "fr": (
        Problem(
            "Un libraire vend 17 livres par jour. Combien en vend-il en 12 jours ?",
            "204",
            ("204", "204.0", r"204\text{ livres}", r"12 \cdot 17"),
            ("194", "29"),
        ),
        Problem(
            "Quelle part d'une tarte reste-t-il quand on en a mangé la moitié ?",
            r"\frac{1}{2}",
            HALF,
            HALF_WRONG,
        ),
        Problem(
            "Calculer la hauteur d'un triangle équilatéral de côté 4.",
            r"2\sqrt{3}",
            ROOT,
            ROOT_WRONG,
        ),
        Problem(
            "Pour quels réels $x$ a-t-on $5 - x \\le 3$ ?", r"[2, \infty)", INTERVAL, INTERVAL_WRONG
        ),
        Problem(
            "Donner les deux solutions de $x^2 - 9x + 20 = 0$.",
            "4, 5",
            ("4, 5", "5, 4", r"x = 4 \text{ or } x = 5", r"\{4, 5\}"),
            ("-4, -5", "4"),
        ),
    ),
    "de": (
        Problem(
            "Ein Zug fährt 3 Stunden lang mit 84 km/h. Wie viele Kilometer legt er zurück?",
            "252",
            ("252", r"252\text{ km}", r"3 \cdot 84", "252.0"),
            ("28", "242"),
        ),
        Problem(
            "Schreibe das Quadrat von $x + 1$ als Polynom in $x$.",
            "x^2 + 2x + 1",
            SQUARE,
            SQUARE_WRONG,
        ),
        Problem(
            "Wie lang ist die Raumdiagonale eines Würfels mit der Kantenlänge 2?",
            r"\sqrt{12}",
            ROOT,
            ROOT_WRONG,
        ),
        Problem(
            "Wie groß ist die Wahrscheinlichkeit, mit einem Würfel eine gerade Zahl zu werfen?",
            "0.5",
            HALF,
            HALF_WRONG,
        ),
        Problem(
            "Löse das Gleichungssystem $a + b = 10$, $b - a = 4$. Antwort als $(a, b)$.",
            "(3,7)",
            PAIR,
            PAIR_WRONG,
        ),
    ),
    "es": (
        Problem(
            "Una caja tiene 9 filas de 13 naranjas. ¿Cuántas naranjas hay en 10 cajas?",
            "1170",
            ("1170", "1,170", r"1170\text{ naranjas}", r"9 \cdot 13 \cdot 10"),
            ("117", "1160"),
        ),
        Problem(
            "¿Qué fracción de los números del 1 al 100 son pares?", r"\frac{1}{2}", HALF, HALF_WRONG
        ),
        Problem(
            "Escribe con un radical la longitud de la altura de un triángulo equilátero de lado 4.",
            r"2\sqrt{3}",
            ROOT,
            ROOT_WRONG,
        ),
        Problem(
            "¿Para qué números reales se cumple $4x \\ge x + 6$?",
            r"x \ge 2",
            INTERVAL,
            INTERVAL_WRONG,
        ),
        Problem(
            "Da la matriz que resulta de duplicar la matriz identidad de orden dos.",
            r"\begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix}",
            (
                r"\begin{pmatrix} 2 & 0 \\ 0 & 2 \end{pmatrix}",
                r"\begin{bmatrix}2&0\\0&2\end{bmatrix}",
                r"\begin{pmatrix} \frac{4}{2} & 0 \\ 0 & 2 \end{pmatrix}",
            ),
            (
                r"\begin{pmatrix} 2 & 2 \\ 2 & 2 \end{pmatrix}",
                r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}",
            ),
        ),
    ),
    "zh": (
        Problem(
            "一个书架有七层,每层放二十六本书。五个这样的书架一共有多少本书?",
            "910",
            ("910", "910.0", r"7 \times 26 \times 5", r"9.1 \times 10^2"),
            ("182", "900"),
        ),
        Problem("掷一枚硬币,出现正面的概率是多少?", r"\frac{1}{2}", HALF, HALF_WRONG),
        Problem(
            "已知 $x \\ge 2$ 与 $x \\ge 1$ 同时成立,求 $x$ 的取值范围。",
            r"[2, \infty)",
            INTERVAL,
            INTERVAL_WRONG,
        ),
        Problem("将 $x^2 + 2x + 1$ 分解因式。", "(x+1)^2", SQUARE, SQUARE_WRONG),
        Problem(
            "两个质数之和是十,积是二十一。按从小到大的顺序写成数对。", "(3,7)", PAIR, PAIR_WRONG
        ),
    ),
    "ja": (
        Problem(
            "一箱に鉛筆が二十四本入っています。三十五箱では全部で何本ありますか。",
            "840",
            ("840", "840.0", r"24 \times 35", r"8.4 \times 10^2"),
            ("59", "820"),
        ),
        Problem("さいころを一回投げて偶数の目が出る確率を求めなさい。", "1/2", HALF, HALF_WRONG),
        Problem("一辺の長さが四の正三角形の高さを求めなさい。", r"2\sqrt{3}", ROOT, ROOT_WRONG),
        Problem("多項式 $x^2 + 2x + 1$ を因数分解しなさい。", "(x+1)^2", SQUARE, SQUARE_WRONG),
        Problem(
            "方程式 $y = 2x + 1$ を満たす直線の式を、同じ形で書きなさい。",
            "y = 2x + 1",
            ("y = 2x + 1", "y - 2x = 1", "2x - y + 1 = 0"),
            ("y = 2x - 1", "y = x + 2"),
        ),
    ),
    "ru": (
        Problem(
            "В поезде 14 вагонов по 36 мест. Сколько мест в двух таких поездах?",
            "1008",
            ("1008", "1,008", r"14 \cdot 36 \cdot 2", "1008.0"),
            ("504", "1018"),
        ),
        Problem(
            "Какова вероятность того, что случайное целое число от 1 до 10 чётное?",
            "0.5",
            HALF,
            HALF_WRONG,
        ),
        Problem(
            "Найдите длину диагонали куба, ребро которого равно двум.",
            r"\sqrt{12}",
            ROOT,
            ROOT_WRONG,
        ),
        Problem(
            "Решите неравенство $2x - 4 \\ge 0$ в действительных числах.",
            r"[2; \infty)",
            INTERVAL,
            INTERVAL_WRONG,
        ),
        Problem(
            "Сумма двух простых чисел равна 10, а произведение 21. Запишите пару по порядку.",
            "(3, 7)",
            PAIR,
            PAIR_WRONG,
        ),
    ),
}

# Every way in which the form can fail, with `T` for thoughts, `A` for how an answer begins and `X`
# for the right answer: the wrong form alone decides.
MALFORMED = {
    "empty_completion": "",
    "no_opening_tag": r"T A $\boxed{X}$.",
    "text_before_opening_tag": r"A: <think>T</think> $\boxed{X}$",
    "closing_without_opening": r"T</think> A $\boxed{X}$.",
    "unclosed_thoughts": r"<think>T A $\boxed{X}$.",
    "nested_thoughts": r"<think>T <think>T</think> A $\boxed{X}$.",
    "second_pair": r"<think>T</think> A <think>T</think> $\boxed{X}$.",
    "second_opening_tag": r"<think>T</think> A <think> $\boxed{X}$.",
    "second_closing_tag": r"<think>T</think> A </think> $\boxed{X}$.",
    "no_box": r"<think>T $\boxed{X}$</think> A $X$.",
    "empty_box": r"<think>T</think> A $\boxed{ }$.",
    "unbalanced_box": r"<think>T</think> A $\boxed{X$.",
    "box_in_code_only": "<think>T</think> A\n```latex\n\\boxed{X}\n```",
}

# In form, and no answer or not the right one. `D` is a doubt. What is for numbers only is asked of
# the first problem of each language.
HOSTILE = (
    (r"A $\boxed{X} \boxed{0}$.", "different"),
    (r"A $\boxed{X}$. D: $\boxed{-1}$.", "different"),
    (r"A $\boxed{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}$.", "different"),
    (r"A $\boxed{X \text{ or } -1}$. D.", "different"),
    (r"A $\boxed{X \text{ (or possibly } -1)}$.", "unparsable"),
    (r"A $\boxed{X = 4711}$.", "different"),
    (r"A $\boxed{\text{see above}}$. D.", "different"),
    (r"A $\boxed{?}$.", "unparsable"),
    (r"A $\boxed{\ldots}$.", "unparsable"),
    (r"A $\boxed{k}$.", "different"),
    (r"A $\boxed{f(X)}$.", "different"),
    (r"A $\boxed{\infty - \infty}$.", "different"),
    (r"A $\boxed{-\infty < x < \infty}$.", "different"),
    (r"A $\boxed{__import__('os').system('true')}$.", "unparsable"),
    (r"A $\boxed{\math.pi = X}$.", "unparsable"),
    (r"A $\boxed{\frac{X}{}$ $}$.", "unparsable"),
    ("A $\\boxed{\u200bX\u200b0}$.", "unparsable"),
    (r"A $\boxed{((((((((((((((((((1))))))))))))))))))!!!!!!!!!!!!}$.", "unparsable"),
    (r"A <b>`\boxed{X}`</b> $\boxed{{{}}}$.", "empty_box"),
)
HOSTILE_NUMBERS = (
    (r"A $\boxed{9^{9^{9^{9^9}}}}$.", "too_large"),
    (r"A $\boxed{" + "7" * 1500 + "}$.", "too_large"),
    (r"A $\boxed{\frac{X}{0}}$.", "different"),
    (r"A $\boxed{X, X}$.", "different"),
    (r"A $\boxed{0 \le x \le 10000}$.", "different"),
    (r"A $\boxed{X\%}$.", "different"),
    (r"A $\boxed{X.000000000000000000001}$.", "different"),
)

ADD = "import sys\nprint(sum(map(int, sys.stdin.read().split())))"
ADD_IN_CPP = (
    "#include <bits/stdc++.h>\nint main() {\n    long long x, sum = 0;\n"
    "    while (std::cin >> x) sum += x;\n    std::cout << sum;\n}"
)
CODE_PROBLEMS = (
    (
        "Read integers until the input ends and print their sum.",
        [{"stdin": "1 2 3\n", "stdout": "6\n"}, {"stdin": "-5 5\n", "stdout": "0\n"}],
        {
            "correct": (f"```python\n{ADD}\n```", f"```cpp\n{ADD_IN_CPP}\n```"),
            "wrong_answer": (
                "```python\nprint(6)\n```",
                "```python\nimport sys\nsys.exit(0)\n```",
                "```python\nprint(6)\nprint(0)\n```",
            ),
            "runtime_error": (f"```python\n{ADD}\nraise SystemExit(1)\n```",),
            "no_fence": (ADD,),
            "fence_without_language": (f"```\n{ADD}\n```",),
            "unclosed_fence": (f"```python\n{ADD}",),
            "unclosed_thoughts": (f"<think>```python\n{ADD}\n```",),
        },
    ),
    (
        "Lies ein Wort und gib es rückwärts aus.",
        [{"stdin": "regal\n", "stdout": "lager\n"}, {"stdin": "otto\n", "stdout": "otto\n"}],
        {
            "correct": (
                "```python\nprint(input()[::-1])\n```",
                '```python\nword = input()\nprint("".join(reversed(word)))\n```',
                "~~~py\nprint(*reversed(input()), sep='')\n~~~",
            ),
            "wrong_answer": (
                "```python\nprint(input())\n```",
                "```python\nprint('lager')\nprint('otto')\n```",
                "```python\nimport os\nos._exit(0)\n```",
            ),
            "runtime_error": ("```python\nprint(Input()[::-1])\n```",),
            "no_fence": ("`print(input()[::-1])`",),
            "fence_without_language": ("```\nprint(input()[::-1])\n```",),
            "second_pair": ("<think>Doch.</think>```python\nprint(input()[::-1])\n```",),
        },
    ),
)


def thoughts(voice: Voice, rng: random.Random) -> str:
    """One to three sentences."""
    return " ".join(rng.sample(voice.thoughts, rng.randint(1, 3)))


def filled(template: str, voice: Voice, answer: str, rng: random.Random) -> str:
    """A template with its thoughts, its words and the right answer."""
    words = {"A": lambda: voice.answer, "D": lambda: voice.doubt, "X": lambda: answer}
    words["T"] = lambda: thoughts(voice, rng)
    return re.sub("[ADTX]", lambda mark: words[mark[0]](), template)


def maths() -> Iterator[dict[str, object]]:
    """Eight completions of each problem: up to four right, the others wrong in their ways."""
    rng = random.Random(20250610)  # noqa: S311 - repeatable, not secret
    malformed, hostile, numbers = 0, 0, 0
    kinds = list(MALFORMED.items())
    for voice in VOICES.values():
        for place, problem in enumerate(PROBLEMS[voice.name]):
            group = f"{voice.name}-{place + 1}"
            fine = r"<think>T</think> A $\boxed{X}$."
            found: list[tuple[str, str]] = []
            right = (place + list(VOICES).index(voice.name)) % 5
            for n in range(4):
                answers = problem.right if n < right else problem.wrong
                text = filled(fine, voice, answers[n % len(answers)], rng)
                found.append((text, "correct" if n < right else "different"))
            for _ in range(2):
                reason, template = kinds[malformed % len(kinds)]
                found.append((filled(template, voice, problem.right[0], rng), reason))
                malformed += 1
                if place == 0:
                    template, reason = HOSTILE_NUMBERS[numbers % len(HOSTILE_NUMBERS)]
                    numbers += 1
                else:
                    template, reason = HOSTILE[hostile % len(HOSTILE)]
                    hostile += 1
                template = f"<think>T</think> {template}"
                found.append((filled(template, voice, problem.right[0], rng), reason))
            rng.shuffle(found)
            for completion, reason in found:
                yield {
                    "problem": problem.text,
                    "completion": completion,
                    "reference": problem.reference,
                    "group": group,
                    "expected": reason,
                }


def code() -> Iterator[dict[str, object]]:
    """Programs that read and print."""
    for number, (text, tests, answers) in enumerate(CODE_PROBLEMS, start=1):
        for reason, programs in answers.items():
            for program in programs:
                opened = (
                    program if reason == "unclosed_thoughts" else f"<think>…</think>\n{program}"
                )
                yield {
                    "problem": text,
                    "completion": opened,
                    "tests": tests,
                    "group": f"code-{number}",
                    "expected": reason,
                }


def demo() -> Iterator[dict[str, object]]:
    """What the demo's policy wrote: `make_demo_completions.py`."""
    yield from map(json.loads, DEMO.read_text(encoding="utf-8").splitlines())


def rows() -> Iterator[dict[str, object]]:
    """All of them."""
    yield from maths()
    yield from code()
    yield from demo()


def main() -> None:
    """Write the file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows()]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} rows in {FILE.name}")


if __name__ == "__main__":
    main()
