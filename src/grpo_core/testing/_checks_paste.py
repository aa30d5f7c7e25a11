"""A counterexample as a test to paste."""

from collections.abc import Callable
from functools import partial
from typing import Any

from grpo_core.testing._checks_cases import Args
from grpo_core.testing._checks_search import Found
from grpo_core.testing._report import Failure, literal


def failure_of(
    found: Found, function: Callable[..., Any], condition: str, *, is_verdict: bool
) -> Failure:
    """What the report says of a way to fail.

    Args:
        found: The way.
        function: What was checked.
        condition: What has to hold of `score`; empty where the check is of something else.
        is_verdict: Whether the function returns an object with a `score`.
    """
    line, name = import_of(function)
    call = _call(name, found.case.args)
    score = f"{call}.score" if is_verdict else call
    lines = [line, "", "", f"def test_{found.check}():"]
    lines[:0] = ["from time import monotonic"] * (found.check == "in_time")
    lines[:0] = ["from concurrent.futures import ThreadPoolExecutor"] * (
        found.check == "thread_safe"
    )
    lines[:0] = ["from grpo_core.rewards import StdinTest"] * ("StdinTest(" in call)
    lines[:0] = ["import pickle"] * (found.check == "process_safe")
    match found.check:
        case "in_time":
            body = ["began = monotonic()", call, "assert monotonic() - began < DEADLINE_SECONDS"]
            body[-1] = body[-1].replace("DEADLINE_SECONDS", condition)
        case "repeatable":
            body = [f"assert len({{{score} for _ in range(2_000)}}) == 1"]
        case "unmoved_by_noise" | "symmetric":
            other = _call(name, found.history[0]) + (".score" if is_verdict else "")
            body = [f"assert {score} == {other}"]
        case "order_independent":
            body = [f"alone = {score}  # in a new process"]
            body += [_call(name, args) for args in found.history[-3:]]
            body += [f"assert {score} == alone"]
        case "thread_safe":
            arguments = literal(found.case.args)
            body = ["with ThreadPoolExecutor() as threads:"]
            body += [f"    result = threads.submit({name}, *{arguments}).result()"]
            body += [f"assert result == {call}"]
        case "process_safe" if not found.case.args:
            body = [f"pickle.loads(pickle.dumps({name}))"]
        case _ if condition:
            body = [f"score = {score}", f"assert {condition}"]
        case _:
            body = [call]
    body[0] += f"  # {found.label}" if found.label else ""
    test = "\n".join(lines + [f"    {part}" for part in body])
    return Failure(found.label, found.message, call, test, found.times)


def _call(name: str, args: Args) -> str:
    return f"{name}({', '.join(map(literal, args))})"


def import_of(function: Callable[..., Any]) -> tuple[str, str]:
    """How a test would import it, and what it is then called."""
    options = ""
    if isinstance(function, partial) and not function.args:
        options = ", ".join(f"{key}={value!r}" for key, value in function.keywords.items())
        function = function.func
    name = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", "")
    if not (name.isidentifier() and module):
        return "# verifier = what was checked", "verifier"
    if module == "__main__":
        return f"# {name}: of the main module", name
    line = f"from {module} import {name}"
    if options:
        return (
            f"from functools import partial\n{line}\nverifier = partial({name}, {options})",
            "verifier",
        )
    return line, name


def name_of(function: Callable[..., Any]) -> str:
    """What a report calls it."""
    inner = function.func if isinstance(function, partial) else function
    module, name = getattr(inner, "__module__", ""), getattr(inner, "__qualname__", "")
    return f"{module}:{name}" if module and name else repr(function)
