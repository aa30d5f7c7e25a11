"""What Triton makes of a launch for an H100, found without one: a driver that launches nothing.

Kernels are launched as the library launches them, so that types, divisibility and configuration are
those of the real call, and compiled for sm_90 by Triton and its ptxas. All this in a process of its
own: with TRITON_INTERPRET set, `@triton.jit` gives no functions that compile.
"""

import contextlib
import functools
import importlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

BITS = re.compile(r"\b(?:ld|st)\.global(?:\.[\w:]+)*?(?:\.v(\d))?\.[bsuf](\d+)\s")
COPIES = re.compile(r"cp\.async\.c[ag]\.shared\.global\S* .*?\].*?\], (\w+)")


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel; sizes in bytes, `accesses` its global loads and stores by their width."""

    name: str
    threads: int
    registers: int
    stack: int
    spilled: int
    shared: int
    accesses: dict[int, int]
    tensor_copies: int  # TMA, both ways
    wgmma: int

    @staticmethod
    def read(name: str, threads: int, shared: int, ptx: str, log: str) -> "Kernel":
        """From the PTX and from what ptxas says of it."""
        sizes = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", log)
        vectors = (int(count or 1) * int(bits) // 8 for count, bits in BITS.findall(ptx))
        copies = (int(size, 0) for size in COPIES.findall(ptx))
        return Kernel(
            name=name,
            threads=threads,
            registers=max(int(count) for count in re.findall(r"Used (\d+) registers", log)),
            stack=max(int(stack) for stack, _, _ in sizes),
            spilled=max(int(stores) + int(loads) for _, stores, loads in sizes),
            shared=shared,
            accesses=dict(Counter([*vectors, *copies])),
            tensor_copies=len(re.findall(r"cp\.async\.bulk\.tensor", ptx)),
            wgmma=len(re.findall(r"wgmma\.mma_async", ptx)),
        )


def unavailable() -> str | None:
    """Why nothing can be compiled here."""
    try:
        from triton import knobs

        path = knobs.nvidia.ptxas.path
    except (ImportError, RuntimeError) as error:
        return f"Triton 3.6 and the ptxas in it are needed: {error}"
    return None if os.access(path, os.X_OK) else f"{path} cannot be run"


@functools.cache
def compiled(module: str) -> dict[str, list[Kernel]]:
    """Each launch of `module.LAUNCHES` and the kernels that it compiled, found in a new process."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, __file__, module],
            env=environment | {"TRITON_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{module} did not compile:\n{done.stderr}")

    def kernel(found: dict[str, Any]) -> Kernel:
        accesses = {int(width): count for width, count in found.pop("accesses").items()}
        return Kernel(**found, accesses=accesses)

    launches = json.loads(done.stdout)
    return {name: [kernel(found) for found in kernels] for name, kernels in launches.items()}


def compile_each(launches: dict[str, Callable[[], object]]) -> dict[str, list[Kernel]]:
    """Call each function; the kernels that it launched, in order."""
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver

    known: dict[str, Kernel] = {}
    launched: list[str] = []

    def launcher(_: object, metadata: Any) -> Callable[..., None]:
        return lambda *_: launched.append(metadata.hash)

    device = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", 90, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda _: 0,
        launcher_cls=launcher,
        utils=SimpleNamespace(
            # a kernel too large is the tests' to refuse, with its name and size
            get_device_properties=lambda _: {"max_shared_mem": sys.maxsize},
            load_binary=lambda *_: (0, 0, 0, 0, 1024),
        ),
    )

    def keep(*, src: Any, metadata: dict[str, Any], metadata_group: dict[str, str], **_: Any):
        path = next(path for path in metadata_group.values() if path.endswith(".ptx"))
        known[metadata["hash"]] = Kernel.read(
            src.name,
            32 * metadata["num_warps"],
            metadata["shared"],
            Path(path).read_text(),
            log.getvalue(),
        )
        log.seek(0)
        log.truncate()

    driver.set_active(device)
    knobs.nvidia.dump_ptxas_log = True  # it goes to stdout
    knobs.compilation.always_compile = True
    knobs.compilation.listener = keep
    found: dict[str, list[Kernel]] = {}
    for name, launch in launches.items():
        launched.clear()
        with contextlib.redirect_stdout(io.StringIO()) as log:
            launch()
        found[name] = [known[key] for key in launched]
    return found


if __name__ == "__main__":
    kernels = compile_each(importlib.import_module(sys.argv[1]).LAUNCHES)
    print(
        json.dumps({name: [asdict(kernel) for kernel in found] for name, found in kernels.items()})
    )
