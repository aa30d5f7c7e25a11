"""What a trainer hands to a composed loss, under the names of this library."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grpo_core.losses import StepTotals


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenBatch:
    r"""The tokens of one call of a trainer's loss, `batch seq`, padded on the right.

    A composed loss is a function of it that gives the loss of each token,

        def loss(batch):
            ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
            return clipped_loss(ratio, batch.advantages)

    and a mean of `grpo_core.losses`, named beside it: `mean=token_mean`. What a trainer gives to
    some runs alone is a property that raises where it was not given.

    Example:
        >>> import torch
        >>> from grpo_core.adapters.verl import TokenBatch
        >>> x, mask = torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
        >>> batch = TokenBatch(
        ...     trainer="verl", log_probs=x, old_log_probs=x, advantages=x, mask=mask
        ... )
        >>> batch.ref_log_probs
        Traceback (most recent call last):
        ...
        ValueError: verl gave no ref_log_probs to this loss
    """

    trainer: str
    """Its name, for messages."""
    log_probs: Float[Tensor, "batch seq"]
    """Under the policy being trained; the only tensor here with a gradient, beside `entropy`."""
    old_log_probs: Float[Tensor, "batch seq"]
    """What the ratio is taken against: under the policy before the step, as the trainer scored it,
    or under the sampler where the trainer scores none."""
    advantages: Float[Tensor, "batch seq"]
    """Of each token, not divided by anything."""
    mask: Bool[Tensor, "batch seq"]
    """True where a token counts."""
    given: Mapping[str, Tensor | StepTotals] = field(default_factory=dict[str, Tensor])
    """What this run has beside them: read it by the properties."""
    read: set[str] = field(default_factory=set[str])
    """Which properties the loss has read: an adapter compares them with the trainer's options."""

    @property
    def sampler_log_probs(self) -> Float[Tensor, "batch seq"]:
        """As the sampling engine reported them, beside `old_log_probs` of the trainer's own."""
        return self._tensor("sampler_log_probs")

    @property
    def ref_log_probs(self) -> Float[Tensor, "batch seq"]:
        """Under the frozen reference."""
        return self._tensor("ref_log_probs")

    @property
    def entropy(self) -> Float[Tensor, "batch seq"]:
        """Of the distribution that each token came from, in nats."""
        return self._tensor("entropy")

    @property
    def weights(self) -> Float[Tensor, "batch seq"]:
        """Importance weights that the trainer made for another engine's samples; constants."""
        return self._tensor("weights")

    @property
    def group_ids(self) -> Int[Tensor, " batch"]:
        """Equal for samples of one prompt."""
        return self._tensor("group_ids")

    @property
    def total(self) -> StepTotals:
        """Counts of the whole optimiser step, cut to these rows."""
        total = self._value("total")
        assert isinstance(total, StepTotals)  # noqa: S101 - what the adapters put there
        return total

    def _tensor(self, name: str) -> Tensor:
        value = self._value(name)
        assert isinstance(value, Tensor)  # noqa: S101 - what the adapters put there
        return value

    def _value(self, name: str) -> Tensor | StepTotals:
        self.read.add(name)
        if name not in self.given:
            raise ValueError(f"{self.trainer} gave no {name} to this loss")
        return self.given[name]


TokenLoss = Callable[[TokenBatch], Tensor]
"""Loss of each token, `batch seq`, of a `TokenBatch`."""


def given(**values: Tensor | StepTotals | None) -> dict[str, Tensor | StepTotals]:
    """Those that are there."""
    return {name: value for name, value in values.items() if value is not None}


def to_rows(packed: Tensor, lengths: Sequence[int]) -> Tensor:
    """Packed values [tokens] as rows, padded with 0 on the right."""
    if not lengths:
        return packed.reshape(0, 0)
    return pad_sequence(list(torch.split(packed, list(lengths))), batch_first=True)


def row_mask(lengths: Iterable[int], device: torch.device) -> Bool[Tensor, "batch seq"]:
    """True where rows of these lengths have a token."""
    counts = torch.tensor(list(lengths), device=device)
    width = int(counts.max()) if len(counts) else 0
    return torch.arange(width, device=device) < counts[:, None]
