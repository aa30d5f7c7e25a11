"""Sources of programs, by language and behaviour.

`@SOLUTION@` stands for an expression of `numbers`, `@WRONG@` for one that prints something else,
and `@FIRST@` for the output of the first test.
"""

from collections.abc import Callable


def _in_order(numbers: list[int]) -> str:
    return " ".join(map(str, sorted(numbers)))


def _parity(numbers: list[int]) -> str:
    return ("Even", "Odd")[sum(numbers) % 2]


TASKS: dict[str, Callable[[list[int]], object]] = {
    "sum": sum, "largest": max, "smallest": min, "length": len, "in order": _in_order,
    "parity": _parity,
}  # fmt: skip
SOLUTIONS = {
    "python": {
        "sum": "sum(numbers)",
        "largest": "max(numbers)",
        "smallest": "min(numbers)",
        "length": "len(numbers)",
        "in order": "' '.join(map(str, sorted(numbers)))",
        "parity": "('Even', 'Odd')[sum(numbers) % 2]",
    },
    "cpp": {
        "sum": "std::accumulate(numbers.begin(), numbers.end(), 0)",
        "largest": "*std::max_element(numbers.begin(), numbers.end())",
        "smallest": "*std::min_element(numbers.begin(), numbers.end())",
        "length": "numbers.size()",
        "in order": (
            "[&] { std::sort(numbers.begin(), numbers.end()); std::string line; "
            'for (int n : numbers) line += (line.empty() ? "" : " ") + std::to_string(n); '
            "return line; }()"
        ),
        "parity": ('(std::accumulate(numbers.begin(), numbers.end(), 0) % 2 ? "Odd" : "Even")'),
    },
}
_NEAR = ("@SOLUTION@ + 1", "@SOLUTION@ - 1")
WRONG = {
    "python": {
        "sum": _NEAR, "largest": _NEAR, "smallest": _NEAR, "length": _NEAR,
        "in order": (
            "' '.join(map(str, sorted(numbers)[::-1]))",
            "''.join(map(str, sorted(numbers)))",
        ),
        "parity": ("@SOLUTION@.lower()", "@SOLUTION@.upper()"),
    },
    "cpp": {
        "sum": _NEAR, "largest": _NEAR, "smallest": _NEAR, "length": _NEAR,
        "in order": ('@SOLUTION@ + "0"',),
        "parity": ('@SOLUTION@ << "."',),
    },
}  # fmt: skip

_PYTHON = "numbers = [*map(int, input().split())]\n"
_CPP = """#include <algorithm>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>
#include <unistd.h>

int main() {
    std::vector<int> numbers;
    for (int number; std::cin >> number;) numbers.push_back(number);
"""
_SEARCHED = "('answer', 'expected', 'outputs', 'reference', 'solution', 'stdout', 'tests')"

_PYTHON_SOURCES = {
    "correct": (
        _PYTHON + "print(@SOLUTION@)",
        (
            "import sys\nnumbers = [int(word) for word in sys.stdin.read().split()]\n"
            "sys.stdout.write(str(@SOLUTION@) + '\\n')"
        ),
        (
            "def main():\n    numbers = [*map(int, input().split())]\n    print(@SOLUTION@)\n\n\n"
            "if __name__ == '__main__':\n    main()"
        ),
    ),
    "wrong": (_PYTHON + "print(@WRONG@)",),
    "talkative": (
        _PYTHON + "print('The result:')\nprint(@SOLUTION@)",
        _PYTHON + "print(@SOLUTION@, @SOLUTION@)",
        _PYTHON + "print(@SOLUTION@)\nprint('Done.')",
    ),
    "misplaced": (
        "import sys\n" + _PYTHON + "print(@SOLUTION@, file=sys.stderr)",
        _PYTHON + "raise SystemExit(str(@SOLUTION@))",
    ),
    "first_only": ("print('@FIRST@')",),
    "silent": ("pass", _PYTHON + "@SOLUTION@"),
    "broken": (
        "numbers = [*map(int, input().split())\nprint(@SOLUTION@)",
        "no program: @SOLUTION@",
    ),
    "crashing": (
        _PYTHON + "raise ValueError(@SOLUTION@)",
        _PYTHON + "print(@SOLUTION@, flush=True)\nraise SystemExit(1)",
    ),
    "looping": (
        "while True:\n    pass",
        _PYTHON + "print(@SOLUTION@, flush=True)\nwhile True:\n    pass",
    ),
    "memory_hungry": (_PYTHON + "hoard = b'x' * 2**30\nprint(@SOLUTION@ if hoard else '')",),
    "flooding": (
        _PYTHON + "print(@SOLUTION@)\nfor _ in range(1024):\n    print('x' * 65535)",
        "for _ in range(1024):\n    print('x' * 65535)",
    ),
    "cheating": (
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "print(*range(-8000, 8001))",
        (
            "import sys\nframe = sys._getframe()\nwhile frame:\n"
            f"    for name in {_SEARCHED}:\n"
            "        print(frame.f_locals.get(name, ''), frame.f_globals.get(name, ''))\n"
            "    frame = frame.f_back"
        ),
        (
            "import gc\nfor found in gc.get_objects():\n    if isinstance(found, dict):\n"
            f"        for name in {_SEARCHED}:\n            print(found.get(name, ''))"
        ),
        "import os\nprint(open(f'/proc/{os.getppid()}/cmdline').read())",
        "import os, sys\nprint(*os.environ.values(), *sys.argv)",
        (
            "import os\nfor folder, _, names in os.walk('.'):\n    for name in names:\n"
            "        print(open(os.path.join(folder, name), errors='replace').read())"
        ),
        (
            "class Anything(str):\n    __hash__ = str.__hash__\n    def __eq__(self, other):\n"
            "        return True\nprint(Anything('?'))"
        ),
    ),
}
_CPP_SOURCES = {
    "correct": (_CPP + "    std::cout << @SOLUTION@ << std::endl;\n}",),
    "wrong": (_CPP + "    std::cout << @WRONG@ << std::endl;\n}",),
    "talkative": (_CPP + "    std::cout << @SOLUTION@ << ' ' << @SOLUTION@ << std::endl;\n}",),
    "misplaced": (_CPP + "    std::cerr << @SOLUTION@ << std::endl;\n}",),
    "first_only": (_CPP + '    std::cout << "@FIRST@" << std::endl;\n}',),
    "silent": (_CPP + "}",),
    "broken": (_CPP + "    std::cout << @SOLUTION@ << std::endl\n",),
    "crashing": (
        _CPP + "    std::abort();\n}",
        _CPP + "    std::cout << @SOLUTION@ << std::endl;\n    return 1;\n}",
    ),
    "looping": (_CPP + "    for (volatile int i = 0;; i = i + 1 & 1) {\n    }\n}",),
    "memory_hungry": (
        _CPP + "    std::vector<char> hoard(1 << 30, 1);\n"
        "    if (hoard[numbers.size()]) std::cout << @SOLUTION@ << std::endl;\n}",
    ),
    "flooding": (
        _CPP + "    std::cout << @SOLUTION@ << std::endl;\n    std::string line(65535, 'x');\n"
        "    for (int i = 0; i < 1024; i++) std::cout << line << std::endl;\n}",
    ),
    "cheating": (
        _CPP + "    _exit(0);\n}",
        _CPP + "    for (int i = -8000; i <= 8000; i++) std::cout << i << ' ';\n}",
        _CPP + '    std::ifstream parent("/proc/" + std::to_string(getppid()) + "/cmdline");\n'
        "    std::cout << parent.rdbuf() << std::endl;\n}",
    ),
}
SOURCES = {"python": _PYTHON_SOURCES, "cpp": _CPP_SOURCES}
