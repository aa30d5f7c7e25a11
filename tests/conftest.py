"""Machine and profiles for every test: a GPU where there is one, NaN in whatever is not written."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

settings.register_profile(
    "default",
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# Annotations are checked on every call: a few examples show what there is to see.
settings.register_profile("shapes", settings.get_profile("ci"), max_examples=5)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
)

# `torch.empty` is filled with NaN in this mode: an element that was left out is seen.
torch.use_deterministic_algorithms(True)
if DEVICE == "cuda":
    torch.set_default_device(DEVICE)


@pytest.fixture
def device():
    """CUDA, or the CPU without it."""
    return DEVICE


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("gpu") and DEVICE != "cuda":
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
