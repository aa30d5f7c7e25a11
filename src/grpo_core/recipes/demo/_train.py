"""The recipe of Magistral (arXiv:2506.10910, section 2.1) on the small policy.

Generate, verify, drop the groups that teach nothing, compare each completion with its group, step.
`train` is that loop, `update` the whole of the algorithm. There is no KL term and no reference
policy; the old log-probs are those at which the tokens were sampled.
"""

import math
import random
from collections.abc import Iterator
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer
from transformers import LlamaForCausalLM

from grpo_core.adapters.transformers import causal_lm_token_loss
from grpo_core.advantages import informative_groups
from grpo_core.losses import clipped_loss, group_token_mean, log_ratio, token_log_probs
from grpo_core.metrics import (
    Mean,
    clip_fraction_high,
    clip_fraction_low,
    ratio_error,
    token_average,
)
from grpo_core.recipes.demo._policy import (
    Rollout,
    completion_logits,
    encode_prompts,
    generate,
    load_policy,
)
from grpo_core.recipes.demo._task import Problem, decode, grade, splits
from grpo_core.recipes.magistral import EPSILON_LOW, Step, micro_batch_loss, prepare

PROMPTS, SAMPLES = 32, 8
EVALUATE_EVERY = 10


class Row(NamedTuple):
    """What a step measured: its rollout, its updates and, now and then, the policy after it.

    None is not measured. Row 0 is the policy before training.
    """

    step: int
    reward: float | None = None
    held_out: float | None = None
    mean_length: float | None = None
    kept_groups: float | None = None
    entropy: float | None = None
    clip_fraction: float | None = None
    ratio_error: float | None = None
    seed: int = 0
    control: bool = False


class Update(NamedTuple):
    """What an optimizer step did to its tokens. Minibatches add up, field by field."""

    clipped: Mean
    ratio_error: Mean


def train(
    device: str,
    *,
    steps: int,
    seed: int,
    epsilon_high: float,
    minibatches: int,
    fused: bool,
    control: bool,
) -> Iterator[Row]:
    """Train the shipped policy, a row for each step; on shuffled rewards if `control`."""
    torch.manual_seed(seed)
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    practice, held_out = splits()
    policy = load_policy(device)
    optimizer = AdamW(policy.parameters(), betas=(0.9, 0.95), weight_decay=0.0)
    group_ids = torch.arange(PROMPTS, device=device).repeat_interleave(SAMPLES)
    yield Row(0, seed=seed, control=control, held_out=accuracy(policy, held_out, device))

    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = learning_rate(step)
        problems = [problem for problem in rng.sample(practice, PROMPTS) for _ in range(SAMPLES)]
        rollout = generate(policy, encode_prompts(problems, device))
        rewards = verify(rollout, problems)
        if control:
            rewards = rewards[torch.randperm(len(rewards), device=device)]
        informative = informative_groups(rewards, group_ids)
        updates = [
            update(
                policy,
                optimizer,
                Rollout(*(tensor[rows] for tensor in rollout)),
                rewards[rows],
                group_ids[rows],
                epsilon_high=epsilon_high,
                fused=fused,
            )
            for rows in whole_groups(group_ids, informative, minibatches)
        ]
        evaluate = step % EVALUATE_EVERY == 0 or step == steps
        yield Row(
            step,
            reward=rewards.mean().item(),
            held_out=accuracy(policy, held_out, device) if evaluate else None,
            mean_length=rollout.mask.sum(1).float().mean().item(),
            kept_groups=informative.float().mean().item(),
            entropy=token_average(rollout.entropy, rollout.mask).value().item(),
            clip_fraction=over_step([part.clipped for part in updates]),
            ratio_error=over_step([part.ratio_error for part in updates]),
            seed=seed,
            control=control,
        )


def update(
    policy: LlamaForCausalLM,
    optimizer: Optimizer,
    rollout: Rollout,
    rewards: Float[Tensor, " batch"],
    group_ids: Int[Tensor, " batch"],
    *,
    epsilon_high: float,
    fused: bool,
) -> Update:
    """One optimizer step on a minibatch of whole, informative groups."""
    prompts, tokens, old_log_probs, _, mask = rollout
    step = prepare(rewards, group_ids, mask)
    if fused:
        loss, log_probs = fused_loss(policy, rollout, step, epsilon_high=epsilon_high)
    else:
        log_probs = token_log_probs(completion_logits(policy, prompts, tokens), tokens)
        loss = micro_batch_loss(log_probs, old_log_probs, step, epsilon_high=epsilon_high)

    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()
    ratio = log_ratio(log_probs, old_log_probs, mask)
    advantages = step.advantages[:, None].expand_as(log_probs)
    low = clip_fraction_low(ratio, advantages, mask, epsilon_low=EPSILON_LOW)
    high = clip_fraction_high(ratio, advantages, mask, epsilon_high=epsilon_high)
    clipped = Mean(low.numerator + high.numerator, low.denominator)  # of the same tokens
    return Update(clipped, ratio_error(ratio, mask))


def fused_loss(
    policy: LlamaForCausalLM, rollout: Rollout, step: Step, *, epsilon_high: float
) -> tuple[Float[Tensor, ""], Float[Tensor, "batch seq"]]:
    """The loss of `micro_batch_loss` and the log-probs, of logits that never exist as a whole."""
    prompts, tokens, old_log_probs, _, mask = rollout
    input_ids = torch.cat([prompts, tokens], 1)
    result = causal_lm_token_loss(
        policy,
        input_ids,
        torch.ones_like(input_ids),
        partial(_clipped, epsilon_high=epsilon_high),
        old_log_probs,
        step.advantages[:, None].expand_as(old_log_probs),
        mask,
        mask=step.mask,
        total=step.total,
        mean=partial(group_token_mean, group_ids=step.group_ids),
    )
    return result.loss, result.log_probs


def _clipped(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, epsilon_high: float
) -> Tensor:
    ratio = log_ratio(log_probs, old_log_probs, mask)
    return clipped_loss(ratio, advantages, epsilon_low=EPSILON_LOW, epsilon_high=epsilon_high)


def learning_rate(step: int) -> float:
    """3e-4 for twenty steps, then down with the root of the step, however many there will be.

    Never down, the last steps wander by 10 points; 1e-3 destroys the policy.
    """
    return 3e-4 * min(1.0, math.sqrt(20 / step))


def verify(rollout: Rollout, problems: list[Problem]) -> Float[Tensor, " batch"]:
    """The reward of each completion."""
    texts = map(decode, rollout.tokens.tolist())
    rewards = [grade(text, problem) for text, problem in zip(texts, problems, strict=True)]
    return torch.tensor(rewards, device=rollout.tokens.device)


def whole_groups(
    group_ids: Int[Tensor, " batch"], informative: Bool[Tensor, " batch"], minibatches: int
) -> list[Bool[Tensor, " batch"]]:
    """The rows of each minibatch: the informative groups, shared out without cutting one."""
    kept = group_ids[informative].unique()
    return [torch.isin(group_ids, part) for part in kept.tensor_split(minibatches) if len(part)]


def accuracy(policy: LlamaForCausalLM, problems: list[Problem], device: str) -> float:
    """pass@1: the share of problems whose one sampled completion earns the whole reward."""
    rewards = verify(generate(policy, encode_prompts(problems, device)), problems)
    return (rewards == 1).double().mean().item()


def over_step(means: list[Mean]) -> float | None:
    """The mean over the tokens of all minibatches; None if no group was left to train on."""
    return reduce(add, means).value().item() if means else None
