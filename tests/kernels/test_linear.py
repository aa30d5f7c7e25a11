"""Log-probs, entropies and gradients from hidden states against float64: values and edges."""

import math
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
linear = pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear_config as config  # noqa: E402 - after the check

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# The interpreter multiplies the bit patterns of bfloat16; a GPU takes no float32.
DTYPES = [torch.float16, torch.bfloat16 if GPU else torch.float32]
WIDE = DTYPES[1]
# Gradients are rounded to the operands' dtype on the way, log-probs never.
ROUNDING = {torch.float16: 6e-4, torch.bfloat16: 8e-3, torch.float32: 2e-6}
SMALL = config.Tiles(rows=16, columns=32, depth=16, group=2, warps=4, stages=2)
TILES = config.Tiles() if GPU else SMALL


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Sizes around a tile, and rows of several, cost little then."""
    monkeypatch.setattr(config, "PLANS", {})
    monkeypatch.setattr(config, "DEFAULT", config.Plan(TILES))


def random(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, device=DEVICE)).to(dtype)


def case(rows=19, width=24, vocab=75, dtype=WIDE, scale=1.0, **given):
    """Inputs of one call."""
    generator = torch.Generator(DEVICE).manual_seed(3)
    made = {
        "hidden": random(rows, width, seed=1, scale=scale, dtype=dtype),
        "weight": random(vocab, width, seed=2, scale=0.5, dtype=dtype),
        "tokens": torch.randint(vocab, (rows,), generator=generator, device=DEVICE),
        "mask": None,
        "bias": None,
        "temperature": 1.0,
        "per_token": None,
        "softcap": None,
        "g": random(rows, seed=5, scale=1e-2),
        "h": None,
    }
    return SimpleNamespace(**(made | given))


def given_to(c):
    return c.hidden, c.weight, c.tokens, c.mask, c.bias, c.temperature, c.per_token, c.softcap


def ours(c, *, one_pass=False, accumulate=False, grads=None):
    """Log-probs, entropies, and the gradients of hidden, weight and bias."""
    if one_pass:
        log_probs, state, kept = linear.exponentials(*given_to(c))
        entropy = log_probs
    else:
        log_probs, entropy, state = linear.statistics(*given_to(c), True)
        kept = linear.recompute(c.hidden, c.weight, c.bias, c.softcap, state, entropy, c.g, c.h)
    if grads is None:
        grads = (
            torch.empty_like(c.hidden),
            torch.empty(c.weight.shape, device=DEVICE),
            torch.empty(c.weight.shape[0], device=DEVICE) if c.bias is not None else None,
        )
    linear.gradients(
        kept, state, entropy, c.g, c.h, c.hidden, c.weight, c.softcap, *grads, accumulate
    )
    return SimpleNamespace(log_probs=log_probs, entropy=entropy, grads=grads)


def exact(c):
    """The same in float64, with autograd, from logits."""
    hidden, weight = (x.double().requires_grad_() for x in (c.hidden, c.weight))
    bias = None if c.bias is None else c.bias.double().requires_grad_()
    z = hidden @ weight.T
    z = z if bias is None else z + bias
    z = z if c.softcap is None else c.softcap * torch.tanh(z / c.softcap)
    t = c.temperature if c.per_token is None else c.per_token[:, None].double()
    log_p = (z / t).log_softmax(-1)
    log_probs = log_p.gather(1, c.tokens[:, None])[:, 0]
    entropy = -(log_p.exp() * log_p.clamp(min=-1e30)).sum(-1)
    total = log_probs * c.g + (0 if c.h is None else entropy * c.h)
    counts = torch.ones_like(c.tokens, dtype=torch.bool) if c.mask is None else c.mask
    total = torch.where(counts, total, 0.0).sum()
    leaves = (hidden, weight) if bias is None else (hidden, weight, bias)
    return SimpleNamespace(
        log_probs=torch.where(counts, log_probs, 0.0).detach(),
        entropy=torch.where(counts, entropy, 0.0).detach(),
        grads=torch.autograd.grad(total, leaves),
    )


def assert_right(c, *, one_pass=False):
    found, true = ours(c, one_pass=one_pass), exact(c)
    tolerance = {"rtol": 1e-6, "atol": 2e-5}
    torch.testing.assert_close(found.log_probs.double(), true.log_probs, **tolerance)
    if not one_pass:
        torch.testing.assert_close(found.entropy.double(), true.entropy, **tolerance)
    for gradient, wanted in zip(found.grads, true.grads, strict=False):
        error = (gradient.double() - wanted).norm()
        assert error <= ROUNDING[c.hidden.dtype] * wanted.norm()
    return found


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("rows", "width", "vocab"), [(1, 8, 1), (16, 16, 32), (17, 24, 33), (35, 40, 64), (5, 64, 129)]
)
def test_values_and_gradients_are_those_of_float64(rows, width, vocab, dtype, one_pass):
    assert_right(case(rows, width, vocab, dtype), one_pass=one_pass)


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0.3},
        {"per_token": "random"},
        {"bias": "random"},
        {"softcap": 3.0},
        {"softcap": 3.0, "bias": "random", "temperature": 2.0},
    ],
    ids=str,
)
def test_temperature_bias_and_softcap_go_through(given, dtype, one_pass):
    made = {"per_token": random(19, seed=7, scale=0.2).exp(), "bias": random(75, seed=8)}
    given = {key: made[key] if value == "random" else value for key, value in given.items()}
    assert_right(case(dtype=dtype, **given), one_pass=one_pass)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("given", [{}, {"softcap": 3.0, "temperature": 0.7}], ids=str)
def test_the_entropy_has_a_gradient_too(given, dtype):
    c = case(dtype=dtype, h=random(19, seed=6, scale=1e-2), **given)
    c.g[::3] = 0
    c.h[1::3] = 0
    assert_right(c)


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("drop", [30.0, 60.0, 100.0, 1000.0])
def test_an_improbable_token_takes_the_largest_logit_as_reference(drop, dtype, one_pass):
    bias = torch.zeros(75, device=DEVICE)
    bias[40], bias[7], bias[70] = 20.0, 20.0 - drop, -math.inf
    c = case(dtype=dtype, bias=bias, scale=0.1)
    c.tokens[3], c.tokens[18] = 7, 70
    found, true = ours(c, one_pass=one_pass), exact(c)
    assert found.log_probs[18] == -math.inf
    finite = true.log_probs.isfinite()
    torch.testing.assert_close(
        found.log_probs[finite].double(), true.log_probs[finite], rtol=1e-6, atol=2e-5
    )
    # autograd of float64 gives NaN for the row of -inf: judged without it
    c.g[18] = 0
    c.tokens[18] = 40
    for gradient, wanted in zip(ours(c, one_pass=one_pass).grads, exact(c).grads, strict=True):
        error = (gradient.double() - wanted.nan_to_num()).norm()
        assert error < ROUNDING[dtype] * wanted.nan_to_num().norm()


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("top", [75.0, 85.0, 95.0])
def test_tiles_below_the_largest_logit_keep_their_share(top, one_pass):
    bias = torch.full((75,), -3.0, device=DEVICE)
    bias[40], bias[5], bias[70] = top, top - 2.0, top - 8.0  # a tile each, and two are scaled
    c = case(bias=bias, scale=0.1)
    c.tokens[:9] = 7  # so improbable that the sum leaves the range
    c.tokens[9:] = 40
    assert exact(c).log_probs[:9].max() < -math.log(2) * 100
    assert_right(c, one_pass=one_pass)


def test_a_nearly_certain_token_keeps_its_digits():
    bias = torch.full((75,), -math.log(74 / 1e-6), device=DEVICE)  # 1 - p is 1e-6
    bias[7] = 0.0
    c = case(bias=bias, hidden=torch.zeros(19, 24, device=DEVICE, dtype=WIDE))
    c.tokens[:] = 7
    found = ours(c, one_pass=True)
    assert found.log_probs.tolist() == pytest.approx([-1e-6] * 19, rel=1e-4)
    assert found.grads[2][7].item() == pytest.approx(c.g.sum().item() * 1e-6, rel=1e-2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_scoring_and_training_give_the_same_bits(scale, dtype):
    c = case(rows=37, dtype=dtype, scale=scale)
    with_entropy, _, _ = linear.statistics(*given_to(c), True)
    without, _, _ = linear.statistics(*given_to(c), False)
    trained, _, _ = linear.exponentials(*given_to(c))
    assert torch.equal(with_entropy, trained)
    assert torch.equal(without, trained)


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_a_row_has_the_same_bits_in_any_batch(scale):
    c = case(rows=37, scale=scale)
    whole = linear.statistics(*given_to(c), True)[:2]
    order = torch.randperm(37, generator=torch.Generator(DEVICE).manual_seed(0), device=DEVICE)
    for rows in (order, order[:5], torch.arange(20, 37, device=DEVICE)):
        part = case(hidden=c.hidden[rows], tokens=c.tokens[rows])
        for a, b in zip(linear.statistics(*given_to(part), True)[:2], whole, strict=True):
            assert torch.equal(a, b[rows])


def test_two_runs_give_the_same_bits():
    a, b = (ours(case(rows=37), one_pass=True) for _ in range(2))
    assert torch.equal(a.log_probs, b.log_probs)
    assert all(torch.equal(x, y) for x, y in zip(a.grads[:2], b.grads[:2], strict=True))


@pytest.mark.parametrize("one_pass", [True, False])
@pytest.mark.parametrize("given", [{}, {"softcap": 3.0, "bias": True}], ids=str)
@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e4])
def test_what_lies_under_the_mask_is_never_read(junk, given, one_pass):
    given = given | {"bias": random(75, seed=8)} if given else {}
    mask = random(19, seed=9) > 0
    clean = ours(case(mask=mask, **given), one_pass=one_pass)
    c = case(mask=mask, **given)
    c.hidden[~mask] = junk
    dirty = ours(c, one_pass=one_pass)
    assert torch.equal(clean.log_probs, dirty.log_probs)
    for a, b in zip(clean.grads, dirty.grads, strict=True):
        assert a is b or torch.equal(a, b)
    assert (dirty.log_probs[~mask] == 0).all() and (dirty.grads[0][~mask] == 0).all()


@pytest.mark.parametrize("one_pass", [True, False])
def test_a_huge_row_under_the_mask_stays_there_although_its_first_logit_is_small(one_pass):
    dtype = torch.bfloat16 if GPU else torch.float32
    mask, results = random(19, seed=9) > 0, []
    for junk in (0.0, 1e36):
        c = case(mask=mask, dtype=dtype)
        c.weight[:, 5] = torch.arange(75, device=DEVICE)  # 0 at the token that stands in
        c.hidden[:, 5] = 0.5
        c.hidden[~mask] = 0.0
        c.hidden[~mask, 5] = junk
        results.append(ours(c, one_pass=one_pass))
    clean, dirty = results
    for a, b in zip(clean.grads[:2], dirty.grads[:2], strict=True):
        assert b.isfinite().all() and torch.equal(a, b)


@pytest.mark.parametrize("one_pass", [True, False])
def test_a_broken_row_without_a_gradient_breaks_itself_alone(one_pass):
    clean, c = case(), case()
    for made in (clean, c):
        made.g[4] = 0
    c.hidden[4, 3] = math.nan
    a, b = ours(clean, one_pass=one_pass), ours(c, one_pass=one_pass)
    assert b.log_probs[4].isnan()
    b.log_probs[4] = a.log_probs[4]
    assert torch.equal(a.log_probs, b.log_probs)
    for x, y in zip(a.grads[:2], b.grads[:2], strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("token", [-1, 75, 2**31, -(2**40)])
def test_a_token_outside_the_vocabulary_has_no_log_prob(token):
    c = case()
    c.tokens[2] = token
    log_probs, _, _ = linear.statistics(*given_to(c), False)
    assert log_probs[2].isnan() and log_probs[3:].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, WIDE], ids=str)
def test_gradients_add_to_what_is_there(dtype):
    c = case(bias=random(75, seed=8))
    first = ours(c, one_pass=True).grads
    held = (first[0] * math.nan, first[1].to(dtype, copy=True), first[2].clone())
    twice = ours(c, one_pass=True, accumulate=True, grads=held).grads
    torch.testing.assert_close(twice[0], first[0])
    for found, once in zip(twice[1:], first[1:], strict=True):
        error = (found.double() - 2 * once.double()).norm() / once.double().norm()
        assert error < ROUNDING[WIDE]


def test_a_gradient_that_nobody_wants_is_not_made():
    c = case()
    both = ours(c, one_pass=True).grads
    hidden_alone = ours(c, one_pass=True, grads=(torch.empty_like(c.hidden), None, None)).grads
    weight_alone = ours(c, one_pass=True, grads=(None, torch.empty_like(both[1]), None)).grads
    assert torch.equal(hidden_alone[0], both[0]) and torch.equal(weight_alone[1], both[1])


def test_no_rows_give_zero_gradients():
    found = ours(case(rows=0), one_pass=True)
    assert found.log_probs.shape == (0,) and found.grads[0].shape == (0, 24)
    assert (found.grads[1] == 0).all()
    kept = torch.ones_like(found.grads[1])
    added = ours(
        case(rows=0), accumulate=True, grads=(torch.empty_like(found.grads[0]), kept, None)
    )
    assert (added.grads[1] == 1).all()


def test_slices_are_read_as_they_lie():
    c = case()
    wide = torch.full((19, 41), math.nan, device=DEVICE, dtype=WIDE)
    wide[:, 8:32] = c.hidden
    heavy = torch.full((75, 32), math.nan, device=DEVICE, dtype=WIDE)
    heavy[:, 8:] = c.weight
    sliced = case(hidden=wide[:, 8:32], weight=heavy[:, 8:])
    a, b = ours(c, one_pass=True), ours(sliced, one_pass=True)
    assert torch.equal(a.log_probs, b.log_probs)
    assert torch.equal(a.grads[0], b.grads[0]) and torch.equal(a.grads[1], b.grads[1])


@pytest.mark.parametrize("changes", [{}, {"rows_first": False}], ids=str)
def test_products_in_triton_are_those_of_cublas(monkeypatch, changes):
    c = case(rows=35, width=40, vocab=129)
    grads = torch.empty_like(c.hidden), torch.empty_like(c.weight), None
    plain = [x.clone() for x in ours(c, one_pass=True, grads=grads).grads[:2]]
    tiles = TILES._replace(**changes)
    monkeypatch.setattr(config, "DEFAULT", config.Plan(TILES, tiles, tiles))
    monkeypatch.setattr(linear.linear_backward, "SHORT", 0)
    found = ours(c, one_pass=True, grads=grads).grads
    for a, b in zip(found[:2], plain, strict=True):
        assert (a.double() - b.double()).norm() <= ROUNDING[WIDE] * b.double().norm()


@pytest.mark.parametrize(
    ("rows", "width", "is_ours"),
    [(8192, 4096, True), (2048, 4096, True), (4096, 2560, False), (2048, 896, False)],
)
def test_whose_tiles_leave_multiprocessors_idle_is_not_asked(monkeypatch, rows, width, is_ours):
    launch = linear.linear_backward
    monkeypatch.setattr(launch, "processors", lambda _: 132)
    out = torch.empty(rows, width, device="meta")
    assert (launch.share_at_work(out, config.Tiles()) >= launch.FULL) is is_ours


@pytest.mark.parametrize(
    ("hidden", "weight", "reason"),
    [
        ((4, 12, torch.float16), (9, 12, torch.float16), "multiple of 8, got 12"),
        ((4, 16, torch.float16), (9, 16, torch.float64), "got torch.float16 and torch.float64"),
        ((4, 16, torch.bfloat16), (9, 16, torch.float16), "one dtype, got torch.bfloat16"),
        ((4, 16, torch.float16), (0, 16, torch.float16), "vocabulary in .*, got 0"),
    ],
)
def test_what_cannot_be_taken_is_said(hidden, weight, reason):
    a, b = (torch.empty(*shape, device=DEVICE, dtype=dtype) for *shape, dtype in (hidden, weight))
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(linear.unsupported(a, b))


def test_what_can_be_taken_gives_no_reason():
    assert linear.unsupported(case().hidden, case().weight) is None


@pytest.mark.parametrize("factor", [1.0, -0.5, 0.0])
def test_a_gradient_is_rescaled_in_place(factor):
    grad = random(33, 300, dtype=WIDE)
    wanted = grad * factor
    linear.rescale(grad, torch.tensor(factor, device=DEVICE))
    assert torch.equal(grad, wanted)


def test_the_operators_keep_their_word_to_torch():
    c = case(rows=3, bias=random(75, seed=8))
    torch.library.opcheck(linear.statistics.operator, (*given_to(c), True))
    torch.library.opcheck(linear.exponentials.operator, given_to(c))
    log_probs, state, kept = linear.exponentials(*given_to(c))
    again = (c.hidden, c.weight, c.bias, None, state, log_probs, c.g, None)
    torch.library.opcheck(linear.recompute.operator, again)
    grads = (torch.zeros_like(c.hidden), torch.zeros_like(c.weight), torch.zeros(75, device=DEVICE))
    given = (kept, state, log_probs, c.g, None, c.hidden, c.weight, None, *grads, True)
    torch.library.opcheck(linear.gradients.operator, given)
    torch.library.opcheck(linear.rescale.operator, (grads[0], torch.ones((), device=DEVICE)))
