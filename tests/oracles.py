"""Slow answers in plain Python floats, written from the papers; nothing here knows the library.

Rows are lists of floats, one for each valid token: padding does not exist here. A row of lists
`rows` is a batch of sequences.
"""

import itertools
import math
from collections.abc import Sequence

Row = Sequence[float]


def log_softmax(logits: Row, temperature: float = 1.0) -> list[float]:
    """log pi(c) of each id."""
    scaled = [z / temperature for z in logits]
    top = max(scaled)
    norm = top + math.log(math.fsum(math.exp(z - top) for z in scaled))
    return [z - norm for z in scaled]


def entropy(logits: Row, temperature: float = 1.0) -> float:
    """-sum p log p, with 0 log 0 = 0."""
    return -math.fsum(math.exp(x) * x for x in log_softmax(logits, temperature) if x > -math.inf)


# --- ratios -------------------------------------------------------------------------------------


def token_ratios(new: Row, old: Row) -> list[float]:
    """PPO: pi / pi_old of each token."""
    return [math.exp(n - o) for n, o in zip(new, old, strict=True)]


def sequence_ratio(new: Row, old: Row) -> float:
    """GSPO, eq. 7: (pi(o) / pi_old(o)) ** (1 / |o|)."""
    return math.exp((math.fsum(new) - math.fsum(old)) / len(new))


def gmpo_ratio(new: Row, old: Row, advantage: float, low: float, high: float) -> float:
    """GMPO: the geometric mean of token ratios, clipped on the side that A pushes to."""
    product = 1.0
    for ratio in token_ratios(new, old):
        clipped = min(max(ratio, math.exp(-low)), math.exp(high))
        product *= min(ratio, clipped) if advantage > 0 else max(ratio, clipped)
    return product ** (1 / len(new))


# --- surrogates, of one token, from its ratio ---------------------------------------------------


def clipped(ratio: float, advantage: float, low: float, high: float) -> float:
    """PPO, eq. 7, negated; DAPO's two epsilons."""
    bounded = min(max(ratio, 1 - low), 1 + high)
    return -min(ratio * advantage, bounded * advantage)


def dual_clipped(ratio: float, advantage: float, low: float, high: float, cap: float) -> float:
    """Dual-clip PPO, negated."""
    plain = -clipped(ratio, advantage, low, high)
    return -(max(plain, cap * advantage) if advantage < 0 else plain)


def sapo(ratio: float, advantage: float, positive: float, negative: float) -> float:
    """SAPO, negated."""
    tau = positive if advantage > 0 else negative
    return -4 / tau / (1 + math.exp(-tau * (ratio - 1))) * advantage


def dppo(new: float, old: float, advantage: float, divergence: str, threshold: float) -> float:
    """DPPO: no gradient, and no loss, where a token has left the sampler by too much."""
    p, mu = math.exp(new), math.exp(old)
    if divergence == "tv":
        moved = abs(p - mu)
    else:
        moved = mu * math.log(mu / p) + (1 - mu) * math.log((1 - mu) / (1 - p))
    away = (advantage > 0 and p > mu) or (advantage < 0 and p < mu)
    return 0.0 if away and moved > threshold else -p / mu * advantage


def kl_value(x: float, value: str) -> float:
    """Schulman's k1, k2 and k3 of x = log pi - log pi_ref."""
    return {"k1": x, "k2": x * x / 2, "k3": math.exp(-x) - 1 + x}[value]


# --- means over a batch of sequences ------------------------------------------------------------


def token_mean(rows: Sequence[Row]) -> float:
    """DAPO, eq. 8."""
    values = [v for row in rows for v in row]
    return math.fsum(values) / len(values) if values else 0.0


def sequence_mean(rows: Sequence[Row]) -> float:
    """GRPO, eq. 3."""
    means = [math.fsum(row) / len(row) for row in rows if row]
    return math.fsum(means) / len(means) if means else 0.0


def sequence_sum_mean(rows: Sequence[Row]) -> float:
    """LUSPO."""
    sums = [math.fsum(row) for row in rows if row]
    return math.fsum(sums) / len(sums) if sums else 0.0


def group_token_mean(rows: Sequence[Row], groups: Sequence[int]) -> float:
    """Magistral, section 2.1."""
    by_group: dict[int, list[float]] = {}
    for row, group in zip(rows, groups, strict=True):
        by_group.setdefault(group, []).extend(row)
    means = [math.fsum(values) / len(values) for values in by_group.values() if values]
    return math.fsum(means) / len(means) if means else 0.0


def constant_mean(rows: Sequence[Row], max_length: int) -> float:
    """Dr. GRPO."""
    return sequence_sum_mean(rows) / max_length


# --- advantages ---------------------------------------------------------------------------------


def members(groups: Sequence[int]) -> dict[int, list[int]]:
    """Row numbers of each group."""
    result: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        result.setdefault(group, []).append(row)
    return result


def std(values: Row, correction: int = 0) -> float:
    """Standard deviation about the mean; 0 where the correction leaves nothing to divide by."""
    mean = math.fsum(values) / len(values)
    squares = math.fsum((v - mean) ** 2 for v in values)
    return math.sqrt(squares / max(len(values) - correction, 1))


def group_centred(
    rewards: Row, groups: Sequence[int], *, leave_one_out: bool = False
) -> list[float]:
    """Rewards less the group's mean, or the mean of the others."""
    result = [0.0] * len(rewards)
    for rows in members(groups).values():
        for i in rows:
            others = [rewards[j] for j in rows if not (leave_one_out and j == i)]
            result[i] = rewards[i] - math.fsum(others) / len(others) if others else 0.0
    return result


def group_std_advantages(
    rewards: Row, groups: Sequence[int], correction: int, eps: float
) -> list[float]:
    """GRPO."""
    result = group_centred(rewards, groups)
    for rows in members(groups).values():
        scale = std([rewards[i] for i in rows], correction) + eps
        for i in rows:
            result[i] = result[i] / scale if scale > 0 else 0.0
    return result


def batch_std_advantages(
    rewards: Row, groups: Sequence[int], correction: int, eps: float
) -> list[float]:
    """Magistral, section 2.1, and REINFORCE++-baseline."""
    centred = group_centred(rewards, groups)
    mean, scale = math.fsum(centred) / len(centred), std(centred, correction) + eps
    return [(a - mean) / scale if scale > 0 else 0.0 for a in centred]


def best_of_k(rewards: Row, k: int) -> tuple[list[float], float, float]:
    """By listing all subsets of one group: E[max | i], E[max], std[max]."""
    subsets = list(itertools.combinations(range(len(rewards)), k))
    best = [max(rewards[i] for i in subset) for subset in subsets]
    given = [
        [b for b, subset in zip(best, subsets, strict=True) if i in subset]
        for i in range(len(rewards))
    ]
    return [math.fsum(b) / len(b) for b in given], math.fsum(best) / len(best), std(best)


def pass_at_k_binary(successes: int, failures: int, k: int) -> tuple[float, float, float]:
    """Pass@k Training's closed form: advantage of a success, of a failure, and the scale."""
    n = successes + failures
    mean = 1 - math.comb(failures, k) / math.comb(n, k)
    of_failure = 1 - math.comb(failures - 1, k - 1) / math.comb(n - 1, k - 1) if failures else 1.0
    return 1 - mean, of_failure - mean, math.sqrt(mean * (1 - mean))


def soft_length_penalty(length: int, max_length: int, buffer: int, penalty: float) -> float:
    """Magistral, eq. 1."""
    if length <= max_length - buffer:
        return 0.0
    if length <= max_length:
        return -penalty * (length - max_length + buffer) / buffer
    return -penalty


def quantile(values: Row, q: float) -> float:
    """Linear interpolation between order statistics."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))
