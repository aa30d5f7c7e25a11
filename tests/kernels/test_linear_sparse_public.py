"""linear_token_loss(sparse=): its gradients, what it says was left out, and where it refuses."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
linear = pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear_config as config  # noqa: E402 - after the check
from grpo_core._kernels import linear_sparse  # noqa: E402
from grpo_core.losses import (  # noqa: E402
    clipped_loss,
    linear_token_log_probs,
    linear_token_loss,
    log_ratio,
)

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPE = torch.bfloat16 if GPU else torch.float32
ROUNDING = {torch.bfloat16: 1e-2, torch.float32: 2e-6}[DTYPE]
VOCAB = 1300 if GPU else 150


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(linear, "LEAN_ROWS", 16)
    if not GPU:
        tiles = config.Tiles(rows=16, columns=32, depth=16, group=2, warps=4, stages=2)
        monkeypatch.setattr(config, "DEFAULT", config.Plan(tiles))
        monkeypatch.setattr(linear_sparse, "HIDDEN", tiles)
        monkeypatch.setattr(linear_sparse, "WEIGHT", tiles)
        monkeypatch.setattr(linear_sparse, "SPLITS", 2)


def random(*shape, seed, scale=1.0):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, device=DEVICE)


def inputs(dtype=DTYPE):
    hidden = random(3, 11, 24, seed=0, scale=4.0).to(dtype).requires_grad_()
    weight = random(VOCAB, 24, seed=1, scale=0.5).to(dtype).requires_grad_()
    generator = torch.Generator(DEVICE).manual_seed(2)
    return hidden, weight, torch.randint(VOCAB, (3, 11), generator=generator, device=DEVICE)


OLD, ADVANTAGES, MASK = (random(3, 11, seed=seed) for seed in (3, 4, 5))
MASK = MASK > -1


def clipped(log_probs, old, advantages, mask):
    loss = clipped_loss(log_ratio(log_probs, old, mask), advantages)
    return loss, {"tokens": mask.sum()}


def run(sparse, *, fn=clipped, dtype=DTYPE, **options):
    hidden, weight, tokens = inputs(dtype)
    result = linear_token_loss(
        fn, hidden, weight, tokens, OLD - 9, ADVANTAGES, MASK, mask=MASK,
        sparse=sparse, **{"backend": "triton", "total": None, **options},
    )  # fmt: skip
    return result, hidden, weight


def stepped(sparse, **options):
    result, hidden, weight = run(sparse, **options)
    result.loss.backward()
    return result, hidden.grad, weight.grad


def off(found, wanted):
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_a_tiny_share_is_the_dense_loss(memory):
    dense, sparse = (stepped(share, memory=memory) for share in (None, 1e-9))
    assert torch.equal(sparse[0].loss, dense[0].loss)
    assert torch.equal(sparse[0].log_probs, dense[0].log_probs)
    assert off(sparse[1], dense[1]) <= ROUNDING and off(sparse[2], dense[2]) <= ROUNDING
    assert "sparsity" not in dense[0].metrics and sparse[0].metrics["tokens"] == MASK.sum()


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_the_error_stays_within_what_was_left_out(memory):
    dense, sparse = (stepped(share, memory=memory) for share in (None, 0.2))
    assert torch.equal(sparse[0].log_probs, dense[0].log_probs)
    found = sparse[0].metrics["sparsity"]
    assert 0 < found.left_out_share() < 0.2 and 0 < found.work_share() < 0.9
    # A sum of rows of the weight, or of hidden states, each with what was left out of it.
    _, weight, _ = inputs()
    longest = weight.detach().double().norm(dim=1).max()
    changed = (sparse[1].double() - dense[1].double()).norm(dim=-1).sum().item()
    rounded = ROUNDING * dense[1].double().norm(dim=-1).sum().item()
    assert rounded / 10 < changed <= (found.left_out * longest).item() + rounded


def test_what_was_left_out_adds_up_over_chunks():
    whole, parts = (
        stepped(0.2, memory=memory)[0].metrics["sparsity"] for memory in ("fast", "lean")
    )
    torch.testing.assert_close(whole.gradient, parts.gradient)
    torch.testing.assert_close(whole.dense, parts.dense)
    twice = whole + parts
    assert twice.dense == 2 * whole.dense
    torch.testing.assert_close(twice.left_out, whole.left_out + parts.left_out)


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_the_weights_gradient_is_added_to_a_buffer(memory):
    buffer = torch.ones(VOCAB, 24, device=DEVICE)
    _, hidden_grad, none = stepped(0.2, memory=memory, weight_grad=buffer)
    _, wanted_hidden, wanted = stepped(0.2, memory=memory)
    assert none is None and torch.equal(hidden_grad, wanted_hidden)
    assert off(buffer - 1, wanted) <= max(ROUNDING, 1e-5)


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_may_be_frozen(side):
    leaves = inputs()
    both = stepped(0.2)[1:]
    leaves[1 - side].requires_grad_(False)
    result = linear_token_loss(
        clipped, *leaves, OLD - 9, ADVANTAGES, MASK, mask=MASK, total=None, sparse=0.2,
        backend="triton",
    )  # fmt: skip
    result.loss.backward()
    assert torch.equal(leaves[side].grad, both[side])
    assert result.metrics["sparsity"].dense == 33


def test_the_first_ratio_is_exactly_one():
    hidden, weight, tokens = inputs()
    with torch.no_grad():
        old = linear_token_log_probs(hidden, weight, tokens, backend="triton")
    result = linear_token_loss(
        lambda log_probs, old: log_probs - old, hidden, weight, tokens, old,
        mask=torch.ones_like(MASK), total=None, sparse=0.2, backend="triton",
    )  # fmt: skip
    assert torch.equal(result.log_probs, old) and result.loss == 0


def test_without_gradients_nothing_is_left_out():
    with torch.no_grad():
        result, _, _ = run(0.2)
    assert "sparsity" not in result.metrics


@pytest.mark.no_shape_hook  # Dynamo does not trace the checker
def test_compiled_it_is_one_graph():
    def step(hidden, weight, tokens):
        result = linear_token_loss(
            clipped, hidden, weight, tokens, OLD - 9, ADVANTAGES, MASK, mask=MASK, total=None,
            sparse=0.2, backend="triton",
        )  # fmt: skip
        return result.loss, result.metrics["sparsity"].left_out_share()

    results = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        hidden, weight, tokens = inputs()
        loss, left_out = function(hidden, weight, tokens)
        loss.backward()
        results.append((loss.detach(), left_out, hidden.grad, weight.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_a_sequence_longer_than_a_chunk_is_refused():
    hidden = torch.zeros(1, 40, 24, device=DEVICE, dtype=DTYPE, requires_grad=True)
    tokens = torch.zeros(1, 40, dtype=torch.long, device=DEVICE)
    with pytest.raises(ValueError, match="a sequence is longer than a chunk"):
        linear_token_loss(
            lambda x: x, hidden, inputs()[1], tokens, mask=tokens == 0, total=None, memory="lean",
            whole_sequences=True, sparse=0.2, backend="triton",
        )  # fmt: skip


def test_a_metric_of_its_name_is_refused():
    def named(log_probs, *_):
        return log_probs, {"sparsity": log_probs.sum()}

    with pytest.raises(ValueError, match="'sparsity'"):
        run(0.2, fn=named)


def test_float16_is_refused():
    with pytest.raises(ValueError, match="bfloat16"):
        run(0.2, dtype=torch.float16)
