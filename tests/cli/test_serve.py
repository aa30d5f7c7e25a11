"""`grpo-core serve`: what a request may be and may cost, and how the server stops."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import adapter_verifiers as own
from grpo_core.adapters.openrlhf import openrlhf_reward
from grpo_core.cli._app import app
from grpo_core.cli._http import Limits, application
from grpo_core.rewards import verify_math

LIMITS = Limits(body_mb=0.01, batch=3)


def client(verifier=verify_math, limits=LIMITS, **options):
    return TestClient(application(openrlhf_reward(verifier, **options), limits))


def batch(*completions, label="2"):
    n = len(completions)
    queries = ["Why?" + completion for completion in completions]
    return {"query": queries, "prompts": ["Why?"] * n, "labels": [label] * n}


@pytest.mark.parametrize("path", ["/", "/get_reward"])
def test_a_batch_is_answered_as_openrlhf_reads_it(path):
    answer = client(reasons=["different"]).post(path, json=batch(r"\boxed{2}", r"\boxed{3}"))
    assert answer.status_code == 200
    assert answer.json() == {
        "rewards": [1.0, 0.0],
        "scores": [1.0, 0.0],
        "extra_logs": {"not_applicable": [0.0, 0.0], "reason/different": [0.0, 1.0]},
    }
    assert client().post(path, json=batch()).json()["rewards"] == []


def test_what_has_no_score_is_a_number_and_counted():
    web = client(own.crash, unscored=-1.0)
    assert web.post("/", json=batch("a", "b")).json()["rewards"] == [-1.0, -1.0]
    web.post("/", content=b"?")
    assert web.get("/health").json() == {
        "verifier": "crash", "requests": 2, "completions": 2, "not_applicable": 2, "refused": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body must be JSON"),
        (b"{", "the body must be JSON"),
        (b'"\xff"', "the body must be JSON"),
        (b"[" * 5000, "the body must be JSON"),
        (b"9" * 5000, "the body must be JSON"),
        (b"[]", "the body must be an object, got list"),
        (b"{}", "query must be a list, got nothing"),
        (b'{"query": "a"}', "query must be a list, got str"),
        (b'{"query": [], "prompts": null}', "prompts must be a list, got NoneType"),
        (b'{"query": ["a"], "prompts": [], "labels": []}', "got 1 query, 0 prompts, 0 labels"),
        (b'{"query": [1], "prompts": [""], "labels": [""]}', "row 0: query must be a text"),
        (b'{"query": ["", ""], "prompts": ["", {}], "labels": [0, 1]}', "row 1: prompts must be"),
    ],
)  # fmt: skip
def test_wrong_input_is_answered_422_and_says_what_was_expected(body, says, caplog):
    answer = client().post("/", content=body)
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert says in caplog.text  # OpenRLHF logs no more than the status


def test_too_much_is_answered_413_and_is_not_read():
    web = client()
    at_most = web.post("/", json=batch("a", "b", "c"))
    assert at_most.status_code == 200
    answer = web.post("/", json=batch("a", "b", "c", "d"))
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "need at most 3 completions, got 4",
    )
    answer = web.post("/", content=b" " * 10_001)
    assert answer.status_code == 413
    assert answer.json()["error"] == "the body must have at most 10,000 bytes"
    taken = []

    def endless():  # announces no length
        while True:
            taken.append(1)
            yield b" " * 1000

    limited = (piece for piece, _ in zip(endless(), range(1000), strict=False))
    assert web.post("/", content=limited).status_code == 413


def test_other_methods_and_paths_are_not_there():
    assert client().get("/get_reward").status_code == 405
    assert client().post("/elsewhere", json={}).status_code == 404


def call(*arguments):
    return CliRunner().invoke(app, ["serve", *map(str, arguments)])


def test_wrong_use_ends_with_2_and_one_line(tmp_path):
    for arguments, says in [
        (["math", "--unscored", "nan"], "unscored must be a finite number, got nan"),
        (["physics"], "a verifier is math, code or package.module:function, got 'physics'"),
        (["adapter_verifiers:nobody"], "has no attribute 'nobody'"),
        (["no_such_module:verify"], "No module named 'no_such_module'"),
        (["adapter_verifiers:TRAINERS"], "is no function but dict"),
    ]:
        result = call(*arguments)
        assert result.exit_code == 2
        assert says in result.output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = call("math", "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "in use" in result.output


def test_without_the_extra_it_names_it(monkeypatch):
    from grpo_core.cli import _serve

    monkeypatch.setattr(_serve, "find_spec", lambda name: None)
    result = call()
    assert result.exit_code == 2
    assert "serve needs starlette, uvicorn: pip install 'grpo_core[serve]'" in result.output


@pytest.fixture
def server(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "def verify(completion, reference):\n"
        "    time.sleep(float(completion))\n"
        "    return 1.0\n"
    )
    command = [sys.executable, "-W", "error", "-m", "grpo_core.cli", "serve", "slow:verify"]
    command += ["--port", "0", "--workers", "2", "--timeout-seconds", "2", "--read-seconds", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    url = process.stdout.readline().strip()
    yield process, url
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def post(url, payload):
    with httpx2.Client(timeout=30) as web:
        return web.post(url, json=payload).raise_for_status().json()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_when_what_is_at_work_is_answered(server, stop):
    process, url = server
    assert post(url, batch("0"))["rewards"] == [1.0]
    answers = []
    work = batch(*["1"] * 6)  # more for two workers than one completion may take
    asking = threading.Thread(target=lambda: answers.append(post(url, work)))
    asking.start()
    time.sleep(0.7)
    process.send_signal(stop)
    asking.join(20)
    assert answers[0]["rewards"] == [1.0] * 6
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    deadline = time.monotonic() + 10
    while is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(process.pid)  # no worker is left


def test_a_verifier_that_hangs_costs_its_own_completion(server):
    _, url = server
    answer = post(url, batch("0", "1000"))
    assert answer["rewards"] == [1.0, 0.0]
    assert answer["extra_logs"]["not_applicable"] == [0.0, 1.0]


def test_a_request_that_does_not_arrive_is_given_up(server):
    _, url = server
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        assert line.recv(100).startswith(b"HTTP/1.1 408")
