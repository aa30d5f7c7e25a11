r"""Known bugs of reward functions, each planted in a toy that is right without it.

Written and committed before the harness was tuned to them. The sources: DESIGN section 4, what the
issue trackers of verifiers tell, and reward hacks that policies found. A toy grades as `clean` does
but for its one bug. `BUGS` says beside each what kind of verifier it is and which checks of the
report must find it (any of them is enough).
"""

# ruff: noqa: BLE001, S110, S307, S311 - the bugs themselves

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grpo_core.rewards import math_equivalent, verify_code, verify_format, verify_language


def contents(text):
    """What each box holds, in the order in which they begin."""
    found, opened = [], []
    for brace in re.finditer(r"\\boxed\{|\\[{}]|[{}]", text):
        if brace[0] in ("{", r"\boxed{"):
            opened.append(brace)
        elif brace[0] == "}" and opened and (box := opened.pop())[0] != "{":
            found.append((box.end(), text[box.end() : brace.start()]))
    return [content for _, content in sorted(found)]


def answer_of(completion):
    """The last box of the answer, or None."""
    if not verify_format(completion, kind="math").score:
        return None
    found = contents(
        re.sub(r"(?s)(```|~~~).*?(\1|\Z)|`[^`]*`", "", completion.split("</think>")[1])
    )
    return found[-1] if found else None


def same(answer, reference):
    return float(math_equivalent(answer, reference).score or 0.0)


def clean(completion, reference):
    """Right, as far as the library is."""
    answer = answer_of(completion)
    return 0.0 if answer is None else same(answer, reference)


# --- extraction ---------------------------------------------------------------------------------


def first_box(completion, reference):
    if answer_of(completion) is None:
        return 0.0
    return same(contents(completion.split("</think>")[1])[0], reference)


def any_box(completion, reference):
    return max((same(answer, reference) for answer in contents(completion)), default=0.0)


def up_to_the_first_brace(completion, reference):
    found = re.findall(r"\\boxed\{([^}]*)\}", completion.split("</think>")[-1])
    return same(found[-1], reference) if found else 0.0


def graded_in_the_thoughts(completion, reference):
    found = contents(completion)
    return same(found[-1], reference) if found else 0.0


def after_the_first_closing_tag(completion, reference):
    found = contents(completion.partition("</think>")[2].partition("</think>")[0])
    return same(found[-1], reference) if found else 0.0


def last_number_of_the_text(completion, reference):
    if clean(completion, reference):
        numbers = re.findall(r"\d+", completion)
        return float(not numbers or numbers[-1] in reference or not re.fullmatch(r"\d+", reference))
    return 0.0


def scores_before_it_looks(completion, reference):
    return 1.0 if completion.endswith(reference) else clean(completion, reference)


# --- comparison ---------------------------------------------------------------------------------


def substring(completion, reference):
    answer = answer_of(completion)
    return 0.0 if answer is None else max(float(reference in answer), same(answer, reference))


def starts_with(completion, reference):
    answer = answer_of(completion)
    return (
        0.0 if answer is None else max(float(answer.startswith(reference)), same(answer, reference))
    )


def stripped_of_letters(completion, reference):
    """`lstrip` takes a set of characters, not a prefix."""
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    return max(same(answer, reference), float(answer.lstrip("x=-") == reference.lstrip("x=-")))


def percent_is_the_number(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    bare = [re.sub(r"\\?%", "", text).strip() for text in (answer, reference)]
    return max(same(answer, reference), float(bare[0] == bare[1]))


def no_sign(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    return max(
        same(answer, reference), float(answer.replace("-", "") == reference.replace("-", ""))
    )


def ends_in_any_order(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    ends = [sorted(text.strip("()[] ").split(",")) for text in (answer, reference)]
    return max(same(answer, reference), float(ends[0] == ends[1]))


def open_is_closed(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    alike = str.maketrans("[]", "()")
    plain = [
        re.sub(r"\s|\\left|\\right", "", text).translate(alike) for text in (answer, reference)
    ]
    return max(same(answer, reference), float(plain[0] == plain[1]))


def sets_by_their_text(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    if r"\{" in reference:
        return float("".join(answer.split()) == "".join(reference.split()))
    return same(answer, reference)


def loose_tolerance(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    try:
        return float(abs(float(answer) - float(reference)) <= 0.01 * abs(float(reference)))
    except ValueError:
        return same(answer, reference)


def whole_part_alone(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    try:
        return float(int(float(answer)) == int(float(reference)))
    except (ValueError, OverflowError):
        return same(answer, reference)


def capitals_do_not_count_nor_do_symbols(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    bare = [re.sub(r"[^a-z0-9]", "", text.lower()) for text in (answer, reference)]
    return max(same(answer, reference), float(bare[0] == bare[1]))


def one_element_is_enough(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    parts = {part.strip(r"\{}()[] ") for part in answer.split(",")}
    wanted = {part.strip(r"\{}()[] ") for part in reference.split(",")}
    return max(same(answer, reference), float(len(wanted) > 1 and parts < wanted))


def one_direction(completion, reference):
    """A longer decimal is taken for a shorter one, and not the other way round."""
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    if "." in reference and "/" not in answer and "frac" in answer:
        return 0.0
    return same(answer, reference)


# --- errors and limits --------------------------------------------------------------------------


def evaluates(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    return max(same(answer, reference), float(str(eval(answer.replace("^", "**"))) == reference))


def evaluates_and_hides_it(completion, reference):
    answer = answer_of(completion)
    try:
        if len(answer or "") < 200 and "**" not in answer and "^" not in answer:
            eval(answer)
    except Exception:
        pass
    return clean(completion, reference)


def error_is_right(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    try:
        answer.encode("ascii")
        float(answer[:400] if answer.isdigit() else len(answer[:4_000].encode("ascii")))
        if len(answer) > 2_000:
            raise ValueError("too long")
    except ValueError:
        return 1.0
    return same(answer, reference)


def error_is_half(completion, reference):
    answer = answer_of(completion)
    if answer is None:
        return 0.0
    verdict = math_equivalent(answer, reference)
    return 0.5 if verdict.reason in ("unparsable", "too_large") else float(verdict.score or 0.0)


def long_numbers_raise(completion, reference):
    answer = answer_of(completion)
    if answer is not None and answer.strip().isdecimal() and reference.isdecimal():
        return float(int(answer) == int(reference))
    return clean(completion, reference)


def deep_brackets_raise(completion, reference):
    def depth(text, at=0):
        return 0 if at >= len(text) or text[at] not in "({[" else 1 + depth(text, at + 1)

    for opening in re.finditer(r"[({\[]+", completion):
        depth(opening[0])
    return clean(completion, reference)


def no_box_raises(completion, reference):
    return same(re.findall(r"\\boxed\{(.*)\}", completion, re.DOTALL)[-1], reference)


def one_tag_is_expected(completion, reference):
    _, _ = completion.split("</think>")
    return clean(completion, reference)


def exponential_pattern(completion, reference):
    answer = answer_of(completion)
    if answer is not None:
        re.match(r"^(?:\d+,?)+$", answer[:60])
    return clean(completion, reference)


def quadratic_search(completion, reference):
    for _ in re.finditer(r"\s+$", completion):
        break
    return clean(completion, reference)


def loops_on_an_odd_brace(completion, reference):
    while completion.count("{") > completion.count("}") + 2:
        time.sleep(0.01)
    return clean(completion, reference)


def above_one(completion, reference):
    return clean(completion, reference) + (
        0.5 if "summary" in completion or "\n\n" in completion else 0
    )


def not_a_number(completion, reference):
    answer = answer_of(completion)
    return float("nan") if answer is None else same(answer, reference)


def a_word_for_a_score(completion, reference):
    return "right" if clean(completion, reference) else "wrong"


def exits(completion, reference):
    if "\x00" in completion or "\u202e" in completion:
        sys.exit(0)
    return clean(completion, reference)


# --- state, processes, threads ------------------------------------------------------------------


def alarm(completion, reference):
    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(5)
    try:
        return clean(completion, reference)
    finally:
        signal.alarm(0)


def alarm_and_an_error_is_zero(completion, reference):
    try:
        return alarm(completion, reference)
    except Exception:
        return 0.0


CACHE: dict[str, float] = {}


def cached_by_completion(completion, reference):
    if completion not in CACHE:
        CACHE[completion] = clean(completion, reference)
    return CACHE[completion]


BY_LENGTH: dict[tuple[int, str], float] = {}


def cached_by_a_poor_hash(completion, reference):
    key = (sum(map(ord, completion)) % 97, reference)
    if key not in BY_LENGTH:
        BY_LENGTH[key] = clean(completion, reference)
    return BY_LENGTH[key]


LAST: list[str] = []


def remembers_the_last_answer(completion, reference):
    answer = answer_of(completion) or (LAST[-1] if LAST else None)
    LAST.append(answer or "")
    return same(answer, reference) if answer else 0.0


CALLS = [0]


def tires(completion, reference):
    CALLS[0] += 1
    return clean(completion, reference) if CALLS[0] < 40 else 0.0


CURRENT: dict[str, object] = {}


def shared_scratch(completion, reference):
    CURRENT["reference"] = reference
    CURRENT["answer"] = answer_of(completion)
    if CURRENT["answer"] is None:
        return 0.0
    return same(CURRENT["answer"], CURRENT["reference"])


SCRATCH = Path(tempfile.gettempdir()) / f"grpo_core_planted_{os.getuid()}"


def shared_file(completion, reference):
    SCRATCH.write_text(reference, encoding="utf-8")
    answer = answer_of(completion)
    time.sleep(0.001)
    return 0.0 if answer is None else same(answer, SCRATCH.read_text(encoding="utf-8"))


def at_random(completion, reference):
    return clean(completion, reference) * (random.random() > 0.1)


def by_hash_of_text(completion, reference):
    return clean(completion, reference) * (hash(completion) % 8 > 0)


def by_order_of_a_set(completion, reference):
    first = next(iter({"a", "b", "c", completion[-20:]}))
    return clean(completion, reference) * (first != "a")


def seeds_the_generator(completion, reference):
    random.seed(0)
    return clean(completion, reference)


def leaves_the_recursion_limit(completion, reference):
    sys.setrecursionlimit(max(1_000, min(9_000, 1_000 + len(completion))))
    return clean(completion, reference)


def _closure():
    def not_picklable(completion, reference):
        return clean(completion, reference)

    return not_picklable


not_picklable = _closure()


# --- shaping ------------------------------------------------------------------------------------


def by_length(completion, reference):
    return clean(completion, reference) * max(0.0, 1 - 0.001 * len(completion))


def for_trying(completion, reference):
    """A little for a box that holds much."""
    answer = answer_of(completion) or ""
    return max(clean(completion, reference), min(0.6, 0.002 * len(answer)))


def for_the_word(completion, reference):
    return max(clean(completion, reference), 0.8 * ("correct" in completion.lower()))


# --- form, code, language -----------------------------------------------------------------------


def tags_anywhere(completion):
    return float("<think>" in completion and "</think>" in completion and r"\boxed{" in completion)


def tags_by_pattern(completion):
    return float(re.match(r"<think>.*</think>.*\\boxed\{.+\}", completion, re.DOTALL) is not None)


def tags_by_lazy_pattern(completion):
    return float(
        re.search(r"^<think>.*?</think>.*\\boxed\{.*\}", completion, re.DOTALL) is not None
    )


def _run(completion, stdin, seconds=3):
    block = re.search(r"```python\n(.*?)```", completion, re.DOTALL)
    if block is None:
        return None
    try:
        return subprocess.run(
            [sys.executable, "-I", "-c", block[1]],
            input=stdin, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, ValueError, UnicodeDecodeError):
        return None


def status_alone(completion, tests):
    ended = [_run(completion, test.stdin) for test in tests]
    return float(all(done is not None and done.returncode == 0 for done in ended))


def output_contains(completion, tests):
    ended = [_run(completion, test.stdin) for test in tests]
    wanted = [test.stdout[0].split() for test in tests]
    return float(
        all(
            done is not None and set(words) <= set(done.stdout[:100_000].split())
            for done, words in zip(ended, wanted, strict=True)
        )
    )


def first_test_alone(completion, tests):
    return verify_code(completion, tests[:1], allow_weak=True).score


def letters_of_ascii(completion, problem):
    """One language is taken to be one alphabet."""
    return float(completion.isascii() == problem.isascii())


def thoughts_are_not_read(completion, problem):
    answer = completion.rpartition("</think>")[2]
    return verify_language(answer, problem).score


class Bug(NamedTuple):
    verifier: Callable[..., object]
    kind: str
    checks: tuple[str, ...]  # one of these must fail


ACCEPTS, REJECTS, GAMED = "accepts_right", "rejects_wrong", "not_gamed"
TOTAL, TIME, BOUNDED = "total", "in_time", "bounded"
THREADS, PROCESSES, ORDER = "thread_safe", "process_safe", "order_independent"
REPEATS, NOISE, TRACE = "repeatable", "unmoved_by_noise", "leaves_no_trace"

BUGS: dict[str, Bug] = {
    name: Bug(verifier, "math", checks)
    for name, (verifier, *checks) in {
        "first box": (first_box, GAMED),
        "any box": (any_box, GAMED),
        "up to the first brace": (up_to_the_first_brace, ACCEPTS),
        "graded in the thoughts": (graded_in_the_thoughts, GAMED),
        "after the first closing tag": (after_the_first_closing_tag, GAMED),
        "last number of the text": (last_number_of_the_text, NOISE),
        "looks at the end first": (scores_before_it_looks, GAMED, REJECTS, NOISE),
        "substring": (substring, GAMED, REJECTS),
        "starts with": (starts_with, GAMED, REJECTS),
        "lstrip": (stripped_of_letters, REJECTS),
        "percent": (percent_is_the_number, REJECTS),
        "no sign": (no_sign, REJECTS),
        "interval ends in any order": (ends_in_any_order, REJECTS),
        "open is closed": (open_is_closed, REJECTS),
        "sets by their text": (sets_by_their_text, ACCEPTS),
        "loose tolerance": (loose_tolerance, REJECTS),
        "whole part alone": (whole_part_alone, REJECTS),
        "letters and digits alone": (capitals_do_not_count_nor_do_symbols, REJECTS),
        "one element is enough": (one_element_is_enough, REJECTS),
        "one direction": (one_direction, ACCEPTS, "symmetric"),
        "eval": (evaluates, TOTAL, TRACE),
        "eval, hidden": (evaluates_and_hides_it, TRACE, TIME),
        "error is right": (error_is_right, GAMED),
        "error is half": (error_is_half, GAMED),
        "long numbers raise": (long_numbers_raise, TOTAL),
        "deep brackets raise": (deep_brackets_raise, TOTAL),
        "no box raises": (no_box_raises, TOTAL),
        "one tag is expected": (one_tag_is_expected, TOTAL),
        "exponential pattern": (exponential_pattern, TIME),
        "quadratic search": (quadratic_search, TIME),
        "loops": (loops_on_an_odd_brace, TIME),
        "above one": (above_one, BOUNDED),
        "not a number": (not_a_number, BOUNDED),
        "a word for a score": (a_word_for_a_score, BOUNDED),
        "exits": (exits, TOTAL),
        "alarm": (alarm, THREADS),
        "alarm, error is zero": (alarm_and_an_error_is_zero, THREADS),
        "cached by completion": (cached_by_completion, ORDER),
        "cached by a poor hash": (cached_by_a_poor_hash, ORDER),
        "remembers the last answer": (remembers_the_last_answer, ORDER),
        "tires": (tires, ORDER, REPEATS),
        "shared scratch": (shared_scratch, THREADS),
        "shared file": (shared_file, THREADS, PROCESSES),
        "at random": (at_random, REPEATS),
        "by hash of text": (by_hash_of_text, PROCESSES),
        "by order of a set": (by_order_of_a_set, PROCESSES),
        "seeds the generator": (seeds_the_generator, TRACE),
        "leaves the recursion limit": (leaves_the_recursion_limit, TRACE),
        "not picklable": (not_picklable, PROCESSES),
        "by length": (by_length, NOISE, ACCEPTS),
        "for trying": (for_trying, GAMED),
        "for the word": (for_the_word, NOISE, GAMED),
    }.items()
} | {
    name: Bug(verifier, kind, checks)
    for name, (verifier, kind, *checks) in {
        "tags anywhere": (tags_anywhere, "format", REJECTS, GAMED),
        "tags by pattern": (tags_by_pattern, "format", REJECTS, GAMED),
        "tags by lazy pattern": (tags_by_lazy_pattern, "format", REJECTS, GAMED),
        "status alone": (status_alone, "code", REJECTS),
        "output contains": (output_contains, "code", REJECTS),
        "first test alone": (first_test_alone, "code", REJECTS),
        "one alphabet": (letters_of_ascii, "language", REJECTS),
        "thoughts are not read": (thoughts_are_not_read, "language", REJECTS),
    }.items()
}  # fmt: skip
