"""Every row of the variant table, twice: composed of the library, and in plain floats."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

import oracles
from grpo_core.losses import (
    StepTotals,
    cispo_loss,
    clipped_loss,
    constant_mean,
    divergence_masked_loss,
    geometric_log_ratio,
    group_token_mean,
    kl_penalty,
    log_ratio,
    policy_gradient_loss,
    sapo_loss,
    sequence_log_ratio,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)
from grpo_core.off_policy import masked_weights, rejection_weights, truncated_weights

MAX_LENGTH = 50


class Batch(NamedTuple):
    """Tensors [batch, seq] of sequences, padded or packed; `group_ids` [batch], or packed too."""

    new: Tensor
    old: Tensor
    proximal: Tensor
    ref: Tensor
    advantages: Tensor
    entropy: Tensor
    mask: Tensor
    group_ids: Tensor
    segment_ids: Tensor | None = None


class Completion(NamedTuple):
    """One sequence in floats, its valid tokens alone."""

    new: list[float]
    old: list[float]
    proximal: list[float]
    ref: list[float]
    entropy: list[float]
    advantage: float


def _token(b: Batch) -> Tensor:
    return log_ratio(b.new, b.old, b.mask)


def _sequence(b: Batch, gradient: str = "sequence") -> Tensor:
    return sequence_log_ratio(b.new, b.old, b.mask, gradient=gradient, segment_ids=b.segment_ids)


def _clipped(b: Batch) -> Tensor:
    return clipped_loss(_token(b), b.advantages)


def _gmpo(b: Batch) -> Tensor:
    ratio = geometric_log_ratio(b.new, b.old, b.advantages, b.mask, segment_ids=b.segment_ids)
    return clipped_loss(ratio, b.advantages, epsilon_low=1.0, epsilon_high=math.inf)


def _kl(value: str, gradient: str) -> Callable[[Batch], Tensor]:
    def per_token(b: Batch) -> Tensor:
        importance = {"policy_log_ratio": _token(b)} if gradient == "importance" else {}
        x = log_ratio(b.new, b.ref, b.mask)
        return _clipped(b) + 0.04 * kl_penalty(x, value=value, gradient=gradient, **importance)

    return per_token


def _dppo(divergence: str, threshold: float) -> Callable[[Batch], Tensor]:
    return lambda b: divergence_masked_loss(
        _token(b), b.advantages, b.old, divergence=divergence, threshold=threshold
    )


def _decoupled(b: Batch) -> Tensor:
    weights = truncated_weights(log_ratio(b.proximal, b.old, b.mask), ratio_max=1.5)
    return weights * clipped_loss(log_ratio(b.new, b.proximal, b.mask), b.advantages)


def _rejected(b: Batch) -> Tensor:
    mean = sequence_log_ratio(b.proximal, b.old, b.mask, segment_ids=b.segment_ids)
    return rejection_weights(mean, ratio_min=0.8, ratio_max=1.25) * _clipped(b)


def _icepop(b: Batch) -> Tensor:
    return masked_weights(log_ratio(b.proximal, b.old, b.mask), ratio_max=1.3) * _clipped(b)


PER_TOKEN: dict[str, Callable[[Batch], Tensor]] = {
    "clipped": _clipped,
    "gspo": lambda b: clipped_loss(_sequence(b), b.advantages),
    "gspo_token": lambda b: clipped_loss(_sequence(b, "token"), b.advantages),
    "gmpo": _gmpo,
    "dual_clip": lambda b: clipped_loss(_token(b), b.advantages, ratio_max=2.0),
    "cispo": lambda b: cispo_loss(_token(b), b.advantages, ratio_max=1.5),
    "sapo": lambda b: sapo_loss(_token(b), b.advantages),
    "reinforce": lambda b: policy_gradient_loss(_token(b), b.advantages),
    "dppo_tv": _dppo("tv", 0.15),
    "dppo_kl": _dppo("kl", 0.05),
    "kl_naive": _kl("k2", "naive"),
    "kl_score": _kl("k3", "score"),
    "kl_importance": _kl("k1", "importance"),
    "decoupled": _decoupled,
    "icepop": _icepop,
    "rejected": _rejected,
    "entropy_bonus": lambda b: _clipped(b) - 0.01 * b.entropy,
}

MEANS: dict[str, Callable[[Tensor, Batch, StepTotals | None], Tensor]] = {
    "token_mean": lambda v, b, t: token_mean(v, b.mask, total=t),
    "sequence_mean": lambda v, b, t: sequence_mean(v, b.mask, segment_ids=b.segment_ids, total=t),
    "sequence_sum_mean": lambda v, b, t: sequence_sum_mean(
        v, b.mask, segment_ids=None if t else b.segment_ids, total=t
    ),
    "group_token_mean": lambda v, b, t: group_token_mean(v, b.mask, b.group_ids, total=t),
    "constant_mean": lambda v, b, t: constant_mean(
        v, b.mask, MAX_LENGTH, segment_ids=None if t else b.segment_ids, total=t
    ),
}


def oracle_tokens(variant: str, s: Completion) -> list[float]:
    """Loss of each token of one sequence, in floats."""
    a, n = s.advantage, range(len(s.new))
    ratios = oracles.token_ratios(s.new, s.old)
    clipped = [oracles.clipped(r, a, 0.2, 0.28) for r in ratios]
    if variant in {"gspo", "gspo_token"}:
        return [oracles.clipped(oracles.sequence_ratio(s.new, s.old), a, 0.2, 0.28) for _ in n]
    if variant == "gmpo":
        return [-oracles.gmpo_ratio(s.new, s.old, a, 0.4, 0.4) * a for _ in n]
    if variant == "dual_clip":
        return [oracles.dual_clipped(r, a, 0.2, 0.28, 2.0) for r in ratios]
    if variant == "cispo":
        return [-min(r, 1.5) * a * math.log(r) for r in ratios]
    if variant == "sapo":
        return [oracles.sapo(r, a, 1.0, 1.05) for r in ratios]
    if variant == "reinforce":
        return [-a * math.log(r) for r in ratios]
    if variant.startswith("dppo"):
        kind, threshold = ("tv", 0.15) if variant == "dppo_tv" else ("kl", 0.05)
        return [oracles.dppo(s.new[t], s.old[t], a, kind, threshold) for t in n]
    if variant.startswith("kl"):
        kind = {"kl_naive": "k2", "kl_score": "k3", "kl_importance": "k1"}[variant]
        kl = [oracles.kl_value(s.new[t] - s.ref[t], kind) for t in n]
        if variant == "kl_importance":
            kl = [k * r for k, r in zip(kl, ratios, strict=True)]
        return [c + 0.04 * k for c, k in zip(clipped, kl, strict=True)]
    behind = oracles.token_ratios(s.proximal, s.old)
    if variant == "decoupled":
        ahead = oracles.token_ratios(s.new, s.proximal)
        return [
            min(w, 1.5) * oracles.clipped(r, a, 0.2, 0.28)
            for w, r in zip(behind, ahead, strict=True)
        ]
    if variant == "icepop":
        return [w * c if 0.5 <= w <= 1.3 else 0.0 for w, c in zip(behind, clipped, strict=True)]
    if variant == "rejected":
        keep = 0.8 <= oracles.sequence_ratio(s.proximal, s.old) <= 1.25
        return [c if keep else 0.0 for c in clipped]
    if variant == "entropy_bonus":
        return [c - 0.01 * h for c, h in zip(clipped, s.entropy, strict=True)]
    return clipped


def oracle_mean(mean: str, rows: list[list[float]], groups: list[int]) -> float:
    if mean == "group_token_mean":
        return oracles.group_token_mean(rows, groups)
    if mean == "constant_mean":
        return oracles.constant_mean(rows, MAX_LENGTH)
    return getattr(oracles, mean)(rows)


def random_batch(seed: int, lengths: list[int], groups: list[int]) -> Batch:
    """Sequences of the given lengths (0 allowed), left-aligned, float64, off the mask 0."""
    with torch.device("cpu"):  # the same numbers on every machine
        generator = torch.Generator().manual_seed(seed)
        batch, seq = len(lengths), max([*lengths, 1])

        def draw(low: float, high: float) -> Tensor:
            values = torch.rand(batch, seq, generator=generator, dtype=torch.float64)
            return low + (high - low) * values

        mask = torch.arange(seq)[None] < torch.tensor(lengths).reshape(-1, 1)
        old = draw(-3.0, -0.1)
        tensors = {
            "new": (old + draw(-0.6, 0.6)).clamp(max=-0.01),
            "old": old,
            "proximal": old + draw(-0.4, 0.4),
            "ref": old + draw(-0.6, 0.6),
            "advantages": torch.randn(batch, 1, generator=generator).double().expand(batch, seq),
            "entropy": draw(0.0, 2.0),
        }
    device = torch.get_default_device()
    return Batch(
        **{name: torch.where(mask, t, 0.0).to(device) for name, t in tensors.items()},
        mask=mask.to(device),
        group_ids=torch.tensor(groups),
    )


def sequences(b: Batch) -> list[Completion]:
    """The batch in floats."""
    result = []
    for row in range(b.mask.shape[0]):
        keep = b.mask[row]
        lists = [t[row][keep].tolist() for t in (b.new, b.old, b.proximal, b.ref, b.entropy)]
        advantage = b.advantages[row][keep][0].item() if keep.any() else 0.0
        result.append(Completion(*lists, advantage))
    return result


def loss_and_gradient(
    variant: str, mean: str, b: Batch, total: StepTotals | None = None
) -> tuple[Tensor, Tensor]:
    """Loss, and its gradient with respect to the policy's log-probs."""
    new = b.new.detach().clone().requires_grad_()
    loss = MEANS[mean](PER_TOKEN[variant](b._replace(new=new)), b, total)
    loss.backward()
    return loss.detach(), new.grad
