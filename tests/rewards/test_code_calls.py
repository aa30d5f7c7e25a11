"""Function calls and assert scripts: what is expected never enters the candidate's process."""

import textwrap
import time
from functools import partial

import pytest

from grpo_core.rewards import AssertTest, FunctionTest, verify_code

verify = partial(verify_code, allow_weak=True)


def reason(source, tests, language="python", **options):
    completion = f"<think></think>\n```{language}\n{textwrap.dedent(source)}\n```"
    return verify(completion, tests, **options).reason


# Calls


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("def f(a, b): return a + b", FunctionTest("f", (1, 2), 3)),
        ("def f(a, *, b): return [a, b]", FunctionTest("f", [1], [1, {2}], {"b": {2}})),
        ("f = lambda: float('nan')", FunctionTest("f", (), float("nan"))),
        ("f = lambda n: 7 ** n", FunctionTest("f", (9000,), 7**9000)),
        ("class Solution:\n  def f(self, x): return x", FunctionTest("Solution.f", ("é",), "é")),
        ("def f(x):\n  print('noise')\n  return x", FunctionTest("f", (b"\0",), b"\0")),
        ("def f(x): return x\nif __name__ == '__main__': f(input())", FunctionTest("f", (1,), 1)),
        ("from fractions import Fraction\ndef f(x): return Fraction(x, 2)",
         FunctionTest("f", (3,), 1.5)),
    ],
)  # fmt: skip
def test_right_functions_pass(source, test):
    assert reason(source, test) == "correct"


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        ("wrong_answer", "def f(x): return 4"),
        ("wrong_answer", "def f(x): return None"),
        ("wrong_answer", "class E:\n  def __eq__(s, o): return True\ndef f(x): return E()"),
        ("wrong_answer", "class E(int):\n  def __eq__(s, o): return True\ndef f(x): return E(9)"),
        ("wrong_answer", "def f(x):\n  yield 3"),
        ("wrong_answer", "def f(x):\n  a = []\n  a.append(a)\n  return a"),
        ("runtime_error", "def f(x): raise ValueError"),
        ("runtime_error", "def g(x): return 3"),
        ("runtime_error", "def f(x): exit(0)"),
        ("runtime_error", "import os\ndef f(x): os._exit(0)"),
        ("runtime_error", "import os\nos._exit(0)"),
        ("runtime_error", "import sys\nsys.exit(0)"),
        ("compile_error", "def f(x) return 3"),
        ("timeout", "def f(x):\n  while True: pass"),
        ("memory", "def f(x): raise MemoryError"),
    ],
)
def test_wrong_functions_do_not(expected, source):
    assert reason(source, FunctionTest("f", (1,), 3), timeout_seconds=0.5) == expected


def test_a_candidate_that_writes_answers_itself_gains_nothing():
    """It may return what it likes: a made-up frame is a result, and one too many is none."""
    forge = """
        import os
        from struct import pack
        def word(text): return b"S%d:" % len(text) + text
        ok = b"U2:" + word(b"value") + b"I1:3"
        for fd in range(3, 30):
            try: os.write(fd, {times} * (pack(">I", len(ok)) + ok))
            except OSError: pass
        def f(x): return 3
    """
    test = FunctionTest("f", (1,), 3)
    assert reason(forge.format(times=1), test) == "wrong_answer"
    assert reason(forge.format(times=9), test) == "wrong_answer"


# Assert scripts


SCRIPT = """
def check(candidate):
    assert candidate([3, 1, 2]) == [1, 2, 3]
    assert candidate([]) == []
check(order)
"""


def test_a_script_passes_and_fails():
    assert reason("def order(a): return sorted(a)", SCRIPT) == "correct"
    assert reason("def order(a): return a", SCRIPT) == "wrong_answer"
    assert reason("def order(a): return sorted(a)", SCRIPT.splitlines()[1:1] or SCRIPT) == "correct"


def test_humaneval_and_mbpp_as_they_come():
    humaneval = {"script": SCRIPT.replace("check(order)\n", ""), "entry_point": "order"}
    assert reason("def order(a): return sorted(a)", [humaneval]) == "correct"
    mbpp = ["assert order([2, 1]) == [1, 2]", "assert order([1]) == [1]"]
    assert reason("def order(a): return sorted(a)", mbpp) == "correct"
    assert reason("def order(a): return a", mbpp) == "wrong_answer"


@pytest.mark.parametrize(
    ("source", "script"),
    [
        ("def f(a): a.sort()", "a = [2, 1]\nassert f(a) is None and a == [1, 2]"),
        ("def f(a): a[0][0] = 5",
         "a = [[1], [2]]\nb = a[0]\nf(a)\nassert b == [5] and a == [[5], [2]]"),
        ("def f(d): d['x'] = 1; d.pop('y')", "d = {'y': 2}\nf(d)\nassert d == {'x': 1}"),
        ("def f(s): s.add(1)", "s = set()\nf(s)\nassert s == {1}"),
        ("def f(n):\n  for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(n):\n  while True: yield n", "assert next(f(3)) == 3"),
        ("def f(g, x): return g(x) + 1", "assert f(lambda x: 2 * x, 4) == 9"),
        ("def f(a, key): return sorted(a, key=key)", "assert f([1, 2], lambda x: -x) == [2, 1]"),
        ("def f(g, a): return list(map(g, a))",
         "assert f(str, [1]) == ['1'] and f(abs, [-1]) == [1]"),
        ("def f(g): return sum(g)", "assert f(x for x in range(4)) == 6"),
        ("def f(x):\n  if x < 0: raise ValueError('neg')\n  return x",
         "try:\n  f(-1)\n  assert False\nexcept ValueError as e:\n  assert str(e) == 'neg'"),
        ("class Poor(Exception): pass\ndef f(): raise Poor('x')",
         "try:\n  f()\n  raise SystemExit\nexcept Poor as e:\n  assert str(e) == 'x'"),
        (("class Stack:\n  def __init__(s): s.a = []\n  def push(s, x): s.a.append(x)\n"
         "  def pop(s): return s.a.pop()\n  def __len__(s): return len(s.a)"),
         ("s = Stack()\ns.push(3)\ns.push([4])\nassert len(s) == 2 and s.pop() == [4]\n"
         "assert isinstance(s, Stack) and not isinstance(3, Stack)")),
        (("class Node:\n  def __init__(s, v, n=None): s.v, s.n = v, n\n"
         "def f(h):\n  p = None\n  while h: h.n, p, h = p, h, h.n\n  return p"),
         "h = f(Node(1, Node(2)))\nassert (h.v, h.n.v, h.n.n) == (2, 1, None)"),
        (("class V:\n  def __init__(s, x): s.x = x\n  def __add__(s, o): return V(s.x + o.x)\n"
         "  def __eq__(s, o): return s.x == o.x\n  def __repr__(s): return f'V({s.x})'"),
         "assert V(1) + V(2) == V(3) and V(1) != V(2) and str(V(1)) == 'V(1)'"),
        ("def f(x): return x ** 0.5", "assert math.isclose(f(2), math.sqrt(2))"),
        ("def select(a): return a[0]", "assert select([7]) == 7"),
        ("LIMIT = 7\ndef f(): return LIMIT", "assert f() == LIMIT == 7"),
        ("from collections import Counter\nf = Counter", "assert f('aab') == {'a': 2, 'b': 1}"),
        ("from collections import namedtuple\nP = namedtuple('P', 'x')\ndef f(): return P(1)",
         "assert f() == (1,)"),
        ("import datetime\ndef f(d): return d + datetime.timedelta(1)",
         "import datetime\nassert f(datetime.date(2020, 2, 28)) == datetime.date(2020, 2, 29)"),
        ("def f(x): return x", "class T:\n  def test(self): assert f(2) == 2\nT().test()"),
        ("def f(x): print('noise'); return x",
         "print('more')\nassert f({1: [None, 2.5, 1j]}) == {1: [None, 2.5, 1j]}"),
    ],
)  # fmt: skip
def test_what_scripts_do_works(source, script):
    assert reason(source, AssertTest(script)) == "correct"


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def f(x): raise SystemExit(0)",
        "import os\ndef f(x): os._exit(0)",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): exit()",
        "class E:\n  def __eq__(s, o): return True\ndef f(x): return E()",
        "class E(int):\n  def __eq__(s, o): return True\ndef f(x): return E()",
        "class E:\n  __sub__ = __rsub__ = __abs__ = lambda *a: 0.0\ndef f(x): return E()",
        (
            "class E:\n  def __lt__(s, o): return True\n  __gt__ = __abs__ = lambda s, *o: s\n"
            "  __sub__ = lambda s, o: s\ndef f(x): return E()"
        ),
        "class E:\n  def __contains__(s, o): return True\ndef f(x): return E()",
        "abs = all = isinstance = lambda *a: True\ndef f(x): return 0",
        "import builtins\nbuiltins.abs = lambda x: 0\ndef f(x): return 0",
        "AssertionError = ZeroDivisionError\ndef f(x): return 0",
        "def f(x): raise StopIteration",
        "def f(x): raise GeneratorExit",
        "def check(*a): pass\nmath = None\ndef f(x): return 0",
        (
            "import sys, gc\ndef f(x):\n  for o in gc.get_objects():\n"
            "    if isinstance(o, str) and '40.5' in o: return 40.5\n  return 0"
        ),
        (
            "import sys\ndef f(x):\n  g = sys._getframe(1)\n  while g:\n"
            "    for v in list(g.f_locals.values()):\n      if v == 40.5: return v\n"
            "    g = g.f_back"
        ),
        (
            "import os\ndef f(x):\n  for fd in range(3, 40):\n    try: os.write(fd, b'V' * 100)\n"
            "    except OSError: pass\n  return 0"
        ),
        "import os\nos.closerange(0, 40)\ndef f(x): return 0",
    ],
)
def test_no_trick_passes_a_script(source):
    for script in (
        "assert abs(f(3) - 40.5) < 1e-6",
        "assert f(4) == 41",
        "assert 7 in f(5)",
        "assert all(f(i) == i for i in (8, 9))",
    ):
        given = reason(source, script, timeout_seconds=2)
        assert given in ("wrong_answer", "runtime_error", "output_limit")


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n  while True: pass",
        "def f(x):\n  while True: yield 0",
        "class E:\n  def __getitem__(s, i): return 0\ndef f(x): return E()",
    ],
)
def test_what_never_ends_is_a_timeout(source):
    start = time.monotonic()
    assert reason(source, "assert 7 in f(5)", timeout_seconds=0.5) == "timeout"
    assert time.monotonic() - start < 5


def test_a_flood_of_frames_is_bounded():
    source = """
        import os
        def f(x):
          while True:
            for fd in range(3, 9):
              try: os.write(fd, b"\\0\\1\\0\\0" * 9999)
              except OSError: pass
    """
    assert reason(source, "assert f(5) == 7", timeout_seconds=1) in (
        "timeout", "runtime_error", "wrong_answer", "output_limit",
    )  # fmt: skip


def test_the_line_of_the_script_is_named_and_its_message_is_not():
    script = "assert f(1) == 1\nassert f(2) == 777, 'expected 777'"
    verdict = verify("```python\ndef f(x): return x\n```", script)
    assert (verdict.reason, verdict.detail["line"]) == ("wrong_answer", "2")
    assert "777" not in repr(verdict)


def test_a_script_that_never_asserts_the_candidate_right_needs_its_end():
    assert reason("def f(x): return 1", "import sys\nsys.exit(0)\nassert f(1) == 2") != "correct"


# C++ scripts


CPP = """
#undef NDEBUG
#include <assert.h>
int main() {
    assert(twice(2) == 4);
    assert((twice(-3) == -6));
}
"""


def cpp(source, script=CPP, **fields):
    return reason(source, AssertTest(script, "cpp", **fields), "cpp")


def test_a_cpp_script_passes_and_fails():
    assert cpp("int twice(int x) { return 2 * x; }") == "correct"
    assert cpp("int twice(int x) { return x + 2; }") == "wrong_answer"
    assert cpp("int twice(int x) { return 2 * x }") == "compile_error"
    assert (
        cpp("int twice(int x) { int* p = nullptr; return *(volatile int*)p; }") == "runtime_error"
    )


def test_main_of_a_script_may_take_arguments_and_end_without_return():
    source = "#include <cassert>\nint twice(int x) { assert(x == 2); return 2 * x; }"
    for head in ("int main()", "int main(int count, char** words)", "auto main() -> int"):
        assert cpp(source, f"{head} {{ assert(twice(2) == 4); }}") == "correct"
        assert cpp(source, f"{head} {{ return twice(2) == 4; }}") == "wrong_answer"


def test_an_example_main_and_prints_of_the_candidate_do_not_matter():
    source = """
        #include <iostream>
        int twice(int x) { std::cout << x; return 2 * x; }
        int main() { twice(1); }
    """
    assert cpp(source) == "correct"


@pytest.mark.parametrize(
    "source",
    [
        "#include <cstdlib>\nint twice(int) { exit(0); }",
        "#include <unistd.h>\nint twice(int) { _exit(0); }",
        "#include <cstdlib>\nstruct S { S() { exit(0); } } s;\nint twice(int) { return 0; }",
        "int twice(int) { return 0; }\n#define main unused\nint unused2() { return 0; }",
        "int twice(int) { return 0; }\nint main() { return 0; }\n#define main unused",
        "int twice(int) { return 0; }\n#define assert(x)",
        "int twice(int) { return 0; }\n#define NDEBUG",
        "int twice(int) { return 0; }\n#define twice(x) (x) == -3 ? -6 : 4; 0",
        '#include <cassert>\nint twice(int) { return 0; }\nextern "C" void abort() { for (;;); }',
        (
            "#include <csignal>\n#include <cstdlib>\nvoid h(int) { _Exit(0); }\n"
            "int twice(int) { signal(SIGABRT, h); return 0; }"
        ),
        "int twice(int) { return 0; }\n/*",
        (
            'int twice(int) { return 0; }\nint main /* */ () __asm__("hidden_main");\n'
            'int entry() __asm__("main");\nint entry() { return 0; }'
        ),
        (
            'int twice(int) { return 0; }\nint main /* */ () __asm__("hidden_main");\n'
            "#define main entry\nint entry() { return 0; }"
        ),
        "int twice(int) { return 0; }\nint m\\u0061in() { return 0; }",
        "int twice(int) { return 0; }\nint e(int, char**) { return 0; }\n#define main e(), x",
        "int twice(int) { return 0; }\n#if 0",
        'int twice(int) { return 0; }\nconst char* s = R"(',
        (
            "#include <unistd.h>\nint twice(int) { char b[64]; long n = read(0, b, 64);"
            " write(1, b, n); _exit(0); }"
        ),
    ],
)
def test_no_simple_trick_passes_a_cpp_script(source):
    assert cpp(source) in ("wrong_answer", "runtime_error", "compile_error", "timeout")


def test_declarations_keep_the_candidate_s_types_and_macros_out_of_the_script():
    trick = "struct E { bool operator==(int) const { return true; } };\nE twice(int) { return {}; }"
    assert cpp(trick) == "correct"  # what AssertTest says is possible
    assert cpp(trick, declarations="int twice(int);") == "wrong_answer"
    assert cpp("int twice(int x) { return 2 * x; }", declarations="int twice(int);") == "correct"


@pytest.mark.parametrize(
    "source",
    [
        '#include "/etc/passwd"\nint main() {}',
        '__asm__(".incbin \\"/etc/passwd\\"");\nint main() {}',
        "#include __FILE__\nint main() {}",
        "template <int N> struct A { static const int v = A<N + 1>::v; };\nint x = A<0>::v;",
    ],
)
def test_the_compiler_tells_nothing(source):
    verdict = verify(f"```cpp\n{source}\n```", {"stdin": "", "stdout": "x"}, compile_seconds=5)
    assert verdict.reason in ("compile_error", "wrong_answer")
    assert "root" not in repr(verdict)


# --- scripts that any program would pass ----------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "",
        "# nothing",
        "f(1) == 2",
        "def test():\n    assert f(1) == 2",
        '[{"stdin": "1", "stdout": "2"}]',
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        assert f(1)",
    ],
)
def test_a_script_that_asserts_nothing_is_refused(script):
    with pytest.raises(ValueError, match="asserts nothing that is run"):
        AssertTest(script)


@pytest.mark.parametrize(
    "script",
    [
        "assert f(1) == 2",
        "for n in range(3):\n    assert f(n) == n + 1",
        "def test():\n    assert f(1) == 2\ntest()",
        "def near(a, b):\n    assert abs(a - b) < 1\ndef test():\n    near(f(1), 2)\ntest()",
        "if f(1) != 2:\n    raise ValueError",
    ],
)
def test_a_script_that_asserts_something_is_taken(script):
    AssertTest(script)
