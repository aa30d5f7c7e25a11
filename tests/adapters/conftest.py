"""What tests of trainers share."""

import pytest
import torch


@pytest.fixture(scope="module")
def on_the_cpu():
    with torch.device("cpu"):
        yield


@pytest.fixture(scope="module")
def directory(on_the_cpu, tmp_path_factory):
    """Of a saved model."""
    from trl_trainer import save_model  # it needs TRL

    directory = str(tmp_path_factory.mktemp("model"))
    save_model(directory)
    return directory
