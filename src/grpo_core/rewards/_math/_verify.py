"""The verifier of mathematical answers."""

import re
from math import inf
from time import monotonic
from typing import get_args

from grpo_core.rewards._box import COMMANDS, boxes, last_box
from grpo_core.rewards._layout import answer_of, without_code
from grpo_core.rewards._math._answers import Order, Rounding, read_answer, same_answer
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._spelling import normal_form
from grpo_core.rewards._verdict import Verdict

MAX_CHARACTERS = 2_000

_ORDERS: tuple[Order, ...] = get_args(Order)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def verify_math(
    completion: str,
    reference: str,
    /,
    *,
    timeout_seconds: float = 5.0,
    rounding: Rounding = "strict",
    order: Order = "auto",
) -> Verdict:
    r"""Whether the last box of the answer means the same as the reference.

    Section 2.2.2 of Magistral (arXiv:2506.10910). The answer is what follows the one `</think>`; a
    text without tags is all answer. Its last balanced `\boxed{}` or `\fbox{}` outside code is
    graded and no other: of nested boxes the inner one, of `\boxed{3}\boxed{4}` the 4, and
    if it is empty there is no answer.

    Texts of one normal form are equal, whatever they say: spacing, `\left`, `\dfrac`, `$`, `\text`
    and a last full stop do not count. Beyond that, exact numbers and lists of them are compared as
    `Fraction`: integers, decimals, `a/b`, `\frac`, mixed numbers, powers of ten, and thousands
    grouped in threes by `,`, `{,}`, `\,` or a thin space. `1,234` is one number; in brackets, or
    beside a space, a comma separates. A percent is a hundredth: `50\%` is 1/2 and not 50. Of what
    lies outside ASCII, full-width characters and the signs −, –, × and · are read as their ASCII;
    no other digit is one. An answer that is no number is `unparsable`, never `different`, since it
    may be right.

    Args:
        completion: What the policy wrote. Any text at all; it is never executed.
        reference: The right answer, bare or in exactly one box, of at most 2,000 characters.
        timeout_seconds: When to give up, in seconds, more than 0.
        rounding: `"strict"`: values are equal. `"digits"`: or one is a decimal of at least 6
            significant digits, all of which agree. A number in (0, 1): or they differ by at most
            this share of the larger one; integers written without a point stay exact.
        order: `"sequence"`: the order of a list counts. `"set"`: it does not, but repetitions do
            unless in `\{ \}`. `"auto"`: it counts if the reference is in parentheses, and a tuple
            is no set.

    Returns:
        1.0 with reason `correct`, or 0.0 with `different`, `no_answer`, `unparsable`, `timeout` or
        `too_large` (over 2,000 characters, 1,000 digits or an exponent of 1,000). The detail holds
        what was `extracted`, how both sides were read (`prediction`, `reference`) and the `rule`
        that decided.

    Raises:
        TypeError: If completion or reference is no text.
        ValueError: If an option is out of range, or the reference is blank, too long, holds a
            control character (`"\frac"` typed without `r`) or a box but not exactly one.

    Example:
        Two spellings of one number, and a hedge:

        >>> from grpo_core.rewards import verify_math
        >>> verify_math(r"<think>3 / 6</think>\boxed{0.5}", r"\frac{1}{2}").score
        1.0
        >>> verify_math(r"<think>3 / 6</think>\boxed{0.5 or 2}", r"\frac{1}{2}").reason
        'unparsable'
    """
    if not isinstance(completion, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"completion must be a str, got {type(completion).__name__}")
    _check_options(timeout_seconds, rounding, order)
    deadline = monotonic() + timeout_seconds
    expected = _normal_reference(reference)

    answer = answer_of(completion)
    if answer is None:
        return Verdict(0.0, "no_answer", {"rule": "tags"})
    prose = without_code(answer)
    box = last_box(prose)
    if box is None:
        return Verdict(0.0, "no_answer", {"rule": "box"})
    if box.end - box.start > MAX_CHARACTERS:
        extracted = prose[box.start : box.start + 100] + "..."
        return Verdict(0.0, "too_large", {"extracted": extracted, "rule": "characters"})
    extracted = prose[box.start : box.end].strip()
    detail = {"extracted": extracted, "prediction": "", "reference": expected, "rule": "empty"}
    given = detail["prediction"] = normal_form(extracted)
    if not given:
        return Verdict(0.0, "no_answer", detail)
    if given == expected:
        return Verdict(1.0, "correct", detail | {"rule": "text"})
    try:
        detail["rule"] = "prediction"
        prediction = read_answer(given, deadline)
        detail["rule"] = "reference"
        referred = read_answer(expected, deadline)
    except Unread as unread:
        return Verdict(0.0, unread.reason, detail)
    detail |= {"prediction": str(prediction), "reference": str(referred)}
    equal, detail["rule"] = same_answer(prediction, referred, rounding=rounding, order=order)
    return Verdict(1.0, "correct", detail) if equal else Verdict(0.0, "different", detail)


def _check_options(timeout_seconds: float, rounding: Rounding, order: Order) -> None:
    if not 0 < timeout_seconds < inf:
        raise ValueError(f"timeout_seconds must be finite and more than 0, got {timeout_seconds}")
    if rounding not in ("strict", "digits") and not (
        isinstance(rounding, int | float)  # pyright: ignore[reportUnnecessaryIsInstance]
        and 0 < rounding < 1
    ):
        raise ValueError(f"rounding must be 'strict', 'digits' or in (0, 1), got {rounding!r}")
    if order not in _ORDERS:
        raise ValueError(f"order must be one of {', '.join(map(repr, _ORDERS))}, got {order!r}")


def _normal_reference(reference: str) -> str:
    """The normal form of the reference, or of what its box holds."""
    if not isinstance(reference, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"reference must be a str, got {type(reference).__name__}")
    if len(reference) > MAX_CHARACTERS:
        raise ValueError(f"reference must have at most 2,000 characters, got {len(reference):,}")
    if control := _CONTROL.search(reference):
        raise ValueError(f"reference must have no control character, got {control[0]!r}")
    text = reference
    if any(command in reference for command in COMMANDS):
        found = boxes(reference)
        if len(found) != 1:
            raise ValueError(f"reference must have exactly one balanced box, got {reference!r}")
        text = reference[found[0].start : found[0].end]
    expected = normal_form(text)
    if not expected:
        raise ValueError(f"reference must not be blank, got {reference!r}")
    return expected
