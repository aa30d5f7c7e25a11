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
