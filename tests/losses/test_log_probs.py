"""token_log_probs and token_statistics: the truth that the kernels are held to."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.losses import _log_probs, token_log_probs, token_statistics
from watchers import Peak

finite = st.floats(-50, 50)


def random_logits(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


# --- by hand --------------------------------------------------------------------------------------


@given(
    row=st.lists(finite, min_size=1, max_size=6),
    token=st.integers(0, 5),
    temperature=st.floats(0.1, 5),
)
def test_log_prob_and_entropy_are_those_of_the_softmax(row, token, temperature):
    token = token % len(row)
    logits = torch.tensor([[row]], dtype=torch.float64)
    result = token_statistics(logits, torch.tensor([[token]]), temperature=temperature)
    expected = oracles.log_softmax(row, temperature)[token]
    assert result.log_probs.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert result.entropy.item() == pytest.approx(oracles.entropy(row, temperature), abs=1e-9)


@given(row=st.lists(finite, min_size=2, max_size=6), shift=st.floats(-30, 30))
def test_a_constant_added_to_the_logits_changes_nothing(row, shift):
    logits, tokens = torch.tensor([[row]], dtype=torch.float64), torch.tensor([[1]])
    for a, b in zip(
        token_statistics(logits, tokens), token_statistics(logits + shift, tokens), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_logits_at_t_predict_the_token_at_t():
    logits = torch.full((1, 3, 3), -100.0)
    logits[0, torch.arange(3), torch.tensor([2, 0, 1])] = 100.0
    assert token_log_probs(logits, torch.tensor([[2, 0, 1]])).tolist() == [[0.0, 0.0, 0.0]]


def test_each_token_has_its_own_temperature():
    logits, tokens = random_logits(2, 3, 5), torch.tensor([[0, 1, 2], [3, 4, 0]])
    temperature = torch.tensor([[0.5, 1.0, 2.0], [1.0, 0.7, 1.3]], dtype=torch.float64)
    result = token_statistics(logits, tokens, temperature=temperature)
    for b in range(2):
        for t in range(3):
            row, heat = logits[b, t].tolist(), temperature[b, t].item()
            expected = oracles.log_softmax(row, heat)[tokens[b, t]]
            assert result.log_probs[b, t].item() == pytest.approx(expected)
            assert result.entropy[b, t].item() == pytest.approx(oracles.entropy(row, heat))


def test_a_support_renormalises_over_what_the_sampler_kept():
    row, kept = [0.3, -1.0, 2.0, 0.5], [True, False, True, False]
    logits, support = torch.tensor([[row]]), torch.tensor([[kept]])
    result = token_statistics(logits, torch.tensor([[0]]), support=support)
    kept_row = [0.3, 2.0]
    assert result.log_probs.item() == pytest.approx(oracles.log_softmax(kept_row)[0])
    assert result.entropy.item() == pytest.approx(oracles.entropy(kept_row))


def test_a_token_outside_its_support_has_no_probability():
    support = torch.tensor([[[True, False]]])
    assert token_log_probs(torch.zeros(1, 1, 2), torch.tensor([[1]]), support=support) == -math.inf


def test_a_banned_id_adds_nothing_to_the_entropy_or_its_gradient():
    logits = torch.tensor([[[0.0, 0.0, -math.inf]]], requires_grad=True)
    result = token_statistics(logits, torch.tensor([[0]]))
    (result.entropy.sum() + result.log_probs.sum()).backward()
    assert result.entropy.item() == pytest.approx(math.log(2))
    assert logits.grad.tolist() == [[[0.5, -0.5, 0.0]]]


def test_a_certain_token_has_entropy_zero_and_a_finite_gradient():
    logits = torch.tensor([[[1000.0, 0.0]]], requires_grad=True)
    result = token_statistics(logits, torch.tensor([[1]]))
    (result.entropy + result.log_probs).sum().backward()
    assert result.entropy.item() == 0.0
    assert result.log_probs.item() == -1000.0
    assert logits.grad.isfinite().all()


# --- dtypes, blocks and strides -------------------------------------------------------------------


def test_bfloat16_is_widened_before_the_temperature_divides():
    logits = random_logits(2, 3, 100, dtype=torch.float32).bfloat16() * 20
    tokens = torch.randint(0, 100, (2, 3))
    wide = token_statistics(logits.float(), tokens, temperature=0.7)
    narrow = token_statistics(logits, tokens, temperature=0.7)
    assert narrow.log_probs.dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(narrow, wide, strict=True))


def test_the_gradient_has_the_dtype_of_the_logits():
    logits = random_logits(1, 2, 5).bfloat16().requires_grad_()
    token_log_probs(logits, torch.tensor([[1, 2]])).sum().backward()
    assert logits.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("block", [1, 5, 7, 14, 35, 70, 10**6])
def test_the_size_of_a_block_changes_no_bit(monkeypatch, block):
    def run():
        logits = random_logits(3, 5, 7).requires_grad_()
        tokens = torch.arange(15).reshape(3, 5) % 7
        result = token_statistics(logits, tokens, temperature=0.9)
        (result.log_probs * 2 + result.entropy).sum().backward()
        return *result, logits.grad

    expected = run()
    monkeypatch.setattr(_log_probs, "_BLOCK", block)
    assert all(torch.equal(a, b) for a, b in zip(run(), expected, strict=True))


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("width", [100, 3_000])  # a block of many rows, and a row of many blocks
def test_beside_the_gradient_one_block_exists_at_a_time(monkeypatch, width):
    block = 10_000
    monkeypatch.setattr(_log_probs, "_BLOCK", block)
    logits = random_logits(4, 25, width, dtype=torch.float32).bfloat16().requires_grad_()
    tokens = torch.zeros(4, 25, dtype=torch.long)
    few = 100 * 25 * 4  # some numbers a row
    with Peak() as peak:
        result = token_statistics(logits[:, :-1], tokens[:, 1:])
    assert 4 * block / 2 < peak.peak <= 4 * block + few
    with Peak() as peak:
        (result.log_probs + result.entropy).sum().backward()
    gradient = 2 * logits.numel()  # twice: of the slice, and of what it was cut from
    assert 2 * gradient * 0.9 < peak.peak <= 2 * gradient + 4 * block + few


def test_a_slice_of_logits_gives_what_its_copy_gives():
    full = random_logits(3, 6, 7)
    tokens = torch.arange(15).reshape(3, 5) % 7
    grads = []
    for view in (lambda x: x[:, :-1], lambda x: x[:, :-1].contiguous()):
        logits = full.clone().requires_grad_()
        token_log_probs(view(logits), tokens).sum().backward()
        grads.append(logits.grad)
    assert torch.equal(*grads)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
def test_an_empty_batch_is_empty(shape):
    logits = torch.zeros(shape, requires_grad=True)
    result = token_statistics(logits, torch.zeros(shape[:2], dtype=torch.long))
    (result.log_probs.sum() + result.entropy.sum()).backward()
    assert result.log_probs.shape == shape[:2]
    assert logits.grad.shape == shape


@pytest.mark.gpu
@pytest.mark.no_shape_hook
def test_rows_beyond_two_to_the_31_logits_are_right_and_no_copy_is_made():
    rows, vocab = 16384, 151_936  # 2.5e9 logits, 5 GB
    logits = torch.randn(4, rows // 4, vocab, dtype=torch.bfloat16).requires_grad_()
    tokens = torch.randint(vocab, (4, rows // 4))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = token_statistics(logits, tokens, temperature=0.8)
    forward = torch.cuda.max_memory_allocated() - before
    (result.log_probs.sum() + result.entropy.sum()).backward()
    backward = torch.cuda.max_memory_allocated() - before
    block = 4 * _log_probs._BLOCK
    assert forward < 1.1 * block
    assert backward < logits.numel() * 2 + 1.1 * block
    end = logits.detach()[-1:, -3:].double().requires_grad_()
    expected = token_statistics(end, tokens[-1:, -3:], temperature=0.8)
    (expected.log_probs.sum() + expected.entropy.sum()).backward()
    for got, want in zip(result, expected, strict=True):
        torch.testing.assert_close(got[-1:, -3:].double(), want, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.grad[-1:, -3:].double(), end.grad, rtol=1e-2, atol=1e-6)


# --- padding --------------------------------------------------------------------------------------


@given(junk=st.sampled_from([math.nan, math.inf, -math.inf, 1e30]), masked=st.booleans())
def test_a_row_without_gradient_gives_none_whatever_it_holds(junk, masked):
    logits = random_logits(1, 3, 4)
    logits[0, 1] = junk
    logits.requires_grad_()
    keep, tokens = torch.tensor([[True, False, True]]), torch.tensor([[0, -100, 3]])
    mask = keep if masked else None
    result = token_statistics(logits, tokens if masked else tokens.clamp(min=0), mask=mask)
    loss = sum(torch.where(keep, x, 0.0).sum() for x in result)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert (logits.grad[0, 1] == 0).all()
    assert (logits.grad[0, 0] != 0).all()


def test_off_the_mask_both_statistics_are_zero_and_tokens_are_not_read():
    mask = torch.tensor([[False, True]])
    result = token_statistics(torch.zeros(1, 2, 4), torch.tensor([[10**9, 1]]), mask=mask)
    assert result.log_probs[0, 0] == result.entropy[0, 0] == 0.0
    assert result.entropy[0, 1].item() == pytest.approx(math.log(4))


def test_nan_in_a_valid_row_stays_in_that_row():
    logits = random_logits(1, 2, 4)
    logits[0, 0, 2] = math.nan
    logits.requires_grad_()
    token_log_probs(logits, torch.tensor([[1, 1]])).sum().backward()
    assert logits.grad[0, 0].isnan().all()
    assert logits.grad[0, 1].isfinite().all()


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, "each"])
@pytest.mark.parametrize("limited", [False, True])
def test_gradcheck(temperature, limited):
    logits, tokens = random_logits(2, 3, 5).requires_grad_(), torch.tensor([[0, 1, 2], [4, 3, 0]])
    heat = (
        torch.linspace(0.5, 2, 6).double().reshape(2, 3) if temperature == "each" else temperature
    )
    mask = torch.tensor([[True, True, False], [True, True, True]])
    support = torch.rand(2, 3, 5).scatter(-1, tokens[..., None], 1.0) > 0.4 if limited else None
    assert torch.autograd.gradcheck(
        lambda x: token_statistics(x, tokens, mask=mask, temperature=heat, support=support), logits
    )


@pytest.mark.parametrize("name", ["log_probs", "entropy"])
def test_gradcheck_of_one_statistic_alone(name):
    logits, tokens = random_logits(1, 2, 4).requires_grad_(), torch.tensor([[3, 1]])
    assert torch.autograd.gradcheck(lambda x: getattr(token_statistics(x, tokens), name), logits)


def test_a_second_derivative_raises_rather_than_being_left_out():
    logits = random_logits(1, 1, 3).requires_grad_()
    log_prob = token_log_probs(logits, torch.tensor([[0]])).sum()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(log_prob, logits, create_graph=True)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"logits": torch.zeros(2, 3)}, ValueError, r"logits must have 3 axes, got shape \(2, 3\)"),
        ({"logits": torch.zeros(1, 2, 3).long()}, TypeError, "logits must be of a floating-point"),
        ({"tokens": torch.zeros(1, 3).long()}, ValueError, "tokens must have the shape of"),
        ({"tokens": torch.zeros(1, 2)}, TypeError, "tokens must be of an integer dtype"),
        ({"mask": torch.ones(1, 2)}, TypeError, "mask must be bool"),
        ({"support": torch.ones(1, 2) > 0}, ValueError, "support must have the shape of logits"),
        ({"temperature": 0.0}, ValueError, "temperature must be finite and above 0, got 0.0"),
        ({"temperature": math.inf}, ValueError, "temperature must be finite and above 0, got inf"),
        ({"temperature": torch.ones(1)}, ValueError, "temperature must have the shape of tokens"),
        (
            {"temperature": torch.ones(1, 2, requires_grad=True)},
            ValueError,
            "temperature gets no gradient",
        ),
    ],
)
def test_wrong_use_raises(change, error, match):
    arguments = {"logits": torch.zeros(1, 2, 3), "tokens": torch.zeros(1, 2).long(), **change}
    with pytest.raises(error, match=match):
        token_statistics(arguments.pop("logits"), arguments.pop("tokens"), **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on CUDA it ends the process")
def test_an_id_outside_the_vocabulary_raises():
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        token_log_probs(torch.zeros(1, 1, 3), torch.tensor([[3]]))
