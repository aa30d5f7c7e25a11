"""What holds for every answer of every kind: pairs of known truth, and texts that are none."""

import locale
import math
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grpo_core.rewards import check_references, math_equivalent, verify_math
from rewards import math_pairs
from rewards.math_pairs import KINDS

PAIRS = math_pairs.pairs(20_260_101, 40 * len(KINDS))

randoms = st.integers(0, 2**40).map(random.Random)  # a seed: what it makes is what users write
kinds = st.sampled_from(list(KINDS))


def pairs(*, equal=None):
    """A pair of any kind; equal, different, or (None) either."""
    return st.builds(
        lambda source, kind, truth: math_pairs.pair(source, kind, equal=truth),
        randoms,
        kinds,
        st.booleans() if equal is None else st.just(equal),
    )


def in_time(verifier, *arguments, **options):
    """The verdict, which takes less than a second; at best of three, and more on a busy machine."""
    costs = []
    while True:
        begin = time.perf_counter()
        verdict = verifier(*arguments, **options)
        costs.append(time.perf_counter() - begin)
        if costs[-1] < 1.0 or costs[-1] < os.getloadavg()[0] / (os.cpu_count() or 1):
            return verdict
        assert len(costs) < 3, (costs, arguments)


def reason(prediction, reference, **options):
    verdict = in_time(math_equivalent, prediction, reference, **options)
    assert verdict.score == (verdict.reason == "correct")
    return verdict.reason


# Any texts, and soups of the grammar's own tokens.
TOKENS = r"""
1 2 10 0.5 .5 1e3 000 1,234 12{,}345 x y n i e d a_1 x_{12} \pi \infty \alpha \theta' \frac \dfrac
\tfrac \frac12 \sqrt \sqrt[3] \left \right \left( \right) \left. \right| ( ) [ ] { } \{ \} | \| +
- * / ^ ^2 ^{-1} ^\circ _ , ; : = == < > <= >= != \le \ge \ne \neq \approx \in \notin \cup \cap
\setminus \pm \mp ! !! % \% $ $$ \$ \( \) \[ \] \circ \cdot \times \div \log \log_2 \ln \sin
\sin^2 \arctan \exp \max \gcd \binom \text{cm} \text{or} \text{and} \text{if} \text{yes.} and or
not \mathrm{m} \mathbb{R} \emptyset \ldots ... \overline . .. \begin{pmatrix} \end{pmatrix} & \\
\begin{cases} \end{cases} \begin{array}{cc} \end{array} ' '' ? # @ ~ \, \; \! \quad \boxed \boxed{
\fbox{ A (B) C. f( f(x)= g'(x) \lfloor \rfloor \lceil \rceil \langle \rangle \int \int_0^1 \sum
\sum_{n=1}^{5} \lim_{x\to0} \to \cdots dx pm a.m. 3:30 mod \mid <think> </think> ``` ` ½ ² ³ − – ×
÷ √ ∞ π ≤ ≥ ≠ ∪ ∈ ° ± ٣
"""
TOKENS = [*TOKENS.split(), "\u200b", "\n", "\0"]
soups = st.lists(st.sampled_from(TOKENS), max_size=25).flatmap(
    lambda tokens: st.sampled_from(["", " "]).map(lambda space: space.join(tokens))
)


@st.composite
def spoiled(draw):
    """An answer with a piece taken out, doubled, moved or replaced by a token."""
    text = draw(pairs()).prediction
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    piece = draw(st.sampled_from(TOKENS) | st.just("") | st.just(2 * text[start:end]) | soups)
    return text[:start] + piece + text[end:]


texts = st.one_of(
    soups, spoiled(), st.text(max_size=60), st.text("0123456789.,eE+-/%^ ", max_size=60)
)


@pytest.mark.parametrize("kind", KINDS)
@given(source=randoms)
@settings(max_examples=4 * settings().max_examples)
def test_two_spellings_of_one_answer_are_equal_both_ways(kind, source):
    pair = math_pairs.pair(source, kind, equal=True)
    assert reason(pair.prediction, pair.reference) == "correct", pair
    assert reason(pair.reference, pair.prediction) == "correct", pair


@pytest.mark.parametrize("kind", KINDS)
@given(source=randoms)
@settings(max_examples=4 * settings().max_examples)
def test_another_answer_is_never_correct_either_way(kind, source):
    pair = math_pairs.pair(source, kind, equal=False)
    # A hedge may be refused as unparsable; of two plain answers it is known that they differ.
    refused = ("different", "unparsable") if kind == "hedge" else ("different",)
    assert reason(pair.prediction, pair.reference) in refused, pair
    if kind != "hedge":
        assert reason(pair.reference, pair.prediction) in refused, pair


@given(pairs(), pairs())
def test_answers_of_two_kinds_get_the_same_score_both_ways(first, second):
    a, b = first.prediction, second.reference
    assume(not check_references([a, b]))
    assert reason(a, b, order="set") == reason(b, a, order="set")


@given(texts, texts)
@settings(max_examples=10 * settings().max_examples)
def test_any_two_texts_get_a_verdict_and_the_same_both_ways(first, second):
    refused = check_references([first, second])
    for position, (reference, prediction) in enumerate([(first, second), (second, first)]):
        if position in refused:
            with pytest.raises(ValueError, match="reference must"):
                math_equivalent(prediction, reference)
    if 1 not in refused and "box" not in first + second:  # a reference may stand in a box
        one = reason(first, second, order="set")
        if 0 not in refused:
            assert reason(second, first, order="set") == one


@given(texts)
@settings(max_examples=10 * settings().max_examples)
def test_any_completion_gets_a_verdict_in_time(text):
    for completion in (
        text,
        f"\\boxed{{{text}}}",
        f"<think>{text}</think>{text}\\boxed{{3}}{text}",
    ):
        for reference in ("3", r"x+\sqrt{2}", r"(0, 1)", r"\text{yes}", "x=3", "[0,1)"):
            assert in_time(verify_math, completion, reference).score in {0.0, 1.0}


@given(texts)
@settings(max_examples=10 * settings().max_examples)
def test_a_text_that_can_be_read_equals_itself_however_it_is_spaced(text):
    # A space or a dollar after a last backslash would make a command of both.
    assume("boxed" not in text and "fbox" not in text and not text.endswith("\\"))
    if not check_references([text]):
        assert reason(text, text) == "correct"
        assert reason(f"  {text} \n", text) == "correct"
        assert reason(f"${text}$" if "$" not in text else text, text) == "correct"


@given(pairs(equal=True))
def test_each_side_of_a_pair_equals_itself(pair):
    for text in pair[1:3]:
        assert reason(text, text) == "correct"
        assert verify_math(f"\\boxed{{{text}}}", text).score == 1.0
        assert verify_math(f"\\boxed{{{text}}}", f"So \\boxed{{{text}}}").score == 1.0


@given(pairs(equal=False), pairs(equal=False))
def test_an_answer_spelled_in_three_ways_is_transitive(first, second):
    answers = [first.prediction, first.reference, second.prediction]
    assume(not check_references(answers))
    a, b, c = answers
    if reason(a, b, order="set") == reason(b, c, order="set") == "correct":
        assert reason(a, c, order="set") == "correct"


def test_a_shuffled_batch_gets_the_verdicts_that_each_pair_gets_alone():
    def verdicts(batch):
        return {pair: math_equivalent(pair.prediction, pair.reference) for pair in batch}

    batch = [pair for pair in PAIRS if not check_references([pair.reference])]
    alone = verdicts(batch)
    for seed in range(2):
        shuffled = random.Random(seed).sample(batch, len(batch))  # noqa: S311
        assert verdicts(shuffled) == alone


prose = st.text(max_size=80) | st.lists(st.sampled_from(TOKENS), max_size=15).map(" ".join)


def harmless(text):
    """Prose that opens no thoughts, code or box."""
    return not any(mark in text for mark in ("think>", "`", "~", "box", "\\"))


@given(
    pairs(), prose.filter(harmless), st.sampled_from(["", " ", "\n\n", "\t", " .", "\nThank you."])
)
def test_text_before_the_box_and_after_it_changes_nothing(pair, before, after):
    if check_references([pair.reference]):
        return
    box = f"\\boxed{{{pair.prediction}}}"
    plain = verify_math(box, pair.reference)
    assert verify_math(f"{before} {box}{after}", pair.reference) == plain
    assert verify_math(f"<think>{before}</think>{before} {box}{after}", pair.reference) == plain


@given(pairs(), prose)
def test_text_in_the_thoughts_never_matters(pair, thoughts):
    assume("</think>" not in thoughts)
    if check_references([pair.reference]):
        return
    for answer in (f"\\boxed{{{pair.prediction}}}", "no box", "\\boxed{}"):
        plain = verify_math(answer, pair.reference)
        for inside in (thoughts, f"{thoughts} \\boxed{{{pair.reference}}}", f"\\boxed{{{thoughts}"):
            assert verify_math(f"<think>{inside}</think>{answer}", pair.reference) == plain


@given(pairs(equal=False), st.sampled_from(["", " ", ", ", " or ", "\n\n", " = "]))
def test_the_last_box_wins(pair, between):
    right, wrong = f"\\boxed{{{pair.reference}}}", f"\\boxed{{{pair.prediction}}}"
    if check_references([pair.reference]):
        return
    assert verify_math(f"{wrong}{between}{right}", pair.reference).score == 1.0
    assert verify_math(f"{right}{between}{wrong}", pair.reference).score == 0.0
    assert verify_math(f"{right}{between}\\boxed{{}}", pair.reference).score == 0.0


ENUMERATED = ["integer", "fraction", "square root", "multiple of pi", "polynomial", "complex"]
ENUMERATED += ["choice", "logarithm", "interval", "text", "time"]
SEPARATORS = [", ", "; ", " or ", r" \text{ or } ", " and ", r" \quad ", " = ", r"\\", " & ", " | "]


@given(randoms, st.sampled_from(ENUMERATED), st.sampled_from(SEPARATORS))
def test_an_enumeration_around_the_right_answer_is_never_rewarded(source, kind, separator):
    made = [math_pairs.pair(source, kind, equal=False) for _ in range(source.randint(1, 3))]
    reference = made[0].reference
    texts = [reference, *(each.prediction for each in made)]
    source.shuffle(texts)
    for enclosed in ("{}", r"\{{{}\}}", "[{}]", r"\text{{one of }} {}", r"{}, \ldots"):
        assert reason(enclosed.format(separator.join(texts)), reference) != "correct"


def state():
    """What a verdict might leave changed behind it."""
    handlers = [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT)]
    limits = sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval()
    place = Path.cwd(), dict(os.environ), locale.setlocale(locale.LC_ALL)
    constants = math.pi, math.e, sys.stdout, sys.stderr, tuple(sys.path)
    alarm = signal.getitimer(signal.ITIMER_REAL)
    return handlers, limits, place, constants, random.getstate(), alarm


def test_verdicts_leave_no_trace_in_the_process():
    math_equivalent(r"\sqrt2+x", r"x+\sqrt{2}")  # imports
    before = state()
    modules = set(sys.modules)
    for pair in PAIRS:
        if not check_references([pair.reference]):
            math_equivalent(pair.prediction, pair.reference)
    for text in ("9^{9^{9^9}}", "(" * 500, "__import__('os').chdir('/')", "math.pi = 3"):
        math_equivalent(text, "3")
    assert state() == before
    assert not [name for name in set(sys.modules) - modules if name.split(".")[0] == "numpy"]


def test_the_generator_gives_the_same_pairs_for_a_seed_and_knows_both_truths():
    assert math_pairs.pairs(1, 200) == math_pairs.pairs(1, 200) != math_pairs.pairs(2, 200)
    for kind in KINDS:
        truths = [pair.equal for pair in PAIRS if pair.kind == kind]
        assert truths.count(True) == truths.count(False) == 20
        spelled = [pair for pair in PAIRS if pair.kind == kind and pair.equal]
        assert sum(pair.prediction != pair.reference for pair in spelled) >= 5
        assert all(pair.prediction != pair.reference for pair in PAIRS if not pair.equal)
