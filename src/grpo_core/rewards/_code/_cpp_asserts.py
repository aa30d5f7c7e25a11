"""C++ assert scripts: the candidate's source, the script behind it, and a proof that it ended.

Exit status 0 proves nothing, since any line of the program may exit. The proof is a word that the
program can make only out of a key, which is compiled into a file of ours, and of what standard
input holds: that file's function is what the process starts with, by the linker's `--wrap=main`. It
calls the script by a name that the candidate cannot know, and answers after the script gave 0.
A failed assert leaves by a system call, which no function of the candidate can stand in for.

What remains possible, since all of it is one process: to find the key in memory and to know this
protocol; to return a type whose `==` is always true; to jump out of a failing `main` into its
caller. `declarations` takes away the second. Tests by standard input take away all three.
"""

import re
import secrets
from dataclasses import replace

from grpo_core.rewards._code._compile import compiled
from grpo_core.rewards._code._languages import needed
from grpo_core.rewards._code._program import Program
from grpo_core.rewards._code._results import Ran, Settings, ran
from grpo_core.rewards._code._tests import AssertTest
from grpo_core.rewards._sandbox import run

_MASK = (1 << 64) - 1
_STEP = 6364136223846793005
_MAIN = re.compile(r"\bmain(?=\s*\()")
_DEFINITION = re.compile(r"(?:#|%:|\?\?=)\s*define\s+(\w+)")

# Found before the system's own, by `#include <assert.h>` in whatever comes after it.
_ASSERT = """\
#ifdef SCRIPT_{key}
#undef assert
extern "C" void failed_{key}() __attribute__((noreturn));
#define assert(...) (static_cast<bool>((__VA_ARGS__)) ? void(0) : failed_{key}())
#else
#include_next <assert.h>
#endif
"""

# Behind the script. What is called is the function that the script defines as `main`, whichever
# symbol a declaration before it has given to that, and whatever else has the symbol `main`.
_ENTRY = """\
#undef main
#undef return
#undef int
#undef char
#undef extern
extern "C" int script_{key}(int count, char** words, char** environment) {{
    return ((int (*)(int, char**, char**))(void*)&main)(count, words, environment);
}}
"""

_AROUND_MAIN = """\
typedef unsigned long long u64;
extern "C" int script_{key}(int, char**, char**);
static long call(long number, long a, long b, long c) {{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#endif
}}
#if defined(__x86_64__)
enum {{ READ = 0, WRITE = 1, EXIT = 231 }};
#else
enum {{ READ = 63, WRITE = 64, EXIT = 94 }};
#endif
extern "C" void failed_{key}() {{
    for (;;) call(EXIT, {failed}, 0, 0);
}}
extern "C" int __wrap_main(int count, char** words, char** environment) {{
    if (script_{key}(count, words, environment) != 0) call(EXIT, {failed}, 0, 0);
    u64 value[2] = {{0, 0}};
    if (call(READ, 0, (long)value, 8) != 8) call(EXIT, {failed}, 0, 0);
    value[0] = (value[0] ^ {secret}ull) * {step}ull;
    value[1] = {second}ull ^ value[0] >> 29;
    call(WRITE, 1, (long)value, 16);
    call(EXIT, 0, 0, 0);
    return 0;
}}
"""
_FAILED = 86


def run_cpp_script(program: Program, test: AssertTest, settings: Settings) -> Ran:
    """Compiles the candidate with the script, runs both and asks for the proof."""
    key, secret, second = secrets.token_hex(8), secrets.randbits(64), secrets.randbits(64)
    script = (
        f"\n;\n#undef main\n#undef NDEBUG\n#define SCRIPT_{key}\n#include <assert.h>\n"
        f"{test.script}\n{_ENTRY.format(key=key)}"
    )
    around = _AROUND_MAIN.format(key=key, secret=secret, second=second, step=_STEP, failed=_FAILED)
    files = {"assert.h": _ASSERT.format(key=key).encode(), "around.cpp": around.encode()}
    # `-I.` comes after the directory of the precompiled header, which holds no assert.h.
    extra = ["-I.", "around.cpp", "-Wl,--wrap=main"]
    # An example `main` of the candidate's would be a second one.
    text = _MAIN.sub("main_of_candidate", program.source.decode("utf-8", "surrogatepass"))
    if test.declarations:
        files["tests.cpp"] = (test.declarations + script).encode("utf-8", "surrogatepass")
        extra.append("tests.cpp")
    else:
        text += "".join(f"\n#undef {name}" for name in _macros(text)) + script
    program = replace(program, source=text.encode("utf-8", "surrogatepass"))
    made = compiled(program, settings, extra=extra, files=files)
    if isinstance(made, Ran):
        return made
    challenge = secrets.token_bytes(8)
    language = program.language
    outcome = run(
        list(language.run),
        stdin=challenge,
        limits=settings.limits(language.address_space_mb, language.processes),
        files={language.product: made.product},
        executable=[language.product],
        readable=needed(language),
        environment=language.environment,
        **settings.sandbox,
    )
    if outcome.status == "exited" and outcome.code == _FAILED:
        return Ran("wrong_answer")
    first = (int.from_bytes(challenge, "little") ^ secret) * _STEP & _MASK
    proof = first.to_bytes(8, "little") + (second ^ first >> 29).to_bytes(8, "little")
    done = ran(outcome)
    if done.reason:
        return done
    if not done.output.endswith(proof):  # what the program itself printed may stand before it
        return Ran("runtime_error", note={"error": "ended before the script did"})
    return Ran("correct")


def _macros(source: str) -> list[str]:
    """What the candidate defines, and would mean something else in the script."""
    joined = re.sub(r"\\[ \t\r]*\n", "", source)
    joined = re.sub(r"/\*.*?\*/", " ", joined, flags=re.DOTALL)
    return sorted(set(_DEFINITION.findall(joined)))
