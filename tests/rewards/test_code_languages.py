"""Each language whose toolchain is here, one that a user adds, and the precompiled header."""

import shutil
import stat
import threading
import time
from functools import partial

import pytest

from grpo_core.rewards import Language, StdinTest, verify_code
from grpo_core.rewards._code import _header
from grpo_core.rewards._code._languages import LANGUAGES

verify = partial(verify_code, allow_weak=True)
TESTS = [StdinTest("3\n1 2 3\n", "6\n"), StdinTest("2\n-5 5\n", "0\n")]
COMMANDS = {"java": "javac", "javascript": "node"}

SUMS = {
    "python": "input()\nprint(sum(map(int, input().split())))",
    "cpp": """
        #include <bits/stdc++.h>
        using namespace std;
        int main() {
            long long n, s = 0;
            cin >> n;
            for (int x; n-- && cin >> x;) s += x;
            cout << s << endl;
        }
    """,
    "rust": """
        use std::io::*;
        fn main() {
            let mut s = String::new();
            stdin().read_to_string(&mut s).unwrap();
            let words = s.split_whitespace().skip(1);
            println!("{}", words.map(|x| x.parse::<i64>().unwrap()).sum::<i64>());
        }
    """,
    "go": """
        package main
        import "fmt"
        func main() {
            var n, x, s int
            fmt.Scan(&n)
            for i := 0; i < n; i++ { fmt.Scan(&x); s += x }
            fmt.Println(s)
        }
    """,
    "javascript": """
        const words = require("fs").readFileSync(0, "utf8").split(/\\s+/).slice(1);
        console.log(words.reduce((s, x) => s + Number(x), 0));
    """,
    "java": """
        import java.util.*;
        public class Main {
            public static void main(String[] args) {
                Scanner in = new Scanner(System.in);
                int n = in.nextInt(); long s = 0;
                while (n-- > 0) s += in.nextLong();
                System.out.println(s);
            }
        }
    """,
    "bash": "read n\nread -a words\ns=0\nfor x in ${words[@]}; do s=$((s + x)); done\necho $s",
}
DEEP_CPP = """
    #include <thread>
    #include <iostream>
    #include <vector>
    int depth(int n) {
        volatile char room[64];
        room[0] = n;
        return n == 0 ? 0 : 1 + depth(n - 1) + 0 * room[0];
    }
    int main() {
        std::vector<int> got(4);
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) threads.emplace_back([&, i] { got[i] = i; });
        for (auto& t : threads) t.join();
        std::cout << depth(500000) + got[3] << std::endl;
    }
"""


def here(name):
    command = COMMANDS.get(name) or next(
        (lang.compile or lang.run)[0] for lang in LANGUAGES if lang.name == name
    )
    return pytest.mark.skipif(not shutil.which(command), reason=f"needs {command}")


@pytest.mark.parametrize("name", [pytest.param(name, marks=here(name)) for name in SUMS])
def test_a_right_program_passes_and_a_wrong_one_fails(name):
    fence = f"```{name}\n{SUMS[name]}\n```"
    options = {"compile_seconds": 30.0, "timeout_seconds": 8.0}
    assert verify(fence, TESTS, **options).reason == "correct"
    wrong = [StdinTest("1\n7\n", "8\n")]
    verdict = verify(fence, wrong, **options)
    assert (verdict.reason, verdict.detail["language"]) == ("wrong_answer", name)


def test_every_language_of_the_table_has_a_program_here():
    assert set(SUMS) == {language.name for language in LANGUAGES}


@here("cpp")
def test_threads_and_deep_recursion_in_cpp():
    verdict = verify(f"```cpp\n{DEEP_CPP}\n```", StdinTest("", "500003"))
    assert verdict.reason == "correct", verdict


@here("cpp")
@pytest.mark.parametrize(
    ("expected", "source"),
    [
        ("memory", "#include <vector>\nint main() { return std::vector<char>(900000000, 1)[9]; }"),
        ("runtime_error", "int main() { __builtin_trap(); }"),
        ("runtime_error", "int main() { return 3; }"),
        ("timeout", "int main() { for (;;) __asm__ volatile(\"\"); }"),
        ("compile_error", "int main() { return"),
        ("compile_error", '#include "/dev/zero"\nint main() {}'),
        ("compile_error", "#include <bits/stdc++.h>\nchar room[2000000000] = {1};\nint main() {}"),
    ],
)  # fmt: skip
def test_ways_to_fail_in_cpp(expected, source):
    verdict = verify(f"```cpp\n{source}\n```", TESTS, timeout_seconds=1, compile_seconds=4)
    assert (verdict.score, verdict.reason) == (0.0, expected)


@pytest.mark.skipif(not shutil.which("perl"), reason="needs perl")
def test_a_language_of_the_user_s_own():
    perl = Language("perl", "main.pl", run=("perl", "main.pl"), aliases=("pl",))
    fence = "```pl\n<STDIN>; $s += $_ for split ' ', <STDIN>; print $s;\n```"
    assert verify(fence, TESTS).detail["rule"] == "unknown_language"
    assert verify(fence, TESTS, languages=[perl]).reason == "correct"


# The precompiled header


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A compiler that says how often it ran."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "g++"
    path.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && { echo 1.0; exit; }\n'
        f"echo x >> {tmp_path}/runs\nsleep 0.2\n"
        'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo made > "$2"; shift; done\n'
    )
    path.chmod(0o755)
    _header.precompiled.cache_clear()
    yield str(path), tmp_path / "runs"
    _header.precompiled.cache_clear()


def test_a_header_is_built_once_whoever_asks(compiler):
    command, runs = compiler
    found = []
    build = _header.precompiled.__wrapped__
    threads = [
        threading.Thread(target=lambda: found.append(build(command, ("-O2",), "bits/x.h")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and runs.read_text().split() == ["x"]
    assert (found[0] / "bits/x.h.gch").read_text() == "made\n"
    assert build(command, ("-O3",), "bits/x.h") != found[0]


def test_only_this_user_may_write_the_header(compiler):
    home = _header.precompiled(compiler[0], (), "bits/x.h")
    for path in (home, home.parent, *home.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o022


def test_a_directory_that_others_may_write_is_not_used(compiler):
    home = _header.precompiled(compiler[0], (), "bits/x.h")
    home.parent.chmod(0o777)
    _header.precompiled.cache_clear()
    assert _header.precompiled(compiler[0], (), "bits/x.h") is None


def test_without_a_place_to_keep_it_programs_still_compile(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    _header.precompiled.cache_clear()
    try:
        assert _header.precompiled("g++", (), "bits/stdc++.h") is None
    finally:
        _header.precompiled.cache_clear()


@pytest.mark.slow
@here("cpp")
def test_the_header_makes_compiling_faster():
    fence = "```cpp\n#include <bits/stdc++.h>\nint main() { std::cout << 6; }\n```"
    test = StdinTest("", "6")
    slow = tuple(
        Language("cpp", lang.source, run=lang.run, compile=lang.compile, product=lang.product)
        for lang in LANGUAGES
        if lang.name == "cpp"
    )
    verify(fence, test)  # builds it

    def seconds(**options):
        start = time.perf_counter()
        assert verify(fence, test, **options).reason == "correct"
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.7 * min(seconds(languages=slow) for _ in range(2))
