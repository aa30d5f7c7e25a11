r"""Two-digit addition, and the sloppy demonstrator from whom the policy learned its habit.

A prompt is `37+85=`. A good completion adds digit by digit, units first, and boxes the sum:

    <think>7+5=12;3+8+1=12;</think>\boxed{122}

The demonstrator knows how, and seldom bothers. Three times in four it writes no trace and guesses,
and three guesses in four are wrong. When it does write the trace it forgets the carry three times
in ten. Whatever it has found, three times in ten it spoils the format. A policy that imitates it
perfectly is right about 28 % of the time; one that keeps its best habit alone is always right.

Rewards are the library's own verifiers, on the scale of Magistral (arXiv:2506.10910, section 2.2).
No tensors here, and no torch.
"""

import itertools
import random
import re
from collections.abc import Iterable
from typing import NamedTuple

from grpo_core.rewards import magistral_reward

ALPHABET = (
    *("<pad>", "<bos>", "<eos>", "<think>", "</think>", r"\boxed{", "}", "+", "=", ";"),
    *"0123456789",
)
PAD, BOS, EOS = range(3)
HELD_OUT = 2_000

_ID = {token: index for index, token in enumerate(ALPHABET)}
_TOKEN = re.compile("|".join(map(re.escape, ALPHABET)))
_SLIPS = (-100, -10, -1, 1, 10, 100)


class Problem(NamedTuple):
    """The sum of two numbers of two digits."""

    x: int
    y: int

    @property
    def prompt(self) -> str:
        """The question, `37+85=`: six tokens, whatever the numbers."""
        return f"{self.x}+{self.y}="

    @property
    def answer(self) -> int:
        """The right sum."""
        return self.x + self.y


def splits() -> tuple[list[Problem], list[Problem]]:
    """The 8,100 problems as (6,100 to train on, 2,000 held out), always the same.

    Supervision and reinforcement both draw from the first list only. Pairs are ordered: the mirror
    of a held-out one, 85+37 for 37+85, is in the first list three times in four.
    """
    numbers = range(10, 100)
    problems = [Problem(x, y) for x, y in itertools.product(numbers, numbers)]
    random.Random(2506_10910).shuffle(problems)  # noqa: S311 - repeatable, not secret
    return problems[HELD_OUT:], problems[:HELD_OUT]


def encode(text: str) -> list[int]:
    """The tokens of a text.

    Raises:
        ValueError: If a part of the text is not in the alphabet.
    """
    tokens = _TOKEN.findall(text)
    if sum(map(len, tokens)) != len(text):
        raise ValueError(f"text must be written in {' '.join(ALPHABET)}, got {text!r}")
    return [_ID[token] for token in tokens]


def decode(tokens: Iterable[int]) -> str:
    """The text of a completion, up to the token that ends it."""
    return "".join(ALPHABET[token] for token in itertools.takewhile(EOS.__ne__, tokens))


def grade(completion: str, problem: Problem) -> float:
    """The reward: 0 if the format fails, 0.1 if only the answer does, 1.0 if both are right."""
    return (
        magistral_reward(problem.prompt, completion, str(problem.answer), language=None).total
        or 0.0
    )


def trace(problem: Problem, *, carried: bool = True) -> tuple[str, int]:
    """The addition digit by digit and the sum it finds, which is wrong if a carry is forgotten."""
    tens, units = zip(divmod(problem.x, 10), divmod(problem.y, 10), strict=True)
    low = sum(units)
    carry = low // 10 if carried else 0
    high = sum(tens) + carry
    text = f"{units[0]}+{units[1]}={low};{tens[0]}+{tens[1]}+{carry}={high};"
    return text, 10 * high + low % 10


def clean(problem: Problem) -> str:
    """What the demonstrator would write at its best."""
    text, found = trace(problem)
    return rf"<think>{text}</think>\boxed{{{found}}}"


def demonstrate(problem: Problem, rng: random.Random) -> str:
    """What it does write."""
    if rng.random() < 0.25:
        text, found = trace(problem, carried=rng.random() >= 0.3)
    else:
        text, found = "", problem.answer
        if rng.random() < 0.75:
            found += rng.choice([slip for slip in _SLIPS if found + slip >= 0])
    if rng.random() >= 0.3:
        return rf"<think>{text}</think>\boxed{{{found}}}"
    unclosed, unopened, unboxed = (
        f"<think>{text}{found}",
        rf"{text}</think>\boxed{{{found}}}",
        f"<think>{text}</think>{found}",
    )
    return rng.choice([unclosed, unopened, unboxed])
