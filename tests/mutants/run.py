"""Breaks each of the nine rules of the losses on purpose; the tests must notice every time.

`make mutants`. A mutant is one edit of a copy of `src`; it is killed if the tests named beside it
fail, and it survives if they pass. Before, the same tests must pass on the copy as it is.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RULES, ADVANTAGES = "tests/losses/test_rules.py", "tests/advantages/test_group.py"


class Mutant(NamedTuple):
    rule: int
    says: str
    path: str  # below src/grpo_core
    before: str
    after: str
    tests: list[str]


MUTANTS = [
    Mutant(
        1,
        "the mask multiplies where it should select",
        "losses/_ratio.py",
        "torch.where(mask, log_probs - old_log_probs.detach().to(log_probs.dtype), 0.0)",
        "(log_probs - old_log_probs.detach().to(log_probs.dtype)) * mask",
        [RULES, "-k", "padding_is_inert_bit_for_bit and clipped"],
    ),
    Mutant(
        1,
        "no bound before exp",
        "losses/_ratio.py",
        "return _difference(log_probs, old_log_probs, mask).clamp(-_BOUND, _BOUND)",
        "return _difference(log_probs, old_log_probs, mask)",
        [RULES, "-k", "stale_valid_token and clipped"],
    ),
    Mutant(
        1,
        "a row of logits without gradient is multiplied by 0, not left out",
        "losses/_log_probs.py",
        "grad[at] = block.masked_fill_(~live[at][..., None], 0.0)",
        "grad[at] = block",
        ["tests/losses/test_log_probs.py", "-k", "row_without_gradient"],
    ),
    Mutant(
        2,
        "a mean divides by this call's tokens whatever the step's",
        "losses/_aggregate.py",
        "tokens = mask.sum() if total is None else total.tokens",
        "tokens = mask.sum()",
        [RULES, "-k", "any_partition and token_mean and clipped"],
    ),
    Mutant(
        2,
        "groups without a valid token count",
        "losses/_aggregate.py",
        "return (per_group > 0).sum(),",
        "return (per_group >= 0).sum(),",
        [RULES, "-k", "count_nowhere or count_in_no_denominator"],
    ),
    Mutant(
        3,
        "an empty batch gives a zero that is cut off from the graph",
        "losses/_aggregate.py",
        "    return torch.where(mask, widen(values), 0.0)\n",
        "    return torch.where(mask, widen(values), 0.0) if mask.any() else values.detach() * 0\n",
        [RULES, "-k", "zero_attached and token_mean and clipped"],
    ),
    Mutant(
        4,
        "groups must lie side by side",
        "_tensors.py",
        "ordered, order = ids.sort(dim=-1, stable=True)",
        "ordered, order = ids, torch.arange(ids.shape[-1]).expand_as(ids)",
        [RULES, "-k", "order_of_sequences and group_token_mean and clipped"],
    ),
    Mutant(
        5,
        "a mean reads its count back to the host",
        "losses/_aggregate.py",
        "    return values.sum() / tokens.clamp(min=1)",
        "    return values.sum() / max(tokens.item(), 1)",
        [RULES, "-k", "waits_for_the_device and token_mean"],
    ),
    Mutant(
        6,
        "ratio_max is an offset from 1",
        "losses/_policy.py",
        "ratio = ratio.clamp(max=ratio_max)",
        "ratio = ratio.clamp(max=1 + ratio_max)",
        ["tests/losses/test_policy.py", "-k", "dual_clip"],
    ),
    Mutant(
        6,
        "'importance' without its input falls back in silence",
        "losses/_kl.py",
        'if (gradient == "importance") != (policy_log_ratio is not None):',
        "if False:",
        [RULES, "-k", "missing_input"],
    ),
    Mutant(
        7,
        "bfloat16 logits are divided before they are widened",
        "losses/_log_probs.py",
        "block = logits[at].to(dtype, copy=True).div_(_per_token(temperature, at))",
        "block = (logits[at] / _per_token(temperature, at)).to(dtype)",
        ["tests/losses/test_log_probs.py", "-k", "widened_before"],
    ),
    Mutant(
        8,
        "rows off the mask enter the batch's deviation",
        "advantages/_groups.py",
        "count = (mask.sum() - correction)",
        "count = (torch.ones_like(mask).sum() - correction)",
        [ADVANTAGES, "-k", "off_the_mask or informative_rows_alone"],
    ),
    Mutant(
        8,
        "the deviation is not of centred values",
        "advantages/_advantages.py",
        "squares = group_sum(centred.square(), slots)",
        "squares = group_sum(rewards.square(), slots) - group_sum(rewards, slots).square() / count",
        [ADVANTAGES, "-k", "of_centred_values"],
    ),
    Mutant(
        8,
        "rounding passes for a signal",
        "advantages/_advantages.py",
        "informative = differs(rewards, slots, mask, tolerance)",
        "informative = mask",
        [ADVANTAGES, "-k", "constant_group"],
    ),
    Mutant(
        9,
        "float64 is narrowed",
        "_tensors.py",
        "return values if values.dtype == torch.float64 else values.float()",
        "return values.float()",
        [RULES, "-k", "float64_stays"],
    ),
    Mutant(
        9,
        "a graph break",
        "losses/_policy.py",
        "    ratio = widen(log_ratio).exp()\n",
        "    torch._dynamo.graph_break()\n    ratio = widen(log_ratio).exp()\n",
        ["tests/losses/test_compiled.py", "-k", "without_a_graph_break and clipped_loss"],
    ),
]


def passes(src: Path, tests: list[str]) -> bool:
    """Whether these tests pass with the package of `src`; anything but pass or fail raises."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", *tests]
    environment = {**os.environ, "PYTHONPATH": str(src), "HYPOTHESIS_PROFILE": "ci"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1}:
        raise SystemExit(f"pytest {tests} exited with {done.returncode}:\n{done.stdout}")
    return done.returncode == 0


def survives(mutant: Mutant, src: Path) -> bool:
    """Whether the tests pass with the mutant in `src`, which is left as it was."""
    path = src / "grpo_core" / mutant.path
    original = path.read_text()
    if original.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.path} must hold once, for rule {mutant.rule}: {mutant.before}")
    path.write_text(original.replace(mutant.before, mutant.after))
    try:
        return passes(src, mutant.tests)
    finally:
        path.write_text(original)


def main() -> None:
    """Print one line a mutant; exit 1 if any survives or a rule has none."""
    if {m.rule for m in MUTANTS} != set(range(1, 10)):
        raise SystemExit("each of the nine rules needs a mutant")
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder) / "src"
        shutil.copytree(ROOT / "src", src, ignore=shutil.ignore_patterns("__pycache__"))
        survivors = 0
        for mutant in MUTANTS:
            if not passes(src, mutant.tests):
                raise SystemExit(f"fails without the mutant: {mutant.tests}")
            alive = survives(mutant, src)
            survivors += alive
            print(
                f"rule {mutant.rule}: {'SURVIVED' if alive else 'killed'}: {mutant.says}",
                flush=True,
            )
    print(f"{len(MUTANTS) - survivors} killed, {survivors} survived")
    raise SystemExit(1 if survivors else 0)


if __name__ == "__main__":
    main()
