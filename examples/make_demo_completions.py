r"""Write `demo_completions.jsonl`: what the demo's policy answers before it is trained.

    python examples/make_demo_completions.py

Sixteen problems, eight samples each, from the checkpoint that the package ships; what each must get
is said by a pattern and not by the library's verifiers. Needs the extra `demo`.
"""

import json
import random
import re
from pathlib import Path

import torch

from grpo_core.recipes.demo._policy import encode_prompts, generate, load_policy
from grpo_core.recipes.demo._task import Problem, decode, splits

FILE = Path(__file__).with_name("demo_completions.jsonl")
PROBLEMS, SAMPLES = 16, 8
_WELL_FORMED = re.compile(r"<think>[0-9+=;]*</think>\\boxed\{([0-9]+)\}")
_FAULTS = (
    (re.compile(r"[^<>]*"), "no_opening_tag"),
    (re.compile(r"(?!<think>).*</think>.*"), "closing_without_opening"),
    (re.compile(r"<think>(?!.*</think>).*"), "unclosed_thoughts"),
    (re.compile(r"<think>[^<>]*</think></think>.*"), "second_closing_tag"),
    (re.compile(r"<think>[^<>]*</think>[0-9}]*"), "no_box"),
)


def expected(completion: str, problem: Problem) -> str:
    """The reason that the completion must get."""
    if found := _WELL_FORMED.fullmatch(completion):
        return "correct" if int(found[1]) == problem.answer else "different"
    return next(reason for pattern, reason in _FAULTS if pattern.fullmatch(completion))


def main() -> None:
    """Write the file."""
    torch.manual_seed(0)
    chosen = random.Random(0).sample(splits()[1], PROBLEMS)  # noqa: S311 - repeatable, not secret
    problems = [problem for problem in chosen for _ in range(SAMPLES)]
    rollout = generate(load_policy(), encode_prompts(problems))
    lines: list[str] = []
    for tokens, problem in zip(rollout.tokens.tolist(), problems, strict=True):
        completion = decode(tokens)
        row = {
            "problem": problem.prompt,
            "completion": completion,
            "reference": str(problem.answer),
            "group": f"demo-{problem.prompt}",
            "expected": expected(completion, problem),
        }
        lines.append(json.dumps(row))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} rows in {FILE.name}")


if __name__ == "__main__":
    main()
