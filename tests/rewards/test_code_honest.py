"""Honest programs that graders wrongly refuse, and wrong ones with the precise reason.

The programs lie in `code_honest/`, with their tests. No answer that is generated here is stored.
"""

import random
import subprocess
import sys

import pytest

from code_corpus import fenced, programs
from grpo_core.rewards import AssertTest, FunctionTest, StdinTest, sandbox_report, verify_code

PROGRAMS = programs("code_honest")

pytestmark = pytest.mark.skipif(
    sandbox_report().level not in ("strong", "full"), reason="no sandbox on this machine"
)


def numbers(count):
    drawn = random.Random(count).choices(range(-(10**6), 10**6), k=count)  # noqa: S311
    text = f"{count}\n" + "\n".join(map(str, drawn)) + "\n"
    assert len(text) >= 5_000_000
    return text, drawn


def generated(row, test):
    """Input and output too large to store."""
    if test["generated"] == "numbers":
        text, drawn = numbers(test["count"])
        total = sum(drawn)
        if row["language"] == "cpp":  # whose remainder has the sign of what is divided
            return text, f"{len(drawn)} {abs(total) % 1_000_000_007 * (-1 if total < 0 else 1)}"
        return text, f"{len(drawn)} {total % 1_000_000_007}"
    if test["generated"] == "squares":
        squares = (k * k % 1_000_003 for k in range(test["count"]))
        return str(test["count"]), "\n".join(map(str, squares))
    if test["generated"] == "digits":
        value, total = 3 ** int(test["in"]), 0
        while value:
            value, low = divmod(value, 10**18)
            total += sum(map(int, str(low)))
        return test["in"], str(total)
    return "first\n" + "unread\n" * test["count"], "first"


def values(text):
    """Python values, which JSON has no spelling for."""
    return eval(text)  # noqa: S307


def cases(row):
    for test in row["tests"]:
        if row["kind"] == "assert":
            yield AssertTest(test["script"], entry_point=row.get("function", ""))
        elif row["kind"] == "call":
            yield FunctionTest(
                row["function"], values(test["args"]), values(test["value"]),
                values(test.get("kwargs", "{}")),
            )  # fmt: skip
        elif "generated" in test:
            yield StdinTest(*generated(row, test))
        else:
            yield StdinTest(test["in"], test["out"])


def factors(stdin, stdout, expected):
    pair = [int(word) for word in stdout.split()]
    return len(pair) == 2 and pair[0] * pair[1] == int(stdin) and 1 not in pair


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_honest_program_is_judged_by_its_answers(name):
    row = PROGRAMS[name]
    verdict = verify_code(
        fenced(row, row["source"]),
        list(cases(row)),
        timeout_seconds=1.0 if row["expected"] == ["timeout"] else 10.0,
        tolerance=row.get("tolerance"),
        checker=factors if "checker" in row else None,
    )
    assert verdict.reason in row["expected"], verdict
    assert verdict.score == (1.0 if verdict.reason == "correct" else 0.0)


TRAINERS = {
    "umask": "import os; os.umask(0o077)",
    "ignored_signals": "import signal\nfor n in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT,"
    " signal.SIGTERM): signal.signal(n, signal.SIG_IGN)",
    "blocked_signals": "import signal\nevery = set(signal.Signals)"
    "\nsignal.pthread_sigmask(signal.SIG_BLOCK, every)",
    "removed_directory": "import os, tempfile\nd = tempfile.mkdtemp()\nos.chdir(d)\nos.rmdir(d)",
    "closed_streams": "import os\nfor n in (0, 1): os.close(n)",
    "few_descriptors": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))",
    "many_descriptors": "import os\nfor _ in range(500): os.set_inheritable(os.dup(2), True)",
    "low_priority": "import os\nos.nice(5)"
    "\nos.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
    "environment": "import os\nos.environ.update(PYTHONOPTIMIZE='2', PYTHONIOENCODING='latin-1',"
    " PYTHONWARNINGS='error', PYTHONPATH='/nonexistent', LANG='C', LC_ALL='C',"
    " CPATH='/nonexistent', PATH='/usr/bin:/bin', LD_LIBRARY_PATH='.', GCC_EXEC_PREFIX='x')"
    "\nos.environ.pop('HOME', 0)",
    "threads": "import threading, time\nfor _ in range(20):\n"
    "    threading.Thread(target=time.sleep, args=[60], daemon=True).start()",
}
_GRADES = """
from grpo_core.rewards import StdinTest, verify_code
text = "import sys, signal\\nassert __debug__\\nprint(sys.stdin.read() + 'é')\\n"
text += "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\\n"
text += "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\\n"
text += "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())\\nopen('kept', 'w').close()\\n"
cpp = "#include <bits/stdc++.h>\\nint main() { std::cout << std::cin.rdbuf() << \\"\\u00e9\\"; }\\n"
verdicts = [verify_code(f"```{name}\\n{source}```", StdinTest("ü", "üé"))
            for name, source in (("python", text), ("cpp", cpp), ("python", text))]
verdicts.append(verify_code("```python\\ndef f():\\n    return 2\\n```", "assert f() == 2"))
wrong = [verdict for verdict in verdicts if verdict.reason != "correct"]
import os, sys
os.write(2, f"{wrong}".encode())
os._exit(bool(wrong))
"""


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_state_of_the_trainer_changes_no_verdict(trainer):
    source = f"import grpo_core.rewards\n{TRAINERS[trainer]}\n{_GRADES}"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_programs_are_many_and_described():
    assert len(PROGRAMS) >= 60
    assert {row["language"] for row in PROGRAMS.values()} == {"python", "cpp"}
    assert all(row["shows"] for row in PROGRAMS.values())
