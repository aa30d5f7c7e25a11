"""Programs made to game or harm the grader: none is right, none reaches out, none leaves a trace.

The programs lie in `code_hostile/`, with what each attempts. They are graded in a process of their
own, which `code_corpus.py` watches: as the user who runs the tests, as an ordinary user, and with
namespaces refused, as most containers refuse them.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from code_corpus import programs
from grpo_core.rewards import sandbox_report
from grpo_core.rewards._sandbox import run_python
from honeypot import World

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = programs("code_hostile")
CLASSES = sorted({row["class"] for row in PROGRAMS.values()})
CORE = [name for name, row in PROGRAMS.items() if row.get("core")]
NOBODY = 65_534
# Whether as another user, and whether namespaces are refused.
MODES = {
    "own_user": (False, False),
    "ordinary_user": (True, False),
    "no_namespaces": (False, True),
    "ordinary_user_no_namespaces": (True, True),
}
WEAKER = [mode for mode in MODES if mode != "own_user"]
REASONS = {
    "wrong_answer", "runtime_error", "timeout", "memory", "output_limit", "compile_error",
    "no_code", "forbidden",
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    sandbox_report().level not in ("strong", "full"), reason="no sandbox on this machine"
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The package and the programs where any user can read them."""
    top = Path("/tmp") / f"grpo_core_{tmp_path_factory.getbasetemp().name}_{os.getpid()}"  # noqa: S108
    shutil.copytree(ROOT / "src/grpo_core/rewards", top / "grpo_core/rewards")
    shutil.copy(ROOT / "src/grpo_core/__init__.py", top / "grpo_core")
    shutil.copytree(ROOT / "tests/rewards/code_hostile", top / "rewards/code_hostile")
    for name in ("code_corpus.py", "honeypot.py"):
        shutil.copy(ROOT / "tests" / name, top)
    subprocess.run(["chmod", "-R", "a+rX", top], check=True)
    (top / "home").mkdir()
    (top / "home").chmod(0o777)
    yield top
    shutil.rmtree(top)


def interpreter(copied, ids):
    """A Python that this user can start, as it may not be the one that runs the tests."""
    for path in dict.fromkeys([sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]):
        with contextlib.suppress(OSError):
            tried = [path, "-c", "import code_corpus"]
            done = subprocess.run(
                tried, cwd=copied, env=environment(copied), capture_output=True, check=False, **ids
            )
            if done.returncode == 0:
                return path
    return pytest.skip("no Python that an ordinary user can start")


def environment(copied):
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return kept | {"PYTHONPATH": str(copied), "HOME": str(copied / "home")}


def complaints(copied, mode, names):
    """What was wrong with how `names` were graded."""
    other_user, no_namespaces = MODES[mode]
    ids = {}
    if other_user:
        if os.getuid():
            pytest.skip("only root can become another user")
        ids = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    command = [interpreter(copied, ids), str(copied / "code_corpus.py")]
    command += ["--no-namespaces"] * no_namespaces + names
    done = subprocess.run(
        command, cwd=copied, env=environment(copied), capture_output=True, text=True,
        timeout=60 + 12 * len(names), start_new_session=True, check=False, **ids,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = []
    for line in lines:
        allowed = PROGRAMS.get(line["id"], {}).get("expected")
        found += [f"{line['id']}: {harm}" for harm in line.get("harm", ())]
        for reason, score in zip(line.get("reasons", ()), line.get("scores", ()), strict=True):
            if reason not in allowed or score != 0.0:
                found.append(f"{line['id']}: {reason}, score {score}, {line['details']}")
    graded = {line["id"] for line in lines if "reasons" in line}
    missing = [name for name in names if name not in graded]
    if missing or done.returncode:
        found.append(f"ended with {done.returncode} before {missing}: {done.stderr[-2000:]}")
    return found


@pytest.mark.parametrize("group", CLASSES)
def test_a_hostile_program_gains_nothing_and_harms_nothing(copied, group):
    names = [
        name for name, row in PROGRAMS.items() if row["class"] == group and not row.get("slow")
    ]
    assert complaints(copied, "own_user", names) == []


@pytest.mark.parametrize("mode", WEAKER)
def test_nor_does_it_where_the_machine_gives_less(copied, mode):
    # Without a mount of its own, ten thousand directories go one by one, after the verdict: that
    # takes a disk half a minute, and stands with the slow tests.
    slowly = [name for name in CORE if PROGRAMS[name].get("gone_after_seconds")]
    names = [name for name in CORE if not (MODES[mode][1] and name in slowly)]
    assert complaints(copied, mode, names) == []


@pytest.mark.slow
@pytest.mark.parametrize("group", CLASSES)
@pytest.mark.parametrize("mode", MODES)
def test_nor_does_any_program_in_any_mode(copied, mode, group):
    names = [name for name, row in PROGRAMS.items() if row["class"] == group]
    assert complaints(copied, mode, names) == []


# These only look. What they print is what `verify_code` would take for the right answer.
READERS = [name for name, row in PROGRAMS.items() if row.get("looks")]


@pytest.mark.parametrize("name", READERS)
def test_a_program_that_only_looks_finds_the_answer_where_nothing_isolates(name, world):
    token = "token_found"
    stdin = "".join(f"{key} {value}\n" for key, value in world.facts(token).items())
    outcome = run_python(
        PROGRAMS[name]["source"].encode(), stdin=stdin.encode(), layers=(), minimum="none",
        allow_weak=True,
    )  # fmt: skip
    expected = {"secret": world.secret, "token": token}[PROGRAMS[name]["task"]]
    assert outcome.stdout.decode().strip().endswith(expected), outcome
    world.harm()


@pytest.fixture(scope="module")
def world():
    if os.getuid():
        pytest.skip("an ordinary user may not look at much anyway")
    made = World()
    yield made
    made.close()


def test_the_programs_are_many_and_described():
    assert len(PROGRAMS) >= 130
    for row in PROGRAMS.values():
        assert row["expected"] and set(row["expected"]) <= REASONS, row["id"]
        assert row["attempts"] and row["bounded_seconds"] <= 4, row["id"]
        assert row["kind"] in {"stdin", "call", "assert"}, row["id"]
        assert row["task"] in {"secret", "token", "small", "state"}, row["id"]
    files = {path.name for path in (Path(__file__).parent / "code_hostile").iterdir()}
    assert files == {row["file"] for row in PROGRAMS.values()} | {"manifest.jsonl"}
