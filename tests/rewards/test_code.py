"""`verify_code` on programs that read standard input: verdicts, extraction, sampling, options."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from grpo_core.rewards import (
    AssertTest,
    FunctionTest,
    Language,
    StdinTest,
    sandbox_report,
    verify_code,
)
from grpo_core.rewards._code._languages import LANGUAGES
from grpo_core.rewards._code._tests import sample

CASES = Path(__file__).parents[3] / "shared" / "data" / "code_dev.jsonl"
verify = partial(verify_code, allow_weak=True)


def answer(source, language="python"):
    return f"<think>\nEasy.\n</think>\n\nThe program:\n\n```{language}\n{source}\n```\n\nDone."


DOUBLE = answer("print(2 * int(input()))")
TESTS = [StdinTest(f"{n}\n", f"{2 * n}\n") for n in range(30)]


def reason(source, tests=TESTS[:3], language="python", **options):
    return verify(answer(source, language), tests, **options).reason


# Verdicts


def test_a_right_program_scores_one():
    verdict = verify(DOUBLE, TESTS)
    assert (verdict.score, verdict.reason) == (1.0, "correct")
    assert verdict.detail["language"] == "python"
    assert verdict.detail["tests"] == "20"
    assert verdict.detail["isolation"] == sandbox_report().level


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        ("wrong_answer", "print(2 * int(input()) if 0 else 7)"),
        ("wrong_answer", "pass"),
        ("runtime_error", "print(2 * int(input()))\nraise SystemExit(1)"),
        ("runtime_error", "print(1 // 0)"),
        ("runtime_error", "import os\nos.abort()"),
        ("timeout", "while True: pass"),
        ("timeout", "import time\ntime.sleep(60)"),
        ("memory", "x = bytearray(10**9)\nfor i in range(0, 10**9, 4096): x[i] = 1"),
        ("output_limit", "while True: print('x' * 10000)"),
    ],
)
def test_each_way_to_fail_has_its_reason(expected, source):
    verdict = verify(answer(source), TESTS[:3], timeout_seconds=1.0)
    assert (verdict.score, verdict.reason) == (0.0, expected)
    assert verdict.detail["test"] == "0"


def test_a_program_that_does_not_compile():
    verdict = verify(answer("int main() { return x; }", "cpp"), TESTS)
    assert (verdict.score, verdict.reason) == (0.0, "compile_error")
    assert "x" not in verdict.detail["compiler"]


def test_the_detail_never_holds_what_was_expected():
    tests = [StdinTest("1", "secret-7391"), FunctionTest("f", (1,), "secret-7391")]
    for test in tests:
        verdict = verify(answer("f = lambda x: 'other'\nprint('other')"), test)
        assert verdict.reason == "wrong_answer"
        assert "7391" not in repr(verdict)


def test_the_first_test_that_fails_is_named_and_ends_it(tmp_path):
    source = "n = int(input())\nwhile n == 5: pass\nprint(2 * n if n < 3 else 0)"
    verdict = verify(answer(source), TESTS[:6])  # test 5 would run for 4 s
    assert (verdict.reason, verdict.detail["test"]) == ("wrong_answer", "3")


def test_a_fault_of_ours_is_no_zero():
    lost = Language("lost", "main.lost", run=("no-such-command-anywhere", "main.lost"))
    made = Language("made", "a", run=("./b",), compile=("no-such-compiler", "a"), product="b")
    for language in (lost, made):
        verdict = verify(answer("x", language.name), TESTS, languages=[language])
        assert (verdict.score, verdict.reason) == (None, "infrastructure")
        assert "no-such" in verdict.detail["error"]


# Extraction


PASSES = "print(2 * int(input()))"


@pytest.mark.parametrize(
    ("rule", "completion"),
    [
        ("no_fence", "<think></think>"),
        ("no_fence", f"<think>```python\n{PASSES}\n```</think> In my thoughts."),
        ("tags", f"<think></think>```python\n{PASSES}\n```</think>"),
        ("tags", f"</think><think>\n```python\n{PASSES}\n```"),
        ("unclosed_fence", f"```python\n{PASSES}\n"),
        ("fence_without_language", f"```\n{PASSES}\n```"),
        ("unknown_language", f"```brainfuck\n{PASSES}\n```"),
        ("unknown_language", f"```text\n2\n```\n\n```python\n{PASSES}\n```"),
        ("empty", "```python\n\n```"),
        ("no_fence", ""),
        ("no_fence", PASSES),
        ("too_large", "```python\n" + "#" * 1_000_001 + "\n```"),
    ],
)
def test_no_code(rule, completion):
    verdict = verify(completion, TESTS)
    assert (verdict.score, verdict.reason, verdict.detail["rule"]) == (0.0, "no_code", rule)


@pytest.mark.parametrize(
    "completion",
    [
        f"```python\n{PASSES}\n```",
        f"~~~~ py hello\n{PASSES}\n~~~~",
        f"thoughts, opened in the prompt</think>\n```Python3\n{PASSES}\n```",
        f"   ```python\n   if True:\n       {PASSES}\n   ```",
        f"```python\r\n{PASSES}\r\n```",
        f"```python\n{PASSES}\n```\n\n```python\nraise SystemExit(1)\n```",
    ],
)
def test_the_first_block_of_the_answer_is_the_program(completion):
    assert verify(completion, TESTS[:2]).reason == "correct"


def test_the_second_block_does_not_count():
    assert verify(f"```python\npass\n```\n```python\n{PASSES}\n```", TESTS).score == 0


def test_the_language_that_is_asked_for():
    bare = f"```\n{PASSES}\n```"
    assert verify(bare, TESTS[:2], language="python").reason == "correct"
    assert verify(DOUBLE, TESTS[:2], language="py").reason == "correct"
    verdict = verify(DOUBLE, TESTS, language="cpp")
    assert (verdict.reason, verdict.detail["rule"]) == ("no_code", "other_language")


def test_an_answer_in_another_language_than_its_tests_is_none():
    test = FunctionTest("f", (), 1)
    assert reason("int f() { return 1; }", test, "cpp") == "no_code"
    assert reason("def f(): return 1", AssertTest("int main() {}", "cpp")) == "no_code"


# What is compared


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "right"),
    [
        ("1 2\n3", "1\n2 3\n", None, True),
        ("1 2  \r\n\n", "1 2", None, True),
        ("1 23", "12 3", None, False),
        ("1", "1 2", None, False),
        ("1 2 3", "1 2", None, False),
        ("YES", "yes", None, False),
        ("1.0", "1", None, False),
        ("0.3333333", "0.33333333", 1e-6, True),
        ("0.3334", "0.33333333", 1e-6, False),
        ("1000000.5", "1000000.0", 1e-6, True),
        ("1000000008", "1000000007", 1e-6, False),
        ("1000000008.0", "1000000007", 1e-6, False),
        ("5.0000001", "5", 1e-6, True),
        ("nan", "1.0", 1e-6, False),
        ("1e999", "1.0", 1e-6, False),
        ("inf", "inf", 1e-6, True),
    ],
)
def test_words_are_compared(printed, expected, tolerance, right):
    given = reason(f"print({printed!r})", StdinTest("", expected), tolerance=tolerance)
    assert given == ("correct" if right else "wrong_answer")


def test_one_of_several_outputs_is_enough():
    test = StdinTest("", ["1 2", "2 1"])
    assert reason("print(2, 1)", test) == "correct"
    assert reason("print(1, 1)", test) == "wrong_answer"


def test_a_checker_decides_in_this_process():
    seen = []

    def checker(stdin, stdout, expected):
        seen.append((stdin, stdout, expected, os.getpid(), threading.get_ident()))
        return sum(map(int, stdout.split())) == int(expected)

    assert reason("print(3, 4)", StdinTest("x", "7"), checker=checker) == "correct"
    assert reason("print(3, 5)", StdinTest("x", "7"), checker=checker) == "wrong_answer"
    assert seen[0] == ("x", "3 4\n", "7", os.getpid(), threading.get_ident())


def test_a_checker_that_raises_is_a_fault_of_ours():
    verdict = verify(answer("print('x')"), StdinTest("", "7"), checker=lambda i, o, e: int(o) == 7)
    assert (verdict.score, verdict.reason) == (None, "infrastructure")


# Sampling


def test_a_group_gets_the_same_tests_and_another_step_gets_others():
    assert sample(100, 20, "problem", 3) == sample(100, 20, "problem", 3)
    assert sample(100, 20, "problem", 3) != sample(100, 20, "problem", 4)
    assert sample(100, 20, "problem", 3) != sample(100, 20, "another", 3)
    assert sample(100, 20, 1, 0) != sample(100, 20, "1", 0)
    assert sample(20, 20, 0, 0) == list(range(20))
    chosen = sample(100, 20, 7, 0)
    assert chosen == sorted(set(chosen)) and len(chosen) == 20


def test_the_sample_does_not_depend_on_the_process():
    code = "from grpo_core.rewards._code._tests import sample; print(sample(99, 5, 'p', 2))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("0", "1", "random")
    }
    assert runs == {f"{sample(99, 5, 'p', 2)}\n"}


def test_every_test_is_drawn_in_some_step():
    drawn = {i for step in range(100) for i in sample(50, 5, 0, step)}
    assert drawn == set(range(50))


def test_only_the_sampled_tests_run():
    chosen = sample(30, 3, "p", 1)
    wrong = [i for i in range(30) if i not in chosen]
    source = f"n = int(input())\nprint(0 if n in {wrong} else 2 * n)"
    assert reason(source, TESTS, seed="p", step=1, max_tests=3) == "correct"
    assert reason(source, TESTS, seed="p", step=1, max_tests=30) == "wrong_answer"


# Scores and executors


def test_the_share_of_tests_is_an_option():
    source = "n = int(input())\nprint(2 * n if n < 3 else 0)"
    verdict = verify(answer(source), TESTS[:4], score="share")
    assert (verdict.score, verdict.reason, verdict.detail["test"]) == (0.75, "wrong_answer", "3")
    assert verify(DOUBLE, TESTS[:4], score="share").score == 1.0


class Broken(Executor):
    def submit(self, *_, **__):
        raise BrokenExecutor


def test_an_executor_changes_no_verdict():
    wait = "import time\nn = int(input())\nif n == 1: time.sleep(0.3)\n"
    late = wait + "print(n if n in (1, 2) else 2 * n)"
    with ThreadPoolExecutor(4) as threads:
        assert verify(DOUBLE, TESTS, executor=threads) == verify(DOUBLE, TESTS)
        verdict = verify(answer(late), TESTS[:6], executor=threads)
        assert verdict == verify(answer(late), TESTS[:6])
        assert verdict.detail["test"] == "1"
    assert verify(DOUBLE, TESTS, executor=Broken()).reason == "infrastructure"


def test_processes_are_an_executor_and_take_the_verifier_itself():
    with ProcessPoolExecutor(1) as processes:
        assert verify(DOUBLE, TESTS[:3], executor=processes).reason == "correct"
        future = processes.submit(verify, DOUBLE, TESTS[:3])
        assert future.result().reason == "correct"


# Honest programs


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.write(1, str(sum(map(int, open(0)))).encode())",
        "import sys\nsys.stdout.buffer.write(b'%d' % sum(map(int, sys.stdin.buffer)))",
        "import os\nprint(sum(map(int, os.read(0, 1 << 20).split())))",
        "print(sum(map(int, open('/dev/stdin').read().split())))",
        (
            "import threading as t\na = list(map(int, open(0)))\nr = []\n"
            "ts = [t.Thread(target=lambda x=x: r.append(x)) for x in a]\n"
            "[x.start() for x in ts]\n[x.join() for x in ts]\nprint(sum(r))"
        ),
        (
            "import sys, threading as t\nsys.setrecursionlimit(10**6)\nt.stack_size(200 * 2**20)\n"
            "def d(n): return 0 if n == 0 else 1 + d(n - 1)\n"
            "def main(): assert d(50000) == 50000; print(sum(map(int, open(0))))\n"
            "t = t.Thread(target=main)\nt.start()\nt.join()"
        ),
        (
            "import sys\nsys.setrecursionlimit(10**6)\ndef d(n): return 1 + d(n - 1) if n else 0\n"
            "assert d(20000) == 20000\nprint(sum(map(int, sys.stdin)))"
        ),
        "def main():\n    print(sum(map(int, open(0))))\nif __name__ == '__main__':\n    main()",
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
            "print(sum(A(int(x)).x for x in open(0)))"
        ),
        (
            "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n"
            "    f.write(open(0).read())\n    f.seek(0)\n    print(sum(map(int, f)))"
        ),
        "print(sum(map(int, open(0))))\nimport sys\nsys.exit(0)",
        "print(sum(map(int, open(0))), flush=True)\nimport os\nos._exit(0)",
        "import sys\nprint('é', file=sys.stderr)\nprint(sum(map(int, open(0))))",
    ],
)
def test_honest_programs_pass(source):
    assert reason(source, StdinTest("1\n2\n3\n", "6")) == "correct"


def test_ten_megabytes_of_input():
    stdin = "1234567 " * 1_250_000
    source = "print(len(open(0).read().split()))"
    assert reason(source, StdinTest(stdin, "1250000")) == "correct"


def test_text_that_is_not_ascii():
    assert reason("print(input()[::-1])", StdinTest("añ→\n", "→ña")) == "correct"


# Hostile completions never raise


@pytest.mark.parametrize("source", ["\0", "\ud800", "print('\ud800')", "#" * 900_000, "(" * 5000])
def test_any_text_gets_a_verdict(source):
    for language in ("python", "cpp"):
        assert reason(source, language=language) in (
            "wrong_answer",
            "runtime_error",
            "compile_error",
        )


# A developer's mistakes raise


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "completion must be a str", lambda: verify(None, TESTS)),
        (TypeError, "sequence of tests", lambda: verify("", 3)),
        (TypeError, "a test must be", lambda: verify("", [3])),
        (ValueError, "must not be empty", lambda: verify("", [])),
        (ValueError, "has no field", lambda: verify("", [{"stdin": "", "output": ""}])),
        (ValueError, "stdin, function or script", lambda: verify("", [{"input": ""}])),
        (TypeError, "must be str", lambda: StdinTest(1, "2")),
        (ValueError, "one right output", lambda: StdinTest("1", [])),
        (ValueError, "blank", lambda: verify("", StdinTest("1", " \n"))),
        (ValueError, "dotted name", lambda: FunctionTest("f(x)", (), 1)),
        (TypeError, "sequence", lambda: FunctionTest("f", 3, 1)),
        (ValueError, "cannot be sent", lambda: FunctionTest("f", (object(),), 1)),
        (ValueError, "parse", lambda: AssertTest("assert (")),
        (ValueError, "nothing calls check", lambda: AssertTest("def check(f): assert f() == 1")),
        (ValueError, "language must be", lambda: AssertTest("", "java")),
        (ValueError, "language must be", lambda: verify("", TESTS, language="klingon")),
        (ValueError, "tests are in python", lambda: verify("", "assert f()", language="cpp")),
        (
            ValueError,
            "one language",
            lambda: verify("", ["assert f()", AssertTest("int main(){}", "cpp")]),
        ),
        (ValueError, "max_tests", lambda: verify("", TESTS, max_tests=0)),
        (ValueError, "timeout_seconds", lambda: verify("", TESTS, timeout_seconds=0)),
        (ValueError, "memory_mb", lambda: verify("", TESTS, memory_mb=float("nan"))),
        (ValueError, "compile_seconds", lambda: verify("", TESTS, compile_seconds=-1)),
        (ValueError, "tolerance", lambda: verify("", TESTS, tolerance=-1e-6)),
        (ValueError, "score must be", lambda: verify("", TESTS, score="some")),
        (ValueError, "run must name", lambda: Language("x", "x", run=())),
        (ValueError, "need each other", lambda: Language("x", "x", run=("x",), product="y")),
    ],
)
def test_mistakes_raise(error, message, call):
    with pytest.raises(error, match=message):
        call()


# Development cases


@pytest.mark.slow
@pytest.mark.skipif(not CASES.exists(), reason=f"needs {CASES}")
@pytest.mark.parametrize("language", ["python", "cpp"])
def test_every_development_case_is_right(language):
    rows = [
        row
        for row in map(json.loads, CASES.read_text().splitlines())
        if row["language"] == language
    ]
    assert len(rows) >= 70
    wrong = []
    for row in rows:
        tests = row["tests"] or AssertTest(row["asserts"], language)
        verdict = verify(answer(row["solution"], language), tests)
        if verdict.score != float(row["correct"]):
            wrong.append((row["id"], verdict))
    assert wrong == []


def test_the_table_names_each_language_once():
    names = [name for language in LANGUAGES for name in language.names()]
    assert len(names) == len(set(names))


def test_a_program_that_prints_nothing_must_not_pass_every_test():
    with pytest.raises(ValueError, match="every expected output is blank"):
        verify(DOUBLE, [StdinTest("1", ["", "2"])])
