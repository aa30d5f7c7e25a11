"""The command line: what it prints, what it writes, and the status that it leaves with."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from grpo_core.cli import _doctor, _progress
from grpo_core.cli._app import app

ROWS = [
    {"problem": "1/2 + 1/2", "completion": r"<think>a</think>\boxed{1}", "reference": "1"},
    {"problem": "1/2 + 1/2", "completion": r"<think>a</think>\boxed{2}", "reference": "1"},
    {"problem": "1/2 + 1/2", "completion": r"<think>a</think>\boxed{1", "reference": "1"},
]


def call(*arguments, text=None):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(path, rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def command(*arguments):
    return [sys.executable, "-W", "error", "-m", "grpo_core.cli", *map(str, arguments)]


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def loaded_by(*arguments):
    code = (
        "import sys; sys.argv[1:] = " + repr([*map(str, arguments)]) + "\n"
        "from grpo_core.cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.fixture
def rows(tmp_path):
    return write(tmp_path / "in.jsonl", ROWS)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.jsonl"


# ---- starting


def test_help_and_scoring_load_no_torch(rows, output):
    assert "torch" not in loaded_by("--help")
    assert "torch" not in loaded_by("score", rows, "-o", output, "--workers", 1)
    assert len(read(output)) == 3


def test_without_the_extra_it_is_one_line_that_names_it_and_status_2():
    code = (
        "import sys; sys.modules['typer'] = None\nfrom grpo_core.cli.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "grpo-core: needs typer: pip install 'grpo_core[cli]'\n"


@pytest.mark.parametrize(
    "arguments", [["score"], ["score", "nowhere.jsonl", "-o", "x"], ["nonsense"], ["explain", "-"]]
)
def test_wrong_use_is_status_2(arguments):
    assert call(*arguments).exit_code == 2


# ---- score


def test_a_row_gets_its_parts_its_reasons_and_a_line(rows, output):
    done = call("score", rows, "-o", output, "--workers", 1)
    assert done.exit_code == 0
    right, wrong, broken = read(output)
    assert (right["line"], right["total"], right["format"], right["correctness"]) == (
        1,
        1.0,
        0.1,
        0.9,
    )
    assert right["reasons"] == {"format": "correct", "correctness": "correct"}
    assert (wrong["total"], wrong["reason"]) == (0.1, "different")
    assert (broken["total"], broken["reason"]) == (0.0, "unbalanced_box")
    assert broken["reasons"] == {"format": "unbalanced_box"}
    assert "3 of 3 rows scored: 33.3% right, 66.7% in form, mean reward 0.367" in done.stdout


def test_a_bad_row_is_reported_with_its_line_and_set_aside(tmp_path, output):
    bad = ["no json", "[1]", "", {"completion": "x"}, {"completion": 3, "answer": "1"}]
    unread = {"completion": r"<think>a</think>\boxed{1}", "answer": r"\frac{1}{"}
    file = write(tmp_path / "in.jsonl", [{**ROWS[0], "answer": "1"}, *bad, unread, ROWS[1]])
    done = call("score", file, "-o", output, "--workers", 1, "--reference-column", "answer")
    assert done.exit_code == 1
    found = read(output)
    assert [record["line"] for record in found] == [1, 2, 3, 5, 6, 7, 8]  # 4 is blank
    assert [record["total"] for record in found] == [1.0, *[None] * 6]
    reasons = [record["reason"] for record in found[1:]]
    assert reasons == [*["invalid_row"] * 4, "invalid_reference", "invalid_row"]
    for text in (":2: invalid_row: no JSON", ":3: invalid_row: must be an object, got list"):
        assert f"{file}{text}" in done.stderr
    assert "6 rows were set aside" in done.stderr
    assert "1 of 7 rows scored" in done.stdout


def test_any_line_breaks_one_row_only(tmp_path, output):
    file = tmp_path / "in.jsonl"
    hostile = [b"\xff\xfe", b'{"completion": "\\ud800", "reference": "1"}', b"[" * 100_000]
    hostile += [b'{"completion": "' + b"\\u0000" * 9 + b'", "reference": "1"}', b"1" * 5000]
    good = json.dumps(ROWS[0]).encode()
    file.write_bytes(b"\n".join([good, *hostile, good]) + b"\n")
    assert call("score", file, "-o", output, "--workers", 1).exit_code == 1
    found = read(output)
    assert [record["line"] for record in found] == [1, 2, 3, 4, 5, 6, 7]
    assert found[0]["total"] == found[-1]["total"] == 1.0
    assert found[2]["reason"] == "no_opening_tag"


def test_columns_go_by_name_and_messages_are_texts(tmp_path, output):
    said = [{"role": "assistant", "content": r"<think>a</think>\boxed{7}"}]
    file = write(
        tmp_path / "in.jsonl", [{"prompt": "3 + 4", "response": said, "gold": 7, "g": "x"}]
    )
    assert call("score", file, "-o", output, "--group-column", "g").exit_code == 0
    assert read(output)[0]["group"] == "x"
    assert read(output)[0]["total"] == 1.0
    done = call("score", file, "-o", tmp_path / "2", "--reference-column", "label")
    assert done.exit_code == 2
    assert "no column 'label'; there are prompt, response, gold, g" in done.stderr


def test_auto_is_code_where_a_row_has_tests(tmp_path, output):
    program = {"completion": "<think>a</think>print(1)", "tests": [{"stdin": "", "stdout": "1"}]}
    file = write(tmp_path / "in.jsonl", [ROWS[0], program])
    assert call("score", file, "-o", output, "--workers", 1).exit_code == 0
    assert [record["kind"] for record in read(output)] == ["math", "code"]
    assert read(output)[1]["reason"] == "no_fence"


def test_gzip_is_read_whatever_its_name(tmp_path, output):
    file = tmp_path / "in.data"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    assert call("score", file, "-o", output, "--workers", 1).exit_code == 0
    assert len(read(output)) == 3
    file.write_bytes(file.read_bytes()[:-9])
    done = call("score", file, "-o", output, "--overwrite", "--workers", 1)
    assert done.exit_code == 2
    assert "in.data" in done.stderr


def test_parquet_and_a_folder_of_datasets_are_read(tmp_path, output):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "in.parquet")
    saved = tmp_path / "saved"  # as `Dataset.save_to_disk` writes it
    saved.mkdir()
    with pa.ipc.new_stream(str(saved / "data.arrow"), table.schema) as stream:
        stream.write_table(table)
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    expected = [1.0, 0.1, 0.0]
    for source in (tmp_path / "in.parquet", saved):
        assert call("score", source, "-o", output, "--overwrite", "--workers", 1).exit_code == 0
        assert [record["total"] for record in read(output)] == expected
    (tmp_path / "empty").mkdir()
    assert call("score", tmp_path / "empty", "-o", output, "--overwrite").exit_code == 2


def test_a_folder_that_datasets_saved_itself(tmp_path, output):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    assert call("score", tmp_path / "saved", "-o", output, "--workers", 1).exit_code == 0
    assert [record["total"] for record in read(output)] == [1.0, 0.1, 0.0]


def test_a_picture_is_drawn(tmp_path, output):
    pytest.importorskip("matplotlib")
    file = write(tmp_path / "in.jsonl", [{**row, "group": n % 2} for n, row in enumerate(ROWS)])
    picture = tmp_path / "plot.png"
    assert call("score", file, "-o", output, "--plot", picture, "--workers", 1).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = call("score", file, "-o", output, "--plot", tmp_path / "no" / "plot.png")
    assert done.exit_code == 2


def test_the_input_is_never_written_over(rows):
    before = rows.read_bytes()
    done = call("score", rows, "-o", rows, "--overwrite")
    assert (done.exit_code, rows.read_bytes()) == (2, before)


def test_a_terminal_sees_a_bar_with_its_rate_and_the_time_left(rows, monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr(_progress, "Console", lambda **_: console)
    with _progress.bar(rows) as advance:
        for before in (True, False, False):
            advance(before)
    for text in ("3/3", "rows/s", "left"):
        assert text in shown.getvalue()


# ---- going on


def test_a_second_run_scores_nothing_twice(rows, output):
    call("score", rows, "-o", output, "--workers", 1)
    first, changed = output.read_bytes(), output.stat().st_mtime_ns
    done = call("score", rows, "-o", output, "--workers", 1)
    assert "3 of 3 rows scored" in done.stdout
    assert (output.read_bytes(), output.stat().st_mtime_ns) == (first, changed)


@pytest.mark.parametrize("tail", ["", '{"li', '{"line": 3, "id": "x"', "\0" * 9, '{"a": 1}'])
def test_a_torn_last_line_is_repaired(rows, output, tail):
    call("score", rows, "-o", output, "--workers", 1)
    whole = output.read_text()
    output.write_text("".join(whole.splitlines(keepends=True)[:2]) + tail)
    assert call("score", rows, "-o", output, "--workers", 1).exit_code == 0
    assert output.read_text() == whole


def test_the_output_of_another_run_is_left_alone(rows, output, tmp_path):
    call("score", rows, "-o", output, "--workers", 1)
    before = output.read_bytes()
    other = write(tmp_path / "other.jsonl", ROWS[1:])
    for arguments in ([other], [rows, "--kind", "math"]):
        done = call("score", *arguments, "-o", output)
        assert done.exit_code == 2
        assert "give --overwrite" in done.stderr
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes\nand more\n")
    assert call("score", rows, "-o", notes).exit_code == 2
    assert (output.read_bytes(), notes.read_text()) == (before, "my notes\nand more\n")
    assert call("score", other, "-o", output, "--overwrite", "--workers", 1).exit_code == 0
    assert len(read(output)) == 2


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on_where_it_stopped(tmp_path, output, by):
    # Slow enough to be caught half way: every third row is a hard comparison.
    slow = {
        "completion": r"<think>a</think>\boxed{\sqrt{2}+\sqrt{3}}",
        "reference": r"\sqrt{5+2\sqrt{6}}",
    }
    rows = [{**(slow if n % 3 else ROWS[0]), "problem": str(n)} for n in range(2000)]
    file = write(tmp_path / "in.jsonl", rows)
    score = command("score", file, "-o", output, "--workers", 1)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(score, **quiet, start_new_session=True) as running:
        while not output.exists() or output.stat().st_size < 20_000:
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.01)
        os.killpg(running.pid, by) if by == signal.SIGINT else running.send_signal(by)
        _, errors = running.communicate(timeout=30)
    before = output.read_bytes()
    assert before.count(b"\n") < 2000
    deadline = time.monotonic() + 20
    while is_alive(running.pid):  # its workers end too
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if by == signal.SIGINT:
        assert running.returncode == 130
        assert "the same command goes on" in errors
    done = subprocess.run(score, **quiet, check=True)
    assert output.read_bytes().startswith(before[: before.rindex(b"\n")])
    assert [record["line"] for record in read(output)] == list(range(1, 2001))
    assert "2,000 of 2,000 rows scored: 100.0% right" in done.stdout


# ---- explain


def test_explain_says_what_was_found_how_it_was_read_and_what_decided():
    done = call("explain", "-", "--reference", r"\frac12", text=r"<think>a</think>\boxed{0.50}")
    assert done.exit_code == 0
    for text in ("reward 1", "found", "0.50", "1/2", "decided by", "number"):
        assert text in done.stdout


def test_explain_in_json_is_the_verdicts(rows):
    done = call("explain", rows, "--line", 2, "--json")
    explained = json.loads(done.stdout)
    assert (done.exit_code, explained["total"]) == (1, 0.1)
    assert explained["verdicts"]["correctness"]["reason"] == "different"
    assert explained["verdicts"]["correctness"]["detail"]["extracted"] == "2"


def test_explain_looks_at_the_answer_apart_where_the_format_failed():
    done = call("explain", "-", "--reference", "7", "--json", text=r"it is \boxed{7}")
    explained = json.loads(done.stdout)
    assert (done.exit_code, explained["total"]) == (1, 0.0)
    assert explained["verdicts"]["format"]["reason"] == "no_opening_tag"
    assert explained["not_counted"]["correctness"]["reason"] == "correct"


def test_explain_shows_a_hostile_text_without_obeying_it(tmp_path):
    file = tmp_path / "answer.txt"
    file.write_text("<think>a</think>\\boxed{[bold]\x1b[2J[/nonsense]7}")
    done = call("explain", file, "--reference", "7")
    assert "\x1b[2J" not in done.stdout
    assert "[bold]" in done.stdout


def test_explain_names_a_reference_that_cannot_be_read():
    done = call("explain", "-", "--reference", "{", text=r"<think>a</think>\boxed{7}")
    assert done.exit_code == 1
    assert "invalid_reference" in done.stdout


@pytest.mark.parametrize("arguments", [["--line", 9], ["--reference", "1", "--tests", __file__]])
def test_explain_needs_one_row_or_one_answer(rows, arguments):
    assert call("explain", rows, *arguments).exit_code == 2


# ---- the others


def test_references_that_cannot_be_read_are_findings(tmp_path, rows):
    assert call("check-references", rows).exit_code == 0
    file = write(tmp_path / "bad.jsonl", [*ROWS, {"reference": "2"}, {"reference": "{"}, "no json"])
    done = call("check-references", file)
    assert done.exit_code == 1
    assert "4 of 5 references can be read" in done.stdout
    assert f"{file}:5: reference must be" in done.stderr
    assert f"{file}:6: no JSON" in done.stderr


def test_doctor_says_what_works_and_a_broken_probe_stops_no_other():
    done = call("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert found["torch"]["state"] == "works"
    assert found["verify_math"]["state"] == "works"
    assert found["sandbox"]["state"] in ("works", "missing")

    def broken():
        raise SystemError("half an installation")

    assert _doctor._probed("x", broken).state == "broken"
    assert call("doctor").exit_code == 0


def test_doctor_fails_if_a_base_dependency_does(monkeypatch):
    monkeypatch.setattr(_doctor, "BASE", ("numpy", "no_such_package"))
    done = call("doctor")
    assert done.exit_code == 1
    assert "no_such_package" in done.stdout


def test_demo_hands_its_options_on():
    done = call("demo", "--steps", "0")
    assert done.exit_code == 2


# ---- columns as data sets have them


def test_tests_may_be_a_text_of_json_and_empty_ones_are_none(tmp_path, output):
    right = "<think></think>\n```python\nprint(2 * int(input()))\n```"
    tests = json.dumps([{"stdin": "1", "stdout": "2"}])
    rows = [
        {"completion": right, "tests": tests, "group": "a"},
        {"completion": "<think></think>\n```python\nx = 1\n```", "tests": tests},
        {"completion": r"<think></think>\boxed{4}", "tests": "", "reference": "4"},
        {"completion": r"<think></think>\boxed{4}", "tests": [], "reference": "4"},
        '{"completion": "x", "reference": NaN}',
    ]
    call("score", write(tmp_path / "in.jsonl", rows), "-o", output, "--workers", 1)
    found = {record["line"]: record for record in read(output)}
    reasons = [found[line]["reason"] for line in (1, 2, 3, 4)]
    assert reasons == ["correct", "wrong_answer", "correct", "correct"]
    assert found[5]["total"] is None
    assert ["group" in found[line] for line in (1, 4)] == [True, False]


@pytest.mark.parametrize(
    "arguments",
    [("--line", 1, "--reference", "5"), ("--reference", "4", "--kind", "code")],
)
def test_explain_ignores_no_option(rows, arguments):
    assert call("explain", rows, *arguments).exit_code == 2


def test_a_picture_of_another_kind_is_refused_before_the_run(rows, output):
    assert call("score", rows, "-o", output, "--plot", "x.xyz").exit_code == 2
    assert not output.exists()


# ---- the shipped completions

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.skipif(not EXAMPLES.exists(), reason="not in this distribution")
def test_every_shipped_completion_meets_its_reason(output):
    from grpo_core import rewards

    call("score", EXAMPLES / "completions.jsonl", "-o", output, "--workers", 2)
    shipped = read(EXAMPLES / "completions.jsonl")
    found = read(output)
    assert len(shipped) == len(found) == 428
    code = hasattr(rewards, "verify_code")
    for row, record in zip(shipped, found, strict=True):
        if code or "tests" not in row:
            assert record["reason"] == row["expected"], record["line"]


@pytest.mark.skipif(not EXAMPLES.exists(), reason="not in this distribution")
def test_the_shipped_completions_are_what_their_script_writes():
    code = "import json, make_completions as m; print(json.dumps(list(m.rows())))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=EXAMPLES, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == read(EXAMPLES / "completions.jsonl")
