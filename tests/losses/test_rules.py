"""The nine rules that every composition of the losses keeps, for every row of the variants."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from grpo_core import losses, metrics
from grpo_core.advantages import group_advantages, informative_groups
from grpo_core.losses import step_totals
from public_calls import CASES, tensors
from variants import (
    MEANS,
    PER_TOKEN,
    Batch,
    loss_and_gradient,
    oracle_mean,
    oracle_tokens,
    random_batch,
    sequences,
)

VARIANTS, MEAN_NAMES = sorted(PER_TOKEN), sorted(MEANS)
JUNK = [math.nan, math.inf, -math.inf, 1e30, -1e30, 0.0, -800.0]

variants = pytest.mark.parametrize("variant", VARIANTS)
means = pytest.mark.parametrize("mean", MEAN_NAMES)
batches = st.builds(
    lambda seed, rows: random_batch(seed, [n for n, _ in rows], [g for _, g in rows]),
    st.integers(0, 2**31),
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([-7, 0, 3, 10**12])), min_size=1, max_size=8
    ),
)


@variants
@means
@given(batch=batches)
def test_the_loss_is_that_of_the_papers(variant, mean, batch):
    rows = [oracle_tokens(variant, s) if s.new else [] for s in sequences(batch)]
    expected = oracle_mean(mean, rows, batch.group_ids.tolist())
    loss, _ = loss_and_gradient(variant, mean, batch)
    assert loss.item() == pytest.approx(expected, rel=1e-10, abs=1e-12)


# --- rule 1: the mask goes in once and out once ---------------------------------------------------


def with_junk(batch: Batch, junk: list[float]) -> Batch:
    """Each floating tensor filled off the mask with another of the values."""
    floats = {n: t for n, t in batch._asdict().items() if t is not None and t.is_floating_point()}
    filled = {
        name: torch.where(batch.mask, t, junk[i % len(junk)])
        for i, (name, t) in enumerate(floats.items())
    }
    return batch._replace(**filled)


@variants
@means
@given(batch=batches, junk=st.lists(st.sampled_from(JUNK), min_size=1, max_size=7))
def test_padding_is_inert_bit_for_bit(variant, mean, batch, junk):
    loss, gradient = loss_and_gradient(variant, mean, batch)
    junk_loss, junk_gradient = loss_and_gradient(variant, mean, with_junk(batch, junk))
    assert torch.equal(loss, junk_loss)
    assert torch.equal(gradient, junk_gradient)
    assert (gradient[~batch.mask] == 0).all()


@given(batch=batches, junk=st.lists(st.sampled_from(JUNK), min_size=1, max_size=7))
def test_padding_is_inert_in_every_metric(batch, junk):
    clean, dirty = (
        tensors(
            [
                metrics.ratio_mean(ratio, b.mask),
                metrics.ratio_range(ratio, b.mask),
                metrics.ratio_error(ratio, b.mask),
                metrics.approximate_kl(ratio, b.mask),
                metrics.clip_fraction_low(ratio, b.advantages, b.mask),
                metrics.clip_fraction_high(ratio, b.advantages, b.mask),
                metrics.token_average(b.entropy, b.mask),
                metrics.importance_weights(ratio, b.ref, b.mask),
            ]
        )
        for b in (batch, with_junk(batch, junk))
        for ratio in [losses.log_ratio(b.new, b.old, b.mask)]
    )
    assert all(torch.equal(x, y) for x, y in zip(clean, dirty, strict=True))


@variants
@given(batch=batches, stale=st.sampled_from([-1e30, -1000.0, -100.0, 1000.0, 1e30]))
def test_a_stale_valid_token_gives_a_finite_loss_and_gradient(variant, batch, stale):
    for name in ("old", "ref", "proximal"):
        values = getattr(batch, name).clone()
        values[:, 0] = stale
        values = torch.where(batch.mask, values, 0.0)
        loss, gradient = loss_and_gradient(variant, "token_mean", batch._replace(**{name: values}))
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_a_stale_token_of_a_long_row_moves_the_sequence_ratio_before_the_bound():
    # 30 nats on one of 60 tokens are 0.5 nats of the mean: bounding the token first would give 1/3.
    new, old = torch.zeros(1, 60), torch.zeros(1, 60)
    old[0, 0] = -30.0
    mask = torch.ones(1, 60, dtype=torch.bool)
    assert losses.sequence_log_ratio(new, old, mask)[0, 0].item() == 0.5
    negative = -torch.ones(1, 60)
    assert losses.geometric_log_ratio(new, old, negative, mask)[0, 0].item() == 0.5


# --- rule 2: denominators are the step's ----------------------------------------------------------


def part(batch: Batch, rows: list[int]) -> Batch:
    return Batch(*(None if t is None else t[rows] for t in batch))


@variants
@means
@given(batch=batches, data=st.data())
def test_any_partition_gives_the_same_loss_and_gradient(variant, mean, batch, data):
    size = batch.mask.shape[0]
    where = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    order = data.draw(st.permutations(range(size)))
    loss, gradient = loss_and_gradient(variant, mean, batch)
    total = step_totals(batch.mask, batch.group_ids)
    loss_sum, parts = torch.zeros_like(loss), torch.zeros_like(gradient)
    for i in set(where):
        rows = [row for row in order if where[row] == i]
        part_loss, g = loss_and_gradient(
            variant, mean, part(batch, rows), total.rows(torch.tensor(rows))
        )
        loss_sum += part_loss
        parts[rows] = g
    torch.testing.assert_close(loss_sum, loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts, gradient, rtol=1e-12, atol=1e-12)


def packed(
    batch: Batch, rows: list[int], segments: list[int]
) -> tuple[Batch, list[tuple[int, int]]]:
    """Sequences laid end to end into as many rows as `rows` names, with where each one starts."""
    lengths = batch.mask.sum(1).tolist()
    fill, starts = dict.fromkeys(rows, 0), []
    for sequence, row in enumerate(rows):
        starts.append((row, fill[row]))
        fill[row] += lengths[sequence]
    shape = (max(rows) + 1, max(1, *fill.values()))
    fields = {
        name: torch.full(shape, math.nan, dtype=t.dtype)
        for name, t in batch._asdict().items()
        if t is not None and t.is_floating_point()
    }
    mask = torch.zeros(shape, dtype=torch.bool)
    segment_ids, group_ids = torch.full(shape, -1), torch.full(shape, 99)
    place = dict.fromkeys(rows, 0)  # packers count the segments of each row anew
    for sequence, (row, start) in enumerate(starts):
        at = (row, slice(start, start + lengths[sequence]))
        segment = segments[place[row]]
        place[row] += 1
        for name, values in fields.items():
            values[at] = getattr(batch, name)[sequence, : lengths[sequence]]
        mask[at] = True
        segment_ids[at], group_ids[at] = segment, batch.group_ids[sequence]
    return Batch(**fields, mask=mask, group_ids=group_ids, segment_ids=segment_ids), starts


@variants
@means
@given(batch=batches, data=st.data())
def test_packing_changes_nothing(variant, mean, batch, data):
    size = batch.mask.shape[0]
    rows = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    segments = data.draw(st.permutations(range(size)))
    loss, gradient = loss_and_gradient(variant, mean, batch)
    pack, starts = packed(batch, rows, segments)
    total = step_totals(pack.mask, pack.group_ids, segment_ids=pack.segment_ids)
    for given_total in (None, total):
        pack_loss, pack_gradient = loss_and_gradient(variant, mean, pack, given_total)
        torch.testing.assert_close(pack_loss, loss, rtol=1e-12, atol=1e-12)
        for sequence, (row, start) in enumerate(starts):
            length = int(batch.mask[sequence].sum())
            torch.testing.assert_close(
                pack_gradient[row, start : start + length],
                gradient[sequence, :length],
                rtol=1e-12,
                atol=1e-12,
            )


@given(batch=batches)
def test_rows_and_groups_without_a_valid_token_count_nowhere(batch):
    empty = batch.mask.any(1)
    kept = part(batch, empty.nonzero()[:, 0].tolist())
    total, kept_total = (
        step_totals(batch.mask, batch.group_ids),
        step_totals(kept.mask, kept.group_ids),
    )
    assert total.tokens == kept_total.tokens
    assert total.sequences == kept_total.sequences == empty.sum()
    assert total.groups == kept_total.groups == len(set(kept.group_ids.tolist()))


def test_uninformative_groups_count_in_no_denominator():
    rewards, group_ids = torch.tensor([1.0, 0.0, 0.5, 0.5]), torch.tensor([0, 0, 1, 1])
    mask = torch.ones(4, 3, dtype=torch.bool) & informative_groups(rewards, group_ids)[:, None]
    total = step_totals(mask, group_ids)
    assert (total.tokens, total.sequences, total.groups) == (6, 2, 1)
    assert total.group_tokens.tolist() == [6, 6, 0, 0]


# --- rule 3: nothing valid gives an attached zero -------------------------------------------------


@variants
@means
@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (0, 4), (2, 0)])
def test_a_batch_without_a_valid_token_gives_a_zero_attached_to_the_graph(variant, mean, shape):
    values = torch.full(shape, math.nan, dtype=torch.float64)
    mask = torch.zeros(shape, dtype=torch.bool)
    batch = Batch(*[values] * 6, mask=mask, group_ids=torch.zeros(shape[0], dtype=torch.long))
    loss, gradient = loss_and_gradient(variant, mean, batch)
    assert loss.item() == 0.0
    assert torch.equal(gradient, torch.zeros(shape, dtype=torch.float64))


# --- rule 4: groups in any order, under any names -------------------------------------------------


@variants
@means
@given(batch=batches, data=st.data())
def test_the_order_of_sequences_and_the_names_of_groups_do_not_matter(variant, mean, batch, data):
    order = data.draw(st.permutations(range(batch.mask.shape[0])))
    names = data.draw(st.permutations([-(2**62), 5, 2**40, 2**62]))
    renamed = torch.tensor([names[[-7, 0, 3, 10**12].index(g)] for g in batch.group_ids.tolist()])
    loss, gradient = loss_and_gradient(variant, mean, batch)
    other = part(batch._replace(group_ids=renamed), order)
    other_loss, other_gradient = loss_and_gradient(variant, mean, other)
    torch.testing.assert_close(other_loss, loss, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other_gradient, gradient[order], rtol=1e-12, atol=1e-12)


# --- rule 5: no host synchronisation --------------------------------------------------------------


class NoHostSync(TorchDispatchMode):
    """Raises on what reads a tensor back to the host, or has a size that the host must learn."""

    BAD = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "is_nonzero", "bincount")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if any(bad in name for bad in self.BAD):
            raise AssertionError(f"host synchronisation by {name}")
        if name in {"index", "index_put", "index_put_"} and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1]
        ):
            raise AssertionError(f"host synchronisation by {name} with a bool mask")
        return func(*args, **(kwargs or {}))


def test_the_check_for_host_synchronisation_can_fail():
    reads = (lambda x: x.sum().item(), lambda x: x[x > 0], torch.unique, lambda x: x[x.argmax()])
    for bad in reads:
        with pytest.raises(AssertionError, match="host synchronisation"), NoHostSync():
            bad(torch.ones(3))


@pytest.mark.no_shape_hook  # the checker reads no contents, but its memo is slow under the mode
@variants
@means
def test_no_loss_and_no_backward_waits_for_the_device(variant, mean):
    batch = random_batch(0, [3, 0, 5, 2], [1, 1, 2, 2])
    pack, _ = packed(batch, [0, 0, 1, 1], [0, 1, 0, 1])
    for b in (batch, pack):
        with NoHostSync():
            total = step_totals(b.mask, b.group_ids, segment_ids=b.segment_ids)
            loss_and_gradient(variant, mean, b, total)
            loss_and_gradient(variant, mean, b)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("name", sorted(CASES))
def test_no_public_function_waits_for_the_device(name):
    for function, argument in CASES[name]:
        with NoHostSync():
            function(argument)


@pytest.mark.gpu
@pytest.mark.no_shape_hook
@pytest.mark.parametrize("name", sorted(CASES))
def test_no_public_function_synchronises_a_gpu(name):
    for function, argument in CASES[name]:
        function(argument)  # the first call may load a module
        torch.cuda.set_sync_debug_mode("error")
        try:
            function(argument)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.no_shape_hook
@variants
@means
def test_no_loss_and_no_backward_synchronises_a_gpu(variant, mean):
    batch = random_batch(0, [3, 0, 5, 2], [1, 1, 2, 2])
    pack, _ = packed(batch, [0, 0, 1, 1], [0, 1, 0, 1])
    for b in (batch, pack):
        loss_and_gradient(variant, mean, b)
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss_and_gradient(variant, mean, b)
        finally:
            torch.cuda.set_sync_debug_mode("default")


# --- rule 6: wrong use is loud --------------------------------------------------------------------


@pytest.mark.no_shape_hook
def test_bounds_are_absolute_and_a_missing_input_raises():
    x = torch.zeros(1, 2)
    with pytest.raises(
        ValueError, match=r"ratio_max must be at least 1 \+ epsilon_high, 1.28, got 1"
    ):
        losses.clipped_loss(x, x, ratio_max=1.0)
    with pytest.raises(ValueError, match="'importance' needs policy_log_ratio"):
        losses.kl_penalty(x, gradient="importance")
    with pytest.raises(ValueError, match="nothing else takes it"):
        losses.kl_penalty(x, gradient="score", policy_log_ratio=x)
    ids = torch.zeros(1, 2).long()
    for groups, segments in [(ids[0, :1], ids), (ids, None)]:
        with pytest.raises(ValueError, match="packed rows need segment_ids and the group of each"):
            step_totals(x > 0, groups, segment_ids=segments)
    total = step_totals(x > 0, ids, segment_ids=ids)
    for mean in (losses.sequence_sum_mean, lambda *a, **k: losses.constant_mean(*a, 5, **k)):
        with pytest.raises(ValueError, match="give it or segment_ids, not both"):
            mean(x, x > 0, segment_ids=ids, total=total)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("name", ["new", "old", "advantages", "mask"])
def test_nothing_broadcasts(name):
    batch = random_batch(1, [2, 2], [0, 0])
    wrong = batch._replace(**{name: getattr(batch, name)[:, :1]})
    with pytest.raises(ValueError, match=r"must have the shape of|must have 2 axes"):
        PER_TOKEN["clipped"](wrong)


@pytest.mark.no_shape_hook
def test_a_mask_that_is_not_bool_raises():
    x = torch.zeros(1, 2)
    with pytest.raises(TypeError, match=r"mask must be bool, got torch\.float32"):
        losses.log_ratio(x, x, torch.ones(1, 2))
    with pytest.raises(TypeError, match=r"mask must be bool, got torch\.int64"):
        losses.token_mean(x, torch.ones(1, 2).long())


# --- rule 7 is tested beside token_log_probs; rule 8 beside group_advantages too ------------------


@given(batch=batches, shift=st.floats(-100, 100))
def test_shifted_rewards_give_the_same_advantages(batch, shift):
    rewards = batch.advantages[:, 0].contiguous()
    for baseline in ("mean", "leave_one_out"):
        for scale in ("none", "group_std", "batch_std"):
            options = {"baseline": baseline, "scale": scale}
            plain = group_advantages(rewards, batch.group_ids, **options)
            shifted = group_advantages(rewards + shift, batch.group_ids, **options)
            torch.testing.assert_close(shifted, plain, rtol=1e-7, atol=1e-7)


# --- rule 9: float64 for gradcheck (compilation in test_compiled) ---------------------------------

# Stop-gradients make the derivative another than the value's: these are worked by hand elsewhere.
SMOOTH = sorted(set(VARIANTS) - {"cispo", "gspo_token", "kl_score"})


@pytest.mark.parametrize("variant", SMOOTH)
@means
def test_the_gradient_is_that_of_the_value(variant, mean):
    batch = random_batch(3, [3, 0, 4, 1], [5, 5, 9, 9])
    pack, _ = packed(batch, [0, 0, 1, 0], [3, 1, 0, 2])
    for b in (batch, pack._replace(old=torch.where(pack.mask, pack.old, 0.0))):
        new = torch.where(b.mask, b.new, -1.0).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, b=b: MEANS[mean](PER_TOKEN[variant](b._replace(new=x)), b, None), new
        )


@variants
def test_the_dtype_is_that_of_the_policys_log_probs_whatever_the_others_have(variant):
    batch = random_batch(4, [2, 3], [0, 0])
    assert PER_TOKEN[variant](batch._replace(new=batch.new.float())).dtype in {
        torch.float32,
        # Weights and terms that are made of other tensors alone keep the dtype of those.
        *([torch.float64] if variant in MIXED else []),
    }


MIXED = {"decoupled", "icepop", "rejected", "entropy_bonus"}


@variants
def test_the_dtype_is_at_least_float32_and_float64_stays(variant):
    batch = random_batch(4, [2, 3], [0, 0])
    for dtype, result in [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)]:
        cast = Batch(
            *(t.to(dtype) if t is not None and t.is_floating_point() else t for t in batch)
        )
        assert PER_TOKEN[variant](cast).dtype == result
