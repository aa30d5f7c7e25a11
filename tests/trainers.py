"""Trainers that install beside nothing: unpacked wheels, with stand-ins for what is heavy.

`python tests/trainers.py` downloads them into `.trainers/`, or into $GRPO_CORE_TRAINERS: nothing of
them is committed. A checkout of a trainer without a wheel (NeMo-RL, slime) is put there by hand.
"""

import importlib
import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest

FOLDER = Path(os.environ.get("GRPO_CORE_TRAINERS") or Path(__file__).parent.parent / ".trainers")
# What `pip download` is asked for, as of Python 3.12, which SkyRL asks for; their code is older.
WHEELS = {
    "areal": "areal==1.0.4",
    "openrlhf": "openrlhf==0.11.2",
    "skyrl": "skyrl==0.4.0",
    "skyrl_gym": "skyrl-gym==0.4.0",
    "verifiers": "verifiers==0.4.0",
    "verl": "verl==0.9.1",
}
CHECKOUTS = {
    "nemo_rl": "https://github.com/NVIDIA-NeMo/RL",
    "prime_rl": "https://github.com/PrimeIntellect-ai/prime-rl (its src/)",
    "slime": "https://github.com/THUDM/slime",
}


def download(name: str) -> None:
    """Fetch one wheel, without what it depends on, and unpack it."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", "3.12", "--dest", folder]
        subprocess.run([*command, WHEELS[name]], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        rmtree(FOLDER / name, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(FOLDER / name)


def root_of(name: str) -> Path:
    """The folder from which a trainer is imported; the test is skipped where there is none."""
    places = [FOLDER / name, *(FOLDER / name).glob("*.data/purelib")]
    for place in places:
        if any((place / name).glob("*.py")) or any((place / name).glob("*/")):
            return place
    if name in WHEELS:
        pytest.skip(f"no {WHEELS[name]} in {FOLDER}: `make test-trainers` downloads it")
    pytest.skip(f"{name} has no wheel: unpack {CHECKOUTS[name]} into {FOLDER / name}")


@contextmanager
def imported(*names: str, absent: tuple[str, ...] = (), bare: tuple[str, ...] = ()):
    """Import these trainers, with stand-ins for the modules that are `absent`; undone afterwards.

    Of packages that are `bare` the `__init__.py` is not run: it imports all that they have.

    A stand-in is a module whose every attribute is a class that can be called, subclassed and
    used as a decorator: enough to be imported, and wrong as soon as it is relied on.
    """
    roots = [str(root_of(name)) for name in names]
    before, finder = set(sys.modules), _StandIns(absent)
    sys.path[:0] = roots
    sys.meta_path.insert(0, finder)
    importlib.invalidate_caches()
    for name in bare:
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(root_of(name.partition(".")[0]) / name.replace(".", "/"))]
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for root in roots:
            sys.path.remove(root)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in {*names, *(a.partition(".")[0] for a in absent)}:
                del sys.modules[name]


class _Anything(type):
    """The class of a stand-in's attributes: whatever is asked of it is another one."""

    def __getattr__(cls, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return _anything(name)

    def __getitem__(cls, _):
        return cls

    def __or__(cls, _):
        return cls

    __ror__ = __or__

    def __call__(cls, *arguments, **keywords):
        if cls.__module__ != __name__:  # a class of the trainer's own, made from a stand-in
            return super().__call__(*arguments, **keywords)
        # As a decorator it gives back what it is put on.
        is_decorator = len(arguments) == 1 and not keywords and callable(arguments[0])
        return arguments[0] if is_decorator else _anything("made")


def _anything(name: str) -> type:
    any_value = classmethod(lambda *_: {"type": "any"})  # as a field of a pydantic model
    return _Anything(name, (), {"__module__": __name__, "__get_pydantic_core_schema__": any_value})


class _StandIn(ModuleType):
    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        value = _anything(name)
        setattr(self, name, value)
        return value


class _StandIns(MetaPathFinder, Loader):
    def __init__(self, absent: tuple[str, ...]) -> None:
        self.absent = absent

    def find_spec(self, name, path=None, target=None):
        if any(name == a or name.startswith(a + ".") for a in self.absent):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _StandIn(spec.name)

    def exec_module(self, module):
        pass


if __name__ == "__main__":
    for wanted in sys.argv[1:] or WHEELS:
        download(wanted)
        print(f"{WHEELS[wanted]} -> {FOLDER / wanted}")
