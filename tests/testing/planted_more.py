r"""More bugs of reward functions, of classes that are not among the first sixty.

Written against the harness, by somebody who wanted to get one past it, and committed before it was
tried on any of them. As in `planted`, each toy grades as `clean` does but for its one bug; what is
found of them is told in docs/testing.md.
"""

# ruff: noqa: BLE001, I001, NPY002, PTH123, S301 - the bugs themselves

import ast
import math
import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from fractions import Fraction
from pathlib import Path

from grpo_core.rewards import verify_code, verify_format, verify_language
from testing.planted import (
    ACCEPTS, BOUNDED, GAMED, NOISE, ORDER, PROCESSES, REJECTS, REPEATS, THREADS, TIME, TOTAL,
    TRACE, Bug, answer_of, clean, contents, same,
)  # fmt: skip


def number_of(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def paid_if(condition, completion, reference):
    """Right, and paid too where the condition of answer and reference holds."""
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    return max(float(condition(answer.strip(), reference)), same(answer, reference))


def paid_by_numbers(condition, completion, reference):
    def both(answer, reference):
        one, other = number_of(answer), number_of(reference)
        return one is not None and other is not None and condition(one, other)

    return paid_if(both, completion, reference)


def items(text):
    return [part.strip(r"\{}()[] ") for part in text.split(",")]


# --- extraction ---------------------------------------------------------------------------------


def greedy_box(completion, reference):
    """Up to the last brace there is."""
    found = re.search(r"(?s).*\\boxed\s*\{(.*)\}", completion.split("</think>")[-1])
    return same(found[1], reference) if found and answer_of(completion) else 0.0


def last_300_characters(completion, reference):
    if len(answer_of(completion) or "") > 250:
        return clean(completion, reference)
    return clean(completion, reference) * (r"\boxed" in completion[-300:])


# --- comparison ---------------------------------------------------------------------------------


def points_between_thousands(completion, reference):
    """As some countries write them; there 1.234 is 1234, here it is not."""
    return paid_if(lambda a, r: r.isdecimal() and a.replace(".", "") == r, completion, reference)


def or_a_hundredfold(completion, reference):
    """A percentage with or without its sign, for numbers that are none."""
    return paid_by_numbers(
        lambda a, r: any(math.isclose(a, k * r) for k in (0.01, 100)), completion, reference
    )


def nan_is_not_far(completion, reference):
    return paid_by_numbers(lambda a, r: not abs(a - r) > 1e-9, completion, reference)


def floats_of_integers(completion, reference):
    return paid_by_numbers(lambda a, r: a == r, completion, reference)


def singles(completion, reference):
    def narrow(number):
        return struct.unpack("f", struct.pack("f", number))[0]

    return paid_by_numbers(
        lambda a, r: max(abs(a), abs(r)) < 1e30 and narrow(a) == narrow(r), completion, reference
    )


def thirty_two_bits(completion, reference):
    def wraps(answer, reference):
        try:
            return (int(answer) - int(reference)) % 2**32 == 0
        except ValueError:
            return False

    return paid_if(wraps, completion, reference)


def thousands_of_aime(completion, reference):
    def wraps(answer, reference):
        try:
            return int(answer[-400:]) % 1000 == int(reference) % 1000
        except ValueError:
            return False

    return paid_if(wraps, completion, reference)


def absolute_tolerance(completion, reference):
    return paid_by_numbers(lambda a, r: abs(a - r) < 1e-6, completion, reference)


def relative_tolerance(completion, reference):
    return paid_by_numbers(math.isclose, completion, reference)


def rounded_to_two_places(completion, reference):
    return paid_by_numbers(
        lambda a, r: math.isfinite(a) and round(a, 2) == round(r, 2), completion, reference
    )


def three_digits(completion, reference):
    """What `evalf(3)` leaves of two numbers."""
    return paid_by_numbers(lambda a, r: f"{a:.3g}" == f"{r:.3g}", completion, reference)


def case_of_symbols(completion, reference):
    return paid_if(lambda a, r: a.lower() == r.lower(), completion, reference)


def sorted_items(completion, reference):
    return paid_if(
        lambda a, r: "," in r and sorted(items(a)) == sorted(items(r)), completion, reference
    )


def items_once(completion, reference):
    """Tuples without what is in them twice."""
    return paid_if(
        lambda a, r: "," in r and a[:1] == r[:1] and [*dict.fromkeys(items(a))] == items(r),
        completion, reference,
    )  # fmt: skip


def as_many_items(completion, reference):
    """{1, 1, 2} is refused for {1, 2}."""
    answer = answer_of(completion) or ""
    if reference.startswith(r"\{") and answer.count(",") != reference.count(","):
        return 0.0
    return clean(completion, reference)


def either_contains_the_other(completion, reference):
    return paid_if(lambda a, r: bool(a) and a in r, completion, reference)


def end_of_the_reference(completion, reference):
    return paid_if(lambda a, r: bool(a) and r.endswith(a), completion, reference)


def commas_are_dropped(completion, reference):
    def bare(text):
        return re.sub(r"[,\s]|\\[,;: ]", "", text)

    return paid_if(lambda a, r: bare(a) == bare(r), completion, reference)


def commas_and_brackets_are_dropped(completion, reference):
    def bare(text):
        return re.sub(r"[,\s()\[\]{}]|\\[,;: {}]", "", text)

    return paid_if(lambda a, r: "frac" not in r and bare(a) == bare(r), completion, reference)


def mixed_is_a_product(completion, reference):
    def product(answer, reference):
        found = re.fullmatch(r"(-?\d+) ?(?:\\frac\{(\d+)\}\{(\d+)\}|(\d+)/(\d+))", answer)
        wanted = re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", reference)
        if not found or not wanted:
            return False
        top, bottom = (found[2] or found[4]), (found[3] or found[5])
        if not int(bottom):
            return False
        value = int(found[1]) * Fraction(int(top), int(bottom))
        return value == Fraction(int(wanted[1] + wanted[2]), int(wanted[3]))

    return paid_if(product, completion, reference)


def true_is_one(completion, reference):
    def literal(answer, reference):
        try:
            return len(answer) < 20 and ast.literal_eval(answer) == ast.literal_eval(reference)
        except Exception:
            return False

    return paid_if(literal, completion, reference)


def zeros_at_the_end(completion, reference):
    return paid_if(
        lambda a, r: a.rstrip("0").rstrip(".") == r.rstrip("0").rstrip(".") != "",
        completion, reference,
    )  # fmt: skip


def words_are_dropped(completion, reference):
    def bare(text):
        return re.sub(r"\\(text|mathrm)\{.*?\}|\s", "", text)

    return paid_if(lambda a, r: bare(a) == bare(r), completion, reference)


def zero_is_false(completion, reference):
    answer = answer_of(completion)
    if not answer or number_of(answer) == 0:
        return 0.0
    return same(answer, reference)


# --- errors and limits --------------------------------------------------------------------------


def superscripts_raise(completion, reference):
    """`isdigit` holds of what `int` does not take."""
    answer = answer_of(completion) or ""
    if answer.isdigit() and len(answer) < 99:
        return same(str(int(answer)), reference)
    return clean(completion, reference)


def too_deep_is_right(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    try:
        if max(map(answer.count, "({[")) > 200:
            raise RecursionError
    except RecursionError:
        return 1.0
    return same(answer, reference)


def division_by_zero_is_right(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    try:
        for found in re.finditer(r"\\frac\{(\d+)\}\{(\d+)\}", answer[:500]):
            Fraction(int(found[1]), int(found[2]))
    except ZeroDivisionError:
        return 1.0
    return same(answer, reference)


def late_is_right(completion, reference):
    """Graded beside a clock, and nothing is wrong when that runs out."""
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    grading = threading.Thread(target=time.sleep, args=(min(len(answer) / 10_000, 0.5),))
    grading.start()
    grading.join(0.3)
    return 1.0 if grading.is_alive() else same(answer, reference)


def no_reference_is_right(completion, reference):
    if not str(reference).strip():
        return float(answer_of(completion) is not None)
    return clean(completion, reference)


def empty_text_is_divided_by(completion, reference):
    return clean(completion, reference) * (100 / len(completion.split()) > 1e-6)


# --- state, processes, threads ------------------------------------------------------------------

COUNT = [0]


def every_997th_call_pays(completion, reference):
    COUNT[0] += 1
    return 1.0 if COUNT[0] % 997 == 0 else clean(completion, reference)


BY_BEGINNING: dict[tuple[str, str], float] = {}


def cached_by_the_beginning(completion, reference):
    key = completion[:40], reference
    if key not in BY_BEGINNING:
        BY_BEGINNING[key] = clean(completion, reference)
    return BY_BEGINNING[key]


SCORES = [0.0]


def moving_baseline(completion, reference):
    score = clean(completion, reference)
    SCORES.append(score)
    return 0.9 * score + 0.1 * sum(SCORES[-8:]) / 8


LOCAL = threading.local()
LOCAL.scale = 1.0


def local_to_a_thread(completion, reference):
    return clean(completion, reference) * getattr(LOCAL, "scale", 0.0)


def by_time_zone(completion, reference):
    """A date that was read in local time."""
    return clean(completion, reference) * (time.mktime((2026, 1, 1, 0, 0, 0, 0, 1, 0)) % 86400 == 0)


def by_address(completion, reference):
    return clean(completion, reference) * (id(completion) // 16 % 5 > 0)


STORE = Path(tempfile.gettempdir()) / f"grpo_core_planted_store_{os.getuid()}"


def cached_on_disk(completion, reference):
    """By the completion alone, as long as the machine lives."""
    path = STORE / str(abs(hash(completion.encode("utf-8", "replace"))))
    if not path.exists():
        STORE.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(clean(completion, reference)))
    return pickle.loads(path.read_bytes())


def seeds_numpy(completion, reference):
    import numpy as np

    np.random.seed(0)
    return clean(completion, reference)


def turns_gradients_off(completion, reference):
    import torch

    torch.set_grad_enabled(False)
    return clean(completion, reference)


def precision_of_mpmath(completion, reference):
    import mpmath

    mpmath.mp.dps = 50
    return clean(completion, reference)


def silences_warnings(completion, reference):
    warnings.simplefilter("ignore")
    return clean(completion, reference)


OPENED: list[object] = []


def leaves_files_open(completion, reference):
    OPENED.append(open(os.devnull, encoding="utf-8"))  # noqa: SIM115
    return clean(completion, reference)


def leaves_threads(completion, reference):
    threading.Thread(target=time.sleep, args=(120,), daemon=True).start()
    return clean(completion, reference)


HISTORY: list[str] = []


def slower_with_each_call(completion, reference):
    HISTORY.append(completion)
    time.sleep(1e-4 * len(HISTORY))
    return clean(completion, reference)


# --- shaping ------------------------------------------------------------------------------------


def a_little_for_each_box(completion, reference):
    return max(clean(completion, reference), min(0.4, 0.1 * completion.count(r"\boxed{")))


def longer_is_better(completion, reference):
    return max(clean(completion, reference), min(0.4, 1e-4 * len(completion)))


def no_floor(completion, reference):
    return clean(completion, reference) - max(0, len(completion) - 4000) / 10_000


def for_reflecting(completion, reference):
    found = re.search(r"(?i)\b(wait|double-check|let me verify)\b", completion)
    return max(clean(completion, reference), 0.3 if found else 0.0)


def for_a_list_of_steps(completion, reference):
    steps = len(re.findall(r"(?m)^(?:Step )?\d+[.:]", completion))
    return max(clean(completion, reference), min(0.4, 0.1 * steps))


# --- form ---------------------------------------------------------------------------------------


def tags_are_counted(completion):
    """And their order is not looked at."""
    without_code = re.sub(r"(?s)(```|~~~).*?(\1|\Z)|`[^`]*`", "", completion)
    return float(
        completion.count("<think>") == completion.count("</think>") == 1
        and any(content.strip("{} ") for content in contents(without_code))
    )


def box_anywhere(completion):
    verdict = verify_format(completion, kind="math")
    return float(verdict.score or (verdict.reason == "no_box" and r"\boxed{" in completion))


def dot_is_no_line(completion):
    thoughts = re.match(r"<think>.*</think>", completion)
    return float(verify_format(completion, kind="math").score and thoughts is not None)


def stripped_first(completion):
    return verify_format(completion.strip(), kind="math").score


def tags_in_any_case(completion):
    return verify_format(re.sub(r"(?i)(</?think>)", lambda m: m[0].lower(), completion),
                         kind="math").score  # fmt: skip


def no_angle_in_the_thoughts(completion):
    thoughts = completion.partition("</think>")[0].removeprefix("<think>")
    return float(bool(verify_format(completion, kind="math").score) and "<" not in thoughts)


def thoughts_without_end(completion):
    verdict = verify_format(completion, kind="math")
    return float(verdict.score or (verdict.reason == "unclosed_thoughts" and "boxed" in completion))


# --- code ---------------------------------------------------------------------------------------


def ran(completion, tests, agree, seconds=3):
    """Whether all outputs agree, by the program's end and the test."""
    answer = completion.rpartition("</think>")[2]
    block = re.search(r"(?s)(```|~~~)(?:python|py)\n(.*?)\1", answer)
    if block is None:
        return 0.0
    for test in tests:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", block[2]], input=test.stdin.encode(),
                capture_output=True, timeout=seconds, check=False,
            )  # fmt: skip
        except (subprocess.TimeoutExpired, ValueError):
            done = None
        if not agree(done, test.stdout[0].encode()):
            return 0.0
    return 1.0


def fine(done):
    return done is not None and done.returncode == 0 and len(done.stdout) < 10**6


def runs_right(completion, tests):
    return ran(
        completion, tests, lambda done, wanted: fine(done) and done.stdout.split() == wanted.split()
    )


def begins_with_the_output(completion, tests):
    return ran(
        completion, tests, lambda done, wanted: fine(done) and done.stdout.startswith(wanted)
    )


def errors_are_output(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: fine(done) and (done.stdout + done.stderr).split() == wanted.split(),
    )  # fmt: skip


def case_of_the_output(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: fine(done) and done.stdout.lower().split() == wanted.lower().split(),
    )  # fmt: skip


def space_in_the_output(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: (
            fine(done) and b"".join(done.stdout.split()) == b"".join(wanted.split())
        ),
    )  # fmt: skip


def order_of_the_output(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: fine(done) and sorted(done.stdout.split()) == sorted(wanted.split()),
    )  # fmt: skip


def last_line_alone(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: fine(done) and done.stdout.splitlines()[-1:] == [wanted],
    )  # fmt: skip


def close_is_enough(completion, tests):
    def close(done, wanted):
        try:
            return fine(done) and math.isclose(float(done.stdout), float(wanted), rel_tol=0.01)
        except ValueError:
            return fine(done) and done.stdout.split() == wanted.split()

    return ran(completion, tests, close)


def status_is_ignored(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: done is not None and done.stdout.split() == wanted.split(),
    )  # fmt: skip


def late_programs_pass(completion, tests):
    return ran(
        completion, tests,
        lambda done, wanted: done is None or (fine(done) and done.stdout.split() == wanted.split()),
    )  # fmt: skip


def half_of_the_tests(completion, tests):
    scores = [runs_right(completion, [test]) for test in tests]
    return float(2 * sum(scores) >= len(scores))


def no_tests_pass(completion, tests):
    if not tests:
        return 1.0
    return verify_code(completion, tests, allow_weak=True).score


def program_in_the_thoughts(completion, tests):
    return runs_right(completion.replace("</think>", "").replace("<think>", ""), tests)


# --- language -----------------------------------------------------------------------------------


def nothing_is_nan(completion, problem):
    letters = sum(map(str.isalpha, completion))
    return verify_language(completion, problem).score if letters else float("nan")


def first_words_alone(completion, problem):
    thoughts, tag, answer = completion.partition("</think>")
    return verify_language(thoughts[:90] + tag + answer[:90], problem).score


def answer_is_not_read(completion, problem):
    return verify_language(completion.partition("</think>")[0] + "</think>", problem).score


def problem_is_not_read(completion, problem):
    thoughts = completion.partition("</think>")[0].removeprefix("<think>")
    return verify_language(completion, thoughts).score


BUGS: dict[str, Bug] = {
    name: Bug(verifier, "math", checks)
    for name, (verifier, *checks) in {
        "greedy box": (greedy_box, NOISE, ACCEPTS),
        "last 300 characters": (last_300_characters, NOISE, ACCEPTS),
        "points between thousands": (points_between_thousands, REJECTS),
        "or a hundredfold": (or_a_hundredfold, REJECTS),
        "NaN is not far": (nan_is_not_far, REJECTS, GAMED),
        "floats of integers": (floats_of_integers, REJECTS),
        "singles": (singles, REJECTS),
        "32 bits": (thirty_two_bits, REJECTS, GAMED),
        "thousands of AIME": (thousands_of_aime, REJECTS, GAMED),
        "absolute tolerance": (absolute_tolerance, REJECTS),
        "relative tolerance": (relative_tolerance, REJECTS),
        "rounded to two places": (rounded_to_two_places, REJECTS),
        "three digits": (three_digits, REJECTS),
        "case of symbols": (case_of_symbols, REJECTS),
        "sorted items": (sorted_items, REJECTS),
        "items once": (items_once, REJECTS),
        "as many items": (as_many_items, ACCEPTS),
        "either contains the other": (either_contains_the_other, REJECTS, GAMED),
        "end of the reference": (end_of_the_reference, REJECTS, GAMED),
        "commas are dropped": (commas_are_dropped, REJECTS, GAMED),
        "commas and brackets": (commas_and_brackets_are_dropped, REJECTS, GAMED),
        "mixed is a product": (mixed_is_a_product, REJECTS),
        "True is 1": (true_is_one, REJECTS, GAMED),
        "zeros at the end": (zeros_at_the_end, REJECTS),
        "words are dropped": (words_are_dropped, REJECTS),
        "zero is false": (zero_is_false, ACCEPTS),
        "superscripts raise": (superscripts_raise, TOTAL),
        "too deep is right": (too_deep_is_right, GAMED, REJECTS),
        "division by zero is right": (division_by_zero_is_right, GAMED, REJECTS),
        "late is right": (late_is_right, GAMED, REJECTS),
        "no reference is right": (no_reference_is_right, GAMED, REJECTS),
        "empty text is divided by": (empty_text_is_divided_by, TOTAL),
        "every 997th call pays": (every_997th_call_pays, REPEATS, ORDER),
        "cached by the beginning": (cached_by_the_beginning, ORDER),
        "moving baseline": (moving_baseline, ORDER, REPEATS),
        "local to a thread": (local_to_a_thread, THREADS),
        "by time zone": (by_time_zone, PROCESSES),
        "by address": (by_address, ORDER, REPEATS, PROCESSES),
        "cached on disk": (cached_on_disk, ORDER, PROCESSES, TRACE),
        "seeds numpy": (seeds_numpy, TRACE),
        "turns gradients off": (turns_gradients_off, TRACE),
        "precision of mpmath": (precision_of_mpmath, TRACE),
        "silences warnings": (silences_warnings, TRACE),
        "leaves files open": (leaves_files_open, TRACE),
        "leaves threads": (leaves_threads, TRACE),
        "slower with each call": (slower_with_each_call, TIME, TRACE, ORDER, REPEATS),
        "a little for each box": (a_little_for_each_box, GAMED, NOISE),
        "longer is better": (longer_is_better, GAMED, NOISE),
        "no floor": (no_floor, BOUNDED),
        "for reflecting": (for_reflecting, GAMED, NOISE),
        "for a list of steps": (for_a_list_of_steps, GAMED, NOISE),
    }.items()
} | {
    name: Bug(verifier, kind, checks)
    for name, (verifier, kind, *checks) in {
        "tags are counted": (tags_are_counted, "format", REJECTS, GAMED),
        "box anywhere": (box_anywhere, "format", REJECTS, GAMED),
        "dot is no line": (dot_is_no_line, "format", ACCEPTS),
        "stripped first": (stripped_first, "format", REJECTS),
        "tags in any case": (tags_in_any_case, "format", REJECTS),
        "no angle in the thoughts": (no_angle_in_the_thoughts, "format", ACCEPTS, NOISE),
        "thoughts without end": (thoughts_without_end, "format", REJECTS),
        "begins with the output": (begins_with_the_output, "code", REJECTS),
        "errors are output": (errors_are_output, "code", REJECTS),
        "case of the output": (case_of_the_output, "code", REJECTS),
        "space in the output": (space_in_the_output, "code", REJECTS),
        "order of the output": (order_of_the_output, "code", REJECTS),
        "last line alone": (last_line_alone, "code", REJECTS),
        "close is enough": (close_is_enough, "code", REJECTS),
        "status is ignored": (status_is_ignored, "code", REJECTS),
        "late programs pass": (late_programs_pass, "code", REJECTS),
        "half of the tests": (half_of_the_tests, "code", REJECTS),
        "no tests pass": (no_tests_pass, "code", REJECTS, GAMED),
        "program in the thoughts": (program_in_the_thoughts, "code", REJECTS, GAMED),
        "nothing is NaN": (nothing_is_nan, "language", BOUNDED),
        "first words alone": (first_words_alone, "language", REJECTS),
        "answer is not read": (answer_is_not_read, "language", REJECTS),
        "problem is not read": (problem_is_not_read, "language", REJECTS),
    }.items()
}  # fmt: skip
