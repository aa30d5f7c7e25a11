"""Processes that may hang, crash or be killed, and the one that outlives them."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from grpo_core._players import Home, NoHomeError


def loops(text):
    while text == "loop":
        time.sleep(0.01)
    return float(text or 1)


def ends(text):
    os.kill(os.getpid(), signal.SIGKILL)


def exits(text):
    os._exit(3)


def leaves(text):
    sys.exit(4)


def hashes(text):
    return float(hash(text) % 1_000_003)


def counts(text, seen=[]):  # noqa: B006 - what is tested
    seen.append(text)
    return float(len(seen))


def wastes(text):
    return float(len([b"x" * 10**6 for _ in range(10**6)]))


def alters(text):
    random.seed(0)
    os.environ["ALTERED"] = text
    sys.setrecursionlimit(4321)
    signal.signal(signal.SIGALRM, lambda *_: None)
    __builtins__["altered"] = 1
    return 1.0


def alters_libraries(text):
    import logging
    import socket
    import warnings

    import mpmath
    import numpy as np
    import torch

    np.random.seed(0)  # noqa: NPY002 - what is tested
    torch.manual_seed(0)
    if text == "seeds":
        return 1.0
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    np.seterr(divide="ignore", over="raise")
    mpmath.mp.dps = 51
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    socket.setdefaulttimeout(3.0)
    os.umask(0o137)
    return 1.0


KEPT = []


def keeps_files_open(text):
    KEPT.append(open(os.devnull))  # noqa: SIM115, PTH123 - what is tested
    return 1.0


def pays_the_thousandth(text):
    KEPT.append(text)
    return float(len(KEPT) % 1000 == 0)


def tells_the_clock(text):
    return float(time.mktime((2026, 1, 1, 0, 0, 0, 0, 1, 0)) % 86_400)


def starts_another(path):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    Path(path).write_text(str(child))
    while True:
        time.sleep(0.01)


@pytest.fixture
def home(request):
    home = Home(request.param)
    yield home
    home.close()


def of(*functions):
    return pytest.mark.parametrize("home", functions, indirect=True)


def ask(home, *texts, job="call", seconds=5.0, **options):
    return home.ask(job, *[(text,) for text in texts], seconds=seconds, **options)


@of(loops)
def test_a_call_that_does_not_end_is_killed_and_the_next_one_is_answered(home):
    began = time.monotonic()
    assert ask(home, "loop", seconds=0.5)[0] == "timeout"
    assert time.monotonic() - began < 5
    status, (kind, score, *_) = ask(home, "2")
    assert (status, kind, score) == ("done", "score", 2.0)


@of(ends)
def test_a_signal_ends_the_player_alone(home):
    for _ in range(2):
        assert ask(home, "a") == ("died", "the process was ended by signal 9")


@of(exits)
def test_an_exit_that_nothing_catches_is_told(home):
    assert ask(home, "a") == ("died", "exit(3)")


@of(leaves)
def test_an_exit_that_is_an_exception_is_one(home):
    assert ask(home, "a")[1][:3] == ("raised", None, "SystemExit: 4")


@of(counts)
def test_a_fresh_player_has_called_nothing_before(home):
    scores = [ask(home, "a", fresh=fresh)[1][1] for fresh in (False, False, True, False)]
    assert scores == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_call_that_takes_too_much_memory_is_killed():
    home = Home(wastes, memory_mb=300)
    assert ask(home, "a", seconds=60) == ("memory", "over 300 MB; the process was killed")
    home.close()


@of(alters)
def test_what_a_call_changes_is_told_each_time_and_undone(home):
    for _ in range(2):
        traces = ask(home, "a")[1][4]
        assert set(traces) == {
            "builtins.altered", "the environment", "the generator of random",
            "the handlers of signals", "the recursion limit",
        }  # fmt: skip


@of(alters_libraries)
def test_what_a_call_changes_in_libraries_is_told_each_time_and_undone(home):
    home.ask("modules", ("seeds",), seconds=60.0)
    home.preload(["torch", "numpy", "mpmath"])
    expected = {
        "the generator of numpy", "the generator of torch", "whether torch has gradients",
        "the default type of torch", "how numpy takes errors", "the precision of mpmath",
        "the filters of warnings", "the level of logging", "the timeout of sockets",
        "the mask of new files",
    }  # fmt: skip
    for fresh in (True, False, False):
        _, (*_, traces) = home.ask("call", ("all",), seconds=60.0, fresh=fresh)
        assert set(traces) == expected
    _, (*_, traces) = home.ask("call", ("seeds",), seconds=60.0)
    assert set(traces) == {"the generator of numpy", "the generator of torch"}


@of(keeps_files_open)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_what_grows_with_each_call_is_counted_and_ends_the_calls(home):
    _, (answers, times, grown) = home.ask("many_times", ("",), 1_100, 20.0, seconds=30.0)
    assert [(turn, plain[1]) for turn, plain in answers] == [(0, 1.0)]
    assert grown == {"open files": len(times)}
    assert 150 <= len(times) < 1_100


@of(pays_the_thousandth)
def test_an_answer_that_comes_late_is_told_with_its_turn(home):
    _, (answers, times, grown) = home.ask("many_times", ("",), 1_100, 20.0, seconds=30.0)
    assert [(turn, plain[1]) for turn, plain in answers] == [(0, 0.0), (999, 1.0)]
    assert (len(times), grown) == (1_100, {})


def test_the_variables_of_the_environment_are_those_which_were_asked_for():
    home = Home(tells_the_clock, environment={"TZ": "XXX-05:45"})
    try:
        _, (_, seconds, *_) = home.ask("call", ("",), seconds=10.0)
        assert seconds == 86_400 - (5 * 60 + 45) * 60
    finally:
        home.close()


@of(loops)
def test_a_call_that_changes_nothing_leaves_no_trace(home):
    assert ask(home, "1")[1][4] == ()


def test_the_seed_of_the_hashes_is_that_which_was_asked_for():
    scores = []
    for seed in (1, 1, 2):
        home = Home(hashes, seed)
        scores.append(ask(home, "a")[1][1])
        home.close()
    assert scores[0] == scores[1] != scores[2]


def test_what_cannot_be_pickled_is_refused_and_can_be_forked():
    def nested(text):
        return float(len(text))

    with pytest.raises(NoHomeError, match="cannot be pickled"):
        Home(nested)
    home = Home(nested, None)
    assert ask(home, "abc")[1][1] == 3.0
    home.close()


@of(starts_another)
def test_what_a_player_started_ends_with_it(home, tmp_path):
    path = tmp_path / "child"
    assert ask(home, str(path), seconds=1.0)[0] == "timeout"
    child = int(path.read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or ") Z " in state.read_text():
            return
        time.sleep(0.05)
    pytest.fail("it is still alive")
