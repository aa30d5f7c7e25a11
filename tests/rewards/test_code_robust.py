"""`verify_code` from wherever a trainer calls it, on whatever machine, and what it leaves."""

import asyncio
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from grpo_core.rewards import FunctionTest, Language, StdinTest, Verdict, verify_code
from grpo_core.rewards._code import _compile
from grpo_core.rewards._sandbox import run_python, sandbox_report
from grpo_core.rewards._sandbox._inside import _box, _namespaces
from grpo_core.rewards._sandbox._launcher import pool

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="programs are confined on Linux"),
    pytest.mark.skipif(
        sandbox_report().level not in ("strong", "full"), reason="no sandbox on this machine"
    ),
]

ROOT = Path(__file__).resolve().parents[2]
DOUBLE = "```python\nprint(2 * int(input()))\n```"
TESTS = [StdinTest("1\n", "2\n"), StdinTest("7\n", "14\n")]
CPP = "```cpp\nint twice(int x) { return 2 * x; }\nint main() { return 1 }\n```"


def reason(_=None):
    return verify_code(DOUBLE, TESTS).reason


# From where it is called


def test_eight_threads_get_the_same_verdict():
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(reason, range(24))) == {"correct"}


def test_threads_of_an_event_loop_get_it_too():
    async def all_at_once():
        return await asyncio.gather(*(asyncio.to_thread(reason) for _ in range(6)))

    assert set(asyncio.run(all_at_once())) == {"correct"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_get_it_and_share_no_launcher(method):
    reason()
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as processes:
        verify = partial(verify_code, DOUBLE, TESTS)
        verdicts = [future.result() for future in [processes.submit(verify) for _ in range(4)]]
    assert {verdict.reason for verdict in verdicts} == {"correct"}
    assert reason() == "correct"


def test_a_fork_in_the_middle_of_other_threads_starts_anew():
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(reason) for _ in range(8)]
        mine = {launcher._process.pid for launcher in pool._all}
        child = os.fork()
        if child == 0:
            ok = not pool._all and reason() == "correct"
            ok = ok and not mine & {launcher._process.pid for launcher in pool._all}
            pool.close()
            os._exit(not ok)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert {future.result() for future in running} == {"correct"}


def test_a_verdict_survives_pickling():
    verdict = verify_code("```python\nprint(1\n```", TESTS)
    back = pickle.loads(pickle.dumps(verdict))  # noqa: S301 - our own
    assert isinstance(back, Verdict) and back == verdict


def test_nothing_is_left_when_the_interpreter_ends(tmp_path):
    tmp_path.chmod(0o755)
    source = (
        "import sys\nfrom grpo_core.rewards import verify_code\n"
        "from grpo_core.rewards._sandbox import run_python\n"
        "from grpo_core.rewards._sandbox._launcher import pool\n"
        f"verify_code({DOUBLE!r}, {{'stdin': '1', 'stdout': '2'}})\n"
        "run_python(b'open(\"x\", \"w\")', layers=('landlock', 'seccomp'))\n"
        "print([place for launcher in pool._all for place in launcher._places])\n"
        "print([launcher._process.pid for launcher in pool._all])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    places, pids = map(json.loads, done.stdout.replace("'", '"').splitlines())
    assert places and pids, done.stderr
    assert [path for path in places if Path(path).exists()] == []
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


# What the machine gives


_GRADE = """
import json, sys
from grpo_core.rewards import sandbox_report, verify_code
test = {"stdin": "4", "stdout": "8"}
reasons = [verify_code(f"```{name}\\n{source}\\n```", test).reason for name, source in (
    ("python", "print(2 * int(input()))"), ("python", "print(input())"), ("python", "print(1"),
    ("cpp", "#include <iostream>\\nint main() { int x; std::cin >> x; std::cout << 2 * x; }"))]
print(json.dumps([reasons, sandbox_report().level, sandbox_report().layers]))
"""
_RIGHT = ["correct", "wrong_answer", "compile_error", "correct"]


def test_a_filter_that_refuses_namespaces_leaves_enough():
    source = "import code_corpus\ncode_corpus.refuse_namespaces()\n" + _GRADE
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.stdout, done.stderr
    reasons, level, layers = json.loads(done.stdout)
    assert reasons == _RIGHT
    assert level == "strong"
    assert not set(layers) & {"user", "pid", "mount", "net"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_gets_the_same_verdicts():
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    if python is None:
        pytest.skip("no interpreter that another user can reach")
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        Path(top).chmod(0o755)
        shutil.copytree(ROOT / "src/grpo_core/rewards", Path(top, "grpo_core/rewards"))
        shutil.copy(ROOT / "src/grpo_core/__init__.py", Path(top, "grpo_core"))
        done = subprocess.run(
            [python, "-c", _GRADE], capture_output=True, text=True, check=False, cwd="/",
            user=65534, group=65534, extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": top, "XDG_CACHE_HOME": "/proc/none"},
        )  # fmt: skip
    if "SyntaxError" in done.stderr or "ImportError" in done.stderr:
        pytest.skip("its Python is too old")
    reasons, level, _ = json.loads(done.stdout or f'"{done.stderr[-900:]}"')
    assert (reasons, level in ("strong", "full")) == (_RIGHT, True)


def test_the_root_is_built_where_it_hides_nothing_that_is_read():
    taken = [f"{place}/x" for place in ("/tmp", "/var/tmp")]  # noqa: S108
    assert _namespaces._staging(taken) not in ("/tmp", "/var/tmp")  # noqa: S108
    with pytest.raises(OSError, match="holds a path to read"):
        _namespaces._staging([f"{place}/x" for place in _namespaces._STAGING])


def test_packages_below_the_temporary_directory_are_found():
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        Path(top).chmod(0o755)
        Path(top, "grown.py").write_text("def up(x):\n    return x + 1\n")
        answer = "```python\nfrom grown import up\nf = up\nprint(up(int(input())))\n```"
        stdin, call = StdinTest("1", "2"), None
        assert verify_code(answer, stdin, packages=[top]).reason == "correct"
        assert verify_code(answer, stdin).reason == "runtime_error"
        answer = "```python\nfrom grown import up\n```"
        for call in (FunctionTest("up", (1,), 2), "assert up(1) == 2"):
            assert verify_code(answer, call, packages=[Path(top)]).reason == "correct"
            assert verify_code(answer, call).reason == "runtime_error"
    with pytest.raises(TypeError, match="sequence of directories"):
        verify_code(answer, stdin, packages=top)


def test_numpy_programs_run_when_its_directory_is_given():
    numpy = pytest.importorskip("numpy")
    site = [Path(numpy.__file__).parents[1]]
    answer = (
        "```python\nimport numpy as np\ndef f(x):\n    return np.array(x).sum()\n"
        "if __name__ == '__main__':\n    print(np.arange(int(input())).sum())\n```"
    )
    assert verify_code(answer, StdinTest("5", "10"), packages=site).reason == "correct"
    assert verify_code(answer, FunctionTest("f", ([1, 2],), 3), packages=site).reason == "correct"


# Compilers and directories


def test_syntax_errors_are_compile_errors_of_every_kind():
    for tests in (TESTS, FunctionTest("f", (1,), 2), "assert f(1) == 2"):
        verdict = verify_code("```python\nx = 'secret'\ndef f(x) return x\n```", tests)
        assert (verdict.score, verdict.reason) == (0.0, "compile_error")
        assert verdict.detail["error"] == "syntax" and verdict.detail["line"] == "2"
        assert "secret" not in repr(verdict)


def test_a_program_that_makes_its_own_errors_is_no_compile_error():
    for source in ("exec('x x')", "raise SyntaxError('x', ('f', 3, 1, 'x'))"):
        assert verify_code(f"```python\n{source}\n```", TESTS).reason == "runtime_error"


def test_what_a_source_writes_while_it_runs_does_not_look_like_a_syntax_error():
    source = (
        b"import os\nfor n in range(3, 9):\n try: os.write(n, b'7')\n except OSError: pass\n1/0"
    )
    outcome = run_python(source)
    assert (outcome.status, outcome.code) == ("exited", 1)


@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
@pytest.mark.parametrize(
    ("error", "line", "source"),
    [
        ("syntax", "2", "int main() {\n  return 1 }"),
        ("undeclared", "1", "int main() { return secret; }"),
        ("include", "1", "#include <secret.h>\nint main() {}"),
        ("type", "1", 'int main() { int x = "secret"; }'),
        ("undeclared", None, "int secret();\nint main() { return secret(); }"),
    ],
)
def test_a_compile_error_is_a_category_and_a_line(error, line, source):
    verdict = verify_code(f"```cpp\n{source}\n```", TESTS)
    assert (verdict.reason, verdict.detail["error"]) == ("compile_error", error)
    assert verdict.detail.get("line") == line
    assert "secret" not in repr(verdict)


def compiler_of(tmp_path, script):
    tmp_path.chmod(0o755)
    command = tmp_path / "compiler"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return Language(
        "cpp", "main.cpp", run=["./program"], compile=[str(command)], product="program",
        readable=[str(tmp_path)],
    )  # fmt: skip


@pytest.fixture
def open_directory():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
        yield Path(top)


@pytest.mark.parametrize("script", ["kill -SEGV $$", "exit 1", "echo main.cpp:1: error: x; exit 1"])
def test_a_compiler_that_makes_nothing_at_all_is_a_fault_of_ours(open_directory, script):
    language = compiler_of(open_directory, script)
    verdict = verify_code(CPP, TESTS, languages=[language])
    assert (verdict.score, verdict.reason) == (None, "infrastructure")


def test_a_compiler_that_one_program_ends_is_the_program_s_fault(open_directory):
    script = "grep -q twice main.cpp && kill -SEGV $$; cp /bin/true program"
    language = compiler_of(open_directory, script)
    verdict = verify_code(CPP, TESTS, languages=[language])
    assert (verdict.score, verdict.reason) == (0.0, "compile_error")
    assert any(known is language for known, _ in _compile._worked)


def test_a_deep_tree_is_removed_and_what_was_begun_is_gone_on_with(tmp_path):
    here = Path.cwd()
    try:
        for name in ("a", "a", "b"):
            os.chdir(tmp_path)
            for _ in range(150):
                Path(name).mkdir(exist_ok=True)
                Path("file").write_text("x")
                os.chdir(name)
    finally:
        os.chdir(here)
    outside = tmp_path.with_name("outside")
    outside.mkdir()
    (outside / "kept").write_text("x")
    (tmp_path / "link").symlink_to(outside)
    top = os.open(tmp_path, os.O_RDONLY)
    assert not _box.empty(top, patience_seconds=0)
    assert _box.empty(top, patience_seconds=60)
    os.close(top)
    assert list(tmp_path.iterdir()) == []
    assert (outside / "kept").exists()


def test_a_failing_start_leaves_no_directory(tmp_path):
    tmp_path.chmod(0o755)
    inside = ROOT / "src/grpo_core/rewards/_sandbox"
    source = (
        f"import sys\nsys.path.insert(0, {str(inside)!r})\n"
        "import socket\nfrom _inside import _start\n"
        "def fails(*_): raise OSError('no')\n"
        "_start._landlock_version = fails\n_start.os.waitpid = fails\n"
        "a, b = socket.socketpair()\n"
        f"settings = dict(layers=['landlock'], readable=['/usr'], temporary={str(tmp_path)!r})\n"
        "try: _start.main(b.detach(), settings, None)\nexcept OSError: pass\n"
    )
    subprocess.run([sys.executable, "-c", source], check=False, capture_output=True)
    assert list(tmp_path.iterdir()) == []
