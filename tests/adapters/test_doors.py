"""The adapters' modules: small, and none imports its trainer."""

import importlib
import subprocess
import sys

import pytest

MODULES = [
    "areal", "nemo_rl", "openrlhf", "prime_rl", "skyrl", "slime", "transformers", "trl", "verl",
]  # fmt: skip
TRAINERS = {*MODULES, "ray", "skyrl_gym", "starlette", "uvicorn", "verifiers"}


def test_importing_every_adapter_imports_no_trainer():
    imports = "; ".join(f"import grpo_core.adapters.{name}" for name in MODULES)
    command = [sys.executable, "-c", f"{imports}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & TRAINERS == set()
    assert "torch" in loaded


@pytest.mark.parametrize("name", MODULES)
def test_a_module_hands_on_what_stands_behind_it(name):
    module = importlib.import_module(f"grpo_core.adapters.{name}")
    assert len(module.__all__) <= 25
    for each in module.__all__:
        assert getattr(module, each).__module__.startswith("grpo_core.adapters._")
