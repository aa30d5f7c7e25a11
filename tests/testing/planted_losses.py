"""Known bugs of losses, each planted in one that is right without it: the nine rules, broken."""

import torch

from grpo_core.losses import (
    clipped_loss,
    group_token_mean,
    log_ratio,
    sequence_log_ratio,
    token_mean,
)


def clean(log_probs, old_log_probs, advantages, mask, total):
    return token_mean(
        clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages), mask, total=total
    )


def by_group(log_probs, old_log_probs, advantages, mask, group_ids, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return group_token_mean(per_token, mask, group_ids, total=total)


def _surrogate(ratio, advantages):
    return -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages)


def mask_multiplies(log_probs, old_log_probs, advantages, mask, total):
    per_token = _surrogate((log_probs - old_log_probs).exp(), advantages)
    return (per_token * mask).sum() / total.tokens.clamp(min=1)


def mask_selects_too_late(log_probs, old_log_probs, advantages, mask, total):
    """The loss is right; the gradient of what is not selected is 0 * infinity."""
    per_token = _surrogate((log_probs - old_log_probs).exp(), advantages)
    return torch.where(mask, per_token, 0.0).sum() / total.tokens.clamp(min=1)


def no_bound(log_probs, old_log_probs, advantages, mask, total):
    ratio = torch.where(mask, log_probs - old_log_probs, 0.0).exp()
    per_token = torch.where(mask, _surrogate(ratio, torch.where(mask, advantages, 0.0)), 0.0)
    return per_token.sum() / total.tokens.clamp(min=1)


def mean_of_means(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return token_mean(per_token, mask)


def empty_rows_count(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    sums = torch.where(mask, per_token, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    return sums.sum() / max(len(mask), 1)


def empty_is_nan(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return torch.where(mask, per_token, 0.0).sum() / total.tokens


def empty_is_cut_off(log_probs, old_log_probs, advantages, mask, total):
    loss = clean(log_probs, old_log_probs, advantages, mask, total)
    return loss if mask.any() else loss.detach()


def neighbours_are_a_group(log_probs, old_log_probs, advantages, mask, group_ids, total):
    """Each run of equal ids is a group."""
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    starts = torch.ones_like(group_ids)
    starts[1:] = (group_ids[1:] != group_ids[:-1]).long()
    return group_token_mean(per_token, mask, starts.cumsum(0))


def reads_back(log_probs, old_log_probs, advantages, mask, total):
    per_token = clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
    return torch.where(mask, per_token, 0.0).sum() / max(total.tokens.item(), 1)


def picks_by_mask(log_probs, old_log_probs, advantages, mask, total):
    ratio = log_ratio(log_probs, old_log_probs, mask)
    return clipped_loss(ratio, advantages)[mask].sum() / total.tokens.clamp(min=1)


def broadcasts(log_probs, old_log_probs, advantages, mask, total):
    difference = torch.where(mask, log_probs - old_log_probs, 0.0).clamp(-20, 20)
    per_token = torch.where(
        mask, _surrogate(difference.exp(), torch.where(mask, advantages, 0.0)), 0.0
    )
    return per_token.sum() / total.tokens.clamp(min=1)


def stays_narrow(log_probs, old_log_probs, advantages, mask, total):
    difference = torch.where(mask, log_probs - old_log_probs, 0.0).clamp(-20, 20)
    per_token = torch.where(mask, -difference.exp() * torch.where(mask, advantages, 0.0), 0.0)
    return per_token.sum() / total.tokens.clamp(min=1).to(per_token.dtype)


def narrows(log_probs, old_log_probs, advantages, mask, total):
    return clean(log_probs.float(), old_log_probs.float(), advantages.float(), mask, total)


def teaches_the_sampler(log_probs, old_log_probs, advantages, mask, total):
    difference = torch.where(mask, log_probs - old_log_probs, 0.0).clamp(-20, 20)
    return token_mean(-difference.exp() * torch.where(mask, advantages, 0.0), mask, total=total)


def teaches_nothing(log_probs, old_log_probs, advantages, mask, total):
    """The ratio is cut off from the graph, and nothing else is left in it but a zero."""
    ratio = log_ratio(log_probs.detach(), old_log_probs, mask)
    return (
        token_mean(clipped_loss(ratio, advantages), mask, total=total)
        + 0 * torch.where(mask, log_probs, 0.0).sum()
    )


def breaks_the_graph(log_probs, old_log_probs, advantages, mask, total):
    torch._dynamo.graph_break()
    return clean(log_probs, old_log_probs, advantages, mask, total)


def detaches_the_ratio(log_probs, old_log_probs, advantages, mask, total):
    """As CISPO does on purpose; here nobody said so."""
    ratio = log_ratio(log_probs, old_log_probs, mask)
    per_token = -ratio.exp().detach() * torch.where(mask, advantages * log_probs, 0.0)
    return token_mean(per_token, mask, total=total)


def each_token(log_probs, old_log_probs, advantages, mask):
    return clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)


def each_token_of_a_sequence(log_probs, old_log_probs, advantages, mask):
    return clipped_loss(sequence_log_ratio(log_probs, old_log_probs, mask), advantages)


def less_the_mean(log_probs, old_log_probs, advantages, mask):
    per_token = each_token(log_probs, old_log_probs, advantages, mask)
    return per_token - per_token.mean(-1, keepdim=True)


def share_of_the_row(log_probs, old_log_probs, advantages, mask):
    ratio = log_ratio(log_probs, old_log_probs, mask)
    return clipped_loss(ratio, advantages) * ratio.detach().softmax(-1)


def so_far(log_probs, old_log_probs, advantages, mask):
    ratio = log_ratio(log_probs, old_log_probs, mask).cumsum(-1).clamp(-20, 20)
    return clipped_loss(ratio, advantages)


def gradient_of_neighbours(log_probs, old_log_probs, advantages, mask):
    """The losses are right; the gradient is divided by a number of tokens."""
    per_token = each_token(log_probs, old_log_probs, advantages, mask)
    return per_token.detach() + (per_token - per_token.detach()) / mask.shape[1]


def sequence_less_the_mean(log_probs, old_log_probs, advantages, mask):
    per_token = each_token_of_a_sequence(log_probs, old_log_probs, advantages, mask)
    return per_token - per_token.mean(-1, keepdim=True)


BUGS = {
    mask_multiplies: "padding_is_inert",
    mask_selects_too_late: "padding_is_inert",
    no_bound: "stale_token_is_finite",
    mean_of_means: "micro_batches_add_up",
    empty_rows_count: "empty_rows_count_nowhere",
    empty_is_nan: "nothing_gives_an_attached_zero",
    empty_is_cut_off: "nothing_gives_an_attached_zero",
    neighbours_are_a_group: "order_and_names_do_not_matter",
    reads_back: "nothing_is_read_back",
    picks_by_mask: "nothing_is_read_back",
    broadcasts: "wrong_shapes_raise",
    stays_narrow: "half_precision_is_widened",
    narrows: "half_precision_is_widened",
    teaches_the_sampler: "gradient_reaches_the_policy_alone",
    teaches_nothing: "advantages_set_the_direction",
    breaks_the_graph: "compiles",
    detaches_the_ratio: "gradient_is_of_the_value",
    less_the_mean: "tokens_are_apart",
    share_of_the_row: "tokens_are_apart",
    so_far: "tokens_are_apart",
    gradient_of_neighbours: "tokens_are_apart",
    sequence_less_the_mean: "tokens_are_apart",
}
