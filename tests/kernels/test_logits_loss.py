"""The kernel of logits_token_loss against float64 and the PyTorch composition."""

import math
from functools import partial

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
kernels = pytest.importorskip("grpo_core._kernels.logits_loss")

from grpo_core.losses import (  # noqa: E402 - after the check
    constant_mean,
    group_token_mean,
    logits_token_loss,
    sequence_mean,
    sequence_sum_mean,
    step_totals,
    token_log_probs,
    token_mean,
)
from kernel_inputs import DEVICE, DTYPES, SIZES, ids, random  # noqa: E402


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Sizes around a block, and rows of several, cost little then."""
    monkeypatch.setattr(kernels, "BLOCK", 64)
    monkeypatch.setattr(kernels, "COLUMNS_PER_WARP", 16)
    monkeypatch.setattr(kernels, "SCALE_BLOCK", 64)


def everything(*shape):
    return torch.ones(*shape, dtype=torch.bool, device=DEVICE)


def batch_of(logits, seed=1, spread=0.3, **options):
    """Arguments after the logits: old log-probs near the new ones, advantages of both signs."""
    shape = logits.shape[:2]
    tokens = ids(*logits.shape, seed=seed)
    mask = options.pop("mask", everything(*shape))
    old = token_log_probs(logits.double(), tokens, backend="torch", **options)
    old = (old + spread * random(*shape, seed=seed + 1, scale=1.0)).float()
    advantages = random(*shape, seed=seed + 2, scale=1.0)
    return {
        "tokens": tokens,
        "old_log_probs": old,
        "advantages": advantages,
        "mask": mask,
        "total": None,
        **options,
    }


def run(logits, backend="triton", upstream=1.0, **options):
    """Loss, log-probs and the gradient of the logits."""
    leaf = logits.detach().clone().requires_grad_()
    result = logits_token_loss(leaf + 0, backend=backend, **options)
    result.loss.backward(torch.full_like(result.loss, upstream))
    return result.loss.detach(), result.log_probs, leaf.grad


def assert_as_good_as_torch(logits, **options):
    """At most twice the error of the reference in float32, and 1e-6 (of the largest, if more)."""
    exact = run(logits.double(), backend="torch", **options)
    plain = run(logits, backend="torch", **options)
    ours = run(logits, **options)
    for true, reference, found in zip(exact, plain, ours, strict=True):
        finite = true.isfinite()
        torch.testing.assert_close(found[~finite].double(), true[~finite], equal_nan=True)
        error = (found.double() - true)[finite].abs()
        bound = 2 * (reference.double() - true)[finite].abs()
        scale = true[finite].abs().max().clamp(min=1) if finite.any() else 1
        assert (error <= bound.max() + 1e-6 * scale).all() if error.numel() else True


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("vocab", SIZES)
def test_loss_log_probs_and_gradient_are_as_good_as_the_reference(vocab, dtype):
    logits = random(2, 3, vocab, dtype=dtype)
    assert_as_good_as_torch(logits, **batch_of(logits))


GROUPS = torch.tensor([4, 4, 2], device=DEVICE)
SEGMENTS = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [3, 3, 3, 1]], device=DEVICE)
MEANS = {
    "token": token_mean,
    "sequence": sequence_mean,
    "packed sequence": partial(sequence_mean, segment_ids=SEGMENTS),
    "sequence sum": sequence_sum_mean,
    "group": partial(group_token_mean, group_ids=GROUPS),
    "constant": partial(constant_mean, max_length=9),
    "the user's": lambda values, mask, total: torch.where(mask, values, 0.0).sum() / 7,
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", MEANS)
def test_it_takes_every_mean(name, whole):
    logits = random(3, 4, 90)
    mask = random(3, 4, seed=7) > -2
    options = batch_of(logits, mask=mask)
    if not whole:
        twice = torch.cat([mask, everything(3, 4)])
        options["total"] = step_totals(twice, GROUPS.repeat(2)).rows(slice(0, 3))
    assert_as_good_as_torch(logits, **options, mean=MEANS[name])


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_flat_and_peaked_rows(scale, temperature):
    logits = random(2, 4, 200, scale=scale)
    assert_as_good_as_torch(logits, **batch_of(logits, temperature=temperature))


def test_each_token_has_its_own_temperature():
    logits = random(2, 3, 150)
    temperature = random(2, 3, scale=0.2, seed=8).exp()
    assert_as_good_as_torch(logits, **batch_of(logits, temperature=temperature))


@pytest.mark.parametrize("bounds", [(0.2, 0.28, None), (1.0, math.inf, None), (0.1, 0.1, 1.5)])
def test_ratios_on_every_side_of_the_clips_and_of_the_bound(bounds):
    ratios = [-800, -25, -19, -0.5, -0.15, 0.0, 0.05, 0.2, 0.35, 0.45, 3, 19, 25, 800]
    logits = random(3, len(ratios), 100)
    options = batch_of(logits, spread=0.0)
    options["old_log_probs"] = options["old_log_probs"] - torch.tensor(ratios, device=DEVICE)
    options["advantages"] = torch.tensor([[1.5], [-2.0], [0.0]], device=DEVICE).expand(3, 14)
    low, high, ratio_max = bounds
    options |= {"epsilon_low": low, "epsilon_high": high, "ratio_max": ratio_max}
    exact = run(logits.double(), backend="torch", **options)
    found = run(logits, **options)
    for row in range(3):
        for column in range(len(ratios)):  # a ratio of e^20 would drown the others
            a, b = (x[2][row, column].double() for x in (exact, found))
            torch.testing.assert_close(b, a, rtol=2e-5, atol=1e-12)
            assert a.any() == b.any()
    torch.testing.assert_close(found[0].double(), exact[0], rtol=2e-5, atol=0)


@pytest.mark.parametrize("ratio_max", [None, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_a_ratio_exactly_at_both_clips_has_the_gradient_of_clipped_loss(sign, ratio_max):
    logits = random(1, 3, 100)
    options = batch_of(logits) | {"epsilon_low": 0.0, "epsilon_high": 0.0, "ratio_max": ratio_max}
    options["advantages"] = torch.full((1, 3), sign, device=DEVICE)
    found = []
    for backend in ("triton", "torch"):
        options["old_log_probs"] = run(logits, backend=backend, **options)[1]
        found.append(run(logits, backend=backend, **options)[2])
    assert found[0].any() == (sign != 0)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_without_old_log_probs_the_ratio_is_one(backend):
    logits = random(2, 3, 100)
    options = batch_of(logits)
    options["old_log_probs"] = None
    found = run(logits, backend=backend, **options)
    assert found[0].item() == pytest.approx(-options["advantages"].mean().item(), rel=1e-6)
    options["old_log_probs"] = found[1]
    for a, b in zip(run(logits, backend=backend, **options), found, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("target", [0, 63, 64, 130, 199])
@pytest.mark.parametrize("drop", [5.0, 16.0, 17.0, 60.0, 100.0, 1000.0])
def test_an_improbable_token_takes_the_row_s_own_maximum(target, drop):
    logits = random(1, 2, 200)
    logits[0, :, 70] = 20.0
    logits[0, :, target] = 20.0 - drop
    tokens = torch.full((1, 2), target, device=DEVICE)
    options = batch_of(logits) | {"tokens": tokens, "old_log_probs": None}
    assert_as_good_as_torch(logits, **options)


def test_a_nearly_certain_token_keeps_its_digits():
    logits = torch.zeros(1, 1, 100, device=DEVICE)
    logits[0, 0, 7] = math.log(99 / 1e-6)  # 1 - p is 1e-6
    one = torch.ones(1, 1, device=DEVICE)
    tokens = torch.tensor([[7]], device=DEVICE)
    _, log_probs, grad = run(
        logits, tokens=tokens, old_log_probs=None, advantages=one, mask=one.bool(), total=None
    )
    assert log_probs.item() == pytest.approx(-1e-6, rel=1e-4)
    assert grad[0, 0, 7].item() == pytest.approx(-1e-6, rel=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_a_support_and_a_mask_are_honoured(whole):
    logits = random(2, 4, 150)
    support = random(2, 4, 150, seed=3) > 0
    options = batch_of(logits)
    if whole:
        support.scatter_(-1, options["tokens"][..., None], True)
    mask = random(2, 4, seed=4) > 0
    assert_as_good_as_torch(logits, **options | {"support": support, "mask": mask})


def test_banned_ids_count_for_nothing_and_a_banned_token_has_no_gradient():
    logits = random(2, 3, 150)
    logits[..., ::3] = -math.inf
    options = batch_of(logits)
    options["tokens"] = ids(2, 3, 50) * 3 + 1
    options["old_log_probs"] = options["old_log_probs"].nan_to_num(neginf=-3.0)
    options["tokens"][1, 2] = 3
    assert_as_good_as_torch(logits, **options)
    _, log_probs, grad = run(logits, **options)
    assert log_probs[1, 2].item() == -math.inf
    assert not grad[1, 2].any()
    assert not grad[..., ::3].any()


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, 1e30])
def test_what_lies_under_the_mask_is_never_read(junk):
    logits = random(2, 3, 100)
    mask = torch.tensor([[True, False, True], [False, True, True]], device=DEVICE)
    options = batch_of(logits, mask=mask)
    clean = run(logits, **options)
    for name in ("old_log_probs", "advantages"):
        options[name] = options[name].masked_fill(~mask, junk)
    options["tokens"] = options["tokens"].masked_fill(~mask, 10**9)
    logits[~mask] = junk
    dirty = run(logits, **options)
    for a, b in zip(clean, dirty, strict=True):
        assert torch.equal(a, b)
    assert not dirty[2][~mask].any()
    assert not dirty[1][~mask].any()


@pytest.mark.parametrize("junk", [math.nan, math.inf])
def test_a_broken_row_breaks_itself_and_the_loss_alone(junk):
    logits = random(2, 3, 200)
    options = batch_of(logits)
    clean = run(logits, **options)
    logits[1, 1, 150] = junk
    dirty = run(logits, **options)
    assert dirty[0].isnan()
    assert dirty[1][1, 1].isnan()
    others = everything(2, 3)
    others[1, 1] = False
    for a, b in zip(clean[1:], dirty[1:], strict=True):
        assert torch.equal(a[others], b[others])
    assert not dirty[2][1, 1].any()  # as the composition has it


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("name", ["old_log_probs", "advantages"])
def test_nan_on_the_mask_is_not_swallowed(name, backend):
    logits = random(1, 2, 50)
    options = batch_of(logits)
    options[name] = options[name].clone()
    options[name][0, 1] = math.nan
    assert run(logits, backend=backend, **options)[0].isnan()


@pytest.mark.parametrize("token", [-1, 200, 2**31, -(2**40)])
def test_an_id_outside_the_vocabulary_is_nan_and_writes_nothing(token):
    logits = random(1, 2, 200)
    options = batch_of(logits)
    options["tokens"] = torch.tensor([[token, 3]], device=DEVICE)
    loss, log_probs, grad = run(logits, **options)
    assert loss.isnan()
    assert log_probs[0, 0].isnan()
    assert log_probs[0, 1].isfinite()
    assert not grad[0, 0].any()


STRIDED = {
    "slice": lambda: random(2, 4, 150)[:, :-1],
    "columns first": lambda: random(150, 2, 3).permute(1, 2, 0),
    "rows swapped": lambda: random(3, 2, 150).transpose(0, 1),
    "every other": lambda: random(2, 3, 300)[..., ::2],
}


@pytest.mark.parametrize("name", STRIDED)
@pytest.mark.parametrize("overwrite", [True, False])
def test_any_strides(name, overwrite):
    logits = STRIDED[name]()
    options = batch_of(logits)
    wanted = run(logits.contiguous(), upstream=-3.0, **options)
    leaf = logits.detach().clone().requires_grad_()
    view = torch.as_strided(torch.empty(2048, device=DEVICE), logits.shape, logits.stride())
    held = view.copy_(leaf)  # differentiable, and of these strides
    assert held.stride() == logits.stride()
    result = logits_token_loss(held, overwrite_logits=overwrite, backend="triton", **options)
    (grad,) = torch.autograd.grad(-3.0 * result.loss, leaf)
    for a, b in zip((*result, grad), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_the_gradient_is_written_over_the_logits_on_request_and_else_not():
    logits = random(2, 3, 100)
    options = batch_of(logits)
    leaf = logits.clone().requires_grad_()
    held = leaf + 0
    result = logits_token_loss(held, overwrite_logits=True, backend="triton", **options)
    (grad,) = torch.autograd.grad(result.loss, held)
    assert grad.data_ptr() == held.data_ptr()
    other = leaf + 0
    result = logits_token_loss(other, backend="triton", **options)
    assert torch.equal(grad, torch.autograd.grad(result.loss, other)[0])
    assert torch.equal(other, logits)


@pytest.mark.parametrize("overwrite", [True, False])
def test_without_a_gradient_the_logits_are_left_alone(overwrite):
    logits = random(2, 3, 100)
    options = batch_of(logits)
    wanted = run(logits, **options)
    before = logits.clone()
    with torch.no_grad():
        leaf = logits.requires_grad_()
        result = logits_token_loss(leaf, overwrite_logits=overwrite, backend="triton", **options)
    assert torch.equal(logits, before)
    for a, b in zip(result, wanted, strict=False):
        assert torch.equal(a, b)
        assert not a.requires_grad


@pytest.mark.parametrize("upstream", [0.0, 1.0, -0.5, 65536.0, math.inf])
def test_the_gradient_from_above_is_multiplied_and_padding_stays_zero(upstream):
    logits = random(2, 3, 130)
    mask = torch.tensor([[True, False, True], [False, True, True]], device=DEVICE)
    options = batch_of(logits, mask=mask)
    one, scaled = run(logits, **options)[2], run(logits, upstream=upstream, **options)[2]
    assert torch.equal(scaled[mask], torch.where(one == 0, 0.0, one * upstream)[mask])
    assert not scaled[~mask].any()


def test_the_backward_runs_once_and_has_no_derivative():
    logits = random(1, 1, 30).requires_grad_()
    options = batch_of(logits.detach())
    loss = logits_token_loss(logits + 0, backend="triton", **options).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = logits_token_loss(logits + 0, backend="triton", **options).loss
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, logits, create_graph=True)


def test_any_part_of_a_batch_in_any_order_has_the_same_bits():
    logits = random(4, 5, 300, scale=9.0)
    options = batch_of(logits)
    groups = torch.arange(4, device=DEVICE)
    options["total"] = step_totals(options["mask"], groups)
    whole, again = run(logits, **options), run(logits, **options)
    for a, b in zip(whole, again, strict=True):
        assert torch.equal(a, b)
    order = torch.tensor([2, 0, 3], device=DEVICE)
    for name in ("tokens", "old_log_probs", "advantages", "mask"):
        options[name] = options[name][order]
    part = run(logits[order], **options)
    assert torch.equal(whole[1][order], part[1])
    assert torch.equal(whole[2][order], part[2])


def test_micro_batches_add_up():
    logits = random(4, 5, 100)
    options = batch_of(logits, mask=random(4, 5, seed=9) > 0)
    groups = torch.tensor([1, 0, 1, 0], device=DEVICE)
    total = step_totals(options["mask"], groups)
    whole = run(logits, **options, mean=partial(group_token_mean, group_ids=groups))
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        cut = {k: v[rows] if isinstance(v, torch.Tensor) else v for k, v in options.items()}
        cut["total"] = total.rows(rows)
        mean = partial(group_token_mean, group_ids=groups[rows])
        parts.append(run(logits[rows], **cut, mean=mean))
    torch.testing.assert_close(parts[0][0] + parts[1][0], whole[0])
    torch.testing.assert_close(torch.cat([p[2] for p in parts]), whole[2])


def test_a_fully_masked_batch_gives_a_zero_that_is_attached():
    logits = torch.full((2, 3, 70), math.nan, device=DEVICE)
    options = batch_of(random(2, 3, 70), mask=torch.zeros_like(everything(2, 3)))
    loss, log_probs, grad = run(logits, **options)
    assert loss.item() == 0
    assert not log_probs.any()
    assert not grad.any()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1)])
def test_empty_and_single(shape):
    logits = random(*shape, 70)
    assert run(logits, **batch_of(logits))[2].shape == logits.shape


def test_float64_raises():
    logits = random(1, 1, 5)
    with pytest.raises(ValueError, match="'triton' computes in float32, got float64"):
        logits_token_loss(logits.double(), backend="triton", **batch_of(logits))


def test_the_operators_are_what_torch_expects():
    logits = random(2, 3, 70)
    options = batch_of(logits)
    rest = [options[name] for name in ("tokens", "old_log_probs", "advantages")]
    rest += [torch.ones(2, 3, device=DEVICE), options["mask"], 0.7, None, None, 0.2, 0.28, 3.0]
    for grad, given in ((torch.empty_like(logits), logits), (logits.clone(), None), (None, logits)):
        torch.library.opcheck(
            kernels.logits_loss,
            (grad, given, *rest),
            test_utils=("test_schema", "test_faketensor"),
        )
    torch.library.opcheck(
        kernels.scale,
        (logits.clone(), torch.full((), 2.0, device=DEVICE)),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize("overwrite", [True, False])
def test_it_compiles_without_a_graph_break(overwrite):
    logits = random(2, 3, 70)
    options = batch_of(logits) | {"overwrite_logits": overwrite, "backend": "triton"}

    def step(leaf):
        return 0.5 * logits_token_loss(leaf * 1.0, **options).loss

    found = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        leaf = logits.clone().requires_grad_()
        loss = function(leaf)
        loss.backward()
        found.append((loss.detach(), leaf.grad))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_autocast_changes_nothing():
    logits = random(2, 3, 70)
    options = batch_of(logits)
    wanted = run(logits, **options)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        found = run(logits, **options)
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
def test_auto_takes_the_composition_for_float16_and_the_kernel_for_bfloat16():
    for dtype, overwritten in ((torch.float16, False), (torch.bfloat16, True)):
        held = random(1, 2, 70, dtype=dtype).requires_grad_() + 0
        before = held.detach().clone()
        logits_token_loss(held, overwrite_logits=True, **batch_of(before))
        assert torch.equal(held, before) != overwritten  # the kernel writes in forward


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("vocab", [50_257, 151_936])
def test_blocks_as_they_are_used(vocab, dtype, monkeypatch):
    monkeypatch.undo()
    logits = random(2, 200, vocab, dtype=dtype, scale=3.0)
    options = batch_of(logits)
    assert_as_good_as_torch(logits, **options)
    assert_as_good_as_torch(logits, **options, overwrite_logits=True)


@pytest.mark.gpu
def test_rows_beyond_two_to_the_31_logits_are_right(monkeypatch):
    monkeypatch.undo()
    rows, vocab = 32_768, 70_000
    logits = torch.randn(1, rows, vocab, dtype=torch.bfloat16, device="cuda")
    options = batch_of(logits[:, -3:])
    last = run(logits[:, -3:].double(), backend="torch", **options | {"old_log_probs": None})
    long = {
        "tokens": torch.randint(vocab, (1, rows), device="cuda"),
        "advantages": torch.ones(1, rows, device="cuda"),
    }
    for name, values in long.items():
        values[:, -3:] = options[name]
    held = logits.requires_grad_() + 0
    result = logits_token_loss(
        held, old_log_probs=None, mask=everything(1, rows), total=None,
        overwrite_logits=True, backend="triton", **long,
    )  # fmt: skip
    result.loss.backward(torch.full_like(result.loss, rows / 3))
    torch.testing.assert_close(result.log_probs[:, -3:].double(), last[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(held.detach()[:, -3:].double(), last[2], rtol=1e-2, atol=1e-9)


@pytest.mark.gpu
def test_it_runs_in_a_cuda_graph_on_another_stream_and_without_a_sync():
    logits = random(2, 8, 500)
    options = batch_of(logits)
    leaf = logits.clone().requires_grad_()

    def step():
        leaf.grad = None
        result = logits_token_loss(leaf * 1.0, backend="triton", **options)
        (0.5 * result.loss).backward()
        return result.loss.detach(), result.log_probs, leaf.grad

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            captured = step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with torch.no_grad():
        leaf.copy_(random(2, 8, 500, seed=9))
    graph.replay()
    torch.cuda.synchronize()
    captured = [x.clone() for x in captured]
    for a, b in zip(captured, step(), strict=True):
        assert torch.equal(a, b)
