"""More bugs of losses, of classes not among the first; committed before they were tried."""

import torch

from grpo_core.losses import (
    clipped_loss,
    constant_mean,
    divergence_masked_loss,
    kl_penalty,
    log_ratio,
    sapo_loss,
    sequence_log_ratio,
    sequence_mean,
    token_mean,
)
from testing.planted_losses import clean

_MEAN = [0.0]


# --- right, and unlike each other ---------------------------------------------------------------


def of_sequences(log_probs, old_log_probs, ref_log_probs, advantages, mask, total):
    ratio = sequence_log_ratio(log_probs, old_log_probs, mask)
    per_token = clipped_loss(ratio, advantages, epsilon_low=3e-4, epsilon_high=4e-4)
    distance = kl_penalty(log_ratio(log_probs, ref_log_probs, mask), gradient="naive")
    return sequence_mean(per_token + 0.1 * distance, mask, total=total)


def soft_gate(log_probs, old_log_probs, advantages, mask, total):
    per_token = sapo_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return constant_mean(per_token, mask, max_length=64, total=total)


def divergence_mask(log_probs, old_log_probs, advantages, mask, total):
    sampled = torch.where(mask, old_log_probs, 0.0)
    per_token = divergence_masked_loss(
        log_ratio(log_probs, old_log_probs, mask), advantages, sampled,
        divergence="tv", threshold=0.2,
    )  # fmt: skip
    return token_mean(per_token, mask, total=total)


def dropped_far_from_the_sampler(log_probs, old_log_probs, advantages, mask, total):
    """Tokens far from the sampler are left out on both sides, as in IcePop: no clip, and no bug."""
    ratio = log_ratio(log_probs, old_log_probs, mask)
    near = ((ratio > -0.7) & (ratio < 0.7)).to(ratio.dtype)
    return token_mean(near * clipped_loss(ratio, advantages), mask, total=total)


RIGHT = [of_sequences, soft_gate, divergence_mask, dropped_far_from_the_sampler]

# --- bugs ---------------------------------------------------------------------------------------


def divides_by_the_width(log_probs, old_log_probs, advantages, mask, total):
    """By the longest row, padding included: a wider batch is another loss."""
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return constant_mean(per_token, mask, max_length=mask.shape[1], total=total)


def divides_by_the_padding(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return torch.where(mask, per_token, 0.0).sum() / max(mask.numel(), 1)


def adds_up_and_divides_by_nothing(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return torch.where(mask, per_token, 0.0).sum()


def every_advantage_is_good(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs, old_log_probs, advantages.abs(), mask, total)


def bad_advantages_are_dropped(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs, old_log_probs, advantages.clamp(min=0), mask, total)


def no_minus(log_probs, old_log_probs, advantages, mask, total):
    return -clean(log_probs, old_log_probs, advantages, mask, total)


def old_less_new(log_probs, old_log_probs, advantages, mask, total):
    ratio = -log_ratio(log_probs, old_log_probs, mask)
    return token_mean(clipped_loss(ratio, advantages), mask, total=total)


def clips_the_wrong_side(log_probs, old_log_probs, advantages, mask, total):
    """The greater of the two where the smaller is meant."""
    ratio = log_ratio(log_probs, old_log_probs, mask).exp()
    advantages = torch.where(mask, advantages, 0.0).detach()
    per_token = -torch.maximum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages)
    return token_mean(per_token, mask, total=total)


def writes_into_what_it_is_given(log_probs, old_log_probs, advantages, mask, total):
    advantages.masked_fill_(~mask, 0.0)
    return clean(log_probs, old_log_probs, advantages, mask, total)


def skips_the_first_token(log_probs, old_log_probs, advantages, mask, total):
    """The mask is moved to the side, as if it were of logits."""
    moved = mask.clone()
    moved[:, :1] = False
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, moved), advantages)
    return token_mean(per_token, moved, total=total)


def whitens_the_batch(log_probs, old_log_probs, advantages, mask, total):
    valid = torch.where(mask, advantages, 0.0)
    count = mask.sum().clamp(min=1)
    mean = valid.sum() / count
    spread = (torch.where(mask, valid - mean, 0.0).square().sum() / count).sqrt()
    return clean(log_probs, old_log_probs, (valid - mean) / (spread + 1e-6), mask, total)


def quotient_of_probabilities(log_probs, old_log_probs, advantages, mask, total):
    new, old = (torch.where(mask, values, 0.0).exp() for values in (log_probs, old_log_probs))
    per_token = -(new / old) * torch.where(mask, advantages, 0.0)
    return token_mean(per_token, mask, total=total)


def mask_is_inverted(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs, old_log_probs, advantages, ~mask, total)


def baseline_that_moves(log_probs, old_log_probs, advantages, mask, total):
    _MEAN[0] += 0.01
    return clean(log_probs, old_log_probs, advantages - _MEAN[0], mask, total)


def drops_out(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs, old_log_probs, advantages, mask & (torch.rand(mask.shape) > 0.1), total)


def reference_is_not_masked(log_probs, old_log_probs, ref_log_probs, advantages, mask, total):
    everything = torch.ones_like(mask)
    per_token = kl_penalty(log_ratio(log_probs, ref_log_probs, everything))
    loss = clean(log_probs, old_log_probs, advantages, mask, total)
    return loss + 0.1 * (per_token * mask).sum() / total.tokens.clamp(min=1)


def only_the_first_row_is_scored(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs, old_log_probs, advantages[:1].expand_as(advantages), mask, total)


def local_sequences(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return sequence_mean(per_token, mask)


def half_of_the_digits(log_probs, old_log_probs, advantages, mask, total):
    ratio = log_ratio(log_probs.bfloat16(), old_log_probs.bfloat16(), mask)
    return token_mean(clipped_loss(ratio, advantages), mask, total=total).to(log_probs.dtype)


def hides_what_is_not_finite(log_probs, old_log_probs, advantages, mask, total):
    """The loss is 0 where it is broken; its gradient is not."""
    ratio = (log_probs - old_log_probs).exp()
    per_token = torch.nan_to_num(-ratio * advantages, 0.0, 0.0, 0.0)
    return torch.where(mask, per_token, 0.0).sum() / total.tokens.clamp(min=1)


BUGS = {
    divides_by_the_width: ("padding_is_inert", "empty_rows_count_nowhere"),
    divides_by_the_padding: ("micro_batches_add_up", "empty_rows_count_nowhere"),
    adds_up_and_divides_by_nothing: ("a_step_twice_over_is_the_same",),
    every_advantage_is_good: ("advantages_set_the_direction",),
    bad_advantages_are_dropped: ("advantages_set_the_direction",),
    no_minus: ("advantages_set_the_direction",),
    old_less_new: ("advantages_set_the_direction",),
    clips_the_wrong_side: ("what_went_the_wrong_way_is_pulled_back",),
    writes_into_what_it_is_given: ("nothing_is_written_into",),
    skips_the_first_token: ("advantages_set_the_direction",),
    whitens_the_batch: ("micro_batches_add_up",),
    quotient_of_probabilities: ("stale_token_is_finite",),
    mask_is_inverted: ("padding_is_inert",),
    baseline_that_moves: ("padding_is_inert", "order_and_names_do_not_matter"),
    drops_out: ("padding_is_inert", "order_and_names_do_not_matter"),
    reference_is_not_masked: ("padding_is_inert",),
    only_the_first_row_is_scored: ("order_and_names_do_not_matter",),
    local_sequences: ("micro_batches_add_up",),
    half_of_the_digits: ("half_precision_is_widened", "gradient_is_of_the_value"),
    hides_what_is_not_finite: ("padding_is_inert", "stale_token_is_finite"),
}
