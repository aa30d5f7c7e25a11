"""What the compiler makes of the kernels for an H100, which needs no GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

SCRIPT = Path(__file__).with_name("compile_sm90.py")


@pytest.mark.parametrize(
    "kernel",
    [
        "log_probs.forward_kernel",
        "log_probs.backward_kernel",
        "logits_loss.loss_kernel",
        "logits_loss.scale_kernel",
    ],
)
def test_no_register_is_spilled_and_every_access_to_a_block_is_of_16_bytes(kernel):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, str(SCRIPT), kernel]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout.splitlines()[-1])
    assert found["spilled"] == 0
    assert found["wide"] >= 2
    assert found["narrow"] <= 2  # the target's logit, and its gradient
