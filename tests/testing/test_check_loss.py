"""The harness for losses finds each broken rule, and nothing in a loss that keeps them all."""

from random import Random

import pytest
from hypothesis import settings

from grpo_core.testing import check_loss
from grpo_core.testing._check_loss import _names
from grpo_core.testing._checks_loss import Loss
from grpo_core.testing._checks_once import ordinary
from grpo_core.testing._checks_tokens import averaged, tokens_are_apart
from testing import planted_losses as planted
from testing import planted_losses_more as more

FEW = settings(max_examples=40, derandomize=True, database=None)
QUICK = [planted.mask_multiplies, planted.reads_back, more.no_minus, more.clips_the_wrong_side]
OTHERS = [planted.by_group, *more.RIGHT]
OURS = [
    planted.clean,
    planted.each_token,
    *(pytest.param(f, marks=pytest.mark.slow) for f in OTHERS),
]


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


COUPLED = [loss for loss, rule in planted.BUGS.items() if rule == "tokens_are_apart"]


def broken(loss):
    """What the rule says of a loss of each token."""
    chance = Random(0)  # noqa: S311 - of a test
    found = tokens_are_apart(averaged(Loss(loss, _names(loss))), ordinary(), chance)
    return None if found is None else found[0]


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("loss", COUPLED, ids=lambda loss: loss.__name__)
def test_a_loss_of_each_token_that_couples_tokens_is_found(loss):
    assert "it couples tokens, so that chunks change it" in broken(loss)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    "loss", [planted.each_token, planted.each_token_of_a_sequence], ids=lambda loss: loss.__name__
)
def test_a_loss_of_each_token_that_knows_no_other_may_be_cut(loss):
    assert broken(loss) is None


@pytest.mark.no_shape_hook
def test_a_loss_of_each_token_is_tried_as_its_mean():
    report = check_loss(planted.so_far, settings=FEW)
    (failure,) = report["tokens_are_apart"].failures
    assert report["micro_batches_add_up"].state == "holds"
    assert report["wrong_shapes_raise"].state == "not run"
    namespace = {}
    exec(failure.test, namespace)  # noqa: S102 - it is what the report offers
    with pytest.raises(AssertionError):
        namespace["test_tokens_are_apart"]()
    assert "token_mean(so_far(" in report["padding_is_inert"].failures[0].test


@pytest.mark.no_shape_hook
def test_what_no_chunk_of_tokens_can_have_is_said():
    def loss(log_probs, rewards):
        return -log_probs * rewards[:, None]

    assert broken(loss) == "takes rewards, which no chunk of tokens can have"


def test_wrong_use_raises():
    with pytest.raises(TypeError, match="a loss takes log_probs and whatever it needs of"):
        check_loss(lambda logits, mask: logits.sum())
    with pytest.raises(ValueError, match="seconds must be more than 0, got 0"):
        check_loss(planted.clean, seconds=0)
