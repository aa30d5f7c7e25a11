"""Options of TRL's configuration that a composed loss replaces, or that ask something of it."""

import dataclasses
from typing import Any

from grpo_core.adapters._losses._batch import TokenBatch

# Read by `GRPOTrainer._compute_loss` alone: beside a composed loss they would do nothing.
REPLACED = (
    "loss_type", "epsilon", "epsilon_high", "delta", "importance_sampling_level",
    "top_entropy_quantile", "entropy_coef", "use_adaptive_entropy", "off_policy_mask_threshold",
    "use_bias_correction_kl", "sapo_temperature_pos", "sapo_temperature_neg", "vespo_k_pos",
    "vespo_k_neg", "vespo_lambda_pos", "vespo_lambda_neg",
)  # fmt: skip
# An async configuration has fewer of them.
ASYNC_REPLACED = ("epsilon", "epsilon_high")


def check_defaults(args: Any, options: tuple[str, ...], config: Any) -> None:
    """Raise `ValueError` for an option that is not at its default and that nobody would read.

    The default is of `config`, TRL's own class: a subclass of it may set others.
    """
    defaults = {each.name: each.default for each in dataclasses.fields(config)}
    for name in options:
        value = getattr(args, name, None)
        if name in defaults and value != defaults[name]:
            raise ValueError(
                f"{name}={value!r} is for TRL's own loss, and loss= replaces that: leave it at "
                f"{defaults[name]!r} and write it into the loss"
            )


def check_options(trainer: Any, config: Any) -> None:
    """Raise `ValueError` where a `GRPOConfig`, which is `config`, contradicts a composed loss."""
    args = trainer.args
    check_defaults(args, REPLACED, config)
    if getattr(args, "use_liger_kernel", False):
        raise ValueError("use_liger_kernel=True computes a loss of its own: leave it False")
    if getattr(trainer, "aux_loss_enabled", False):
        raise ValueError(
            "the router's auxiliary loss is added by TRL's own loss, which loss= replaces: set "
            "output_router_logits=False"
        )
    if args.n_gpu > 1:
        raise ValueError("DataParallel averages losses in a process: start one process a GPU")
    if args.steps_per_generation % args.gradient_accumulation_steps:
        raise ValueError(
            f"steps_per_generation ({args.steps_per_generation}) must be a multiple of "
            f"gradient_accumulation_steps ({args.gradient_accumulation_steps}): a step's tokens "
            "are counted before its first gradient"
        )


def check_read(batch: TokenBatch, inputs: dict[str, Any]) -> None:
    """Raise `ValueError` where TRL made something for the loss that the loss did not look at."""
    if "ref_per_token_logps" in inputs and "ref_log_probs" not in batch.read:
        raise ValueError(
            "beta is above 0, so that TRL runs a reference model, and the loss read no "
            "batch.ref_log_probs: set beta=0.0, or add coefficient * kl_penalty(...) to the loss"
        )
    if "importance_sampling_ratio" in inputs and not batch.read & {"weights", "sampler_log_probs"}:
        raise ValueError(
            "TRL made weights for vLLM's samples and the loss read neither batch.weights nor "
            "batch.sampler_log_probs: use one, or set vllm_importance_sampling_correction=False"
        )
