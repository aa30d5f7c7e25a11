"""The reward of the Magistral report: format, correctness, length and language."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, get_args

from grpo_core.rewards._code import verify_code
from grpo_core.rewards._format import verify_format
from grpo_core.rewards._language import verify_language
from grpo_core.rewards._length import soft_length_penalty
from grpo_core.rewards._math import verify_math
from grpo_core.rewards._verdict import Verdict

Kind = Literal["math", "code"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_VERIFIERS: dict[Kind, Callable[[str, Any], Verdict]] = {"math": verify_math, "code": verify_code}


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward, its parts as they were added, and the verdicts behind them.

    Args:
        total: What the completion earns: the sum of the parts; None where correctness could not be
            judged, and the sample is to be left out.
        format: What its form earned.
        correctness: What its answer earned; None where that could not be judged.
        length: The penalty, 0 or less.
        language: What its language earned.
        verdicts: The verdict of each part that was asked: `format`, `correctness`, `language`.
    """

    total: float | None
    format: float
    correctness: float | None
    length: float
    language: float
    verdicts: Mapping[str, Verdict] = field(hash=False)


def magistral_reward(
    problem: str,
    completion: str,
    reference: Any,
    /,
    *,
    kind: Kind = "math",
    length: int | None = None,
    max_length: int | None = None,
    buffer: int | None = None,
    format_weight: float = 0.1,
    correctness_weight: float = 0.9,
    length_penalty: float = 0.1,
    language_weight: float = 0.1,
    verify: Callable[[str, Any], Verdict] | None = None,
    language: Callable[[str, str], Verdict] | None = verify_language,
) -> Reward:
    r"""The reward of one completion, gated by its format.

    $$
    R = \begin{cases}
        0 & \text{if the format is wrong} \\
        0.1 + 0.9\,[\text{correct}] + 0.1\,[\text{one language}] + R_\text{length} & \text{else}
    \end{cases}
    $$

    Section 2.2 of Magistral (arXiv:2506.10910): `verify_format` (2.2.1), whose failure ends the
    grading; `verify_math` or `verify_code` (2.2.2); `soft_length_penalty` (2.2.3);
    `verify_language` (2.2.4). With the weights as they are the total is in
    [0, 1.1]. A reward of one's own is added to the total, or takes the place of a part.

    Args:
        problem: The problem, without the system prompt.
        completion: What the policy wrote. Any text at all.
        reference: The right answer, or for code the tests: the second argument of `verify`.
        kind: What the answer is; decides the format, and the verifier if none is given.
        length: Of the completion, in tokens. None leaves the length's term out, so that a recipe
            which adds it on tensors adds it once.
        max_length: As in `soft_length_penalty`; needed with `length`, and only then.
        buffer: As in `soft_length_penalty`; needed with `length`, and only then.
        format_weight: For a right format, at least 0.
        correctness_weight: For a right answer, times the verdict's score, at least 0.
        length_penalty: The most that length can cost, at least 0.
        language_weight: For one language throughout, at least 0.
        verify: The verifier of the answer; None is `verify_math` or `verify_code`. With options of
            its own: `partial(verify_math, rounding="digits")`.
        language: The verifier of the language; None leaves its term out, and the extra `language`
            is not needed.

    Returns:
        The total and its parts. Where the verifier could not judge (its score is None: no compiler,
        a full disk), total and correctness are None.

    Raises:
        TypeError: If problem or completion is no text.
        ValueError: If an option is out of range, a length comes without its limits, or, where the
            format is right, the reference cannot be read (`check_references` asks all at once).

    Example:
        A right answer of 110 tokens, where 100 is the limit:

        >>> from grpo_core.rewards import magistral_reward
        >>> magistral_reward(
        ...     "What is 6 times 7?", r"<think>6 * 7</think>\boxed{42}", "42",
        ...     length=110, max_length=100, buffer=20, language=None,
        ... ).total
        0.9
    """
    for name, text in (("problem", problem), ("completion", completion)):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} must be a str, got {type(text).__name__}")
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}")
    weights = {
        "format_weight": format_weight,
        "correctness_weight": correctness_weight,
        "language_weight": language_weight,
        "length_penalty": length_penalty,
    }
    for name, weight in weights.items():
        if not (isfinite(weight) and weight >= 0):
            raise ValueError(f"{name} must be finite and at least 0, got {weight}")
    penalty = _length_term(length, max_length, buffer, length_penalty)

    verdicts = {"format": verify_format(completion, kind=kind)}
    if not verdicts["format"].score:
        return Reward(0.0, 0.0, 0.0, 0.0, 0.0, verdicts)
    verdicts["correctness"] = (verify or _VERIFIERS[kind])(completion, reference)
    if language is not None:
        verdicts["language"] = language(completion, problem)
    score = verdicts["correctness"].score
    correct = None if score is None else correctness_weight * score
    same = language_weight * (verdicts["language"].score or 0.0) if language is not None else 0.0
    total = None if correct is None else format_weight + correct + same + penalty
    return Reward(total, format_weight, correct, penalty, same, verdicts)


def _length_term(
    length: int | None, max_length: int | None, buffer: int | None, penalty: float
) -> float:
    if length is None:
        if max_length is not None or buffer is not None:
            raise ValueError("max_length and buffer need a length, got None")
        return 0.0
    if max_length is None or buffer is None:
        raise ValueError(f"length needs max_length and buffer, got {max_length} and {buffer}")
    return soft_length_penalty(length, max_length=max_length, buffer=buffer, penalty=penalty)
