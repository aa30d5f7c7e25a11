"""Random texts for the maths verifier: `python tests/fuzz/verify_math.py --minutes 30 --seed 1`.

Seeds are answers of known truth (`tests/rewards/math_pairs.py`) and soups of tokens; they are
spliced, cut, doubled, turned, nested and blown up. Of every pair it is asked that nothing is
raised but a `ValueError` about the reference, that a verdict keeps to its timeout, is the same both
ways (order aside), and that a text which can be read equals itself; of the process, that its
memory does not grow. The same seed gives the same texts. Prints each finding, and at the end the
count and the slowest text; exits with 1 if there was a finding. Run by hand.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from grpo_core.rewards import check_references, math_equivalent, verify_math
from rewards import math_pairs

TIMEOUT_SECONDS = 2.0
MAX_SECONDS = TIMEOUT_SECONDS + 1  # a worker's start does not count against the answer
MAX_GROWTH_MIB = 150
MAX_FINDINGS = 20
TOKENS = r"""
1 2 3 7 10 99 0 0.5 .5 1e3 1e999 000 1,234 12{,}345 x y n i e d a_1 x_{12} k \pi \infty \alpha
\theta' \frac \dfrac \frac{1}{2} \frac12 \sqrt \sqrt{2} \sqrt[3] \left( \right) \left[ \right)
\left| \right| ( ) [ ] { } \{ \} | + - * / ^ ^2 ^{-1} ^{x} ^{9} ^\circ _ _2 , ; : = < > <= >= !=
\le \ge \ne \approx \in \cup \cap \setminus \pm \mp ! % \% $ \$ \cdot \times \div \log \log_2 \ln
\sin \cos \tan \sin^2 \arctan \exp \max( \gcd( \binom{5}{2} \text{cm} \text{or} \text{and}
\text{yes.} and or not m kg \mathrm{m} \mathbb{R} \emptyset \ldots ... \overline{3} .
\begin{pmatrix} \end{pmatrix} & \\ \begin{cases} \end{cases} ' ? ~ \, \quad \boxed{ A (B) f( f(x)=
\lfloor \rfloor \lceil \rceil \langle \rangle \int \int_0^1 \sum_{n=1}^{10} \prod_{k=1}^n
\lim_{x\to0} dx \frac{d}{dx} mod pm 3:30 ½ ² − × √ ∞ π ≤ ∪ ° ± ٣
"""
WORDS = [*TOKENS.split(), "\u200b", "\n", "\ud800", "\0", " "]
TURNED = str.maketrans("()[]{}<>+-", ")(][}{><-+")
TOWERS = [
    "9^",
    "2^{",
    "(",
    "{",
    r"\sqrt{",
    r"\frac{1}{",
    "-",
    "9",
    "x",
    "1,",
    "!",
    r"\sin ",
    "f(",
    "|",
]
TOWERS += [r"\left(", "1/", "x+", r"\sum_{n=1}^{9}", r"\int_0^1 ", "e^{", r"\ln(", r"\pm ", "1 or "]


# What two answers, a name and a digit make together; most of it can be read.
SOUND = [
    r"\frac{@}{#}", r"\sqrt{@}", r"\sqrt[#]{@}", r"|@|", r"\left|@\right|", r"\sin(@)", r"e^{@}",
    r"\ln(@)", r"\log_{#}(@)", r"\lfloor @\rfloor", r"\lceil @\rceil", r"\binom{@}{#}", r"(@)!",
    "(@, #)", r"\{@, #\}", "[@, #)", "(@, #]", r"@ \cup #", r"\pm @", r"@ \pm #", "~ = @",
    "f(~) = @", r"@\%", r"\begin{pmatrix} @ & # \\ # & @ \end{pmatrix}",
    r"\begin{cases} @ & ~>0 \\ # & ~\le 0 \end{cases}", r"\sum_{~=1}^{#} @", r"\prod_{~=1}^{#} @",
    r"\int_0^{#} @ \, d~", r"\int @ \, d~", r"\lim_{~\to #} @", r"\max(@, #)", r"\gcd(@, #)",
    r"\arctan(@)", r"\tan(@)", r"\cosh(@)", r"(@)^{#}", r"#^{@}", "@:#", r"\{~ \mid @ < ~ < #\}",
    r"~ \in [@, #]", r"@ < ~ \le #", r"@ = ~ = #", "@; #", r"@ \text{ cm}", r"@^\circ",
    r"\text{(A) } @", r"\frac{d}{d~}(@)", r"(@)(#)", r"@ \cdot #", r"\overline{@}", r"f(@)",
]  # fmt: skip


class Texts:
    """An endless supply of texts, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311
        self.kinds = list(math_pairs.KINDS)
        self.pool: list[str] = []

    def pair(self) -> tuple[str, str]:
        """Two texts, often akin."""
        first = self.text()
        way = self.random.random()
        if way < 0.4:
            return first, self.changed(first)
        return first, self.text()

    def text(self) -> str:
        """A new one, or a change of a new or old one."""
        random = self.random
        if random.random() < 0.15:
            count = random.randint(1, 30)
            made = random.choice(["", " "]).join(random.choice(WORDS) for _ in range(count))
        else:
            kind, equal = random.choice(self.kinds), random.random() < 0.5
            made = math_pairs.pair(random, kind, equal=equal).prediction
        for _ in range(random.choice([0, 1, 1, 2, 3])):
            made = self.changed(made)
        # Mostly what can be read, so that what is made of it can be, too.
        if random.random() < 0.8 and check_references([made]):
            return made
        if len(self.pool) < 500:
            self.pool.append(made)
        else:
            self.pool[random.randrange(500)] = made
        return made

    def changed(self, text: str) -> str:
        """One change: most are small, some make a tower."""
        random = self.random
        start, end = sorted(random.randint(0, len(text)) for _ in range(2))
        piece, other = text[start:end], random.choice(self.pool or [text])
        tower, height = random.choice(TOWERS), random.choice([3, 20, 99, 600])
        high = random.choice([2, 9, 49, 98])
        name, digit = random.choice("xyzntkaie"), random.choice("0123456789")
        sign = random.choice(["+", "-", "*", "/", "^", "=", ",", " ", "<", r"\le ", r"\text{ or }"])
        sound = random.choice(SOUND)
        sound_ways: list[Callable[[], str]] = [
            lambda: f"{text}{sign}{other}",
            lambda: f"({text}){sign}({other})",
            lambda: (
                f"({text})^{{{random.choice([digit, f'{name}', '-1', '1/2', f'{digit}{name}'])}}}"
            ),
            lambda: sound.replace("@", text).replace("#", other).replace("~", name),
            lambda: sound.replace("@", text).replace("#", digit).replace("~", name),
            lambda: re.sub(r"[0-9]", digit, text, count=random.randint(1, 3)),
            lambda: re.sub(r"(?<![a-zA-Z\\])[a-z](?![a-zA-Z])", name, text),
            lambda: text.replace(digit, f"\\frac{{{digit}}}{{{random.randint(1, 9)}}}"),
            lambda: text.replace(digit, f"{digit}{name}", 1),
        ]
        ways: list[Callable[[], str]] = [
            lambda: text[:start] + text[end:],
            lambda: text[:end] + piece + text[end:],
            lambda: text[:start] + random.choice(WORDS) + text[end:],
            lambda: text[:start] + random.choice(WORDS) + text[start:],
            lambda: text[:start] + piece.translate(TURNED) + text[end:],
            lambda: text[:start] + other + text[end:],
            lambda: text[:start] + other[: len(other) // 2] + text[start:],
            lambda: text[:start] + piece[::-1] + text[end:],
            lambda: text[:start] + tower * height + text[start:],
            lambda: tower * high + text + {"{": "}", "(": ")"}.get(tower[-1], "") * high,
            lambda: text[:start] + digit * random.choice([5, 50, 999, 1001]) + text[start:],
            lambda: (piece or "x") * random.choice([2, 9, 80]),
        ]
        if random.random() < 0.65:
            ways = sound_ways
        return random.choice(ways)()[:2_100]


class Findings:
    """What went wrong, printed as it comes."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, what: str, *texts: str) -> None:
        self.count += 1
        print(f"FINDING {self.count}: {what}", *(ascii(text) for text in texts), sep="\n    ")


def resident_mib() -> float:
    """Resident memory of this process; 0 where it cannot be told."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def grade(first: str, second: str, findings: Findings) -> tuple[str | None, float]:
    """The reason, or None if the reference was refused or all went wrong, and the seconds.

    Of what took too long, the best of three: other processes share the machine.
    """
    reason, took = grade_once(first, second, findings)
    for _ in range(2):
        if took > MAX_SECONDS:
            took = min(took, grade_once(first, second, findings)[1])
    return reason, took


def grade_once(first: str, second: str, findings: Findings) -> tuple[str | None, float]:
    begin = time.perf_counter()
    reason = None
    try:
        reason = math_equivalent(first, second, order="set", timeout_seconds=TIMEOUT_SECONDS).reason
    except ValueError as error:
        if "reference must" not in str(error):
            findings.add(f"raised {error!r}", first, second)
    except Exception as error:  # noqa: BLE001 - what is looked for
        findings.add(f"raised {error!r}", first, second)
    return reason, time.perf_counter() - begin


def check(first: str, second: str, findings: Findings) -> float:
    """Look at one pair; the longest that a verdict took."""
    one, took = grade(first, second, findings)
    other, also_took = grade(second, first, findings)
    longest = max(took, also_took)
    if longest > MAX_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):
        findings.add(f"took {longest:.2f} s", first, second)
    boxed = "boxed" in first + second or "fbox" in first + second  # a reference may be in a box
    scores = (one == "correct", other == "correct")
    if None not in (one, other) and scores[0] != scores[1] and not boxed:
        findings.add(f"one way {one}, the other {other}", first, second)
    try:
        if verify_math(f"<think>{second}</think>\\boxed{{{first}}}", "3").score not in {0.0, 1.0}:
            findings.add("no score", first)
        readable = not check_references([first]) and not boxed
    except Exception as error:  # noqa: BLE001 - what is looked for
        findings.add(f"raised {error!r}", first, second)
        return longest
    if readable:
        itself, took = grade(first, first, findings)
        longest = max(longest, took)
        if itself != "correct":
            findings.add(f"not equal to itself: {itself}", first)
    return longest


def main() -> None:
    """Run until the time is up or there are too many findings."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=2.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pairs", type=int, default=10**9, help="stop after as many")
    chosen = options.parse_args()
    texts, findings = Texts(chosen.seed), Findings()
    end = time.monotonic() + 60 * chosen.minutes
    count, slowest, first_mib = 0, (0.0, "", ""), 0.0
    while time.monotonic() < end and count < chosen.pairs and findings.count < MAX_FINDINGS:
        first, second = texts.pair()
        slowest = max(slowest, (check(first, second, findings), first, second))
        count += 1
        if count == 5_000:
            first_mib = resident_mib()
        if count % 20_000 == 0:
            grown = resident_mib() - first_mib
            print(f"{count:,} pairs, slowest {slowest[0]:.3f} s, {grown:+.0f} MiB", flush=True)
            if grown > MAX_GROWTH_MIB:
                findings.add(f"memory grew by {grown:.0f} MiB")
                first_mib += grown
    print(f"seed {chosen.seed}: {count:,} pairs, {findings.count} findings")
    print(f"slowest: {slowest[0]:.3f} s of", *(ascii(text) for text in slowest[1:]), sep="\n    ")
    sys.exit(findings.count > 0)


if __name__ == "__main__":
    main()
