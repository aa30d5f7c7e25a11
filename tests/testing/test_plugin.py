"""The pytest plugin, in a pytest of its own."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# Installed, the plugin is loaded by itself, and pytest refuses it a second time.
PLUGIN = "grpo_core._plugin"
NAMED = [] if any(e.value == PLUGIN for e in entry_points(group="pytest11")) else ["-p", PLUGIN]
SRC = Path(__file__).resolve().parents[2] / "src"
INHERITED = [*filter(None, [os.environ.get("PYTHONPATH")])]
MODULE = """
import pytest


@pytest.mark.verifier(kind="format", seconds=5.0)
def lazy(completion):
    return float("<think>" in completion)


def test_something_else():
    pass
"""
WITHOUT_HYPOTHESIS = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "test_it.py").write_text(MODULE)

    def run(*arguments):
        return subprocess.run(
            [
                sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                *NAMED, *arguments,
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
            env=os.environ | {
                "PYTHONPATH": os.pathsep.join([str(SRC), str(tmp_path), *INHERITED]),
                "PYTEST_ADDOPTS": "",
            },
        )  # fmt: skip

    return run


def test_a_marked_function_is_collected_and_fails_with_its_report(run):
    done = run()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "rejects_wrong: " in done.stdout and "def test_rejects_wrong():" in done.stdout
    assert "_checks_run.py" not in done.stdout


def test_a_function_that_is_named_is_an_item(run):
    done = run("--verifier=test_it:lazy", "--verifier-kind=format", "--collect-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::test_it:lazy" in done.stdout


@pytest.mark.parametrize("where", ["test_it", "test_it:missing", "missing:x", ":"])
def test_a_name_of_nothing_is_wrong_use(run, where):
    done = run(f"--verifier={where}")
    assert done.returncode == 4
    assert f"--verifier={where}:" in done.stdout + done.stderr


def test_the_plugin_imports_pytest_alone():
    code = (
        "import sys, pytest; before = set(sys.modules); import grpo_core._plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(SRC)},
    )  # fmt: skip
    assert done.stdout.strip() == "['grpo_core']"


def test_without_hypothesis_other_tests_run_and_a_verifier_says_what_it_needs(run, tmp_path):
    (tmp_path / "no_hypothesis.py").write_text(WITHOUT_HYPOTHESIS)
    done = run("-p", "no_hypothesis", "-p", "no:hypothesispytest")
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "needs hypothesis: pip install 'grpo_core[testing]'" in done.stdout


def test_the_hook_that_checks_shapes_still_comes_first(run):
    done = run(
        "--jaxtyping-packages=grpo_core.losses,grpo_core._tensors,beartype.beartype",
        "-k", "something",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
