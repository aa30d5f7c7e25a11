"""`grpo-core check`: the report as a table, and the status that it leaves with."""

import json

import pytest
from typer.testing import CliRunner

from grpo_core.cli._app import app

MODULE = """
def right(completion):
    from grpo_core.rewards import verify_format
    return verify_format(completion, kind="math")

def wrong(completion):
    return float("<think>" in completion)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "graders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def call(*arguments):
    return CliRunner().invoke(app, ["check", *arguments])


def test_findings_are_told_with_their_cases_and_leave_with_status_1():
    done = call("graders:wrong", "--kind", "format", "--seconds", "5")
    assert done.exit_code == 1
    assert "rejects_wrong" in done.output and "from graders import wrong" in done.output


def test_a_verifier_without_a_fault_leaves_with_status_0():
    done = call("graders:right", "--kind", "format", "--seconds", "8", "--json")
    assert done.exit_code == 0, done.output
    assert not any(result["failures"] for result in json.loads(done.output)["results"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["graders"], "needs MODULE:FUNCTION, got graders"),
        (["graders:missing"], "graders:missing: module 'graders' has no attribute 'missing'"),
        (["missing:right"], "missing:right: No module named 'missing'"),
        (["graders:__name__"], "graders:__name__ is no function"),
        (["graders:right", "--low", "2"], "bounds must be two finite numbers"),
    ],
)
def test_wrong_use_leaves_with_status_2(arguments, message):
    done = call(*arguments)
    assert done.exit_code == 2
    assert message in done.output
