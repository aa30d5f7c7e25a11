"""What an import costs, in a fresh process."""

import importlib
import subprocess
import sys
from types import UnionType

import pytest

import grpo_core

USE_REWARDS = """
from grpo_core import rewards
rewards.verify_math(r"\\boxed{1}", "1/2")
rewards.verify_format("<think></think>", kind="math")
rewards.soft_length_penalty(1, max_length=2, buffer=1)
rewards.verify_code("```python\\nprint(1)\\n```", {"stdin": "", "stdout": "1"}, allow_weak=True)
"""


def loaded_by(statement):
    """Names of all modules in a fresh interpreter after `statement`."""
    command = [sys.executable, "-W", "error", "-c", f"{statement}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def heavy(modules):
    return {m.partition(".")[0] for m in modules} & {"torch", "numpy", "sympy", "jaxtyping"}


def constants_then_classes(name):
    return not name.isupper(), not name[0].isupper(), name


def test_importing_the_package_imports_nothing_but_itself():
    assert loaded_by("import grpo_core") - loaded_by("") == {"grpo_core"}


def test_rewards_load_no_torch_even_when_they_are_used():
    assert heavy(loaded_by("import grpo_core.rewards")) == set()
    assert heavy(loaded_by(USE_REWARDS)) == set()


def test_the_check_can_fail():
    assert "torch" in heavy(loaded_by("import grpo_core.losses"))
    assert heavy(loaded_by("import numpy")) == {"numpy"}


@pytest.mark.parametrize("door", ["losses", "advantages", "metrics", "batching", "rewards"])
def test_a_door_has_at_most_25_names_and_defines_none(door):
    module = importlib.import_module(f"grpo_core.{door}")
    assert len(module.__all__) <= 25
    assert sorted(module.__all__, key=constants_then_classes) == module.__all__
    for name in module.__all__:
        value = getattr(module, name)
        if not isinstance(value, (str, UnionType)):  # a text and a union do not say where they are
            assert value.__module__.startswith(f"grpo_core.{door}._")


def test_the_package_has_a_version():
    assert grpo_core.__version__
