"""A call or more of every public function on tensors: what is compiled, and watched for a sync."""

from functools import partial

import torch

from grpo_core import advantages, losses, metrics, off_policy
from variants import MEANS, Batch, random_batch

ROWS, SEQ, VOCAB = 4, 5, 7
BATCH = random_batch(0, [5, 3, 0, 2], [1, 1, 2, 2])
GROUPS = BATCH.group_ids
SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [2, 1, 1, 1, 1]])
TOKEN_GROUPS = GROUPS[:, None].expand(ROWS, SEQ).contiguous()
TOTAL = losses.step_totals(BATCH.mask, GROUPS)
REWARDS = torch.tensor([1.0, 0.1, 0.0, 1.0], dtype=torch.float64)
TOKENS = torch.arange(ROWS * SEQ).reshape(ROWS, SEQ) % VOCAB
LOGITS = torch.linspace(-3, 3, ROWS * SEQ * VOCAB).sin().reshape(ROWS, SEQ, VOCAB).double() * 2
INFORMATIVE = torch.tensor([True, True, False, False])


WEIGHT = torch.linspace(-2, 2, VOCAB * 3).cos().reshape(VOCAB, 3).double() * 3


def clipped_of(log_probs, old_log_probs, advantages, mask):
    """The clipped loss of a chunk of tokens."""
    ratio = losses.log_ratio(log_probs, old_log_probs, mask)
    return losses.clipped_loss(ratio, advantages), {"kl": metrics.approximate_kl(ratio, mask)}


def ratio(b: Batch):
    return losses.log_ratio(b.new, b.old, b.mask)


def tensors(result):
    """All tensors of what a function gave: one, or nested in tuples, lists and dataclasses."""
    if isinstance(result, torch.Tensor):
        return [result]
    parts = result if isinstance(result, (tuple, list)) else vars(result).values()
    return [tensor for part in parts for tensor in tensors(part)]


# Name of each public function -> calls of it; the first argument is what the gradient is taken of.
CASES = {
    "token_log_probs": [
        (lambda x: losses.token_log_probs(x, TOKENS, mask=BATCH.mask, temperature=0.7), LOGITS)
    ],
    "token_statistics": [
        (lambda x: sum(losses.token_statistics(x, TOKENS, support=LOGITS > -1)), LOGITS),
        (
            lambda x: losses.token_statistics(x, TOKENS, temperature=BATCH.entropy + 1).entropy,
            LOGITS,
        ),
    ],
    "logits_token_loss": [
        (
            lambda x, o=o, m=m: (
                losses.logits_token_loss(
                    x, TOKENS, o, BATCH.advantages, mask=BATCH.mask, total=TOTAL, mean=m
                ).loss
            ),
            LOGITS,
        )
        for o in (BATCH.old, None)
        for m in (losses.token_mean, partial(losses.group_token_mean, group_ids=GROUPS))
    ],
    "linear_token_log_probs": [
        (
            lambda x: losses.linear_token_log_probs(x, WEIGHT, TOKENS, mask=BATCH.mask),
            LOGITS[..., :3],
        ),
        (
            lambda x: losses.linear_token_log_probs(
                LOGITS[..., :3], x, TOKENS, bias=x[:, 0], temperature=BATCH.entropy + 1
            ),
            WEIGHT,
        ),
    ],
    "linear_token_statistics": [
        (
            lambda x: sum(losses.linear_token_statistics(x, WEIGHT, TOKENS, softcap=2.0)),
            LOGITS[..., :3],
        )
    ],
    "linear_token_loss": [
        (
            lambda x, options=options: [
                *losses.linear_token_loss(
                    clipped_of,
                    LOGITS[..., :3],
                    x,
                    TOKENS,
                    BATCH.old,
                    BATCH.advantages,
                    BATCH.mask,
                    mask=BATCH.mask,
                    total=TOTAL,
                    bias=x[:, 0],
                    **options,
                )[:2]
            ],
            WEIGHT,
        )
        for options in ({"memory": "fast"}, {"memory": "lean", "mean": losses.sequence_mean})
    ],
    "log_ratio": [(lambda x: losses.log_ratio(x, BATCH.old, BATCH.mask), BATCH.new)],
    "sequence_log_ratio": [
        (
            lambda x, s=s, g=g: losses.sequence_log_ratio(
                x, BATCH.old, BATCH.mask, gradient=g, segment_ids=s
            ),
            BATCH.new,
        )
        for s in (None, SEGMENTS)
        for g in ("sequence", "token")
    ],
    "geometric_log_ratio": [
        (
            lambda x, s=s: losses.geometric_log_ratio(
                x, BATCH.old, BATCH.advantages, BATCH.mask, segment_ids=s
            ),
            BATCH.new,
        )
        for s in (None, SEGMENTS)
    ],
    "clipped_loss": [
        (lambda x: losses.clipped_loss(x, BATCH.advantages), BATCH.new - BATCH.old),
        (lambda x: losses.clipped_loss(x, BATCH.advantages, ratio_max=2.0), BATCH.new - BATCH.old),
    ],
    "cispo_loss": [(lambda x: losses.cispo_loss(x, BATCH.advantages), BATCH.new - BATCH.old)],
    "sapo_loss": [(lambda x: losses.sapo_loss(x, BATCH.advantages), BATCH.new - BATCH.old)],
    "policy_gradient_loss": [
        (lambda x: losses.policy_gradient_loss(x, BATCH.advantages), BATCH.new - BATCH.old)
    ],
    "divergence_masked_loss": [
        (
            lambda x, d=d: losses.divergence_masked_loss(
                x, BATCH.advantages, BATCH.old, divergence=d, threshold=0.1
            ),
            BATCH.new - BATCH.old,
        )
        for d in ("tv", "kl")
    ],
    "kl_penalty": [
        (
            lambda x, v=v, g=g: losses.kl_penalty(
                x, value=v, gradient=g, policy_log_ratio=x if g == "importance" else None
            ),
            BATCH.new - BATCH.ref,
        )
        for v in ("k1", "k2", "k3")
        for g in ("naive", "score", "importance")
    ],
    "truncated_weights": [(lambda x: off_policy.truncated_weights(x) * x, BATCH.new)],
    "masked_weights": [(lambda x: off_policy.masked_weights(x) * x, BATCH.new)],
    "rejection_weights": [
        (lambda x: off_policy.rejection_weights(x, ratio_min=0.5, ratio_max=2.0) * x, BATCH.new)
    ],
    **{
        name: [
            (lambda x, f=f, b=b, t=t: f(x, b, t), BATCH.new)
            for b, t in (
                (BATCH, None),
                (BATCH, TOTAL),
                (BATCH._replace(segment_ids=SEGMENTS, group_ids=TOKEN_GROUPS), None),
            )
        ]
        for name, f in MEANS.items()
    },
    "step_totals": [
        (lambda m: losses.step_totals(m, GROUPS), BATCH.mask),
        (lambda m: losses.step_totals(m, TOKEN_GROUPS, segment_ids=SEGMENTS), BATCH.mask),
    ],
    "StepTotals": [(lambda m: losses.step_totals(m, GROUPS).rows(slice(1, 3)), BATCH.mask)],
    "token_weights": [
        (lambda m: losses.token_weights(losses.sequence_mean, m), BATCH.mask),
        (
            lambda m: losses.token_weights(losses.group_token_mean, m, GROUPS, total=TOTAL),
            BATCH.mask,
        ),
    ],
    "magistral_loss": [
        (lambda x: losses.magistral_loss(x, BATCH.old, REWARDS, GROUPS, BATCH.mask), BATCH.new)
    ],
    "group_advantages": [
        (
            lambda r, b=b, s=s: advantages.group_advantages(
                r, GROUPS, mask=INFORMATIVE, baseline=b, scale=s
            ),
            REWARDS,
        )
        for b in ("mean", "leave_one_out")
        for s in ("none", "group_std", "batch_std")
    ],
    "gdpo_advantages": [
        (
            lambda r: advantages.gdpo_advantages(torch.stack([r, r.square()], 1), GROUPS),
            REWARDS,
        )
    ],
    "maxrl_advantages": [(lambda r: advantages.maxrl_advantages(r, GROUPS), REWARDS)],
    "pass_at_k_advantages": [
        (lambda r, s=s: advantages.pass_at_k_advantages(r, GROUPS, k=2, scale=s), REWARDS)
        for s in ("none", "subset_std", "batch_std")
    ],
    "informative_groups": [(lambda r: advantages.informative_groups(r, GROUPS), REWARDS)],
    "high_entropy_mask": [
        (lambda h: advantages.high_entropy_mask(h, BATCH.mask, quantile=0.5), BATCH.entropy)
    ],
    "overlong_mask": [
        (
            lambda t, s=s: advantages.overlong_mask(t, BATCH.mask, end_ids=[2, 4], segment_ids=s),
            TOKENS,
        )
        for s in (None, SEGMENTS)
    ],
    "soft_length_penalty": [
        (lambda n: advantages.soft_length_penalty(n, max_length=10, buffer=4), TOKENS[0])
    ],
    "approximate_kl": [(lambda x: metrics.approximate_kl(x, BATCH.mask), BATCH.new)],
    "ratio_error": [(lambda x: metrics.ratio_error(x, BATCH.mask), BATCH.new)],
    "ratio_mean": [(lambda x: metrics.ratio_mean(x, BATCH.mask), BATCH.new)],
    "ratio_range": [(lambda x: metrics.ratio_range(x, BATCH.mask), BATCH.new)],
    "token_average": [(lambda x: metrics.token_average(x, BATCH.mask), BATCH.new)],
    "Mean": [(lambda x: [(m := metrics.token_average(x, BATCH.mask)), (m + m).value()], BATCH.new)],
    "Range": [(lambda x: (m := metrics.ratio_range(x, BATCH.mask)) + m, BATCH.new)],
    "clip_fraction_low": [
        (lambda x: metrics.clip_fraction_low(x, BATCH.advantages, BATCH.mask), BATCH.new)
    ],
    "clip_fraction_high": [
        (lambda x: metrics.clip_fraction_high(x, BATCH.advantages, BATCH.mask), BATCH.new)
    ],
    "importance_weights": [
        (lambda x: metrics.importance_weights(x, BATCH.entropy, BATCH.mask), BATCH.new)
    ],
    "ImportanceWeights": [
        (lambda x: (w := metrics.importance_weights(x, BATCH.entropy, BATCH.mask)) + w, BATCH.new)
    ],
    "EffectiveSampleSize": [
        (
            lambda x: metrics.importance_weights(
                x, BATCH.entropy, BATCH.mask
            ).effective_sample_size.value(),
            BATCH.new,
        )
    ],
    "informative_group_fraction": [
        (lambda i: metrics.informative_group_fraction(i, GROUPS), INFORMATIVE)
    ],
    "informative_token_fraction": [
        (lambda i: metrics.informative_token_fraction(i, BATCH.mask), INFORMATIVE)
    ],
}
EXEMPT = {"check_batch"}  # which reads contents on purpose
