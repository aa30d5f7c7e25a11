"""The kernels of token_log_probs and token_statistics against float64 and the PyTorch reference."""

import math

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
kernels = pytest.importorskip("grpo_core._kernels.log_probs")

from grpo_core.losses import token_log_probs, token_statistics  # noqa: E402 - after the check
from kernel_inputs import DEVICE, DTYPES, SIZES, ids, random  # noqa: E402


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Sizes around a block, and rows of several, cost little then."""
    monkeypatch.setattr(kernels, "BLOCK", 64)
    monkeypatch.setattr(kernels, "BACKWARD_BLOCK", 64)
    monkeypatch.setattr(kernels, "PIECES", 2)


def gradients(function, logits, tokens, **options):
    """Both statistics and the gradient of a weighted sum of them."""
    logits = logits.detach().requires_grad_()
    result = function(logits + 0, tokens, **options)
    g, h = random(*tokens.shape, seed=5), random(*tokens.shape, seed=6)
    total = sum((x * w.to(x)).sum() for x, w in zip(result, (g, h), strict=True))
    return *(x.detach() for x in result), *torch.autograd.grad(total, logits)


def assert_as_good_as_torch(logits, tokens, **options):
    """At most twice the error of the reference in float32, and 1e-6 (gradients: of the largest)."""
    exact = gradients(token_statistics, logits.double(), tokens, backend="torch", **options)
    plain = gradients(token_statistics, logits, tokens, backend="torch", **options)
    ours = gradients(token_statistics, logits, tokens, backend="triton", **options)
    for true, reference, found in zip(exact, plain, ours, strict=True):
        finite = true.isfinite()
        torch.testing.assert_close(found[~finite].double(), true[~finite], equal_nan=True)
        error = (found.double() - true)[finite].abs()
        bound = 2 * (reference.double() - true)[finite].abs()
        scale = true[finite].abs().max().clamp(min=1) if finite.any() else 1
        assert (error <= bound.max() + 1e-6 * scale).all() if error.numel() else True


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("vocab", SIZES)
def test_values_and_gradients_are_as_good_as_the_reference(vocab, dtype):
    assert_as_good_as_torch(random(2, 3, vocab, dtype=dtype), ids(2, 3, vocab))


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_flat_and_peaked_rows(scale, temperature):
    logits = random(2, 4, 200, scale=scale)
    assert_as_good_as_torch(logits, ids(2, 4, 200), temperature=temperature)


def test_each_token_has_its_own_temperature():
    temperature = random(2, 3, scale=0.2).exp()
    assert_as_good_as_torch(random(2, 3, 150), ids(2, 3, 150), temperature=temperature)


@pytest.mark.parametrize("target", [0, 63, 64, 130, 199])
@pytest.mark.parametrize("drop", [5.0, 60.0, 100.0, 1000.0])
def test_an_improbable_token_takes_the_row_s_own_maximum(target, drop):
    logits = random(1, 2, 200)
    logits[0, :, 70] = 20.0
    logits[0, :, target] = 20.0 - drop
    assert_as_good_as_torch(logits, torch.full((1, 2), target, device=DEVICE))


def test_a_nearly_certain_token_keeps_its_digits():
    logits = torch.zeros(1, 1, 100, device=DEVICE)
    logits[0, 0, 7] = math.log(99 / 1e-6)  # 1 - p is 1e-6
    log_probs = token_log_probs(logits, torch.tensor([[7]], device=DEVICE), backend="triton")
    assert log_probs.item() == pytest.approx(-1e-6, rel=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_a_support_and_a_mask_are_honoured(whole):
    logits, tokens = random(2, 4, 150), ids(2, 4, 150)
    support = random(2, 4, 150, seed=3) > 0
    if whole:
        support.scatter_(-1, tokens[..., None], True)
    mask = random(2, 4, seed=4) > 0
    assert_as_good_as_torch(logits, tokens, support=support, mask=mask)


def test_a_token_far_above_its_support_does_not_swallow_it():
    logits, support = random(1, 1, 100), torch.ones(1, 1, 100, dtype=torch.bool, device=DEVICE)
    logits[0, 0, 3], support[0, 0, 3] = 1000.0, False
    found = token_statistics(
        logits, torch.tensor([[3]], device=DEVICE), support=support, backend="triton"
    )
    wanted = token_statistics(
        logits, torch.tensor([[3]], device=DEVICE), support=support, backend="torch"
    )
    assert found.log_probs.item() == -math.inf
    torch.testing.assert_close(found.entropy, wanted.entropy)


def test_banned_ids_count_for_nothing():
    logits = random(2, 3, 150)
    logits[..., ::3] = -math.inf
    tokens = ids(2, 3, 50) * 3 + 1
    assert_as_good_as_torch(logits, tokens)
    assert token_log_probs(logits, tokens - 1, backend="triton").eq(-math.inf).all()


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, 1e30])
def test_what_lies_under_the_mask_is_never_read(junk):
    logits, tokens = random(2, 3, 100), ids(2, 3, 100)
    mask = torch.tensor([[True, False, True], [False, True, True]], device=DEVICE)
    clean = gradients(token_statistics, logits, tokens, mask=mask, backend="triton")
    logits[~mask], tokens[~mask] = junk, 10**9
    dirty = gradients(token_statistics, logits, tokens, mask=mask, backend="triton")
    for a, b in zip(clean, dirty, strict=True):
        assert torch.equal(a, b)
    assert (dirty[2][~mask] == 0).all()


@pytest.mark.parametrize("junk", [math.nan, math.inf])
def test_a_broken_row_breaks_itself_alone(junk):
    logits, tokens = random(2, 3, 200), ids(2, 3, 200)
    clean = token_statistics(logits, tokens, backend="triton")
    logits[1, 1, 150] = junk
    dirty = token_statistics(logits, tokens, backend="triton")
    for a, b in zip(clean, dirty, strict=True):
        assert b[1, 1].isnan()
        b[1, 1] = a[1, 1]
        assert torch.equal(a, b)


@pytest.mark.parametrize("token", [-1, 200, 2**31, -(2**40)])
def test_an_id_outside_the_vocabulary_is_nan_and_reads_nothing(token):
    tokens = torch.tensor([[token, 3]], device=DEVICE)
    found = token_log_probs(random(1, 2, 200), tokens, backend="triton")
    assert found[0, 0].isnan()
    assert found[0, 1].isfinite()


STRIDED = {
    "slice": lambda: random(2, 4, 150)[:, :-1],
    "columns first": lambda: random(150, 2, 3).permute(1, 2, 0),
    "rows swapped": lambda: random(3, 2, 150).transpose(0, 1),
    "every other": lambda: random(2, 3, 300)[..., ::2],
}


@pytest.mark.parametrize("name", STRIDED)
@pytest.mark.parametrize("overwrite", [True, False])
def test_any_strides(name, overwrite):
    logits, tokens = STRIDED[name](), ids(2, 3, 150)
    wanted = gradients(token_statistics, logits.contiguous(), tokens, backend="triton")
    leaf = logits.detach().clone().requires_grad_()
    view = torch.as_strided(torch.empty(2048, device=DEVICE), logits.shape, logits.stride())
    held = view.copy_(leaf)  # differentiable, and of these strides
    assert held.stride() == logits.stride()
    result = token_statistics(held, tokens, overwrite_logits=overwrite, backend="triton")
    g, h = random(2, 3, seed=5), random(2, 3, seed=6)
    (grad,) = torch.autograd.grad((result.log_probs * g + result.entropy * h).sum(), leaf)
    for a, b in zip((*result, grad), wanted, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_gradient_is_written_over_the_logits_on_request(backend):
    logits, tokens = random(2, 3, 100), ids(2, 3, 100)
    leaf = logits.clone().requires_grad_()
    held = leaf + 0
    log_probs = token_log_probs(held, tokens, overwrite_logits=True, backend=backend)
    (grad,) = torch.autograd.grad(log_probs.sum(), held)
    assert grad.data_ptr() == held.data_ptr()
    other = leaf + 0
    log_probs = token_log_probs(other, tokens, backend=backend)
    assert torch.equal(grad, torch.autograd.grad(log_probs.sum(), other)[0])
    assert torch.equal(other, logits)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_expanded_logits_cannot_be_overwritten(backend):
    logits = random(1, 3, 10).expand(2, 3, 10)
    with pytest.raises(ValueError, match="expanded logits cannot be overwritten"):
        token_log_probs(logits, ids(2, 3, 10), overwrite_logits=True, backend=backend)


def test_any_part_of_a_batch_in_any_order_has_the_same_bits():
    logits, tokens = random(4, 5, 300, scale=9.0), ids(4, 5, 300)
    whole = token_statistics(logits, tokens, backend="triton")
    again = token_statistics(logits, tokens, backend="triton")
    order = torch.tensor([2, 0, 3], device=DEVICE)
    part = token_statistics(logits[order], tokens[order], backend="triton")
    alone = token_log_probs(logits, tokens, backend="triton")
    assert torch.equal(whole.log_probs, alone)
    for a, b, c in zip(whole, again, part, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a[order], c)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1)])
def test_empty_and_single(shape):
    logits = random(*shape, 70).requires_grad_()
    result = token_statistics(logits, ids(*shape, 70), backend="triton")
    assert result.log_probs.shape == shape
    result.log_probs.sum().backward()
    assert logits.grad.shape == logits.shape


def test_float64_and_unknown_backends_raise():
    with pytest.raises(ValueError, match="'triton' computes in float32, got float64"):
        token_log_probs(random(1, 1, 5).double(), ids(1, 1, 5), backend="triton")
    with pytest.raises(ValueError, match="backend must be one of auto, torch, triton, got 'cuda'"):
        token_log_probs(random(1, 1, 5), ids(1, 1, 5), backend="cuda")


def test_the_operator_is_what_torch_expects():
    logits = random(2, 3, 70).requires_grad_()
    mask = torch.tensor([[True, False, True], [True, True, True]], device=DEVICE)
    torch.library.opcheck(
        kernels.token_statistics,
        (logits, ids(2, 3, 70), mask, 0.7, None, None, True, False),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


def test_it_compiles_without_a_graph_break():
    logits, tokens = random(2, 3, 70), ids(2, 3, 70)

    def step(logits):
        result = token_statistics(logits, tokens, backend="triton")
        return result.log_probs - 0.1 * result.entropy

    found = []
    for run in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        leaf = logits.clone().requires_grad_()
        run(leaf).sum().backward()
        found.append(leaf.grad)
    assert torch.equal(*found)


def test_a_second_derivative_raises():
    logits = random(1, 1, 30).requires_grad_()
    log_prob = token_log_probs(logits, ids(1, 1, 30), backend="triton").sum()
    (grad,) = torch.autograd.grad(log_prob, logits, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(grad.sum(), logits)


@pytest.mark.gpu
def test_rows_beyond_two_to_the_31_logits_are_right():
    rows, vocab = 32_768, 70_000
    logits = torch.randn(1, rows, vocab, dtype=torch.bfloat16, device="cuda")
    tokens = torch.randint(vocab, (1, rows), device="cuda")
    found = token_statistics(logits, tokens, backend="triton")
    last = token_statistics(logits[:, -3:].double(), tokens[:, -3:], backend="torch")
    for a, b in zip(found, last, strict=True):
        torch.testing.assert_close(a[:, -3:].double(), b, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
def test_it_runs_in_a_cuda_graph_on_another_stream_and_without_a_sync():
    logits, tokens = random(2, 8, 500), ids(2, 8, 500)
    token_statistics(logits, tokens, backend="triton")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = token_statistics(logits, tokens, backend="triton")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    logits.copy_(random(2, 8, 500, seed=9))
    graph.replay()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        other = token_statistics(logits, tokens, backend="triton")
    torch.cuda.synchronize()
    for a, b in zip(captured, other, strict=True):
        assert torch.equal(a, b)
