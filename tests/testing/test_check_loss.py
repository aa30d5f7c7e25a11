"""The harness for losses finds each broken rule, and nothing in a loss that keeps them all."""

import pytest
from hypothesis import settings

from grpo_core.testing import check_loss
from testing import planted_losses as planted
from testing import planted_losses_more as more

FEW = settings(max_examples=40, derandomize=True, database=None)
QUICK = [planted.mask_multiplies, planted.reads_back, more.no_minus, more.clips_the_wrong_side]
OTHERS = [planted.by_group, *more.RIGHT]
OURS = [planted.clean, *(pytest.param(f, marks=pytest.mark.slow) for f in OTHERS)]


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("loss", QUICK, ids=lambda loss: loss.__name__)
def test_a_broken_rule_is_found(loss):
    report = check_loss(loss, settings=FEW)
    rule = planted.BUGS.get(loss) or more.BUGS[loss][0]
    assert rule in report.failed
    assert f"def test_{rule}" in str(report)


@pytest.mark.slow
@pytest.mark.no_shape_hook
@pytest.mark.parametrize("loss", planted.BUGS, ids=lambda loss: loss.__name__)
def test_a_broken_rule_is_found_by_the_default_settings(loss):
    assert planted.BUGS[loss] in check_loss(loss).failed


@pytest.mark.slow
@pytest.mark.no_shape_hook
@pytest.mark.parametrize("loss", more.BUGS, ids=lambda loss: loss.__name__)
def test_one_of_the_rules_that_a_bug_breaks_is_found(loss):
    assert set(more.BUGS[loss]) & set(check_loss(loss).failed)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("loss", OURS, ids=lambda loss: loss.__name__)
def test_a_loss_of_ours_has_no_failure(loss):
    check_loss(loss, settings=FEW).check()


@pytest.mark.no_shape_hook
def test_a_loss_without_a_total_is_told_that_nobody_can_make_it_add_up():
    def loss(log_probs, old_log_probs, advantages, mask):
        return planted.clean(log_probs, old_log_probs, advantages, mask, None)

    result = check_loss(loss, settings=FEW)["micro_batches_add_up"]
    assert (result.state, result.note[:14]) == ("not run", "takes no `tota")


def test_wrong_use_raises():
    with pytest.raises(TypeError, match="a loss takes log_probs and whatever it needs of"):
        check_loss(lambda logits, mask: logits.sum())
    with pytest.raises(ValueError, match="seconds must be more than 0, got 0"):
        check_loss(planted.clean, seconds=0)
