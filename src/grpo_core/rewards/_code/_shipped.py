"""The programs of our own that run in the sandbox, as one text each."""

import __future__

import marshal
from functools import cache
from importlib.resources import files
from typing import Literal

_NOT_SENT = ("from grpo_core", "from typing", "from collections.abc")  # for annotations alone


# What runs there. Bytes in a file of their own take a tenth of the time that a literal takes.
START = b"""\
import marshal
with open("ours", "rb") as file:
    code = marshal.loads(file.read())
exec(code)
"""


@cache
def shipped(main: Literal["_candidate", "_tester"]) -> dict[str, bytes]:
    """The file beside `START`: `main` of that module, compiled once and run for every test."""
    texts: list[str] = []
    for module in ("_wire", "_peer", main):
        text = files("grpo_core.rewards._code").joinpath(f"{module}.py").read_text("utf-8")
        texts += [line for line in text.splitlines() if not line.startswith(_NOT_SENT)]
    code = compile(
        "\n".join([*texts, "main()", ""]), "", "exec", __future__.annotations.compiler_flag,
        dont_inherit=True, optimize=2,
    )  # fmt: skip
    return {"ours": marshal.dumps(code)}
