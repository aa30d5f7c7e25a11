"""The verifier of mathematical answers."""

from math import inf
from time import monotonic
from typing import get_args

from grpo_core.rewards._box import joined_boxes, last_box
from grpo_core.rewards._layout import answer_of, without_code
from grpo_core.rewards._math._answers import Order, Rounding, same_answer
from grpo_core.rewards._math._compare import compared, same
from grpo_core.rewards._math._judge import Judge
from grpo_core.rewards._math._numbers import Unread
from grpo_core.rewards._math._options import Options
from grpo_core.rewards._math._prepared import prepared
from grpo_core.rewards._math._reading import MAX_CHARACTERS, read_tree
from grpo_core.rewards._math._references import Reading, read, read_reference
from grpo_core.rewards._math._spelling import normal_form
from grpo_core.rewards._math._tree import Answer
from grpo_core.rewards._verdict import Verdict

_ORDERS: tuple[Order, ...] = get_args(Order)


def verify_math(
    completion: str,
    reference: str,
    /,
    *,
    timeout_seconds: float = 5.0,
    rounding: Rounding = "strict",
    order: Order = "auto",
    join_boxes: bool = False,
) -> Verdict:
    r"""Whether the last box of the answer means the same as the reference.

    Section 2.2.2 of Magistral (arXiv:2506.10910). The answer is what follows the one `</think>`; a
    text without tags is all answer. Its last balanced `\boxed{}` or `\fbox{}` outside code is
    graded and no other: of nested boxes the inner one, of `\boxed{3}\boxed{4}` the 4, and
    if it is empty there is no answer.

    Texts of one normal form are equal: spacing, `\left`, `\dfrac`, `$`, `\text` and a last full
    stop do not count. Then exact numbers are compared as `Fraction`. All else is read into a typed
    tree (`parse_answer`) and compared by its kind: values and expressions at random points, modulo
    a prime or with 60 digits; equations up to a factor that is not 0, and `x = 3` against `3`;
    lists as multisets, tuples in order; intervals with the inequalities that they solve; matrices
    by entry; units only if both sides have one, converted within a dimension (temperatures are
    not). Constants of integration, and parameters declared to be whole, may have any name. Values
    given to several names must go with them. A chain `x = 3 = 4` is right if all of it is; what
    follows an approximation sign is not graded. What cannot be read is `unparsable`, never
    `different`, since it may be right.

    `1,234` is one number; in brackets, or beside a space, a comma separates. `1 000` is one number
    wherever a space can mean nothing else, but `1 100/200` is mixed. A percent is a hundredth:
    `50\%` is 1/2 and not 50. `\log` is the natural logarithm, `i` and `e` are numbers.

    Args:
        completion: What the policy wrote. Any text at all; it is never executed.
        reference: The right answer, bare or in exactly one box, of at most 2,000 characters.
        timeout_seconds: When to give up, in seconds, more than 0. Steps of bounded size are taken
            in this thread, with a look at the clock before each. What has no bound (an integral, a
            sum, a limit, two values that no other step could tell apart) goes to a worker process,
            which is killed when the time is over. The wait for a worker to start (0.3 s, once)
            or to be free does not count.
        rounding: `"strict"`: values are equal, or one is a decimal of at least 6 significant
            digits, the other is exact (no decimal in it: a fraction, a root, a multiple of pi) and
            no whole number, and every printed digit agrees, rounded or cut off. `"digits"`: 3
            significant digits are enough, and of two decimals the coarser one decides. A number in
            (0, 1): they differ by at most this share of the larger one; integers written without a
            point stay exact.
        order: `"sequence"`: the order of a list counts. `"set"`: it does not, but repetitions do
            unless in `\{ \}`. `"auto"`: it counts if the reference is in parentheses, and a tuple
            is no set.
        join_boxes: Grade the last box together with those before it that only commas, `and` or
            space set apart, as one list: `\boxed{3}, \boxed{4}` is `3, 4`, and not 4.

    Returns:
        1.0 with reason `correct`, or 0.0 with `different`, `no_answer`, `unparsable`, `undecided`
        (neither proven equal nor told apart), `timeout` or `too_large` (over 2,000 characters,
        1,000 digits, an exponent of 1,000, 100 levels of brackets, or 1 GB in a worker). The detail
        holds what was `extracted`, how both sides were read (`prediction`, `reference`) and the
        `rule` that decided. Where a worker is needed and this machine can start none, the score is
        None, the reason `undecided` and the rule `no_worker`: that is not the answer's fault.

    Raises:
        TypeError: If completion or reference is no text.
        ValueError: If an option is out of range, or the reference cannot be read, is blank, too
            long, holds a control character (`"\frac"` typed without `r`) or a box but not exactly
            one.

    Example:
        Two spellings of one number, and a hedge:

        >>> from grpo_core.rewards import verify_math
        >>> verify_math(r"<think>3 / 6</think>\boxed{0.5}", r"\frac{1}{2}").score
        1.0
        >>> verify_math(r"<think>3 / 6</think>\boxed{0.5 or 2}", r"\frac{1}{2}").reason
        'different'
    """
    if not isinstance(completion, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"completion must be a str, got {type(completion).__name__}")
    _check_options(timeout_seconds, rounding, order)
    deadline = monotonic() + timeout_seconds
    expected = read_reference(reference, deadline)

    answer = answer_of(completion)
    if answer is None:
        return Verdict(0.0, "no_answer", {"rule": "tags"})
    prose = without_code(answer)
    last = last_box(prose)
    if last is None:
        return Verdict(0.0, "no_answer", {"rule": "box"})
    found = joined_boxes(prose) if join_boxes else [last]
    if sum(box.end - box.start for box in found) > MAX_CHARACTERS:
        extracted = prose[last.start : last.start + 100] + "..."
        return Verdict(0.0, "too_large", {"extracted": extracted, "rule": "characters"})
    extracted = ", ".join(prose[box.start : box.end].strip() for box in found)
    return _graded(extracted, expected, Options(rounding, order, deadline))


def math_equivalent(
    prediction: str,
    reference: str,
    /,
    *,
    timeout_seconds: float = 5.0,
    rounding: Rounding = "strict",
    order: Order = "auto",
) -> Verdict:
    r"""Whether an answer, without a box around it, means the same as the reference.

    What `verify_math` does with the content of the last box, for answers that come bare.

    Args:
        prediction: The answer: any text at all; it is never executed.
        reference: The right answer, as in `verify_math`.
        timeout_seconds: As in `verify_math`.
        rounding: As in `verify_math`.
        order: As in `verify_math`.

    Returns:
        The verdict that `verify_math` would give.

    Raises:
        TypeError: If prediction or reference is no text.
        ValueError: If an option or the reference is one that `verify_math` refuses.

    Example:
        An inequality and the interval that it solves to:

        >>> from grpo_core.rewards import math_equivalent
        >>> math_equivalent("2x > 6", r"(3, \infty)").score
        1.0
    """
    if not isinstance(prediction, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"prediction must be a str, got {type(prediction).__name__}")
    _check_options(timeout_seconds, rounding, order)
    deadline = monotonic() + timeout_seconds
    expected = read_reference(reference, deadline)
    if len(prediction) > MAX_CHARACTERS:
        extracted = prediction[:100] + "..."
        return Verdict(0.0, "too_large", {"extracted": extracted, "rule": "characters"})
    return _graded(prediction.strip(), expected, Options(rounding, order, deadline))


def _graded(extracted: str, expected: Reading, options: Options) -> Verdict:
    """The verdict on what a box holds."""
    judge = Judge()
    detail = {"extracted": extracted, "prediction": "", "reference": expected.text, "rule": "empty"}
    given = detail["prediction"] = normal_form(extracted)
    if not given:
        return Verdict(0.0, "no_answer", detail)
    if given == expected.text:
        return Verdict(1.0, "correct", detail | {"rule": "text"})
    prediction = read(given, extracted, options.deadline)
    for side, reading in (("prediction", prediction), ("reference", expected)):
        if reading.reason:
            return Verdict(0.0, reading.reason, detail | {"rule": side})
    try:
        detail |= {"prediction": str(prediction), "reference": str(expected)}
        if prediction.numbers and expected.numbers:
            equal, rule = same_answer(
                prediction.numbers, expected.numbers, rounding=options.rounding, order=options.order
            )
        else:
            trees = _trees(prediction, expected, options.deadline)
            equal, rule = _compared(*trees, options, judge)
    except Unread as unread:
        if unread.reason == "undecided" and judge.is_missing:
            return Verdict(None, "undecided", detail | {"rule": "no_worker"})
        return Verdict(0.0, unread.reason, detail | {"rule": "comparison"})
    except RecursionError:  # the caller's own stack was nearly full
        return Verdict(0.0, "too_large", detail | {"rule": "comparison"})
    detail["rule"] = rule
    return Verdict(1.0, "correct", detail) if equal else Verdict(0.0, "different", detail)


def _compared(
    prediction: Answer, reference: Answer, options: Options, judge: Judge
) -> tuple[bool, str]:
    """What this thread can say within bounds; what it leaves undecided, with workers to ask."""
    try:
        return same(prediction, reference, options)
    except Unread as unread:
        if unread.reason != "undecided":
            raise
    return compared(*prepared(prediction, reference), options._replace(decide=judge))


def _trees(prediction: Reading, expected: Reading, deadline: float) -> tuple[Answer, Answer]:
    return tuple(  # pyright: ignore[reportReturnType] - of two
        read_tree(reading.source, deadline) if reading.tree is None else reading.tree
        for reading in (prediction, expected)
    )


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
