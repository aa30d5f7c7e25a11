"""Compiles a kernel for an H100, without one, and prints what came of it as JSON.

    python tests/kernels/compile_sm90.py log_probs.forward_kernel

A process of its own, without TRITON_INTERPRET: with it, `triton.jit` gives functions that only the
interpreter can run.
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile

FLAGS = {
    "UNIT": True,
    "HAS_MASK": True,
    "HAS_OLD": True,
    "HAS_TEMPERATURE": False,
    "HAS_SUPPORT": False,
    "WITH_ENTROPY": True,
    "WITH_GRADIENT": True,
}
INTEGERS = {"tokens_ptr": "*i64", "mask_ptr": "*i1", "support_ptr": "*i1"}
LOGITS = {"logits_ptr": "*bf16", "grad_ptr": "*bf16"}
FLOATS = ("temperature", "low", "high", "ratio_max")


def constants(module, name: str) -> tuple[dict, int]:
    """Sizes and warps as the launchers have them."""
    if name == "forward_kernel":
        sizes = {"PIECES": module.PIECES, "BLOCK": module.BLOCK, "STAGES": module.STAGES}
        return sizes, module.WARPS
    if name == "backward_kernel":
        return {"BLOCK": module.BACKWARD_BLOCK}, module.BACKWARD_WARPS
    if name == "scale_kernel":
        return {"BLOCK": module.SCALE_BLOCK}, module.SCALE_WARPS
    return {"BLOCK": module.BLOCK, "FOLD": 8}, module.BLOCK // module.COLUMNS_PER_WARP


def main(module_name: str, name: str) -> None:
    import triton  # which is not everywhere, where this file is looked through for doctests
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = importlib.import_module(f"grpo_core._kernels.{module_name}")
    kernel = getattr(module, name)
    sizes, warps = constants(module, name)
    values, types, attributes = {}, {}, {}
    for index, argument in enumerate(kernel.arg_names):
        if argument in FLAGS or argument in sizes:
            values[argument] = (FLAGS | sizes)[argument]
            types[argument] = "constexpr"
        elif argument.endswith("stride_v"):  # a stride of 1 is a constant to Triton
            values[argument], types[argument] = 1, "constexpr"
        elif argument.endswith("_ptr"):
            types[argument] = (LOGITS | INTEGERS).get(argument, "*fp32")
        else:
            types[argument] = "fp32" if argument in FLOATS else "i32"
        if types[argument][0] == "*" or (types[argument] == "i32" and argument != "rows"):
            attributes[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, types, values, attributes)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    ptx = made.asm["ptx"]
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        ptxas = triton.knobs.nvidia.ptxas.path
        command = [ptxas, "-v", "-arch=sm_90a", file.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = {
        "spilled": sum(int(n) for n in re.findall(r"(\d+) bytes spill", said)),
        "registers": int(re.findall(r"Used (\d+) registers", said)[0]),
        "wide": len(re.findall(r"(?:ld|st)\.global\S*\.v4\.b32", ptx)),
        # of a vector of bfloat16; one is the target's logit
        "narrow": len(re.findall(r"(?:ld|st)\.global\S*\.b16", ptx)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1].split("."))
