"""Kernels run on a GPU, or in Triton's interpreter: TRITON_INTERPRET=1 before Python starts."""

import os

import pytest
import torch

RUNS_NOTHING = "test_compiled_for_hopper.py"  # it compiles, in a process of its own


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1":
        return
    for item in items:
        if "tests/kernels" in str(item.path) and item.path.name != RUNS_NOTHING:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, or TRITON_INTERPRET=1"))
