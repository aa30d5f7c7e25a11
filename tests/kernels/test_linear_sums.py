"""The weight's gradient as a sum over chunks, in the 16 bits of the gradient itself."""

import math

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
linear = pytest.importorskip("grpo_core._kernels.linear")

from grpo_core._kernels import linear_config as config  # noqa: E402 - after the check
from grpo_core._kernels.linear_backward import Term, triton_product  # noqa: E402
from grpo_core.losses import (  # noqa: E402
    _linear_passes,
    linear_token_log_probs,
    linear_token_loss,
)

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
# The interpreter multiplies the bit patterns of bfloat16; a GPU takes no float32.
WIDE = torch.bfloat16 if GPU else torch.float32
SMALL = config.Tiles(rows=16, columns=32, depth=16, group=2, warps=4, stages=2)
TILES = config.Tiles() if GPU else SMALL
# A sum of nine chunks in bfloat16 would be off by 4e-3, in eleven bits it is by 1e-3.
CLOSE = 2.5e-3
ROWS, VOCAB, WIDTH, CHUNKS = 15, 75, 72, 9


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Sizes around a tile, and rows of several, cost little then."""
    monkeypatch.setattr(config, "PLANS", {})
    monkeypatch.setattr(config, "DEFAULT", config.Plan(TILES))


def random(*shape, seed):
    generator = torch.Generator(DEVICE).manual_seed(seed)
    return torch.randn(*shape, generator=generator, device=DEVICE)


def factors(chunks=CHUNKS, dtype=WIDE, scale=None):
    """What each chunk multiplies: [rows, vocab] in rows of 80, and [rows, width]."""
    found = []
    for chunk in range(chunks):
        left = random(ROWS, 80, seed=2 * chunk)[:, :VOCAB]
        if scale is not None:
            left = left * scale[chunk]
        kept = torch.full((ROWS, 80), math.nan, device=DEVICE, dtype=dtype)[:, :VOCAB]
        found.append((kept.copy_(left), random(ROWS, WIDTH, seed=2 * chunk + 1).to(dtype)))
    return found


def summed(pairs, tiles=TILES):
    dtype = pairs[0][0].dtype
    out = torch.full((VOCAB, WIDTH), math.nan, device=DEVICE, dtype=dtype)
    exponents = torch.full((-(-WIDTH // tiles.columns), VOCAB), 99, device=DEVICE).byte()
    for chunk, (left, right) in enumerate(pairs):
        term = Term(chunk, len(pairs), exponents)
        triton_product(left, right, out, tiles, transposed=True, term=term)
    return out


def exact(pairs):
    return sum(left.double().T @ right.double() for left, right in pairs)


def error(found, wanted, axis=None):
    return (found.double() - wanted).norm(dim=axis) / wanted.norm(dim=axis)


@pytest.mark.parametrize("dtype", [WIDE, torch.float16], ids=str)
@pytest.mark.parametrize("chunks", [2, 3, CHUNKS])
@pytest.mark.parametrize("changes", [{}, {"rows_first": False}], ids=str)
def test_a_sum_over_chunks_keeps_eleven_bits(changes, chunks, dtype):
    pairs = factors(chunks, dtype)
    assert error(summed(pairs, TILES._replace(**changes)), exact(pairs)) < CLOSE


def test_each_row_has_its_own_range():
    scale = torch.logspace(-36, 12, VOCAB, device=DEVICE)[torch.arange(VOCAB) * 7 % VOCAB]
    pairs = factors(scale=[scale] * CHUNKS)
    assert error(summed(pairs), exact(pairs), axis=1).max() < CLOSE


@pytest.mark.parametrize("first", [0.0, 1e-20, 1e-9, 1e-4])
def test_a_row_may_outgrow_its_first_term(first):
    scale = torch.ones(CHUNKS, VOCAB, device=DEVICE)
    scale[:3] = first
    scale[5, ::7] = 1e6
    scale[6, 3] = 1e18
    pairs = factors(scale=scale)
    found, wanted = summed(pairs), exact(pairs)
    assert found.isfinite().all()
    assert error(found, wanted, axis=1).max() < CLOSE


def test_a_row_that_shrinks_is_off_by_little_of_what_it_was():
    pairs = factors(3)
    pairs[1] = (pairs[0][0], -pairs[0][1])
    pairs[2][1].mul_(1e-3)
    off = (summed(pairs).double() - exact(pairs)).norm(dim=1) / exact(pairs[:1]).norm(dim=1)
    assert off.max() < 5e-4  # of bfloat16: 1.5e-3


def test_rows_without_a_gradient_are_zero():
    pairs = factors(4)
    for left, _ in pairs:
        left[:, 5::16] = 0
    found = summed(pairs)
    assert (found[5::16] == 0).all() and (found[4] != 0).all()


@pytest.mark.parametrize("chunk", [0, 1, 3])
@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf])
def test_a_broken_row_stays_broken_and_alone(junk, chunk):
    pairs = factors(4)
    clean = summed(pairs)
    pairs[chunk][0][2, 40] = junk
    found = summed(pairs)
    assert not found[40].isfinite().any()
    found[40] = clean[40]
    assert error(found, clean.double()) < CLOSE


def test_a_broken_column_breaks_no_more_than_its_tile():
    pairs = factors(4)
    clean = summed(pairs)
    pairs[1][1][2, 5] = math.inf
    found = summed(pairs)
    assert not found[:, 5].isfinite().any()
    close = (found - clean).abs() <= CLOSE * clean.abs().amax(1, keepdim=True)
    assert (close | ~found.isfinite()).all()
    assert torch.equal(found[:, TILES.columns :], clean[:, TILES.columns :])


def test_two_sums_have_the_same_bits():
    scale = torch.ones(CHUNKS, VOCAB, device=DEVICE)
    scale[2, ::5] = 1e9
    assert torch.equal(*(summed(factors(scale=scale)) for _ in range(2)))


def inputs():
    hidden = random(3, 11, 24, seed=0).to(WIDE).requires_grad_()
    weight = (0.5 * random(75, 24, seed=1)).to(WIDE).requires_grad_()
    generator = torch.Generator(DEVICE).manual_seed(2)
    return hidden, weight, torch.randint(75, (3, 11), generator=generator, device=DEVICE)


@pytest.fixture
def terms(monkeypatch):
    """Chunks of 8 rows, all dtypes summed as bfloat16 is; the terms that were added."""
    monkeypatch.setattr(linear, "LEAN_ROWS", 8)
    monkeypatch.setattr(config, "NARROW", (WIDE,))
    monkeypatch.setattr(_linear_passes, "_AUTO_BYTES", 0)
    seen = []

    def product(*given, **options):
        term = options.get("term")
        seen.append(term and term[:2])
        triton_product(*given, **options)

    monkeypatch.setattr(linear, "triton_product", product)
    return seen


def through_loss(backend):
    hidden, weight, tokens = inputs()
    mask = torch.ones_like(tokens, dtype=torch.bool)
    advantages = random(3, 11, seed=4)
    result = linear_token_loss(
        lambda log_probs, advantages: log_probs * advantages, hidden, weight, tokens, advantages,
        mask=mask, total=None, memory="lean", backend=backend,
    )  # fmt: skip
    result.loss.backward()
    return hidden.grad, weight.grad


def through_log_probs(backend):
    hidden, weight, tokens = inputs()
    log_probs = linear_token_log_probs(hidden, weight, tokens, backend=backend)
    (log_probs * random(3, 11, seed=4)).sum().backward()
    return hidden.grad, weight.grad


@pytest.mark.parametrize("gradients", [through_loss, through_log_probs])
def test_lean_chunks_are_summed_so(gradients, terms):
    for found, wanted in zip(gradients("triton"), gradients("torch"), strict=True):
        assert error(found, wanted.double()) < (1e-2 if GPU else 1e-3)
    assert terms == [(chunk, 5) for chunk in range(5)]


def test_a_gradient_that_is_float32_is_not(terms):
    hidden, weight, tokens = inputs()
    main_grad = torch.zeros(75, 24, device=DEVICE)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    config.NARROW = (torch.bfloat16,)
    linear_token_loss(
        lambda log_probs: -log_probs, hidden, weight, tokens, mask=mask, total=None,
        memory="lean", weight_grad=main_grad, backend="triton",
    )  # fmt: skip
    assert terms == [] and main_grad.isfinite().all()
