"""Whether a completion has the shape that its system prompt asked for."""

from typing import Literal, get_args

from grpo_core.rewards._box import boxes, last_box, opens_box
from grpo_core.rewards._layout import CLOSING_TAG, fences, thoughts_fault, without_code
from grpo_core.rewards._verdict import Verdict

Kind = Literal["math", "code", "think"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_BOXED = "\\boxed"


def verify_format(completion: str, /, *, kind: Kind) -> Verdict:
    r"""Whether thoughts come first, in one pair of tags, and an answer of this kind follows.

    Section 2.2.1 of Magistral (arXiv:2506.10910). The text starts with `<think>`, its very first
    characters, and has exactly one `<think>...</think>`. After that:

    - `"math"`: a `\boxed{}` that is not empty, whose braces balance and that is not in code;
    - `"code"`: a closed fenced block (three or more backticks or tildes) that names its language;
    - `"think"`: anything.

    The tags are plain text and are counted wherever they stand: one that is quoted, in the
    thoughts, in the answer or in code, is one too many. Thoughts may be empty; so may a block.
    Other spellings (`<THINK>`, `< think>`) are no tags. One good box or block is enough, whatever
    stands beside it; `\fbox` is no `\boxed`. Code is a fence of CommonMark (indented by up to three
    spaces; one that is never closed runs to the end) and, in prose, a run of backticks up to its
    like in the same paragraph; lines indented by four spaces are not code, since lists indent too.

    Args:
        completion: What the policy wrote, without the prompt. Any text at all.
        kind: What has to follow the thoughts.

    Returns:
        1.0 with reason `correct`, or 0.0 with one of `empty_completion`, `no_opening_tag`,
        `text_before_opening_tag`, `closing_without_opening`, `unclosed_thoughts`,
        `nested_thoughts`, `second_pair`, `second_opening_tag`, `second_closing_tag`; for maths
        `no_box`, `empty_box`, `unbalanced_box`, `box_in_code_only`; for code `no_fence`,
        `fence_without_language`, `unclosed_fence`.

    Raises:
        TypeError: If the completion is no text.
        ValueError: If the kind is unknown.

    Example:
        A box in the thoughts is no answer:

        >>> from grpo_core.rewards import verify_format
        >>> verify_format(r"<think>6 * 7</think>It is \boxed{42}.", kind="math").reason
        'correct'
        >>> verify_format(r"<think>\boxed{42}</think>It is 42.", kind="math").reason
        'no_box'
    """
    if not isinstance(completion, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"completion must be a str, got {type(completion).__name__}")
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}")
    fault = thoughts_fault(completion)
    if fault is None and kind != "think":
        answer = completion[completion.find(CLOSING_TAG) + len(CLOSING_TAG) :]
        fault = _box_fault(answer) if kind == "math" else _fence_fault(answer)
    return Verdict(1.0, "correct") if fault is None else Verdict(0.0, fault)


def _box_fault(answer: str) -> str | None:
    prose = without_code(answer)
    last = last_box(prose, (_BOXED,))
    if last and not _is_blank(prose[last.start : last.end]):
        return None
    found = [box for box in boxes(prose) if box.command == _BOXED] if last else []
    if any(not _is_blank(prose[box.start : box.end]) for box in found):
        return None
    if found:
        return "empty_box"
    if opens_box(prose, _BOXED):
        return "unbalanced_box"
    return "box_in_code_only" if opens_box(answer, _BOXED) else "no_box"


def _fence_fault(answer: str) -> str | None:
    blocks = fences(answer)
    if any(block.closed and block.language for block in blocks):
        return None
    if not blocks:
        return "no_fence"
    return "fence_without_language" if blocks[-1].closed else "unclosed_fence"


def _is_blank(content: str) -> bool:
    """Whether nothing but white space and grouping braces is there."""
    return not "".join(content.split()).strip("{}")
