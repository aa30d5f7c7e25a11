"""Every public function under torch.compile: no graph break, the same numbers and gradients."""

import shutil

import pytest
import torch

from grpo_core import advantages, losses, metrics, off_policy
from public_calls import (
    BATCH,
    CASES,
    EXEMPT,
    GROUPS,
    LOGITS,
    REWARDS,
    SEGMENTS,
    TOKEN_GROUPS,
    TOKENS,
    tensors,
)
from variants import Batch

pytestmark = pytest.mark.no_shape_hook  # compiled code is not the checker's


def test_every_public_name_is_compiled_here():
    names = {*losses.__all__, *advantages.__all__, *metrics.__all__, *off_policy.__all__}
    assert names == {*CASES, *EXEMPT}


def run(function, argument):
    """Outputs, and the gradient of their sum where there is one."""
    argument = argument.clone().requires_grad_(argument.is_floating_point())
    outputs = tensors(function(argument))
    attached = [x.sum() for x in outputs if x.requires_grad]
    if attached:
        sum(attached).backward()
        return [x.detach() for x in outputs] + [argument.grad]
    return outputs


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_compiles_without_a_graph_break(name):
    for function, argument in CASES[name]:
        torch.compiler.reset()
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=False)
        got, expected = run(compiled, argument), run(function, argument)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", ["token_statistics", "group_token_mean", "sequence_log_ratio"])
def test_a_new_length_compiles_with_unknown_sizes(name):
    function = {
        "token_statistics": lambda b, z: sum(losses.token_statistics(z, TOKENS[:, : z.shape[1]])),
        "group_token_mean": lambda b, z: losses.group_token_mean(b.new, b.mask, GROUPS),
        "sequence_log_ratio": lambda b, z: losses.sequence_log_ratio(b.new, b.old, b.mask),
    }[name]
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=True)
    for seq in (5, 4, 3):
        cut = Batch(*(t[:, :seq] if t is not None and t.ndim == 2 else t for t in BATCH))
        logits = LOGITS[:, :seq]
        torch.testing.assert_close(compiled(cut, logits), function(cut, logits))


def five_lines(logits, b: Batch):
    """The step of the README."""
    log_probs = losses.token_log_probs(logits, TOKENS)
    weights = advantages.group_advantages(REWARDS, GROUPS)[:, None].expand_as(log_probs)
    per_token = losses.clipped_loss(losses.log_ratio(log_probs, b.old, b.mask), weights)
    per_token = per_token + 0.04 * losses.kl_penalty(losses.log_ratio(log_probs, b.ref, b.mask))
    return losses.token_mean(per_token, b.mask)


INDUCTOR = {
    "the five-line step": lambda z: five_lines(z, BATCH),
    "statistics with an entropy bonus": lambda z: losses.sequence_mean(
        -0.01 * losses.token_statistics(z, TOKENS, mask=BATCH.mask).entropy, BATCH.mask
    ),
    "the loss of logits": lambda z: (
        losses.logits_token_loss(
            z, TOKENS, BATCH.old, BATCH.advantages, mask=BATCH.mask, total=None
        ).loss
    ),
    "packed GSPO over groups": lambda z: losses.group_token_mean(
        losses.clipped_loss(
            losses.sequence_log_ratio(
                losses.token_log_probs(z, TOKENS), BATCH.old, BATCH.mask, segment_ids=SEGMENTS
            ),
            BATCH.advantages,
        ),
        BATCH.mask,
        TOKEN_GROUPS,
    ),
}


@pytest.mark.skipif(
    not torch.cuda.is_available() and shutil.which("c++") is None and shutil.which("g++") is None,
    reason="Inductor needs a C++ compiler on the CPU",
)
@pytest.mark.parametrize("name", sorted(INDUCTOR))
def test_inductor_gives_the_same_numbers(name):
    torch.compiler.reset()
    compiled = torch.compile(INDUCTOR[name], fullgraph=True)
    for a, b in zip(run(compiled, LOGITS), run(INDUCTOR[name], LOGITS), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
