"""Which isolation a set of layers comes to."""

from collections.abc import Sequence

from grpo_core.rewards._sandbox._types import Level, SandboxReport

LAYERS = ("uid", "userns", "namespaces", "cgroup", "landlock", "seccomp")
LEVELS: tuple[Level, ...] = ("none", "weak", "strong", "full")
_NAMESPACES = ("pid", "mount", "net", "ipc", "uts")
_TRUNCATION = 3
_CGROUPS = ("cgroup_memory", "cgroup_pids")


def report_of(layers: Sequence[str], problems: Sequence[str]) -> SandboxReport:
    """The report on a launcher that reached `layers` and met `problems`."""
    names = {layer.split()[0] for layer in layers}
    reasons = {problem.partition(":")[0]: problem for problem in problems}
    if not names & {"uid", "user"}:
        reasons.setdefault("uid", "uid: programs run as the trainer's user")
    for name in (*_NAMESPACES, *_CGROUPS, "landlock", "seccomp"):
        if name not in names:
            reasons.setdefault(name, f"{name}: not reached")
    return SandboxReport(_level(layers), (*layers, "rlimits", "subreaper"), tuple(reasons.values()))


def _level(layers: Sequence[str]) -> Level:
    names = {layer.split()[0] for layer in layers}
    apart = all(name in names for name in _NAMESPACES)
    own_user = "uid" in names or "user" in names
    version = max(
        (int(layer.split()[1]) for layer in layers if layer.startswith("landlock")), default=0
    )
    # A program with the trainer's own user and files must not even shorten one (version 3).
    guarded = version >= (1 if apart or own_user else _TRUNCATION)
    if "seccomp" not in names or not ((apart and own_user) or guarded):
        return "weak"
    if apart and own_user and guarded and all(name in names for name in _CGROUPS):
        return "full"
    return "strong"
