"""The sandbox: honest programs run as they would anywhere, and nothing of a program stays."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grpo_core.rewards._sandbox import (
    Limits,
    Outcome,
    SandboxError,
    converse,
    converse_python,
    run,
    run_python,
    sandbox_report,
)  # fmt: skip
from grpo_core.rewards._sandbox._launcher import Kind, Launcher, pool
from grpo_core.rewards._sandbox._readable import interpreter
from grpo_core.rewards._sandbox._report import LAYERS, report_of
from sandbox_honest import HONEST

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are confined on Linux")

QUICK = Limits(wall_seconds=10, memory_mb=300, processes=32)
NAMESPACES = ("pid", "mount", "net", "ipc", "uts")
MODES = {
    "all": LAYERS,
    "user namespaces refused": tuple(n for n in LAYERS if n not in {"userns", "namespaces"}),
    "no cgroup": tuple(n for n in LAYERS if n != "cgroup"),
    "as little as is strong": ("landlock", "seccomp"),
}


@pytest.fixture(params=MODES.values(), ids=MODES)
def layers(request):
    return request.param


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_runs_in_the_fork_server_as_by_itself(name):
    program, stdin, stdout = HONEST[name]
    got = run_python(program, stdin=stdin, limits=QUICK)
    assert (got.status, got.code, got.stdout) == ("exited", 0, stdout), got.detail


def test_honest_programs_run_by_command_as_well():
    for program, stdin, stdout in HONEST.values():
        got = run(
            [interpreter(), "-s", "main.py"], files={"main.py": program}, stdin=stdin, limits=QUICK
        )
        assert (got.status, got.code, got.stdout) == ("exited", 0, stdout), program


def test_honest_programs_run_in_every_mode(layers):
    wrong = {}
    for name, (program, stdin, stdout) in HONEST.items():
        got = run_python(program, stdin=stdin, limits=QUICK, layers=layers)
        if (got.status, got.stdout) != ("exited", stdout):
            wrong[name] = got
    assert not wrong


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        (b"1 / 0", "exited", 1),
        (b"\nthis is no Python", "syntax_error", 2),
        (b"import sys; sys.exit(7)", "exited", 7),
        (b"raise SystemExit('text')", "exited", 1),
        (b"import os; os.abort()", "signalled", 6),
        (b"import os; os.kill(os.getpid(), 9)", "signalled", 9),
        (b"import os; os.kill(os.getpid(), 15)", "signalled", 15),
        (b"import ctypes; ctypes.string_at(0)", "signalled", 11),
        (b"import time; time.sleep(9)", "timeout", 9),
        (b"while True: pass", "timeout", None),
        (b"print('x' * 10**7)", "output_limit", None),
    ],
)
def test_an_end_is_told_apart(program, status, code, layers):
    limits = Limits(wall_seconds=0.4 if status == "timeout" else 10)
    got = run_python(program, limits=limits, layers=layers)
    assert got.status == status
    assert code is None or got.code == code


def test_cpu_time_is_limited_apart_from_wall_time():
    got = run_python(b"while True: pass", limits=Limits(wall_seconds=20, cpu_seconds=1))
    assert got.status == "timeout"
    assert got.wall_seconds < 15


def test_a_large_input_arrives_whole(layers):
    stdin = b"0123456789abcde\n" * 700_000
    got = run_python(b"print(len(open(0).read()))", stdin=stdin, limits=QUICK, layers=layers)
    assert got.stdout == b"11200000\n"


def test_files_are_put_and_collected(layers):
    got = run(
        ["sh", "-c", "./bin/tool > out; cat data >> out; ln -s /etc/passwd link; mkdir d; cat out"],
        files={"bin/tool": b"#!/bin/sh\necho ran\n", "data": b"\x00\xff"},
        executable=["bin/tool"], collect=["out", "link", "d", "absent"], layers=layers,
    )  # fmt: skip
    assert got.stdout == b"ran\n\x00\xff"
    assert got.files == {"out": b"ran\n\x00\xff"}


@pytest.mark.parametrize("name", ["", "/x", "../x", "a/../x", "a//b", ".", "a\0b"])
def test_a_name_that_leads_out_is_refused(name):
    with pytest.raises(ValueError, match="plain relative name"):
        run(["true"], files={name: b""})


def test_a_command_that_is_not_there_is_no_fault_of_a_program(layers):
    got = run(["no-such-command"], layers=layers)
    assert got.status == "infrastructure"
    assert "No such file" in got.detail


def test_every_layer_is_reported_or_missing():
    report = sandbox_report()
    assert sandbox_report() is report
    named = {layer.split()[0] for layer in report.layers}
    named |= {reason.partition(":")[0] for reason in report.missing}
    assert named >= {"pid", "mount", "net", "ipc", "uts", "cgroup_memory", "cgroup_pids", "seccomp"}
    assert report.level in {"strong", "full"}


@pytest.mark.parametrize(
    ("layers", "level"),
    [
        (("uid", *NAMESPACES, "cgroup_memory", "cgroup_pids", "landlock 6", "seccomp"), "full"),
        (("user", *NAMESPACES, "landlock 1", "seccomp"), "strong"),
        (("user", *NAMESPACES, "seccomp"), "strong"),
        (("landlock 3", "seccomp"), "strong"),
        (("landlock 2", "seccomp"), "weak"),
        (("uid", "landlock 7"), "weak"),
        ((), "weak"),
    ],
)  # fmt: skip
def test_a_level_follows_from_the_layers(layers, level):
    assert report_of(layers, []).level == level


def test_below_the_minimum_nothing_runs_unless_allowed():
    with pytest.raises(SandboxError, match="isolation is weak and must be strong"):
        run_python(b"print(1)", layers=())
    assert run_python(b"print(1)", layers=(), allow_weak=True).stdout == b"1\n"


def test_a_function_can_be_the_sandbox():
    def remote(request):
        return Outcome("exited", 0, stdout=repr(request.command).encode())

    assert b"main.py" in run_python(b"x", backend=remote).stdout
    assert run(["a"], backend=remote).stdout == b"('a',)"


def test_a_conversation_goes_back_and_forth(layers):
    program = b"import sys\nfor line in sys.stdin: print(int(line) * 2, flush=True)"
    with converse_python(program, limits=QUICK, layers=layers) as talk:
        for number in (1, 21):
            assert talk.send(b"%d\n" % number)
            assert talk.receive(timeout_seconds=10) == b"%d\n" % (2 * number)
        assert talk.receive(timeout_seconds=0.05) is None
        got = talk.close()
    assert (got.status, got.code) == ("exited", 0)


def test_a_conversation_ends_when_the_program_does():
    with converse(["sh", "-c", "read x; echo $x; exit 3"], limits=QUICK) as talk:
        assert talk.send(b"hello\n")
        assert talk.receive(timeout_seconds=10) == b"hello\n"
        assert talk.receive(timeout_seconds=10) == b""
        assert talk.close().code == 3
        assert talk.close() is talk.close()
        assert not talk.send(b"x")


def test_a_program_that_does_not_listen_is_given_up():
    with converse(["sleep", "60"], limits=QUICK) as talk:
        assert not talk.send(b"x" * (1 << 20), timeout_seconds=0.2)
        start = time.monotonic()
        assert talk.close(wait_seconds=0.1).status == "signalled"
        assert time.monotonic() - start < 5


def test_programs_run_at_the_same_time_from_many_threads():
    def one(i):
        return run_python(b"print(int(input()) + 1)", stdin=b"%d" % i, limits=QUICK).stdout

    with ThreadPoolExecutor(6) as executor:
        assert list(executor.map(one, range(60))) == [b"%d\n" % (i + 1) for i in range(60)]


def test_nothing_of_one_run_is_left_for_the_next(layers):
    plant = b"""
import builtins, math, os, random, sys
math.pi = 3; builtins.print = None; random.seed(1); os.environ["X"] = "1"
sys.modules["json"] = None; open("left", "w").write("x")
os.umask(0o777)
"""
    look = b"""
import json, math, os
print(math.pi > 3.1, "X" in os.environ, os.listdir(), oct(os.umask(0)))
"""
    run_python(plant, layers=layers)
    assert run_python(look, layers=layers).stdout == b"True False ['main.py'] 0o22\n"


def test_neither_input_nor_output_of_a_run_is_in_the_memory_of_the_next():
    run_python(b"print('NEEDLE' + input())", stdin=b"HAYSTACK", limits=QUICK)
    search = b"""
found = 0
needle = b"".join([b"NEEDLE", b"HAY"]), b"".join([b"HAY", b"STACK"])
for line in open("/proc/self/maps"):
    span, rights, *_ = line.split()
    if rights[:2] != "rw" or "[v" in line: continue
    low, high = (int(x, 16) for x in span.split("-"))
    with open("/proc/self/mem", "rb") as memory:
        memory.seek(low)
        try: data = memory.read(high - low)
        except OSError: continue
    found += sum(data.count(n) for n in needle[:1])
    del data
print(found)
"""
    got = run_python(search, limits=QUICK)
    assert got.status == "exited"
    assert int(got.stdout or b"9") <= 1  # the one that the search itself holds


def test_random_numbers_differ_between_runs():
    runs = {run_python(b"import random; print(random.random())").stdout for _ in range(3)}
    assert len(runs) == 3


def test_a_launcher_that_dies_is_replaced():
    run_python(b"print(1)")
    made = places()
    for waiting in pool._idle.values():
        for launcher in waiting:
            launcher._process.kill()
            launcher._process.wait()
            while launcher.alive():
                time.sleep(0.01)
    assert run_python(b"print(1)").stdout == b"1\n"
    pool.close()
    assert not [place for place in made if place.exists()]


def test_a_launcher_that_does_not_start_is_the_infrastructures_fault(monkeypatch):
    monkeypatch.setattr("grpo_core.rewards._sandbox._launcher.interpreter", lambda: "/bin/false")
    kind_of_its_own = (Path("/usr/share"),)
    got = run(["true"], readable=kind_of_its_own)
    assert got.status == "infrastructure"


def test_a_fork_of_the_trainer_leaves_its_launchers_alone():
    run_python(b"print(1)")
    child = os.fork()
    if child == 0:
        ok = run_python(b"print(2)").stdout == b"2\n"
        pool.close()
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert run_python(b"print(3)").stdout == b"3\n"


def places():
    """Groups and directories that launchers have made."""
    made = [Path(place) for launcher in pool._all for place in launcher._places]
    return [place for place in made if place.exists()]


def usage():
    return len(list(Path("/proc/self/fd").iterdir())), len(places())


def leaves_nothing(runs):
    daemon = b"import os, time\nif os.fork() == 0: os.setsid(); time.sleep(99)\nprint(os.getpid())"
    run_python(daemon)
    before, threads = usage(), threading.active_count()
    launchers = len(pool._all)
    for i in range(runs):
        if i % 50 == 0:
            assert run(["sh", "-c", "sleep 99 & echo x"]).stdout == b"x\n"
        assert run_python(daemon).status == "exited"
        if i == 0:
            before, launchers = usage(), len(pool._all)
    assert usage() == before
    assert threading.active_count() == threads
    assert len(pool._all) == launchers
    for launcher in filter(Launcher.alive, pool._all):
        inner = children(launcher._process.pid)
        assert len(inner) == 1
        assert children(inner[0]) == []
        status = Path(f"/proc/{inner[0]}/status").read_text().split()
        assert int(status[status.index("VmRSS:") + 1]) < 60_000


def children(pid):
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_runs_leave_no_process_descriptor_or_group():
    leaves_nothing(300)


@pytest.mark.slow
def test_ten_thousand_runs_leave_no_process_descriptor_or_group():
    leaves_nothing(10_000)


def test_closing_the_pool_ends_every_launcher():
    launcher = Launcher(Kind(LAYERS, (), ()))
    inner = children(launcher._process.pid)
    launcher.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in inner)


@pytest.mark.parametrize("name", ["bubblewrap", "gvisor"])
def test_a_backend_that_is_not_here_is_named(name, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SandboxError, match="not on PATH"):
        run(["true"], backend=name)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_bubblewrap_runs_programs():
    got = run_python(b"import os; print(input(), os.getcwd())", stdin=b"6", backend="bubblewrap")
    assert got.stdout == b"6 /box\n"
    assert run(["sh", "-c", "exit 3"], backend="bubblewrap").code == 3
    assert run(["sleep", "9"], backend="bubblewrap", limits=Limits(0.5)).status == "timeout"


@pytest.mark.skipif(shutil.which("runsc") is None, reason="gVisor is not installed")
def test_gvisor_runs_programs():
    assert run(["sh", "-c", "cat; pwd"], stdin=b"6\n", backend="gvisor").stdout == b"6\n/box\n"


def test_importing_starts_nothing_and_needs_no_linux():
    program = (
        "import sys, threading\nsys.platform = 'darwin'\n"
        "from grpo_core.rewards import _sandbox\n"
        "print(_sandbox.sandbox_report().level, threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "none 1\n", done.stderr
