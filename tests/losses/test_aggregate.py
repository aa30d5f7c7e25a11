"""Means, their weights and the totals they divide by. Values over random batches: test_rules."""

import functools

import pytest
import torch

from grpo_core import losses
from grpo_core.losses import step_totals, token_weights

MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
GROUPS = torch.tensor([8, 8, 5])


@pytest.mark.parametrize(
    ("mean", "args", "expected"),
    [
        (losses.token_mean, (), [[1 / 6] * 3, [1 / 6, 0, 0], [1 / 6, 1 / 6, 0]]),
        (losses.sequence_mean, (), [[1 / 9] * 3, [1 / 3, 0, 0], [1 / 6, 1 / 6, 0]]),
        (losses.sequence_sum_mean, (), [[1 / 3] * 3, [1 / 3, 0, 0], [1 / 3, 1 / 3, 0]]),
        (losses.group_token_mean, (GROUPS,), [[1 / 8] * 3, [1 / 8, 0, 0], [1 / 4, 1 / 4, 0]]),
        (losses.constant_mean, (10,), [[1 / 30] * 3, [1 / 30, 0, 0], [1 / 30, 1 / 30, 0]]),
    ],
)
def test_each_mean_weighs_tokens_in_its_own_way(mean, args, expected):
    weights = token_weights(mean, MASK, *args)
    torch.testing.assert_close(weights, torch.tensor(expected))
    values = torch.randn(3, 3)
    torch.testing.assert_close((weights * values).sum(), mean(values, MASK, *args))
    total = step_totals(MASK, GROUPS)
    torch.testing.assert_close(token_weights(mean, MASK, *args, total=total), weights)


def test_weights_follow_segments_and_a_users_own_linear_mean():
    segments = torch.tensor([[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    weights = token_weights(losses.sequence_mean, MASK, segment_ids=segments)
    torch.testing.assert_close(weights[0], torch.tensor([1 / 8, 1 / 8, 1 / 4]))
    doubled = token_weights(lambda v, m, total: 2 * losses.token_mean(v, m, total=total), MASK)
    torch.testing.assert_close(doubled, 2 * token_weights(losses.token_mean, MASK))


def test_a_mean_of_micro_batch_means_is_another_number():
    # What rule 2 is for: 1 + 3 tokens, averaged locally, weigh the first token by a half.
    values, mask = torch.tensor([[4.0, 0, 0], [1, 1, 1]]), MASK[[1, 0]]
    parts = [losses.token_mean(values[i : i + 1], mask[i : i + 1]) for i in range(2)]
    assert sum(parts) / 2 == 2.5
    assert losses.token_mean(values, mask) == 1.75


def test_totals_are_counts_on_the_device():
    total = step_totals(MASK, GROUPS)
    assert [t.tolist() for t in total] == [6, 3, 2, [4, 4, 2]]
    assert all(t.dtype == torch.int64 for t in total)
    assert total.rows(slice(1, 3)).group_tokens.tolist() == [4, 2]
    assert total.rows(torch.tensor([2])).tokens == 6


def test_totals_of_packed_rows_count_segments():
    segments = torch.tensor([[3, 3, 1], [0, 0, 0], [2, 2, 2]])
    groups = torch.tensor([[9, 9, 5], [5, 5, 5], [9, 9, 9]])
    total = step_totals(MASK, groups, segment_ids=segments)
    assert [t.tolist() for t in total] == [6, 4, 2, [[4, 4, 2], [2, 2, 2], [4, 4, 4]]]


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda v: losses.group_token_mean(
                v[:1], MASK[:1], GROUPS[:1], total=step_totals(MASK, GROUPS)
            ),
            ValueError,
            r"total.group_tokens must have the shape of group_ids, \(1,\), got \(3,\)",
        ),
        (
            lambda v: losses.group_token_mean(v, MASK, GROUPS[:2]),
            ValueError,
            "group_ids must have the shape of mask",
        ),
        (
            lambda v: losses.group_token_mean(v, MASK, GROUPS.float()),
            TypeError,
            "group_ids must be",
        ),
        (lambda v: losses.constant_mean(v, MASK, 0.5), ValueError, "max_length must be at least 1"),
        (lambda v: losses.token_mean(v.long(), MASK), TypeError, "values must be of a floating"),
        (lambda v: losses.token_mean(v[0], MASK[0]), ValueError, "values must have 2 axes"),
        (lambda v: losses.sequence_mean(v, MASK[:, :1]), ValueError, "mask must have the shape of"),
        (
            lambda v: losses.sequence_mean(v, MASK, segment_ids=GROUPS),
            ValueError,
            "segment_ids must have the shape of",
        ),
    ],
)
def test_wrong_use_raises(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.zeros(3, 3))


def test_options_of_a_mean_are_passed_on_by_name():
    by_name = token_weights(losses.constant_mean, MASK, max_length=10)
    torch.testing.assert_close(by_name, token_weights(losses.constant_mean, MASK, 10))


def test_packed_totals_count_segments_of_each_row_anew():
    mask, segments = torch.ones(2, 4, dtype=torch.bool), torch.tensor([[0, 0, 1, 1]] * 2)
    groups = torch.tensor([[5, 5, 6, 6], [5, 5, 6, 6]])
    total = step_totals(mask, groups, segment_ids=segments)
    assert (total.sequences, total.groups) == (4, 2)
    values = torch.ones(2, 4)
    assert losses.sequence_mean(values, mask, segment_ids=segments, total=total) == 1


def test_a_partial_of_a_mean_is_a_mean():
    mean = functools.partial(losses.constant_mean, max_length=10)
    torch.testing.assert_close(
        token_weights(mean, MASK), token_weights(losses.constant_mean, MASK, 10)
    )


@pytest.mark.no_shape_hook  # which would refuse the mean before we do
@pytest.mark.parametrize(
    ("mean", "error", "match"),
    [
        (lambda v, *_, **__: v, ValueError, r"mean must return a tensor without .* \(3, 3\)"),
        (lambda *_, **__: 1.0, TypeError, "mean must return a tensor without axes, got float"),
    ],
)
def test_weights_of_what_is_no_mean_raise(mean, error, match):
    with pytest.raises(error, match=match):
        token_weights(mean, MASK)
