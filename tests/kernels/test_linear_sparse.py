"""Sparse gradients from hidden states against float64 with the same entries left out."""

import math
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
linear = pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear_config as config  # noqa: E402 - after the check
from grpo_core._kernels import linear_sparse as sparse  # noqa: E402

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPE = torch.bfloat16 if GPU else torch.float32  # the interpreter multiplies bfloat16's patterns
ROUNDING = {torch.bfloat16: 8e-3, torch.float32: 2e-6}[DTYPE]
SMALL = config.Tiles(rows=16, columns=32, depth=16, group=2, warps=4, stages=2)
TILES = config.Tiles() if GPU else SMALL
VOCAB = 1300 if GPU else 150  # several tiles, the last with half a cell
SHARE = 0.1


PLANS = dict(config.PLANS)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(config, "PLANS", {})
    monkeypatch.setattr(config, "DEFAULT", config.Plan(TILES))
    if not GPU:
        tiles = SMALL._replace(columns=16)  # half of a tile's ids at a time
        monkeypatch.setattr(sparse, "HIDDEN", tiles)
        monkeypatch.setattr(sparse, "WEIGHT", tiles)
        monkeypatch.setattr(sparse, "SPLITS", 2)


def random(*shape, seed=0, scale=1.0, dtype=torch.float32):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, device=DEVICE)).to(dtype)


def case(rows=37, width=24, vocab=VOCAB, scale=4.0, **given):
    """Inputs of one call: logits of a few peaks each."""
    generator = torch.Generator(DEVICE).manual_seed(3)
    made = {
        "hidden": random(rows, width, seed=1, scale=scale, dtype=DTYPE),
        "weight": random(vocab, width, seed=2, scale=0.5, dtype=DTYPE),
        "tokens": torch.randint(vocab, (rows,), generator=generator, device=DEVICE),
        "mask": None,
        "bias": None,
        "temperature": 1.0,
        "per_token": None,
        "softcap": None,
        "g": random(rows, seed=5, scale=1e-2),
    }
    return SimpleNamespace(**(made | given))


def given_to(c):
    return c.hidden, c.weight, c.tokens, c.mask, c.bias, c.temperature, c.per_token, c.softcap


def new_grads(c, dtype=torch.float32):
    return (
        torch.full_like(c.hidden, math.nan),
        torch.full(c.weight.shape, math.nan, device=DEVICE, dtype=dtype),
        torch.full((len(c.weight),), math.nan, device=DEVICE) if c.bias is not None else None,
    )


def ours(c, share=SHARE, *, accumulate=False, grads=None):
    """Log-probs, gradients, and what was left out."""
    log_probs, state, whole, sums = sparse.exponentials(*given_to(c))
    grads = new_grads(c) if grads is None else grads
    tally = sparse.gradients(
        whole, sums, state, c.g, c.hidden, c.weight, c.softcap, *grads, accumulate, share
    )
    return SimpleNamespace(log_probs=log_probs, grads=grads, tally=tally)


def dense(c, grads=None):
    log_probs, state, kept = linear.exponentials(*given_to(c))
    grads = new_grads(c) if grads is None else grads
    linear.gradients(kept, state, c.g, c.g, None, c.hidden, c.weight, c.softcap, *grads, False)
    return SimpleNamespace(log_probs=log_probs, grads=grads)


def padded(entries, size):
    """[rows, n] as [rows, parts, size], zeros at the end."""
    missing = -entries.shape[1] % size
    return torch.nn.functional.pad(entries, (0, missing)).unflatten(1, (-1, size))


def exact(c, share=SHARE):
    """In float64: gradients of all entries, of those left in, and the sizes of those left out."""
    hidden, weight = c.hidden.double(), c.weight.double()
    counts = torch.ones_like(c.tokens, dtype=torch.bool) if c.mask is None else c.mask
    g = torch.where(counts, c.g, 0.0).double()[:, None]
    hidden = torch.where(counts[:, None], hidden, 0.0)
    z = hidden @ weight.T + (0 if c.bias is None else c.bias.double())
    t = c.temperature if c.per_token is None else c.per_token[:, None].double()
    p = (z / t).softmax(-1)
    tokens = torch.where(counts, c.tokens, 0)[:, None]
    slope = -p
    slope.scatter_add_(1, tokens, torch.ones_like(p[:, :1]))
    size = torch.where(g != 0, slope.abs(), 0.0)
    tiles = padded(size, TILES.columns).sum(-1)
    allowed = share / tiles.shape[1]
    listed = (tiles >= allowed) & (g != 0)
    cells = padded(size, 8).sum(-1)
    per_tile = TILES.columns // 8
    within = listed.repeat_interleave(per_tile, 1)[:, : cells.shape[1]]
    wanted = within & (cells >= allowed / per_tile)
    for values, limit in ((tiles, allowed), (torch.where(within, cells, 1.0), allowed / per_tile)):
        # In bfloat16 some are, and are worth less than its rounding.
        assert GPU or ((values / limit - 1).abs() > 1e-4).all(), "at the threshold"
    # Rows that need as many tiles, but for a factor of two, are together.
    block = sparse.HIDDEN.rows
    order = (listed.sum(1) + 1).log2().floor().argsort(descending=True, stable=True)
    needed = torch.stack([part.any(0) for part in wanted[order].split(block)])
    of_rows = torch.empty_like(wanted)
    of_rows[order] = needed.repeat_interleave(block, 0)[: len(size)]
    in_hidden = of_rows.repeat_interleave(8, 1)[:, : size.shape[1]]
    in_weight = listed.repeat_interleave(TILES.columns, 1)[:, : size.shape[1]]
    dz = slope * g / t
    of_tokens = (g / t).abs()
    left_out = (of_tokens * torch.where(listed, 0.0, tiles)).sum()
    left_out += (of_tokens * torch.where(within & ~wanted, cells, 0.0)).sum()
    made = listed.sum() / listed.shape[1] + needed.double().mean() * len(g)
    return SimpleNamespace(
        log_probs=torch.where(counts, p.gather(1, tokens)[:, 0].log(), 0.0),
        all=((dz @ weight), dz.T @ hidden),
        grads=((dz * in_hidden) @ weight, (dz * in_weight).T @ hidden),
        bias=dz.sum(0),
        left_out=(dz.abs().sum(), (dz * ~in_hidden).abs().sum(), (dz * ~in_weight).abs().sum()),
        tally=[left_out.item(), dz.abs().sum().item(), made.item(), 2.0 * len(g)],
        shares=(in_hidden.double().mean(), in_weight.double().mean()),
        row_left_out=torch.maximum((size * ~in_hidden).sum(1), (size * ~in_weight).sum(1)),
    )


def off(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def assert_right(c, share=SHARE):
    found, true = ours(c, share), exact(c, share)
    finite = true.log_probs.isfinite()
    torch.testing.assert_close(
        found.log_probs[finite].double(),
        true.log_probs[finite],
        rtol=1e-5 if GPU else 1e-6,
        atol=5e-5,
    )
    for gradient, wanted in zip(found.grads[:2], true.grads, strict=True):
        assert off(gradient, wanted) <= ROUNDING
    assert found.tally.tolist() == pytest.approx(true.tally, rel=5e-2 if GPU else 1e-4)
    return found, true


@pytest.mark.parametrize(
    ("rows", "width", "vocab"), [(1, 8, 8), (16, 16, 32), (37, 24, VOCAB), (33, 40, VOCAB + 2)]
)
def test_what_is_left_out_is_left_out_and_nothing_else(rows, width, vocab):
    assert_right(case(rows, width, vocab))


def test_it_is_sparse_and_within_its_bound():
    found, true = assert_right(case(vocab=4 * VOCAB, scale=8.0))
    assert 0.01 < true.shares[0] < 0.7 and 0.01 < true.shares[1] < 0.5
    left_out, whole, made, all_of_them = found.tally.tolist()
    assert 0 < max(true.left_out[1:]) <= left_out * 1.001 < 0.1 * whole
    assert made == pytest.approx(37 * sum(true.shares).item(), rel=0.2) and all_of_them == 74
    assert 0 < true.row_left_out.max() <= SHARE
    for gradient, wanted in zip(found.grads[:2], true.all, strict=True):
        assert (GPU or off(gradient, wanted) > ROUNDING) and off(gradient, wanted) < 0.1


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0.7},
        {"per_token": "random"},
        {"mask": "random"},
        {"temperature": 2.0, "mask": "random"},
    ],
    ids=str,
)
def test_temperatures_and_masks_go_through(given):
    made = {"per_token": random(37, seed=7, scale=0.2).exp(), "mask": random(37, seed=9) > 0}
    assert_right(case(**{k: made[k] if v == "random" else v for k, v in given.items()}))


@pytest.mark.parametrize("softcap", [None, 9.0])
def test_a_tiny_share_leaves_out_what_rounds_to_nothing(softcap):
    c = case(softcap=softcap, bias=random(VOCAB, seed=8))
    found, wanted = ours(c, 1e-12), dense(c)
    for a, b in zip(found.grads, wanted.grads, strict=True):
        assert off(a, b.double()) <= ROUNDING
    left_out, whole, made, all_of_them = found.tally.tolist()
    assert left_out < 1e-12 * whole and made <= all_of_them


@pytest.mark.parametrize(("extra", "shortest"), [(1, 1), (3, 1), (3, 4), (64, 1), (64, 5)])
def test_long_lists_are_cut_into_units_that_add_up(monkeypatch, extra, shortest):
    monkeypatch.setattr(sparse, "EXTRA", extra)
    monkeypatch.setattr(sparse, "SHORTEST", shortest)
    c = case()
    c.hidden[11] *= 0.1  # flat: its block has most of the cells
    assert_right(c)


def test_every_plan_cuts_the_ids_alike():
    for plan in (config.Plan(), *PLANS.values()):
        assert plan.exponentials.columns == config.Tiles().columns


def test_log_probs_have_the_bits_that_they_have_without():
    for scale in (1.0, 60.0):
        c = case(scale=scale)
        assert torch.equal(ours(c).log_probs, linear.statistics(*given_to(c), False)[0])


def test_the_gradient_of_the_bias_leaves_nothing_out():
    c = case(bias=random(VOCAB, seed=8))
    found, true = assert_right(c)
    assert off(found.grads[2], true.bias) <= ROUNDING


def test_rows_without_a_gradient_list_nothing():
    c = case(g=torch.zeros(37, device=DEVICE))
    found = ours(c)
    assert (found.grads[0] == 0).all() and (found.grads[1] == 0).all()
    assert found.tally.tolist() == [0, 0, 0, 74]
    added = ours(c, accumulate=True, grads=(found.grads[0], torch.ones_like(found.grads[1]), None))
    assert (added.grads[1] == 1).all()


def test_a_row_without_a_gradient_makes_no_other_row_work():
    quiet, c = case(), case()
    for made in (quiet, c):
        made.g[5] = 0
    c.hidden[5] *= 0.01  # flat: it would need every cell
    a, b = ours(quiet), ours(c)
    assert torch.equal(a.tally, b.tally)
    assert all(torch.equal(x, y) for x, y in zip(a.grads[:2], b.grads[:2], strict=True))
    assert_right(c)


@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e4])
def test_what_lies_under_the_mask_is_never_read(junk):
    mask = random(37, seed=9) > 0
    clean, c = ours(case(mask=mask)), case(mask=mask)
    c.hidden[~mask] = junk
    dirty = ours(c)
    assert torch.equal(clean.tally, dirty.tally)
    for a, b in zip(clean.grads[:2], dirty.grads[:2], strict=True):
        assert torch.equal(a, b)


def test_a_broken_row_without_a_gradient_breaks_itself_alone():
    clean, c = case(), case()
    for made in (clean, c):
        made.g[4] = 0
    c.hidden[4, 3] = math.nan
    a, b = ours(clean), ours(c)
    assert b.log_probs[4].isnan() and torch.equal(a.tally, b.tally)
    for x, y in zip(a.grads[:2], b.grads[:2], strict=True):
        assert torch.equal(x, y)


def test_a_broken_row_with_a_gradient_is_seen():
    c = case()
    c.hidden[4, 3] = math.nan
    found = ours(c)
    assert found.grads[0][4].isnan().all() and found.grads[0][20:].isfinite().all()
    assert found.grads[1].isnan().all() and found.tally[:2].isnan().all()


def test_rows_whose_sum_left_the_range_are_counted_against_their_own_total():
    bias = torch.zeros(VOCAB, device=DEVICE)
    bias[40], bias[7] = 150.0, -20.0
    c = case(bias=bias)
    c.tokens[:9] = 7
    assert exact(c).log_probs[:9].max() < -math.log(2) * 100
    assert_right(c)


def test_a_nearly_certain_row_needs_nothing():
    bias = torch.full((VOCAB,), -30.0, device=DEVICE)
    bias[7] = 0.0
    c = case(bias=bias, scale=1e-3)
    c.tokens[:] = 7
    found = ours(c)
    left_out, whole, made, _ = found.tally.tolist()
    assert made == 0 and left_out == pytest.approx(whole) and whole > 0
    assert (found.grads[1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, DTYPE], ids=str)
def test_chunks_add_up(dtype):
    c = case(rows=53)
    grads, tally = new_grads(c, dtype), 0
    for start in range(0, 53, 20):
        part = slice(start, start + 20)
        given = {key: getattr(c, key)[part] for key in ("hidden", "tokens", "g")}
        found = ours(case(**given), accumulate=start > 0, grads=(grads[0][part], grads[1], None))
        tally = tally + found.tally
        true = exact(case(**given))
        assert off(found.grads[0], true.grads[0]) <= ROUNDING
        assert found.tally.tolist() == pytest.approx(true.tally, rel=5e-2 if GPU else 1e-4)
    parts = (exact(case(hidden=c.hidden[s], tokens=c.tokens[s], g=c.g[s]))
             for s in (slice(0, 20), slice(20, 40), slice(40, 53)))  # fmt: skip
    assert off(grads[1], sum(part.grads[1] for part in parts)) <= ROUNDING
    assert tally[3] == 106


def test_two_runs_give_the_same_bits():
    a, b = (ours(case()) for _ in range(2))
    assert torch.equal(a.tally, b.tally)
    assert all(torch.equal(x, y) for x, y in zip(a.grads[:2], b.grads[:2], strict=True))


def test_a_gradient_that_nobody_wants_is_not_made_nor_counted():
    c = case()
    both, true = ours(c), exact(c)
    hidden_alone = ours(c, grads=(torch.empty_like(c.hidden), None, None))
    weight_alone = ours(c, grads=(None, torch.empty_like(both.grads[1]), None))
    assert torch.equal(hidden_alone.grads[0], both.grads[0])
    assert torch.equal(weight_alone.grads[1], both.grads[1])
    made = (hidden_alone.tally + weight_alone.tally)[2:].tolist()
    assert made == pytest.approx(true.tally[2:])
    assert weight_alone.tally[0] < both.tally[0]


def test_gradients_of_any_strides_are_written():
    c = case()
    wanted = ours(c).grads
    wide = torch.full((37, 41), math.nan, device=DEVICE, dtype=DTYPE)
    across = torch.full((24, VOCAB), math.nan, device=DEVICE).t()
    found = ours(c, grads=(wide[:, 8:32], across, None)).grads
    assert all(torch.equal(a, b) for a, b in zip(found[:2], wanted[:2], strict=True))
    added = ours(c, accumulate=True, grads=(wide[:, 8:32], across, None)).grads
    torch.testing.assert_close(added[1], 2 * wanted[1])
    assert wide[:, :8].isnan().all() and wide[:, 32:].isnan().all()


def test_no_rows_give_zero_gradients():
    found = ours(case(rows=0))
    assert found.log_probs.shape == (0,) and found.tally.tolist() == [0, 0, 0, 0]
    assert (found.grads[1] == 0).all()


def test_the_operators_keep_their_word_to_torch():
    c = case(rows=3, bias=random(VOCAB, seed=8))
    torch.library.opcheck(sparse.exponentials.operator, given_to(c))
    _, state, whole, sums = sparse.exponentials(*given_to(c))
    grads = torch.zeros_like(c.hidden), torch.zeros_like(c.weight), torch.zeros(VOCAB).to(DEVICE)
    given = (whole, sums, state, c.g, c.hidden, c.weight, None, *grads, True, SHARE)
    torch.library.opcheck(sparse.gradients.operator, given)
