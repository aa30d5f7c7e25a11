"""The rules of a loss that are tried on many batches: what holds, and how to see that it does."""

from grpo_core.testing import _checks_loss_gradient as gradient
from grpo_core.testing import _checks_loss_mask as mask
from grpo_core.testing import _checks_loss_step as step
from grpo_core.testing import _checks_loss_tensors as tensors
from grpo_core.testing import _checks_tokens as tokens
from grpo_core.testing._checks_loss import Rule

_SAYS: dict[Rule, str] = {
    mask.padding_is_inert: "what lies under the mask changes no bit, and neither does its width",
    mask.stale_token_is_finite: "an absurdly stale token leaves loss and gradient finite",
    step.micro_batches_add_up: "with the step's total, the parts of any partition add up",
    step.a_step_twice_over_is_the_same: "with its own total, a step twice over has the same loss",
    mask.empty_rows_count_nowhere: "a row without a valid token changes nothing",
    mask.nothing_gives_an_attached_zero: (
        "a batch without a valid token gives a zero with a gradient"
    ),
    step.order_and_names_do_not_matter: "rows come in any order, groups have any names",
    gradient.gradient_reaches_the_policy_alone: "gradients reach log_probs, and nothing else",
    gradient.advantages_set_the_direction: (
        "on policy, what has an advantage gets likelier or less likely by its sign"
    ),
    gradient.what_went_the_wrong_way_is_pulled_back: (
        "a clip lets go of what went too far, not of what went the wrong way"
    ),
    tensors.nothing_is_read_back: "no value is read back to the host",
    tensors.nothing_is_written_into: "what the loss is given stays as it was",
    tensors.wrong_shapes_raise: "nothing broadcasts in silence",
    tensors.half_precision_is_widened: "bfloat16 gives float32, and float64 stays",
}
RULES: dict[str, tuple[str, Rule]] = {rule.__name__: (says, rule) for rule, says in _SAYS.items()}
OF_TOKENS: dict[str, tuple[str, Rule]] = {
    "tokens_are_apart": ("each token's loss is the same in any chunk", tokens.tokens_are_apart)
}
"""Of a loss of each token, beside those."""
NEEDS: dict[str, tuple[str, ...]] = {
    "micro_batches_add_up": ("total",),
    "a_step_twice_over_is_the_same": ("total",),
    "advantages_set_the_direction": ("advantages", "old_log_probs"),
    "what_went_the_wrong_way_is_pulled_back": ("advantages", "old_log_probs"),
}
"""What a loss has to take for a rule to be tried on it."""
