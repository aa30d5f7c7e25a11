"""Worker processes: who may start them, what ends them, and what is left when their owner ends."""

import asyncio
import locale
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from grpo_core.rewards import math_equivalent, verify_math
from grpo_core.rewards._math import _judge
from grpo_core.rewards._worker import Worker
from grpo_core.rewards._worker_main import GRACE_SECONDS, Limits
from grpo_core.rewards._workers import Pool

INTEGRAL, VALUE = r"\int_0^1 \frac{dx}{1+x^2}", r"\frac{\pi}{4}"
# SymPy computes all of its digits, a hundred million, as soon as this is built.
ENDLESS = r"\int_0^1 \lfloor e^{e^{20}} x \rfloor + \lfloor e^{e^{20}} \rfloor \, dx"


def graded(_=None):
    return math_equivalent(INTEGRAL, VALUE).score


@pytest.fixture
def pool():
    pool = Pool(size=1)
    yield pool
    pool.close()


@pytest.fixture
def mathematician():
    """Pools of this process closed before and after, so that a test sees workers of its own."""
    _judge._POOL.close()
    yield _judge._POOL
    _judge._POOL.close()


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids, within=5.0):
    end = time.monotonic() + within
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(is_running, pids))


def descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone, and no Path kept open


# What a worker answers.


def test_a_worker_returns_what_a_function_returns_and_says_what_it_raises(pool):
    assert pool.ask("math", "isqrt", 50, seconds=5)[:2] == ("answered", 7)
    failed = pool.ask("math", "isqrt", -1, seconds=5)
    assert failed[:2] == ("failed", "ValueError: isqrt() argument must be nonnegative")
    assert pool.ask("builtins", "memoryview", b"", seconds=5).status == "failed"  # not picklable
    assert pool.ask("math", "isqrt", 50, seconds=5)[:2] == ("answered", 7)


def test_large_requests_and_answers_pass(pool):
    data = os.urandom(5_000_000)
    assert pool.ask("builtins", "bytes", data, seconds=20).value == data


def test_what_prints_disturbs_no_answer_and_is_not_seen(pool, capfd):
    assert pool.ask("builtins", "print", "noise", seconds=5)[:2] == ("answered", None)
    for stream in (1, 2):
        assert pool.ask("os", "write", stream, b"noise", seconds=5)[:2] == ("answered", 5)
    assert pool.ask("math", "isqrt", 50, seconds=5).value == 7
    pool.close()
    assert capfd.readouterr() == ("", "")


def test_a_worker_has_the_path_of_its_caller_and_no_switch_of_its_environment(
    pool, tmp_path, monkeypatch
):
    (tmp_path / "planted_module.py").write_text("def answer(): return 42")
    (tmp_path / "json.py").write_text("raise SystemExit")  # must not shadow the library's
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert pool.ask("planted_module", "answer", seconds=5).value == 42
    assert pool.ask("os", "getenv", "PYTHONPATH", seconds=5).value is None
    assert pool.ask("json", "loads", "1", seconds=5).value == 1


def test_every_worker_orders_sets_alike(pool):
    first = pool.ask("builtins", "hash", "text", seconds=5).value
    pool.close()
    assert pool.ask("builtins", "hash", "text", seconds=5).value == first


# What ends one.


def test_a_deadline_ends_one_long_operation_in_c_and_the_next_request_has_a_new_worker(pool):
    (pid,) = [pool.ask("os", "getpid", seconds=5).value]
    begin = time.monotonic()
    outcome = pool.ask("builtins", "pow", 7, 10**9, seconds=0.3)
    assert outcome.status == "timeout"
    assert 0.3 <= time.monotonic() - begin < 0.3 + GRACE_SECONDS
    assert gone([pid])
    assert pool.ask("os", "getpid", seconds=5).value not in {pid, None}


def test_a_killed_worker_is_an_answer_and_is_replaced(pool):
    pid = pool.ask("os", "getpid", seconds=5).value
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    assert pool.ask("time", "sleep", 20, seconds=20).status == "too_large"
    assert pool.ask("os", "getpid", seconds=5).value != pid


def test_a_worker_that_died_while_idle_costs_no_request(pool):
    pid = pool.ask("os", "getpid", seconds=5).value
    os.kill(pid, signal.SIGKILL)
    assert gone([pid])
    assert pool.ask("math", "isqrt", 50, seconds=5)[:2] == ("answered", 7)


def test_a_crash_is_an_answer(pool):
    assert pool.ask("os", "abort", seconds=5).status == "too_large"
    assert pool.ask("os", "_exit", 0, seconds=5).status == "too_large"


def test_an_interrupt_from_the_terminal_is_for_the_caller(pool):
    pid = pool.ask("os", "getpid", seconds=5).value
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    assert pool.ask("os", "getpid", seconds=5).value == pid


def test_memory_is_bounded(pool):
    before = pool.ask("os", "getpid", seconds=5).value
    assert pool.ask("builtins", "bytes", 2_000_000_000, seconds=20).status == "too_large"
    assert pool.ask("os", "getpid", seconds=5).value != before
    assert pool.ask("operator", "length_hint", b"", seconds=5).status == "answered"


def test_an_alarm_ends_a_worker_that_its_parent_does_not():
    worker = Worker((), Limits())
    worker.make_ready()
    # The clock that the worker is told is shorter than the one that its parent keeps.
    request = ("builtins", "pow", (7, 10**9), 0.2)
    begin = time.monotonic()
    reply = worker._exchange(pickle.dumps(request), 20.0)
    assert (reply.status, reply.last) == ("timeout", True)
    assert time.monotonic() - begin < 5
    assert worker.process.returncode == -signal.SIGALRM
    worker.end()


def test_a_worker_is_replaced_after_so_many_requests():
    pool = Pool(size=1, limits=Limits(requests=3))
    pids = [pool.ask("os", "getpid", seconds=5).value for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]
    assert gone(dict.fromkeys(pids[:6]))
    pool.close()


def test_a_worker_that_has_grown_is_replaced():
    pool = Pool(size=1, limits=Limits(resident=1))
    pids = [pool.ask("os", "getpid", seconds=5).value for _ in range(2)]
    assert pids[0] != pids[1]
    pool.close()


def test_limits_are_those_that_are_documented():
    assert Limits() == (1_000_000_000, 400_000_000, 2_000)


# Who waits, and for how long.


def test_time_in_the_queue_is_not_the_answers_time(pool):
    pool.ask("os", "getpid", seconds=5)
    with ThreadPoolExecutor(5) as threads:
        outcomes = list(
            threads.map(lambda _: pool.ask("time", "sleep", 0.4, seconds=0.9), range(5))
        )
    assert [outcome.status for outcome in outcomes] == ["answered"] * 5
    assert max(outcome.waited for outcome in outcomes) > 1.0
    assert len(pool._workers) == 1


def test_time_to_start_is_not_the_answers_time():
    pool = Pool(("sympy",), size=1)
    outcome = pool.ask("os", "getpid", seconds=0.1)
    assert outcome.status == "answered"
    assert outcome.waited > 0.1
    pool.close()


def test_there_are_no_more_workers_than_allowed():
    pool = Pool(size=2)
    with ThreadPoolExecutor(8) as threads:
        pids = set(threads.map(lambda _: pool.ask("os", "getpid", seconds=5).value, range(40)))
    assert len(pids) == 2
    pool.close()


def test_what_cannot_start_is_said_and_not_tried_again_at_once():
    pool = Pool(("no_such_module",))
    outcome = pool.ask("os", "getpid", seconds=5)
    assert outcome[:2] == (
        "no_worker",
        "failed: ModuleNotFoundError: No module named 'no_such_module'",
    )
    again = pool.ask("os", "getpid", seconds=5)
    assert again[:2] == ("no_worker", "the last start failed")
    assert not pool._workers


# Verdicts.


def test_eight_threads_at_once_get_verdicts(mathematician):
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(graded, range(24))) == [1.0] * 24
    assert 1 <= len(mathematician._workers) <= 4


def test_threads_of_an_event_loop_and_the_loop_itself_get_verdicts():
    async def main():
        scores = await asyncio.gather(*(asyncio.to_thread(graded) for _ in range(4)))
        return [graded(), *scores]

    assert asyncio.run(main()) == [1.0] * 5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_worker_processes_of_an_executor_get_verdicts(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(_score, [(INTEGRAL, VALUE)] * 4)) == [1.0] * 4


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_daemonic_processes_get_verdicts():
    with multiprocessing.get_context("fork").Pool(2) as processes:
        assert processes.map(graded, range(4)) == [1.0] * 4


def test_a_forked_child_has_workers_of_its_own_and_leaves_its_parents_alone(mathematician):
    assert graded() == 1.0
    parents = {worker.process.pid for worker in mathematician._workers}
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            alone = not mathematician._workers and not mathematician._idle
            right = graded() == 1.0
            own = {worker.process.pid for worker in mathematician._workers}
            os.write(sending, b"1" if alone and right and own and not own & parents else b"0")
            mathematician.close()
        finally:
            os._exit(0)
    os.close(sending)
    assert os.read(receiving, 1) == b"1"
    os.close(receiving)
    os.waitpid(child, 0)
    assert graded() == 1.0
    assert {worker.process.pid for worker in mathematician._workers} == parents


def test_a_forked_child_keeps_no_worker_of_its_parent_alive(mathematician):
    script = f"""
import os, time
from grpo_core.rewards import math_equivalent
from grpo_core.rewards._math._judge import _POOL
math_equivalent({INTEGRAL!r}, {VALUE!r})
(worker,) = _POOL._workers
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
print(worker.process.pid, child, flush=True)
time.sleep(30)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker, child = map(int, parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert is_running(child)
    assert gone([worker], within=1.0)
    os.kill(child, signal.SIGKILL)


# What stays behind.

OWNER = f"""
import sys, threading, time
from grpo_core.rewards import math_equivalent
from grpo_core.rewards._math._judge import _POOL
def ask(_=None): return math_equivalent({INTEGRAL!r}, {VALUE!r}).score
threads = [threading.Thread(target=ask) for _ in range(2)]
[t.start() for t in threads], [t.join() for t in threads]
assert ask() == 1.0
if "busy" in sys.argv:
    threading.Thread(target=_POOL.ask, args=("builtins", "pow", 7, 10**9),
                     kwargs=dict(seconds=1.5), daemon=True).start()
    time.sleep(0.3)
print(*(w.process.pid for w in _POOL._workers), flush=True)
if "exit" not in sys.argv: time.sleep(60)
"""


@pytest.mark.parametrize("busy", ["idle", "busy"])
@pytest.mark.parametrize("end", ["exit", "SIGTERM", "SIGINT", "SIGKILL"])
def test_nothing_runs_on_after_its_owner(busy, end):
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", OWNER, busy, end]
    owner = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert pids
    if end != "exit":
        assert all(map(is_running, pids))
        owner.send_signal(getattr(signal, end))
    errors = owner.communicate(timeout=30)[1]
    assert end == "SIGINT" or not errors
    # A worker that no longer listens is ended by its own alarm.
    assert gone(pids, within=5.0)


def test_two_hundred_verdicts_leak_no_descriptor_and_none_is_inherited(mathematician):
    sums = r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"
    math_equivalent(*sums)
    mathematician.close()
    before = descriptors()
    for count in range(200):
        assert math_equivalent(*sums).score == 1.0
        if count % 50 == 49:
            mathematician.close()
    assert descriptors() == before
    graded()
    script = "import os; print(*(os.readlink(f'/proc/self/fd/{f}') for f in range(3, 256)"
    script += " if os.path.exists(f'/proc/self/fd/{f}')))"
    shown = subprocess.run(
        [sys.executable, "-c", script], close_fds=False, capture_output=True, text=True, check=True
    )
    assert "socket" not in shown.stdout


def state_of_the_process():
    return (
        [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        [signal.getitimer(which) for which in (0, 1, 2)],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        sys.getrecursionlimit(),
        sys.get_int_max_str_digits(),
        locale.setlocale(locale.LC_ALL),
        random.getstate(),
        dict(os.environ),
        list(sys.path),
        Path.cwd(),
    )


def test_the_callers_process_is_left_as_it_was(mathematician):
    before = state_of_the_process()
    assert graded() == 1.0
    assert math_equivalent(ENDLESS, "1", timeout_seconds=0.5).score == 0.0
    mathematician.close()
    assert state_of_the_process() == before


def test_sympy_stays_out_of_the_callers_process():
    script = f"""
import sys
from grpo_core.rewards import math_equivalent
assert math_equivalent({INTEGRAL!r}, {VALUE!r}).score == 1.0
assert not {{"sympy", "numpy", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_a_verdict_ends_at_its_deadline(mathematician):
    graded()
    begin = time.monotonic()
    verdict = verify_math(f"\\boxed{{{ENDLESS}}}", "1", timeout_seconds=0.6)
    assert (verdict.score, verdict.reason) == (0.0, "timeout")
    assert 0.5 <= time.monotonic() - begin < 1.6
    assert graded() == 1.0


def test_without_a_worker_there_is_no_score(mathematician, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    verdict = math_equivalent(INTEGRAL, VALUE)
    assert (verdict.score, verdict.reason) == (None, "undecided")
    assert verdict.detail["rule"] == "no_worker"
    assert math_equivalent(r"x+\sqrt{2}", r"\sqrt{2}+x").score == 1.0


def _score(pair):
    return math_equivalent(*pair).score
