"""What the README says of the demo, run in full: minutes, for `make test-all`."""

import json
import os
import subprocess
import sys

import pytest

for name in ("matplotlib", "rich", "safetensors", "transformers"):
    pytest.importorskip(name)

pytestmark = pytest.mark.slow
SEEDS = range(5)


def last_held_out(folder, *arguments):
    """Held-out pass@1 at the last step, of the policy and of the control if there is one."""
    command = [sys.executable, "-m", "grpo_core.recipes.demo", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    rows = [json.loads(line) for line in (folder / "demo.jsonl").read_text().splitlines()]
    return {row["control"]: row["held_out"] for row in rows if row["step"] == 60}


def test_five_seeds_reach_85_percent_on_average_and_80_each(tmp_path):
    shares = [last_held_out(tmp_path, "--seed", str(seed))[False] for seed in SEEDS]
    assert min(shares) >= 0.80
    assert sum(shares) / len(shares) >= 0.85


def test_the_control_ends_at_10_percent_or_less(tmp_path):
    assert last_held_out(tmp_path, "--control")[True] <= 0.10


def test_the_script_rebuilds_a_policy_with_the_same_habit(tmp_path):
    from grpo_core.recipes.demo._policy import load_policy
    from grpo_core.recipes.demo._task import splits
    from grpo_core.recipes.demo._train import accuracy

    command = [sys.executable, "-m", "grpo_core.recipes.demo._supervise", "rebuilt.safetensors"]
    subprocess.run(command, cwd=tmp_path, check=True)
    policy = load_policy(path=tmp_path / "rebuilt.safetensors")
    assert 0.24 <= accuracy(policy, splits()[1], "cpu") <= 0.34
