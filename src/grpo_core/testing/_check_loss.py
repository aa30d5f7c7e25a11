"""The harness for losses."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any

from hypothesis import settings as Settings  # noqa: N812 - `settings` is a parameter
from hypothesis import strategies as st

from grpo_core.testing._batches import TokenBatch, token_batches
from grpo_core.testing._checks_cases import Case
from grpo_core.testing._checks_paste import import_of, name_of
from grpo_core.testing._checks_search import Found, default_settings, search
from grpo_core.testing._report import Failure, Report, Result

if TYPE_CHECKING:
    import torch

    from grpo_core.testing._checks_loss import Loss, Rule

_ONCE = {
    "gradient_is_of_the_value": "gradcheck in float64",
    "compiles": "torch.compile(fullgraph=True) gives the same",
}
_FIELDS = (*TokenBatch._fields, "total")


def check_loss(
    function: Callable[..., "torch.Tensor"],
    *,
    stops_gradient: bool = False,
    settings: Settings | None = None,
    seconds: float = 50.0,
) -> Report:
    r"""Try a loss on many small batches, and report which of the rules of a loss hold.

    The rules are those of `grpo_core.losses`: what lies under the mask is never read (NaN, infinity
    and 1e30 there change no bit of loss and gradient), nor is its width; a valid token that is
    absurdly stale leaves both finite; with `total`, the counts of the optimiser step, the losses
    and gradients of any partition into micro-batches add up, and a step twice over has the same
    loss; rows without a valid token count nowhere; nothing valid gives a zero that is attached to
    the graph; rows come in any order and groups have any names; gradients reach `log_probs` alone,
    and go on policy where the advantages say, at each valid token; a clip lets go of no token that
    went the wrong way; nothing is read back to the host, which is seen on a CPU too, by the
    operations that do it; nothing is written into the arguments; nothing broadcasts; bfloat16 is
    widened and float64 kept; `gradcheck`; `torch.compile(fullgraph=True)`.

    The loss is called by name, with what its parameters ask for out of `log_probs`,
    `old_log_probs`, `ref_log_probs`, `advantages` and `mask` ([batch, seq]), `rewards` and
    `group_ids` ([batch]) and `total` (a `StepTotals`). It returns a scalar, or the loss of each
    token, [batch, seq], as `linear_token_loss` takes it: that is tried as its `token_mean`, and
    must be the same in any chunk of tokens, of which one that couples tokens by PyTorch's own
    `mean(-1)` or `cumsum(-1)` knows nothing. A loss of another signature is wrapped in three lines.

    Args:
        function: The loss. Whatever else it takes has a default.
        stops_gradient: Whether its gradient is another than its value's on purpose, as in CISPO or
            a KL whose gradient is the score's; then `gradcheck` is not run.
        settings: Of Hypothesis; `max_examples` is the number of batches, 100 if not given.
            Without it a run is deterministic and stores nothing.
        seconds: Of this process for the sampling of all rules together, by its own clock, which a
            busy machine slows; a rule that did not come to its end says so.

    Returns:
        A report, with each failure shrunk to a small batch.

    Raises:
        TypeError: If a parameter without a default has another name, or none of them is
            `log_probs`.
        ValueError: If `seconds` is not more than 0.

    Example:
        The mask multiplies where it should select, and the step's total is not used:

        >>> from grpo_core.testing import check_loss
        >>> def loss(log_probs, old_log_probs, advantages, mask, total):
        ...     ratio = (log_probs - old_log_probs).exp()
        ...     return -(ratio * advantages * mask).sum() / mask.sum()
        >>> check_loss(loss).failed[:3]
        ('padding_is_inert', 'stale_token_is_finite', 'micro_batches_add_up')
    """
    if not seconds > 0:  # NaN fails this too
        raise ValueError(f"seconds must be more than 0, got {seconds}")
    # Here, since they import torch, and this door is open to verifiers without it.
    from grpo_core.testing import _checks_tokens as tokens  # noqa: PLC0415
    from grpo_core.testing._checks_loss import Loss  # noqa: PLC0415
    from grpo_core.testing._checks_loss_rules import NEEDS, OF_TOKENS, RULES  # noqa: PLC0415
    from grpo_core.testing._checks_once import compiles, gradient_is_of_the_value  # noqa: PLC0415

    loss = tokens.averaged(Loss(function, _names(function)))
    is_of_tokens = isinstance(loss.function, tokens.Averaged)
    rules = OF_TOKENS | RULES if is_of_tokens else RULES
    began = monotonic()
    base = settings or default_settings(100)
    strategy = st.tuples(token_batches(dtype="float64"), st.integers(0, 99)).map(Case)
    results: list[Result] = []
    for name, (says, rule) in rules.items():
        if is_of_tokens and name == "wrong_shapes_raise":
            note = "linear_token_loss checks the shapes of what it cuts"
            results.append(Result(name, says, note=note, is_run=False))
            continue
        missing = [need for need in NEEDS.get(name, ()) if need not in loss.names]
        if missing:
            note = f"takes no `{missing[0]}`"
            if missing == ["total"]:
                note += ": under gradient accumulation nobody can make it right"
            results.append(Result(name, says, note=note, is_run=False))
            continue
        sampled = search(
            strategy, _judge(name, rule, loss), base, seconds=seconds / len(rules),
            shrink_seconds=lambda: seconds / len(rules), key_of=_key, clock=process_time,
        )  # fmt: skip
        failures = tuple(_failure(found, rule, loss) for found in sampled.found)
        note = "time was over before all batches were tried" if sampled.is_cut else ""
        results.append(Result(name, says, failures, sampled.examples, note))
    once = {"gradient_is_of_the_value": gradient_is_of_the_value, "compiles": compiles}
    for name, says in _ONCE.items():
        if name == "gradient_is_of_the_value" and stops_gradient:
            results.append(Result(name, says, note="its gradient is another", is_run=False))
            continue
        results.append(_once(name, says, once[name], loss))
    return Report(name_of(function), tuple(results), monotonic() - began)


def _key(case: Case) -> str:
    """By which a batch is known again; tensors do not pickle to the same bytes each time."""
    batch, number = case.args
    return repr([tensor.tolist() for tensor in batch] + [number])


def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    unknown = [p.name for p in named if p.name not in _FIELDS and p.default is p.empty]
    names = tuple(p.name for p in named if p.name in _FIELDS and p.kind != p.POSITIONAL_ONLY)
    if unknown or "log_probs" not in names:
        raise TypeError(
            f"a loss takes log_probs and whatever it needs of {', '.join(_FIELDS)}, by name; "
            f"got {', '.join(unknown) or inspect.signature(function)}"
        )
    return names


def _judge(name: str, rule: "Rule", loss: "Loss") -> Callable[[Case], Mapping[str, str]]:
    def judged(case: Case) -> Mapping[str, str]:
        broken = _broken(rule, loss, case)
        return {} if broken is None else {name: broken[0]}

    return judged


def _broken(rule: "Rule", loss: "Loss", case: Case) -> tuple[str, TokenBatch] | None:
    batch, number = case.args
    try:
        return rule(loss, batch, Random(number))  # noqa: S311 - chance that repeats itself
    except Exception as error:  # noqa: BLE001 - whatever a user's loss may raise
        return f"raises {type(error).__name__}: {error}"[:200], batch


def _failure(found: Found, rule: "Rule", loss: "Loss") -> Failure:
    broken = _broken(rule, loss, found.case)
    batch = found.case.args[0] if broken is None else broken[1]
    return Failure(
        "", found.message, "", _test(found.check, found.message, loss, batch), found.times
    )


def _test(name: str, message: str, loss: "Loss", batch: TokenBatch) -> str:
    # Here, since it imports torch.
    from grpo_core.testing import _checks_tokens as tokens  # noqa: PLC0415

    each = loss.function if isinstance(loss.function, tokens.Averaged) else None
    names = loss.names if each is None else each.names
    line, called = import_of(loss.function if each is None else each.function)
    of_tokens = name == "tokens_are_apart"
    if of_tokens and "other rows" in message:
        return ""  # a call outside of linear_token_loss does not show it
    has_total = "total" in loss.names and not of_tokens
    lines = ["from math import inf, nan  # noqa: F401", "import torch"]
    lines += ["from grpo_core.losses import step_totals"] * has_total
    lines += ["from grpo_core.losses import token_mean"] * (each is not None and not of_tokens)
    lines += [line, "", "", f"def test_{name}():  # {message[:120]}"]
    for field in dict.fromkeys([*names, *(["mask", "group_ids"] * has_total)]):
        if field != "total":
            values: torch.Tensor = getattr(batch, field)
            lines.append(f"    {field} = torch.tensor({values.tolist()}, dtype={values.dtype})")
    lines.append("    log_probs.requires_grad_()")
    if of_tokens:
        return "\n".join([*lines, *tokens.pasted(called, names)])
    given = [f"{n}={'step_totals(mask, group_ids)' if n == 'total' else n}" for n in names]
    call = f"{called}({', '.join(given)})"
    if each is not None:
        call = f"token_mean({call}, mask, total=step_totals(mask, group_ids))"
    lines += [f"    {call}.backward()", "    assert log_probs.grad.isfinite().all()"]
    return "\n".join(lines)


def _once(name: str, says: str, check: Callable[["Loss"], str], loss: "Loss") -> Result:
    try:
        message = check(loss)
    except Exception as error:  # noqa: BLE001 - whatever a user's loss may raise
        message = f"{type(error).__name__}: {error}"[:400]
    failures = (Failure("", message, "", ""),) if message else ()
    return replace(Result(name, says, failures, 1))
