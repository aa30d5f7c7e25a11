"""`python -m grpo_core.recipes.demo`: train, show, and write `demo.jsonl` and `demo.png` here."""

import math
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NoReturn

from grpo_core.recipes._numbers import EPSILON_HIGH
from grpo_core.recipes.demo._control import cores

EXTRA = ("matplotlib", "rich", "safetensors", "transformers")
INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


class Parser(ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def number(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    """A parser of numbers in [low, high]."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ArgumentTypeError(f"must be in [{low}, {high}], got {text!r}")
        return value

    return parse


def parser() -> Parser:
    """The options."""
    result = Parser(
        "python -m grpo_core.recipes.demo",
        description="Repair a small policy that adds badly, by verifiable rewards alone.",
        epilog="Writes demo.jsonl and demo.png in the working directory.",
        allow_abbrev=False,
    )
    add = result.add_argument
    add("--steps", type=number(int, 1, 1000), default=60, help="steps (%(default)s)")
    add("--seed", type=number(int, 0, 2**32 - 1), default=0, help="seed (%(default)s)")
    add("--device", default="cpu", help="torch device (%(default)s)")
    clip = number(float, 0, 100)
    add("--clip-high", type=clip, default=EPSILON_HIGH, help="upper clip (%(default)s)")
    add("--minibatches", type=number(int, 1, 32), default=1, help="updates a batch (%(default)s)")
    add("--fused", action="store_true", help="take loss and gradients straight from hidden states")
    add("--control", action="store_true", help="train a second policy on shuffled rewards")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status."""
    cli = parser()
    options = cli.parse_args(arguments)
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        cli.error(f"needs {', '.join(missing)}: pip install 'grpo_core[demo]'")
    # Two threads on two busy cores are 4 times slower than one; four on sixteen are twice as fast.
    # Torch reads this when it is imported, here and in the control's process.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // 4)))
    try:
        from grpo_core.recipes.demo._run import is_available, run  # noqa: PLC0415 - torch, the extra

        if not is_available(options.device):
            cli.error(f"argument --device: {options.device!r} is not available here")
        return 0 if run(**vars(options)) else INTERRUPTED
    except KeyboardInterrupt:  # before there was anything to show
        return INTERRUPTED
    except OSError as error:  # nowhere to write to, say
        cli.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
