"""Two processes over gloo: their averaged gradient is that of one process with all rows."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")


from trl_rank import step_gradient
from trl_trainer import save_model

pytestmark = [
    pytest.mark.no_shape_hook,
    # TRL 1.16 uses names that transformers 5.23 deprecates.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
TESTS = Path(__file__).parent.parent


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_ranks_with_unequal_tokens_have_the_gradient_of_one(tmp_path):
    with torch.device("cpu"):
        save_model(str(tmp_path))
        whole, (entropy,), _ = step_gradient(str(tmp_path), [slice(0, 8)])
    common = {
        **os.environ,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    }
    command = [sys.executable, str(TESTS / "trl_rank.py"), str(tmp_path), str(tmp_path)]
    ranks = [
        subprocess.Popen(command, env={**common, "RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    try:
        assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    (first, entropies, processes), (second, _, _) = (
        torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)
    )
    assert processes == 2
    assert torch.equal(first, second)
    assert whole.norm() > 0
    assert (first - whole).norm() < 1e-12 * whole.norm()
    assert entropies == [pytest.approx(entropy, rel=1e-12)]
