"""What every verifier answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verdict:
    r"""A score, the reason for it, and what led there.

    Frozen, comparable, hashable (by score and reason) and picklable. The mapping given as `detail`
    is copied, so that no two verdicts share one.

    Args:
        score: In [0, 1]; None where the question does not apply, as when the infrastructure failed:
            such a sample is left out, not scored 0.
        reason: A stable snake_case word to count by: `correct`, `different`, `timeout`, ...
        detail: Texts for people and logs: what was found, how it was read, which rule decided.

    Raises:
        TypeError: If the score is no number or the reason is no text.
        ValueError: If the score is outside [0, 1] or NaN, or the reason is empty.

    Example:
        A timeout is a zero that says so:

        >>> from grpo_core.rewards import Verdict
        >>> Verdict(0.0, "timeout")
        Verdict(score=0.0, reason='timeout', detail={})
    """

    score: float | None
    reason: str
    detail: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def __post_init__(self) -> None:
        if self.score is not None:
            if isinstance(self.score, bool):
                raise TypeError(f"score must be a number in [0, 1] or None, got {self.score}")
            if not 0 <= self.score <= 1:  # NaN fails this too
                raise ValueError(f"score must be in [0, 1] or None, got {self.score}")
            # 1 and numpy's floats become float: one type to compare, print and pickle.
            object.__setattr__(self, "score", float(self.score))
        if not isinstance(self.reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"reason must be a str, got {type(self.reason).__name__}")
        if not self.reason:
            raise ValueError("reason must not be empty")
        object.__setattr__(self, "detail", dict(self.detail))
