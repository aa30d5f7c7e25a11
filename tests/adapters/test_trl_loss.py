"""`grpo_trainer` beside the `GRPOTrainer` that it extends: the same rollouts, our loss.

Inputs and trainer are those of `trl_trainer.py`. In float64 plain PyTorch stands in for TRL's
log-probs, which are float32 always.
"""

from functools import partial

import pytest
import torch

pytest.importorskip("trl")


from grpo_core.losses import (
    constant_mean,
    group_token_mean,
    kl_penalty,
    log_ratio,
    sequence_mean,
    sequence_sum_mean,
    token_mean,
)
from trl_composed import (
    QUARTERS,
    WHOLE,
    clipped,
    composed,
    distance,
    inputs_of,
    step_gradient,
    with_kl,
)
from trl_trainer import MARKS, MAX_LENGTH, make_trainer, rows

pytestmark = MARKS


# --- the same gradient ----------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [WHOLE, QUARTERS])
def test_our_composition_has_the_gradient_of_trls_default_loss(directory, parts):
    ours, theirs = composed(directory), make_trainer(directory, torch.float64)
    inputs = inputs_of(ours)
    log_probs, _, _ = ours._get_per_token_logps_and_entropies(
        ours.model,
        torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
        torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
        6,
    )
    ratio = (log_probs - inputs["old_per_token_logps"]).exp()[inputs["completion_mask"].bool()]
    assert ratio.min() < 0.8 and ratio.max() > 1.2
    assert theirs.args.loss_type == "dapo"
    theirs.args.per_device_train_batch_size = 2
    assert distance(step_gradient(ours, inputs, parts), step_gradient(theirs, inputs, parts)) < 1e-6


def test_it_has_the_gradient_of_trl_as_it_comes_in_float32(directory):
    ours, theirs = composed(directory, torch.float32), make_trainer(directory)
    inputs = inputs_of(ours)
    assert distance(step_gradient(ours, inputs, WHOLE), step_gradient(theirs, inputs, WHOLE)) < 1e-5


def test_a_reference_and_tool_tokens_are_seen(directory):
    options = {"beta": 0.1}
    ours = composed(directory, loss=with_kl, **options)
    theirs = make_trainer(directory, torch.float64, use_bias_correction_kl=False, **options)
    inputs = inputs_of(ours, ref=True)
    inputs["tool_mask"] = torch.ones_like(inputs["completion_mask"])
    inputs["tool_mask"][4:, 1:3] = 0
    inputs["num_items_in_batch"] = (inputs["completion_mask"] * inputs["tool_mask"]).sum()
    assert distance(step_gradient(ours, inputs, WHOLE), step_gradient(theirs, inputs, WHOLE)) < 1e-6


def test_without_old_log_probs_the_ratio_is_1_as_in_trl(directory):
    ours, theirs = composed(directory), make_trainer(directory, torch.float64)
    inputs = inputs_of(ours, old=False)
    assert distance(step_gradient(ours, inputs, WHOLE), step_gradient(theirs, inputs, WHOLE)) < 1e-6


MEANS = {
    "token": token_mean,
    "sequence": sequence_mean,
    "sequence_sum": sequence_sum_mean,
    "group": group_token_mean,
    "constant": partial(constant_mean, max_length=MAX_LENGTH),
}


@pytest.mark.parametrize("mean", MEANS)
def test_accumulation_4_has_the_gradient_of_1_for_every_mean(directory, mean):
    trainer = composed(directory, mean=MEANS[mean])
    inputs = inputs_of(trainer)
    inputs["completion_mask"][6] = 0  # a row, and in a micro-batch of its own an empty half
    whole = step_gradient(trainer, inputs, WHOLE)
    assert distance(step_gradient(trainer, inputs, QUARTERS), whole) < 1e-12


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "bnpo"])
def test_the_averages_of_averages_of_trl_are_another_gradient_than_the_steps(directory, loss_type):
    """Rows of a micro-batch that are masked, or of another length: what `mean=` puts right."""
    mean = {"grpo": sequence_mean, "bnpo": token_mean, "dr_grpo": MEANS["constant"]}[loss_type]
    ours = composed(directory, mean=mean)
    theirs = make_trainer(directory, torch.float64, loss_type=loss_type)
    inputs = inputs_of(ours)
    inputs["completion_mask"][6:] = 0
    whole = step_gradient(ours, inputs, WHOLE)
    assert distance(step_gradient(ours, inputs, QUARTERS), whole) < 1e-12
    assert distance(step_gradient(theirs, inputs, QUARTERS), whole) > 0.1


def test_a_scalar_loss_may_have_two_means(directory):
    def both(batch):
        policy = sequence_mean(clipped(batch), batch.mask, total=batch.total)
        x = log_ratio(batch.log_probs, batch.ref_log_probs, batch.mask)
        return policy + token_mean(kl_penalty(x), batch.mask, total=batch.total)

    trainer = composed(directory, loss=both, mean=None, beta=0.1)
    inputs = inputs_of(trainer, ref=True)
    whole = step_gradient(trainer, inputs, WHOLE)
    assert distance(step_gradient(trainer, inputs, QUARTERS), whole) < 1e-12


# --- groups, windows, metrics ---------------------------------------------------------------------


def test_group_ids_follow_the_rows_that_trl_shuffles(directory):
    trainer = composed(
        directory,
        mean=group_token_mean,
        scale_rewards="none",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
    )
    trainer._prepare_inputs([{"prompt": "w2 w3"}] * 4 + [{"prompt": "w4 w5"}] * 4)
    parts = trainer._buffered_inputs
    assert len(parts) == 4
    ids = torch.cat([part["group_ids"] for part in parts])
    advantages = torch.cat([part["advantages"] for part in parts])
    prompts = torch.cat([part["prompt_ids"][:, -1] for part in parts])
    assert ids.tolist() != sorted(ids.tolist())
    assert torch.equal(prompts == prompts[ids == 0][0], ids == 0)
    for group in (0, 1):
        # Advantages are rewards less the mean of the group.
        assert (ids == group).sum() == 4
        assert abs(advantages[ids == group].sum()) < 1e-6


@pytest.mark.parametrize("informative_only", [False, True])
def test_groups_of_equal_rewards_count_nowhere_where_they_are_left_out(directory, informative_only):
    def rewards(completions, **_):
        return [100.1] * 7 + [float(i) for i in range(7)]

    trainer = composed(
        directory,
        mean=group_token_mean,
        informative_only=informative_only,
        rewards=rewards,
        num_generations=7,
        per_device_train_batch_size=14,
    )
    inputs = trainer._prepare_inputs([{"prompt": "w2 w3"}] * 7 + [{"prompt": "w4 w5"}] * 7)
    # TRL has the rounding of their mean, over eps, where the advantage is 0.
    assert (inputs["advantages"][inputs["group_ids"] == 0].abs() > 0.01).any()
    total = trainer._step_totals(inputs, training=True)
    of_group_1 = inputs["completion_mask"][inputs["group_ids"] == 1].sum()
    assert total.groups == (1 if informative_only else 2)
    assert total.sequences == (7 if informative_only else 14)
    assert (total.tokens == of_group_1) == informative_only


REWARDS = {  # of two groups of four
    "equal but for an unscored one": ([100.1, None, 100.1, 100.1, 1, 2, 3, 4], [False, True]),
    "unscored but for one": ([None, None, None, 7.0, 1, 2, None, 4], [False, True]),
    "unscored all": ([None] * 4 + [1, 2, 3, 4], [False, True]),
    "small": ([0.0, 1e-5, 0.0, 0.0, 3e-5, 3e-5, 3e-5, 3e-5], [True, False]),
    "large and equal": ([1e6] * 4 + [1e6, 1e6 + 1, 1e6, 1e6], [False, True]),
}


@pytest.mark.filterwarnings("ignore:.*returned None.*")
@pytest.mark.parametrize("scale", ["none", "batch", "group"])
@pytest.mark.parametrize("case", REWARDS)
def test_a_group_is_informative_if_rewards_that_are_there_differ(directory, case, scale):
    rewards, wanted = REWARDS[case]
    trainer = composed(
        directory, informative_only=True, rewards=lambda completions, **_: rewards,
        scale_rewards=scale,
    )  # fmt: skip
    inputs = trainer._prepare_inputs([{"prompt": "w2 w3"}] * 4 + [{"prompt": "w4 w5"}] * 4)
    for group, informative in enumerate(wanted):
        assert (inputs["informative"][inputs["group_ids"] == group] == informative).all()


def test_of_rewards_that_are_normalised_each_by_itself_one_that_differs_is_enough(directory):
    def first(completions, **_):
        return [1.0, 0.0, 1.0, 0.0] + [0.5] * 4

    def second(completions, **_):
        return [0.0, 1.0, 0.0, 1.0] + [None] * 4

    for aggregation, wanted in (("sum_then_normalize", 0), ("normalize_then_sum", 1)):
        trainer = composed(
            directory, informative_only=True, rewards=[first, second],
            multi_objective_aggregation=aggregation,
        )  # fmt: skip
        inputs = trainer._prepare_inputs([{"prompt": "w2 w3"}] * 4 + [{"prompt": "w4 w5"}] * 4)
        assert (inputs["informative"] == ((inputs["group_ids"] == 0) & (wanted == 1))).all()


def test_windows_of_one_generation_are_counted_each_by_itself(directory):
    """TRL's "dapo" takes the mean window for both: 8 tokens and 21 count as 14.5."""
    trainer = composed(directory)
    inputs = inputs_of(trainer)
    trainer.args.steps_per_generation, trainer.current_gradient_accumulation_steps = 4, 2
    trainer._buffered_inputs = [rows(inputs, part) for part in QUARTERS]
    totals = []
    for index, part in enumerate(trainer._buffered_inputs):
        trainer._step = index
        totals.append(trainer._step_totals(part, training=True).tokens.item())
    assert totals == [8, 8, 21, 21]


def test_after_an_interrupted_step_the_next_one_is_counted_anew(directory):
    seen = []

    def loss(batch):
        seen.append(batch.given["total"].tokens.item())
        if len(seen) == 1:
            raise RuntimeError("interrupted")
        return clipped(batch)

    options = {"gradient_accumulation_steps": 2, "max_steps": 1, "learning_rate": 0.0}
    trainer = composed(directory, torch.float32, loss=loss, **options)
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer.train()
    trainer.train()
    counted = sum(int(part["completion_mask"].sum()) for part in trainer._buffered_inputs)
    assert seen[1:] == [counted, counted]


def test_metrics_are_those_of_the_whole_step_in_trls_own_log(directory):
    ours, theirs = composed(directory), make_trainer(directory, torch.float64)
    inputs = inputs_of(ours)
    step_gradient(ours, inputs, QUARTERS)
    step_gradient(theirs, inputs, WHOLE)
    (entropy,), (approximate_kl,) = (
        ours._metrics["train"][name] for name in ("entropy", "approximate_kl")
    )
    assert entropy == pytest.approx(theirs._metrics["train"]["entropy"][0], rel=1e-6)
    assert approximate_kl > 0.01


def test_evaluation_takes_a_batch_as_a_step(directory):
    trainer = composed(directory, metrics=lambda batch: {})
    inputs = inputs_of(trainer)
    expected = step_gradient(trainer, inputs, WHOLE)
    trainer.model.eval()
    trainer.model.zero_grad()
    trainer._compute_loss(trainer.model, inputs).backward()
    gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters()])
    assert distance(gradient, expected) < 1e-12


@pytest.mark.parametrize("mean", ["token", "group"])
def test_two_optimiser_steps_of_a_real_run_are_the_same_in_4_micro_batches_and_in_1(
    directory, mean
):
    def trained(accumulation):
        trainer = composed(
            directory,
            mean=MEANS[mean],
            per_device_train_batch_size=8 // accumulation,
            gradient_accumulation_steps=accumulation,
            num_iterations=2,  # the second step has ratios other than 1
            max_steps=2,
            # Adam would make whole steps of gradients that are rounding.
            optim="sgd",
            learning_rate=0.5,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            logging_steps=1,
        )
        start = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        trainer.train()
        end = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        return end - start, trainer.state.log_history

    (one, log), (four, _) = trained(1), trained(4)
    assert one.dtype == torch.float64
    assert log[1]["ratio_error"] > 0.01
    assert distance(four, one) < 1e-9
