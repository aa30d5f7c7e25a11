"""TRL 1.16: `GRPOTrainer` with a composed loss, and totals of the real accumulation window."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from grpo_core.adapters._losses._batch import TokenBatch, TokenLoss, given
from grpo_core.adapters._losses._mean import Mean, MeanFunction, read_mean
from grpo_core.adapters._losses._trl_options import check_options, check_read
from grpo_core.advantages import informative_groups
from grpo_core.losses import StepTotals, kl_penalty, log_ratio
from grpo_core.metrics import Mean as Average
from grpo_core.metrics import approximate_kl, ratio_error, token_average

Metrics = Callable[[TokenBatch], Mapping[str, Average]]

_MEDIA = (
    "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes",
    "num_tiles", "image_sizes", "token_type_ids", "mm_token_type_ids", "image_position_ids",
)  # fmt: skip


def default_metrics(batch: TokenBatch) -> dict[str, Average]:
    """Entropy, distance from the sampling policy and, where there is a reference, KL to it."""
    ratio = log_ratio(batch.log_probs.detach(), batch.old_log_probs, batch.mask)
    averages = {
        "entropy": token_average(batch.entropy, batch.mask),
        "ratio_error": ratio_error(ratio, batch.mask),
        "approximate_kl": approximate_kl(ratio, batch.mask),
    }
    if "ref_log_probs" in batch.given:
        to_ref = log_ratio(batch.log_probs.detach(), batch.ref_log_probs, batch.mask)
        averages["kl"] = token_average(kl_penalty(to_ref, gradient="naive"), batch.mask)
    return averages


def scalar_loss(loss: TokenLoss, mean: Mean | None, batch: TokenBatch) -> Tensor:
    """These rows' part of the step's loss: of each token and a mean, or as the loss made it."""
    value = loss(batch)
    if mean is not None:
        return mean.of(value, batch, batch.given["total"])  # pyright: ignore[reportArgumentType]
    if value.ndim != 0:
        raise ValueError(
            f"without mean= a loss is a scalar, divided by batch.total; got {tuple(value.shape)}"
        )
    if "total" not in batch.read:
        raise ValueError("without mean= a loss must divide by batch.total, and it was not read")
    return value


@cache
def grpo_trainer(base: type | None = None) -> Any:
    r"""`trl.GRPOTrainer` with a composed loss: a subclass that replaces the loss and nothing else.

    It takes, by name, `loss`, a function of a `TokenBatch`, and `mean`, a mean of
    `grpo_core.losses`. Without `mean` the loss is a scalar that divides by `batch.total` itself,
    so that terms may have different means. Two more may be given: `metrics`, a function of a
    `TokenBatch` that gives `grpo_core.metrics.Mean`s by name (by default entropy, `ratio_error`,
    `approximate_kl` and, with a reference, `kl`), and `informative_only=True`, which takes groups
    of equal rewards out of the mask and so out of every count, as Magistral does (TRL's
    `scale_rewards="batch"` has them in its standard deviation still).

    Who divides: TRL 1.16 turns the Trainer's own division off (`loss_is_scaled_for_ga`), Accelerate
    is told of one accumulation step, and DDP, FSDP and DeepSpeed average gradients over ranks. So
    micro-batches add up, and this multiplies by the number of ranks what it divided by the totals
    of the whole optimiser step: tokens, sequences and groups of the accumulation window over all
    ranks. `gradient_accumulation_steps=4` gives the gradient of 1. TRL's own losses average
    micro-batch averages, but for "dapo", "cispo" and "vespo", which take the mean window of the
    generation batch for each of its windows.

    Groups are TRL's (`num_generations` rows in a row as they are generated, before it shuffles
    them); a group without a valid token counts nowhere. In evaluation a batch is a step.

    Args:
        base: A subclass of `trl.GRPOTrainer` to extend; TRL's own by default. The class that comes
            back is the same one at each call.

    Returns:
        The class. TRL is imported here, not before.

    Raises:
        ValueError: When it is made: if an option that only TRL's own loss reads is not at its
            default, or `steps_per_generation` is no multiple of `gradient_accumulation_steps`, so
            that tokens of a step would be counted before they are sampled. In training: if a
            `beta` above 0 makes reference log-probs, or vLLM's correction makes weights, that the
            loss does not read.

    Example:
        from grpo_core.adapters.trl import grpo_trainer
        from grpo_core.losses import clipped_loss, log_ratio, token_mean

        def loss(batch):
            ratio = log_ratio(batch.log_probs, batch.old_log_probs, batch.mask)
            return clipped_loss(ratio, batch.advantages)

        trainer = grpo_trainer()(model, rewards, args, dataset, loss=loss, mean=token_mean)
    """
    from trl import (  # noqa: PLC0415 - lazy
        GRPOConfig,  # pyright: ignore[reportAttributeAccessIssue]
        GRPOTrainer,  # pyright: ignore[reportAttributeAccessIssue]
    )

    parent: Any = GRPOTrainer if base is None else base

    class ComposedGRPOTrainer(parent):
        """`GRPOTrainer` with `loss=` and `mean=`."""

        def __init__(
            self,
            *args: Any,
            loss: TokenLoss,
            mean: MeanFunction | None = None,
            metrics: Metrics = default_metrics,
            informative_only: bool = False,
            **kwargs: Any,
        ) -> None:
            self.composed = loss
            self.informative_only = informative_only
            self.composed_mean = None if mean is None else read_mean(mean, "TRL")
            self.composed_metrics = metrics
            self._rewards = torch.empty(0, 1)
            self._window_counts: Tensor | None = None
            self._window_left = 0
            self._window_metrics: dict[str, Average] = {}
            super().__init__(*args, **kwargs)
            check_options(self, GRPOConfig)

        def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
            # Each accumulation window begins here: what an interrupted one left is forgotten.
            self._window_left, self._window_metrics = 0, {}
            return super().get_batch_samples(*args, **kwargs)

        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
            rewards: Tensor = super()._calculate_rewards(*args, **kwargs)
            weighted = rewards * self.reward_weights.to(rewards.device)
            if self.multi_objective_aggregation == "sum_then_normalize":
                # A completion that no function scored has no sum.
                has_none = rewards.isnan().all(1, keepdim=True)
                weighted = weighted.nansum(1, keepdim=True).masked_fill(has_none, torch.nan)
            self._rewards = weighted
            return rewards

        def _generate_and_score_completions(self, inputs: list[Any]) -> dict[str, Any]:
            output: dict[str, Any] = super()._generate_and_score_completions(inputs)
            size = self.num_generations if self.model.training else self.num_generations_eval
            rows = len(output["completion_ids"])
            first = self.accelerator.process_index * rows
            ids = torch.arange(first, first + rows, device=output["completion_ids"].device) // size
            output["group_ids"] = ids
            if self.informative_only:
                informative = _informative(self._rewards, size)  # of all ranks
                output["informative"] = informative[first : first + rows]
            return output

        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
            training = self.model.training
            batch = self._token_batch(model, inputs, self._step_totals(inputs, training=training))
            loss = scalar_loss(self.composed, self.composed_mean, batch)
            check_read(batch, inputs)
            self._add_metrics(batch, training=training)
            # Gradients are averaged over ranks; in evaluation, a step is this rank's batch.
            return loss * self.accelerator.num_processes if training else loss

        def _token_batch(self, model: Any, inputs: dict[str, Any], total: StepTotals) -> TokenBatch:
            log_probs, entropy, _ = self._get_per_token_logps_and_entropies(
                model,
                torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
                inputs["completion_ids"].shape[1],
                compute_entropy=True,
                **{name: inputs.get(name) for name in _MEDIA},
            )
            mask = _mask(inputs)
            advantages: Tensor = inputs["advantages"]
            if advantages.ndim == 1:
                advantages = advantages[:, None].expand_as(log_probs)
            # TRL scores no old policy where the step is the first one after sampling.
            old = inputs.get("old_per_token_logps")
            old = log_probs.detach() if old is None else old
            sampled = inputs.get("sampling_per_token_logps")
            if sampled is not None:  # what vLLM could not score is NaN: it counts as unmoved
                sampled = torch.where(sampled.isnan(), old, sampled)
            return TokenBatch(
                trainer="TRL",
                log_probs=log_probs,
                old_log_probs=old,
                advantages=advantages,
                mask=mask,
                given=given(
                    entropy=entropy,
                    ref_log_probs=inputs.get("ref_per_token_logps"),
                    sampler_log_probs=sampled,
                    weights=_expanded(inputs.get("importance_sampling_ratio"), log_probs),
                    group_ids=inputs["group_ids"],
                    total=total,
                ),
            )

        def _step_totals(self, inputs: dict[str, Any], *, training: bool) -> StepTotals:
            """Counts of the accumulation window over all ranks, made at its first micro-batch."""
            if not training:
                return _totals(_counts([inputs], int(inputs["group_ids"].max()) + 1), inputs)
            if self._window_left == 0:
                self._window_left = self.current_gradient_accumulation_steps
                first = self._step % self.args.steps_per_generation
                window = self._buffered_inputs[first : first + self._window_left]
                if len(window) < self._window_left:
                    raise ValueError(
                        f"an optimiser step of {self._window_left} micro-batches begins at "
                        f"micro-batch {first} of the {self.args.steps_per_generation} generated "
                        "ones: its tokens cannot be counted before they are sampled (after an "
                        "interruption, make a new trainer)"
                    )
                groups = self.args.generation_batch_size // self.num_generations
                counts = _counts(window, groups)
                self._window_counts = self.accelerator.reduce(counts, reduction="sum")
            self._window_left -= 1
            return _totals(self._window_counts, inputs)

        def _add_metrics(self, batch: TokenBatch, *, training: bool) -> None:
            """Into TRL's own, once a step, averaged over what the whole step counted."""
            with torch.no_grad():
                for name, mean in self.composed_metrics(batch).items():
                    old = self._window_metrics.get(name)
                    self._window_metrics[name] = mean if old is None else old + mean
            if training and self._window_left > 0:
                return
            means = self._window_metrics.values()
            if means:
                sums = [torch.stack([m.numerator, m.denominator.to(m.numerator)]) for m in means]
                sums = self.accelerator.reduce(torch.stack(sums), reduction="sum").tolist()
                log = self._metrics["train" if training else "eval"]
                for name, (numerator, denominator) in zip(self._window_metrics, sums, strict=True):
                    if denominator:
                        log[name].append(numerator / denominator)
            self._window_metrics = {}

    return ComposedGRPOTrainer


def _informative(rewards: Tensor, size: int) -> Tensor:
    """Of rewards [rows, terms], True for the rows of groups where those that are there differ.

    Not of advantages: an unscored row's is 0, and those of equal rewards are the rounding of their
    mean, over an eps.
    """
    ids = torch.arange(len(rewards), device=rewards.device) // size
    found = torch.zeros_like(ids, dtype=torch.bool)
    for term in rewards.unbind(1):
        is_there = ~term.isnan()
        found |= informative_groups(term.nan_to_num(), ids, mask=is_there)
    return found.view(-1, size).any(1).repeat_interleave(size)


def _mask(inputs: Mapping[str, Any]) -> Tensor:
    mask: Tensor = inputs["completion_mask"].bool()
    if "tool_mask" in inputs:
        mask = mask & inputs["tool_mask"].bool()
    return mask & inputs["informative"][:, None] if "informative" in inputs else mask


def _counts(window: list[dict[str, Any]], groups: int) -> Tensor:
    """Valid tokens of each group of the generation, and last the sequences: they add up."""
    masks, ids = [_mask(part) for part in window], [part["group_ids"] for part in window]
    lengths = torch.cat([mask.sum(1) for mask in masks])
    tokens = lengths.new_zeros(groups).index_add(0, torch.cat(ids), lengths)
    return torch.cat([tokens, (lengths > 0).sum()[None]])


def _totals(counts: Tensor | None, inputs: Mapping[str, Any]) -> StepTotals:
    assert counts is not None  # noqa: S101 - made at the window's first micro-batch
    tokens, sequences = counts[:-1], counts[-1]
    return StepTotals(tokens.sum(), sequences, (tokens > 0).sum(), tokens[inputs["group_ids"]])


def _expanded(weights: Tensor | None, like: Tensor) -> Tensor | None:
    return None if weights is None else weights.expand_as(like)
