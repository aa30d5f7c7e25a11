"""linear_token_log_probs and linear_token_statistics: what the logits would give, without them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from grpo_core.losses import (
    linear_token_log_probs,
    linear_token_statistics,
    token_statistics,
)
from linear_cases import (
    BIAS,
    HEAT,
    HIDDEN,
    MASK,
    TOKENS,
    WEIGHT,
    exact_products,
    leaves,
    small_tiles,
)
from watchers import Peak, Products


def oracle(hidden, weight, tokens, bias=None, temperature=1.0, softcap=None):
    """Log-probs and entropies by nothing but F.linear and log_softmax."""
    z = functional.linear(hidden, weight, bias)
    z = z if softcap is None else softcap * torch.tanh(z / softcap)
    heat = temperature[..., None] if isinstance(temperature, torch.Tensor) else temperature
    log_p = functional.log_softmax(z / heat, -1)
    chosen = torch.stack(
        [log_p[b, t, tokens[b, t]] for b in range(len(tokens)) for t in range(tokens.shape[1])]
    ).view(tokens.shape)
    return chosen, torch.distributions.Categorical(logits=log_p).entropy()


# --- values and gradients -------------------------------------------------------------------------

options = pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.3}, {"temperature": HEAT}, {"softcap": 1.5, "temperature": 2.0}],
    ids=["plain", "temperature", "temperatures", "softcap"],
)


@options
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("tile", [1, 12, 1 << 24])
def test_values_and_gradients_are_those_of_the_softmax_of_the_logits(
    monkeypatch, tile, biased, options
):
    small_tiles(monkeypatch, tile)
    got, expected = [], []
    for function, into in ((linear_token_statistics, got), (oracle, expected)):
        inputs = leaves(HIDDEN, WEIGHT, *([BIAS] if biased else []))
        bias = {"bias": inputs[2]} if biased else {}
        log_probs, entropy = function(*inputs[:2], TOKENS, **bias, **options)
        (log_probs * HEAT + torch.sin(entropy)).sum().backward()
        into += [log_probs, entropy, *(x.grad for x in inputs)]
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@options
def test_they_are_the_statistics_of_the_logits_off_the_mask_too(options):
    rest = {k: v for k, v in options.items() if k != "softcap"}
    got = linear_token_statistics(HIDDEN, WEIGHT, TOKENS, mask=MASK, bias=BIAS, **rest)
    logits = functional.linear(HIDDEN, WEIGHT, BIAS)
    for a, b in zip(got, token_statistics(logits, TOKENS, mask=MASK, **rest), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        assert (a[~MASK] == 0).all()


@options
def test_gradcheck(monkeypatch, options):
    small_tiles(monkeypatch, 12)
    assert torch.autograd.gradcheck(
        lambda h, w, b: linear_token_statistics(h, w, TOKENS, mask=MASK, bias=b, **options),
        leaves(HIDDEN, WEIGHT, BIAS),
    )


def test_log_probs_alone_are_the_first_statistic():
    statistics = linear_token_statistics(HIDDEN, WEIGHT, TOKENS)
    assert torch.equal(linear_token_log_probs(HIDDEN, WEIGHT, TOKENS), statistics.log_probs)


def test_of_a_frozen_head_the_backward_multiplies_nothing_by_the_weight(monkeypatch):
    small_tiles(monkeypatch, 12)
    (learning,) = leaves(HIDDEN)
    log_probs = linear_token_log_probs(learning, WEIGHT, TOKENS, mask=MASK, temperature=HEAT)
    with Products() as products:
        (log_probs * HEAT).sum().backward()
    assert products.shapes == []
    (expected,) = leaves(HIDDEN)
    (oracle(expected, WEIGHT, TOKENS, None, HEAT)[0] * HEAT * MASK).sum().backward()
    torch.testing.assert_close(learning.grad, expected.grad, rtol=1e-10, atol=1e-12)


def test_of_a_frozen_head_a_row_without_gradient_gives_none_whatever_it_holds():
    dirty = HIDDEN.clone()
    dirty[0, 1] = math.nan
    dirty.requires_grad_()
    log_probs = linear_token_log_probs(dirty, WEIGHT, TOKENS)
    torch.where(log_probs.isnan(), 0.0, log_probs).sum().backward()
    assert (dirty.grad[0, 1] == 0).all()
    assert dirty.grad.isfinite().all()


@pytest.mark.parametrize("learns", [(True, False), (False, True)])
def test_a_side_that_needs_no_gradient_gets_no_product(monkeypatch, learns):
    small_tiles(monkeypatch, 1 << 24)
    hidden, weight = (
        x.clone().requires_grad_(r) for x, r in zip((HIDDEN, WEIGHT), learns, strict=True)
    )
    result = linear_token_statistics(hidden, weight, TOKENS)
    with Products() as products:
        (result.log_probs + result.entropy).sum().backward()
    assert len(products.shapes) == 2  # the logits again, and one gradient
    assert [x.grad is not None for x in (hidden, weight)] == list(learns)


def test_a_tied_embedding_gets_the_gradients_of_both_its_uses():
    grads = []
    for function in (linear_token_log_probs, lambda *x: oracle(*x)[0]):
        (weight,) = leaves(WEIGHT)
        function(weight[TOKENS] * HIDDEN, weight, TOKENS).sum().backward()
        grads.append(weight.grad)
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-12)


# --- dtypes, strides and sizes --------------------------------------------------------------------


@exact_products
@pytest.mark.parametrize("dtypes", ["bb", "hh", "bf", "fb", "hb", "ff", "df"])
def test_factors_of_any_dtype_are_widened_and_gradients_have_their_dtypes(dtypes):
    kinds = {"b": torch.bfloat16, "h": torch.float16, "f": torch.float32, "d": torch.float64}
    hidden, weight = (
        x.clone().to(kinds[k]).requires_grad_()
        for x, k in zip((HIDDEN, WEIGHT), dtypes, strict=True)
    )
    wide = leaves(hidden.double(), weight.double())
    result = linear_token_statistics(hidden, weight, TOKENS, temperature=0.7)
    expected = oracle(*wide, TOKENS, temperature=0.7)
    assert result.log_probs.dtype == (torch.float64 if "d" in dtypes else torch.float32)
    for got, want in zip(result, expected, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-6)
    for a in (result, expected):
        (a[0] * HEAT + a[1]).sum().backward()
    for x, y in zip((hidden, weight), wide, strict=True):
        assert x.grad.dtype == x.dtype
        one_rounding = torch.finfo(x.dtype).eps + 1e-5
        torch.testing.assert_close(x.grad.double(), y.grad, rtol=one_rounding, atol=1e-6)


def test_autocast_casts_both_factors_as_a_linear_layer_does():
    kind = torch.get_default_device().type
    inputs = leaves(HIDDEN.float(), WEIGHT.float())
    with torch.autocast(kind, dtype=torch.bfloat16):
        log_probs = linear_token_log_probs(*inputs, TOKENS)
        assert functional.linear(*inputs).dtype == torch.bfloat16
    log_probs.sum().backward()
    narrow = leaves(HIDDEN.bfloat16(), WEIGHT.bfloat16())
    expected = linear_token_log_probs(*narrow, TOKENS)
    expected.sum().backward()
    assert torch.equal(log_probs, expected)
    for x, y in zip(inputs, narrow, strict=True):
        assert torch.equal(x.grad, y.grad.float())


@pytest.mark.parametrize("tile", [8, 1 << 24])
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, :-1],
        lambda x: x[:, 1:],
        lambda x: x.transpose(0, 1)[:5, 1:3].transpose(0, 1),
        lambda x: x[::2],
        lambda x: x[:1].expand(3, *x.shape[1:]),
    ],
    ids=["but the last", "but the first", "transposed", "every other", "expanded"],
)
def test_a_view_gives_what_its_copy_gives(monkeypatch, view, tile):
    small_tiles(monkeypatch, tile)
    results = []
    for copy in (lambda x: x, lambda x: x.contiguous()):
        hidden, weight = leaves(HIDDEN, WEIGHT.t())
        part = copy(view(hidden))
        log_probs = linear_token_log_probs(part, copy(weight.t()), view(TOKENS))
        (log_probs * view(HEAT)).sum().backward()
        results.append((log_probs, hidden.grad, weight.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1)])
def test_no_rows_and_one_row_are_sizes_like_others(shape):
    hidden, weight, bias = leaves(HIDDEN[: shape[0], : shape[1]], WEIGHT, BIAS)
    result = linear_token_statistics(hidden, weight, TOKENS[: shape[0], : shape[1]], bias=bias)
    (result.log_probs.sum() + result.entropy.sum()).backward()
    assert result.log_probs.shape == shape
    assert hidden.grad.shape == (*shape, 4)
    assert (weight.grad.abs().sum() > 0) == (math.prod(shape) > 0)
    assert bias.grad.isfinite().all()


def test_scored_without_gradients_the_same_rows_have_the_same_bits(monkeypatch):
    for tile in (7, 30, 1 << 24):
        small_tiles(monkeypatch, tile)
        hidden, weight = leaves(HIDDEN.float(), WEIGHT.float())
        with torch.no_grad():
            scored = linear_token_log_probs(hidden, weight, TOKENS)
        assert torch.equal(scored, linear_token_log_probs(hidden, weight, TOKENS))
        assert torch.equal(scored, linear_token_log_probs(hidden, WEIGHT.float(), TOKENS))
        assert torch.equal(scored, linear_token_statistics(hidden, weight, TOKENS).log_probs)


@exact_products
@pytest.mark.no_shape_hook
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_no_logits_exist_but_those_of_a_tile(monkeypatch, dtype):
    tile = 2_000
    small_tiles(monkeypatch, tile)
    rows, width, vocab = 600, 8, 1_000
    hidden, weight = torch.randn(3, rows // 3, width).to(dtype), torch.randn(vocab, width).to(dtype)
    tokens = torch.randint(vocab, (3, rows // 3))
    few, gradients = 4 * 10 * rows, 4 * rows * width + dtype.itemsize * (rows + vocab) * width
    with Peak() as peak, torch.no_grad():
        linear_token_statistics(hidden, weight, tokens)
    assert peak.peak < few + 4 * 4 * tile + 4 * rows * width
    inputs = leaves(hidden, weight)
    result = linear_token_statistics(*inputs, tokens)
    with Peak() as peak:
        (result.log_probs + result.entropy).sum().backward()
    assert peak.peak < gradients + few + 8 * 4 * tile  # [rows, vocab] is 300 tiles


# --- what is not read -----------------------------------------------------------------------------


@given(junk=st.sampled_from([math.nan, math.inf, -math.inf, 1e30]), masked=st.booleans())
def test_a_row_without_gradient_gives_none_whatever_it_holds(junk, masked):
    hidden = HIDDEN.clone()
    hidden[~MASK] = junk
    clean, dirty = leaves(HIDDEN, WEIGHT, BIAS), leaves(hidden, WEIGHT, BIAS)
    tokens = torch.where(MASK, TOKENS, -100) if masked else TOKENS
    for h, w, b in (clean, dirty):
        result = linear_token_statistics(h, w, tokens, mask=MASK if masked else None, bias=b)
        torch.where(MASK, result.log_probs * HEAT + result.entropy, 0.0).sum().backward()
    for a, b in zip(clean, dirty, strict=True):
        assert torch.equal(a.grad, b.grad)
        assert a.grad.isfinite().all()
    assert (dirty[0].grad[~MASK] == 0).all()


def test_nan_in_a_valid_row_stays_in_that_row_of_the_hidden_gradient():
    hidden, (weight,) = HIDDEN.clone(), leaves(WEIGHT)
    hidden[1, 2, 0] = math.nan
    hidden.requires_grad_()
    log_probs = linear_token_log_probs(hidden, weight, TOKENS)
    log_probs.sum().backward()
    assert log_probs.isnan().sum() == 1
    assert hidden.grad[1, 2].isnan().all()
    assert hidden.grad.isnan().sum() == 4
    assert weight.grad.isnan().all()


def test_a_bias_of_minus_infinity_bans_an_id():
    bias = BIAS.clone()
    bias[[1, 4]] = -math.inf
    tokens = torch.where((TOKENS == 1) | (TOKENS == 4), 0, TOKENS)
    kept = torch.tensor([0, 2, 3, 5, 6])
    inputs = leaves(HIDDEN, WEIGHT, bias)
    result = linear_token_statistics(*inputs[:2], tokens, bias=inputs[2])
    (result.log_probs + result.entropy).sum().backward()
    names = torch.searchsorted(kept, tokens)
    few = leaves(HIDDEN, WEIGHT[kept], BIAS[kept])
    expected = linear_token_statistics(*few[:2], names, bias=few[2])
    (expected.log_probs + expected.entropy).sum().backward()
    for a, b in zip(result, expected, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(inputs[0].grad, few[0].grad)
    torch.testing.assert_close(inputs[1].grad[kept], few[1].grad)
    assert (inputs[1].grad[[1, 4]] == 0).all()
    assert (inputs[2].grad[[1, 4]] == 0).all()


def test_a_banned_token_has_no_probability():
    bias = torch.tensor([0.0, -math.inf])
    log_prob = linear_token_log_probs(
        torch.ones(1, 1, 1), torch.ones(2, 1), torch.tensor([[1]]), bias=bias
    )
    assert log_prob.item() == -math.inf


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [False, True])
def test_a_second_derivative_raises_rather_than_being_left_out(frozen):
    hidden, weight = leaves(HIDDEN, WEIGHT)
    log_prob = linear_token_log_probs(hidden, WEIGHT if frozen else weight, TOKENS).sum()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(log_prob, hidden, create_graph=True)


def test_a_graph_that_is_retained_gives_the_same_again():
    hidden, weight = leaves(HIDDEN, WEIGHT)
    loss = linear_token_statistics(hidden, weight, TOKENS).entropy.sum()
    first = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    second = torch.autograd.grad(loss, (hidden, weight))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"hidden": torch.zeros(2, 3)}, ValueError, r"hidden must have 3 axes, got shape \(2, 3\)"),
        ({"hidden": torch.zeros(1, 2, 3).long()}, TypeError, "hidden must be of a floating-point"),
        ({"weight": torch.zeros(5)}, ValueError, r"weight must have 2 axes, got shape \(5,\)"),
        ({"weight": torch.zeros(3, 5)}, ValueError, "hidden must be as wide as weight"),
        ({"weight": torch.zeros(5, 3).int()}, TypeError, "weight must be of a floating-point"),
        ({"tokens": torch.zeros(1, 3).long()}, ValueError, "tokens must have the shape of"),
        ({"tokens": torch.zeros(1, 2)}, TypeError, "tokens must be of an integer dtype"),
        ({"mask": torch.ones(1, 2)}, TypeError, "mask must be bool"),
        ({"mask": torch.ones(2, 1) > 0}, ValueError, "mask must have the shape of tokens"),
        ({"bias": torch.ones(4)}, ValueError, "bias must have the shape of"),
        ({"bias": torch.ones(5).int()}, TypeError, "bias must be of a floating-point"),
        ({"temperature": 0.0}, ValueError, "temperature must be finite and above 0, got 0.0"),
        ({"temperature": torch.ones(1)}, ValueError, "temperature must have the shape of tokens"),
        (
            {"temperature": torch.ones(1, 2, requires_grad=True)},
            ValueError,
            "temperature gets no gradient",
        ),
        ({"softcap": -1.0}, ValueError, "softcap must be finite and above 0, got -1.0"),
        ({"backend": "cuda"}, ValueError, "backend must be one of 'auto', 'torch', 'triton'"),
    ],
)
def test_wrong_use_raises(change, error, match):
    arguments = {
        "hidden": torch.zeros(1, 2, 3),
        "weight": torch.zeros(5, 3),
        "tokens": torch.zeros(1, 2).long(),
        **change,
    }
    with pytest.raises(error, match=match):
        linear_token_statistics(**arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on CUDA it ends the process")
def test_an_id_outside_the_vocabulary_raises():
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        linear_token_log_probs(HIDDEN, WEIGHT, TOKENS + 7)
