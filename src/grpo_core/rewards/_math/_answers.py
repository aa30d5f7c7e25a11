"""An answer of exact numbers, one or several, and when two of them are equal."""

from fractions import Fraction
from time import monotonic
from typing import Literal, NamedTuple

from grpo_core.rewards._math._numbers import Number, Unread, read_number
from grpo_core.rewards._math._rounding import Rounding, equality

__all__ = ["Answer", "Order", "Rounding", "read_answer", "same_answer"]

Order = Literal["auto", "set", "sequence"]

_BRACKETS = (("(", ")"), ("\\{", "\\}"))


class Answer(NamedTuple):
    r"""Numbers, and the bracket that held them: `(`, `\{` or, for a bare list, nothing."""

    bracket: str
    numbers: tuple[Number, ...]

    def __str__(self) -> str:
        text = ", ".join(map(str, self.numbers))
        closing = dict(_BRACKETS).get(self.bracket, "")
        return f"{self.bracket}{text}{closing}"


def read_answer(text: str, deadline: float) -> Answer:
    """The numbers that `text`, in normal form, lists, or `Unread`.

    One number in brackets is that number. The deadline is on the clock of `time.monotonic`.
    """
    bracket, content = "", text
    for opening, closing in _BRACKETS:
        if text.startswith(opening) and text.endswith(closing):
            bracket, content = opening, text[len(opening) : -len(closing)]
    items = content.split(",")
    numbers: list[Number] = []
    for item in items:
        if monotonic() >= deadline:
            raise Unread("timeout")
        # In a list 000 is what a thousands separator leaves of (1,000): too unclear to call.
        if len(items) > 1 and item[:1] == "0" and item[1:2].isdigit():
            raise Unread("unparsable")
        numbers.append(read_number(item))
    if bracket == "\\{":  # a set holds each value once
        numbers = list({number.value: number for number in numbers}.values())
    return Answer(bracket if len(numbers) > 1 else "", tuple(numbers))


def same_answer(
    prediction: Answer, reference: Answer, *, rounding: Rounding, order: Order
) -> tuple[bool, str]:
    """Whether two answers are equal, and the rule that decided."""
    if len(prediction.numbers) != len(reference.numbers):
        return False, "count"
    brackets = {prediction.bracket, reference.bracket} - {""}
    if order == "auto" and len(brackets) > 1:  # a tuple is no set, a bare list may be either
        return False, "brackets"
    in_order = order == "sequence" or (order == "auto" and reference.bracket == "(")
    predicted, referred = prediction.numbers, reference.numbers
    if not in_order:
        # Sorted, two multisets are equal if they are so pair by pair; no search is needed.
        predicted, referred = sorted(predicted, key=_value), sorted(referred, key=_value)
    equal = equality(rounding)
    rule = "number" if len(predicted) == 1 else "sequence" if in_order else "multiset"
    return all(map(equal, predicted, referred)), rule


def _value(number: Number) -> Fraction:
    return number.value
