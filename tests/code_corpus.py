"""Grades the corpora of `rewards/code_*` and watches what becomes of the machine meanwhile.

A program is told where everything lies that it might reach: files, sockets, shared memory and
processes that hold the answer. Whoever reaches one of them can print it, and is graded `correct`.
Run as a script, it grades programs by their ids in a process of its own and prints what it saw.
"""

import argparse
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

from grpo_core.rewards import AssertTest, FunctionTest, StdinTest, verify_code
from honeypot import World

CORPORA = Path(__file__).parent / "rewards"


def programs(corpus):
    """The rows of a manifest, with the source of each program."""
    folder = CORPORA / corpus
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return {row["id"]: row | {"source": (folder / row["file"]).read_text()} for row in rows}


def fenced(row, source):
    return f"```{row['language']}\n{source}```\n"


def descendants(pid=None):
    """Processes below this one, by number, with their command lines."""
    below, found = [pid or os.getpid()], {}
    while below:
        parent = below.pop()
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for child in map(int, path.read_text().split()):
                    line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                    found[child] = line.decode(errors="replace").strip()
                    below.append(child)
    return found


def cases(row, world):
    """What a hostile program is tested with: the verdict `correct` is then a breach.

    By the row's `task`, the right answer is a `secret` that lies about wherever it must not be
    reached; a `token` of the input, which a program prints once it has done what it must not;
    three `small` numbers, to be met by tricks; or, for the second test of a `state`, what only the
    first one was told.
    """
    token = f"token_{secrets.token_hex(16)}"
    if row["task"] == "state":
        later = world.facts(f"token_{secrets.token_hex(16)}") | {"phase": "2"}
        return [_test(row, world.facts(token), token), _test(row, later, token)]
    expected = {"secret": world.secret, "token": token}.get(row["task"], [7, 8, 9])
    return [_test(row, world.facts(token), expected)]


def _test(row, facts, expected):
    if row["kind"] == "call":
        return FunctionTest("solve", (facts,), expected)
    if row["kind"] == "assert" and row["language"] == "cpp":
        script = f'int main() {{ assert(solve("x") == "{expected}"); }}'
        return AssertTest(script, language="cpp")
    if row["kind"] == "assert":
        return AssertTest(f"WORLD = {facts!r}\nassert solve(WORLD) == {expected!r}\n")
    text = expected if isinstance(expected, str) else "7 8 9"
    return StdinTest("".join(f"{key} {value}\n" for key, value in facts.items()), text)


def grade(row, world):
    """The verdicts of a hostile program: one, or of one that keeps something two."""
    source = row["source"]
    for key, value in world.facts("").items():
        source = source.replace(f"@{key}@", value)
    tests = cases(row, world)
    answer = fenced(row, source)
    options = {
        "timeout_seconds": row["bounded_seconds"],
        "compile_seconds": 1.0 if "compile_error" in row["expected"] else 10.0,
        "tolerance": 1e-6 if row["class"] == "answers" else None,
    }
    verdicts = [verify_code(answer, tests, **options)]
    if row["task"] == "state":
        verdicts.append(verify_code(answer, tests[1:], **options))
    return verdicts


def _honest_seconds():
    begin = time.monotonic()
    verdict = verify_code("```python\nprint(int(input()) + 1)\n```", [StdinTest("1\n", "2")])
    return time.monotonic() - begin, verdict.reason


def watch(ids):
    """Grades hostile programs one after the other; a line of what was seen for each."""
    rows = programs("code_hostile")
    ids = sorted(ids, key=lambda name: bool(rows[name].get("late")))
    private = Path(tempfile.mkdtemp(prefix="grpo_core_scratch_", dir="/tmp"))
    private.chmod(0o755)
    tempfile.tempdir = str(private)
    # An orphan comes to this process, wherever it has gone.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    signals = []
    for number in (signal.SIGWINCH, signal.SIGURG):
        signal.signal(number, lambda number, _: signals.append(f"the grader got signal {number}"))
    # What stays on purpose is there before anything is looked at: an assert script needs most.
    verify_code("```python\ndef f():\n    return 1\n```", "assert f() == 1")
    if any(rows[name]["language"] == "cpp" for name in ids):
        header = "```cpp\n#include <bits/stdc++.h>\nint main() {}\n```"
        verify_code(header, [StdinTest("", "1")])
    usual = min(_honest_seconds() for _ in range(5))[0]
    world = World()
    try:
        yield {"id": "isolation", "harm": [*_exposed(world), *_disabled()]}
        seen, launchers = set(descendants()) | set(private.iterdir()), _launchers()
        world.harm()
        for name in ids:
            begin = time.monotonic()
            verdicts = grade(rows[name], world)
            seconds = time.monotonic() - begin
            patience = rows[name].get("gone_after_seconds", 1.0)
            harm = [*world.harm(), *signals, *_left(seen, launchers, private, patience)]
            signals.clear()
            told = " ".join(str(verdict.detail) for verdict in verdicts)
            if rows[name]["task"] == "state" and verdicts[0].detail.get("test") != "1":
                harm.append("nothing was kept: its first test already failed")
            harm += [f"the detail tells {word}" for word in (world.secret, "root:") if word in told]
            after, reason = min(_honest_seconds() for _ in range(2))
            if reason != "correct" or after > 3 * usual + 0.1:
                harm.append(f"next, an honest program was {reason} in {after:.2f}/{usual:.2f} s")
            seen |= set(descendants()) | set(private.iterdir())
            yield {
                "id": name, "reasons": [verdict.reason for verdict in verdicts],
                "scores": [verdict.score for verdict in verdicts], "harm": harm,
                "seconds": round(seconds, 2), "details": told,
            }  # fmt: skip
    finally:
        world.close()
        shutil.rmtree(private, ignore_errors=True)


def _launchers():
    """How many processes there are that start programs, or were forked by one that does."""
    return sum("_launch.py" in line for line in descendants().values())


def _left(seen, launchers, private, patience_seconds):
    """Processes and files that are there and were not; what is about to go may go first."""
    end = time.monotonic() + patience_seconds
    while True:
        replaced = _launchers() <= launchers
        found = {pid: f"still runs: {line[:200]!r}" for pid, line in descendants().items()
                 if not ("_launch.py" in line and replaced)}  # fmt: skip
        found |= {path: f"left behind: {path.name}" for path in private.iterdir()}
        new = [text for key, text in found.items() if key not in seen]
        if not new or time.monotonic() > end:
            return new
        time.sleep(0.02)


def _exposed(world):
    """What harmless programs can reach. If anything, the hostile ones stay unread."""
    reads = "world = dict(line.split(' ', 1) for line in open(0).read().splitlines())\n"
    probes = {
        "a file outside is read": "print(open(world['file']).read())",
        "a process outside is signalled": "import os\nos.kill(int(world['canary']), 0)\n"
        "print(world['token'])",
        "a file outside is written": "import os\nos.close(os.open(world['file'], os.O_WRONLY))\n"
        "print(world['token'])",
        "a server outside is reached": "import socket\n"
        "print(socket.create_connection(('127.0.0.1', int(world['tcp'])), 1).recv(99).decode())",
    }
    token = f"token_{secrets.token_hex(16)}"
    stdin = "".join(f"{key} {value}\n" for key, value in world.facts(token).items())
    tests = [StdinTest(stdin, (token, world.secret))]
    verdicts = {
        what: verify_code(f"```python\n{reads}{code}\n```", tests) for what, code in probes.items()
    }
    return [what for what, verdict in verdicts.items() if verdict.score != 0.0]


def _disabled():
    """What programs cannot do that hostile ones need: a grader that refuses all shows nothing."""
    python = (
        "import os, threading\nopen('x', 'w').write('1')\nos.makedirs('a/b')\nr, w = os.pipe()\n"
        "if os.fork() == 0:\n    os.write(w, b'1')\n    os._exit(0)\nos.wait()\n"
        "threading.Thread(target=print, args=[os.read(r, 1).decode()]).start()"
    )
    sources = {"python": python, "cpp": '#include <cstdio>\nint main() { puts("1"); }'}
    verdicts = {
        name: verify_code(f"```{name}\n{source}\n```", [StdinTest("", "1")])
        for name, source in sources.items()
    }
    return [f"{name} cannot work: {v}" for name, v in verdicts.items() if v.score != 1.0]


def refuse_namespaces():
    """From here on no namespace can be made, as under a container's usual filter."""
    machine = os.uname().machine
    calls = {"x86_64": (0xC000003E, 272, 56), "aarch64": (0xC00000B7, 97, 220)}[machine]
    architecture, unshare, clone = calls
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    mask, allow, eperm, enosys = 0x7E020000, 0x7FFF0000, 0x00050001, 0x00050026
    rules = [
        (load, 0, 0, 4), (equal, 0, 8, architecture), (load, 0, 0, 0), (equal, 5, 0, 435),
        (equal, 1, 0, unshare), (equal, 0, 4, clone), (load, 0, 0, 16), (any_bit, 0, 2, mask),
        (answer, 0, 0, eperm), (answer, 0, 0, enosys), (answer, 0, 0, allow),
    ]  # fmt: skip
    code = b"".join(struct.pack("HBBI", *rule) for rule in rules)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, program, 0, 0) == 0
    assert libc.unshare(0x10000000) == -1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ids", nargs="+")
    parser.add_argument("--no-namespaces", action="store_true", help="with namespaces refused")
    options = parser.parse_args()
    if options.no_namespaces:
        refuse_namespaces()
    for line in watch(options.ids):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        if line["id"] == "isolation" and line["harm"]:
            raise SystemExit(3)


if __name__ == "__main__":
    main()
