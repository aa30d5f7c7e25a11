"""Programs that try to break out, as root, as an ordinary user and without user namespaces."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox_attacks
from grpo_core.rewards._sandbox._report import LAYERS
from sandbox_attacks import ATTACKS, assault

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are confined on Linux")

NOBODY = 65534
REFUSED = tuple(name for name in LAYERS if name not in {"userns", "namespaces"})


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_held(name):
    assert assault(names=[name]) == {}


@pytest.mark.parametrize("runner", ["fork server", pytest.param("command", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "layers",
    [
        REFUSED,
        tuple(name for name in LAYERS if name != "cgroup"),
        tuple(name for name in LAYERS if name != "uid"),
        ("landlock", "seccomp"),
    ],
    ids=["namespaces refused", "no cgroup", "no user of its own", "as little as is strong"],
)
def test_attacks_are_held_with_fewer_layers(layers, runner):
    names = set(ATTACKS)
    if os.getuid() == 0 and "uid" not in layers and "cgroup" not in layers:
        names -= {"many threads"}  # the kernel counts none of root's: they are seen only by looking
    assert assault(layers, names=names, runner=runner) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("layers", [LAYERS, REFUSED], ids=["all", "namespaces refused"])
def test_attacks_are_held_where_the_trainer_is_an_ordinary_user(layers):
    attacks = Path(sandbox_attacks.__file__)
    python = reachable_python()
    if python is None:
        pytest.skip("no interpreter that another user can reach")
    environment = {"PYTHONPATH": str(attacks.parents[1] / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, attacks, ",".join(layers), str(NOBODY)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout or "null") == {}, done.stderr


def reachable_python():
    """An interpreter of at least 3.11 that another user can execute."""
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        if python is None:
            continue
        check = "import os, sys; os.setuid(65534); os.stat(sys.executable); "
        check += "sys.exit(sys.version_info < (3, 11))"
        done = subprocess.run([python, "-c", check], capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None
