"""The public functions on hidden states give with the kernels what they give in PyTorch."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear_config as config
from grpo_core.losses import (
    clipped_loss,
    linear_token_log_probs,
    linear_token_loss,
    linear_token_statistics,
    log_ratio,
)

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPES = [torch.float16, torch.bfloat16 if GPU else torch.float32]
ROUNDING = {torch.float16: 1e-3, torch.bfloat16: 1e-2, torch.float32: 2e-6}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    if not GPU:
        tiles = config.Tiles(rows=16, columns=32, depth=16, group=2, warps=4, stages=2)
        monkeypatch.setattr(config, "DEFAULT", config.Plan(tiles, tiles, tiles))


def random(*shape, seed, scale=1.0):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, device=DEVICE)


def inputs(dtype):
    hidden = random(3, 7, 24, seed=0).to(dtype).requires_grad_()
    weight = random(75, 24, seed=1, scale=0.5).to(dtype).requires_grad_()
    tokens = torch.randint(
        75, (3, 7), generator=torch.Generator(DEVICE).manual_seed(2), device=DEVICE
    )
    return hidden, weight, tokens


def assert_alike(found, wanted, dtype):
    for a, b in zip(found, wanted, strict=True):
        assert (a.double() - b.double()).norm() <= ROUNDING[dtype] * b.double().norm() + 1e-6


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("upstream", [1.0, -3.0])
def test_the_loss_and_its_gradients(dtype, memory, upstream):
    old, advantages = random(3, 7, seed=3) - 4, random(3, 7, seed=4)
    mask = random(3, 7, seed=5) > -1

    def per_token(log_probs, old, advantages, mask):
        return clipped_loss(log_ratio(log_probs, old, mask), advantages)

    def run(backend):
        hidden, weight, tokens = inputs(dtype)
        result = linear_token_loss(
            per_token, hidden, weight, tokens, old, advantages, mask,
            mask=mask, total=None, memory=memory, backend=backend,
        )  # fmt: skip
        (upstream * result.loss).backward()
        return result.loss.detach(), result.log_probs, hidden.grad, weight.grad

    assert_alike(run("triton"), run("torch"), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_probs_entropies_and_their_gradients(dtype):
    def run(backend):
        hidden, weight, tokens = inputs(dtype)
        log_probs, entropy = linear_token_statistics(hidden, weight, tokens, backend=backend)
        (log_probs.sum() + 0.3 * entropy.sum()).backward()
        return log_probs.detach(), entropy.detach(), hidden.grad, weight.grad

    assert_alike(run("triton"), run("torch"), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_first_ratio_is_exactly_one(dtype):
    hidden, weight, tokens = inputs(dtype)
    mask = torch.ones(3, 7, dtype=torch.bool, device=DEVICE)
    with torch.no_grad():
        old = linear_token_log_probs(hidden, weight, tokens, backend="triton")
    seen = []

    def per_token(log_probs, old):
        seen.append((log_probs - old).detach())
        return log_probs - old

    linear_token_loss(
        per_token, hidden, weight, tokens, old, mask=mask, total=None, backend="triton"
    )
    assert all((difference == 0).all() for difference in seen)


def test_compiled_it_is_one_graph():
    mask = torch.ones(3, 7, dtype=torch.bool, device=DEVICE)
    old, advantages = random(3, 7, seed=3) - 4, random(3, 7, seed=4)

    def per_token(log_probs, old, advantages, mask):
        return clipped_loss(log_ratio(log_probs, old, mask), advantages)

    def total(hidden, weight, tokens):
        log_probs, entropy = linear_token_statistics(hidden, weight, tokens, backend="triton")
        loss = linear_token_loss(
            per_token, hidden, weight, tokens, old, advantages, mask,
            mask=mask, total=None, backend="triton",
        ).loss  # fmt: skip
        return loss + (log_probs * advantages).sum() + entropy.sum()

    results = []
    for function in (total, torch.compile(total, fullgraph=True, backend="aot_eager")):
        hidden, weight, tokens = inputs(DTYPES[1])
        value = function(hidden, weight, tokens)
        value.backward()
        results.append((value.detach(), hidden.grad, weight.grad))
    assert_alike(*results, DTYPES[1])
