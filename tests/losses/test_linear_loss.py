"""linear_token_loss: any per-token loss, in one pass over hidden states."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.utils.checkpoint
from torch.nn import functional

from grpo_core import metrics
from grpo_core.advantages import high_entropy_mask, overlong_mask
from grpo_core.losses import (
    _linear_passes,
    clipped_loss,
    geometric_log_ratio,
    group_token_mean,
    linear_token_log_probs,
    linear_token_loss,
    log_ratio,
    policy_gradient_loss,
    sequence_log_ratio,
    sequence_mean,
    step_totals,
    token_log_probs,
    token_mean,
    token_weights,
)
from grpo_core.metrics import EffectiveSampleSize, Mean, Range
from linear_cases import BIAS, HEAT, VOCAB, WEIGHT, WIDTH, exact_products, leaves, small_tiles
from variants import MEANS, PER_TOKEN, Batch, random_batch
from watchers import Peak, Products

COUPLED = {"gspo", "gspo_token", "gmpo", "rejected"}
MEMORIES = ["auto", "fast", "lean"]


def problem(seed=0, lengths=(5, 3, 0, 2), groups=(1, 1, 2, 2)):
    """A batch of variants.py whose new log-probs are made of hidden states near the old ones."""
    batch = random_batch(seed, list(lengths), list(groups))
    with torch.device("cpu"):
        generator = torch.Generator().manual_seed(seed)
        hidden = torch.randn(*batch.mask.shape, WIDTH, generator=generator, dtype=torch.float64)
        tokens = torch.randint(VOCAB, batch.mask.shape, generator=generator)
    hidden, tokens = hidden.to(batch.mask.device), tokens.to(batch.mask.device)
    new = token_log_probs(functional.linear(hidden, WEIGHT, BIAS), tokens, mask=batch.mask)
    shift = new - batch.new
    moved = {name: getattr(batch, name) + shift for name in ("old", "proximal", "ref")}
    return batch._replace(new=new, **moved), hidden, tokens


def flat(batch: Batch):
    """The tensors of tokens of a batch but the log-probs, and how to put them back."""
    names = [
        name
        for name, x in batch._asdict().items()
        if name != "new" and x is not None and x.shape == batch.mask.shape
    ]

    def put(log_probs, values):
        return batch._replace(new=log_probs, **dict(zip(names, values, strict=True)))

    return [getattr(batch, name) for name in names], put


def composed(variant, mean, batch, hidden, tokens, total=None):
    """Loss, log-probs and gradients by way of all logits."""
    inputs = leaves(hidden, WEIGHT, BIAS)
    new = token_log_probs(functional.linear(*inputs), tokens, mask=batch.mask)
    loss = MEANS[mean](PER_TOKEN[variant](batch._replace(new=new)), batch, total)
    loss.backward()
    return [loss.detach(), new.detach(), *(x.grad for x in inputs)]


def one_pass(variant, mean, batch, hidden, tokens, total=None, **options):
    values, put = flat(batch)
    inputs = leaves(hidden, WEIGHT, BIAS)
    result = linear_token_loss(
        lambda log_probs, *values: PER_TOKEN[variant](put(log_probs, values)),
        *inputs[:2], tokens, *values, mask=batch.mask, bias=inputs[2], total=total,
        mean=lambda v, m, total: MEANS[mean](v, batch, total), **options,
    )  # fmt: skip
    result.loss.backward()
    assert not result.log_probs.requires_grad
    return [result.loss.detach(), result.log_probs, *(x.grad for x in inputs)]


def assert_same(got, expected, rtol=1e-9, atol=1e-12):
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


# --- any loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("mean", sorted(MEANS))
@pytest.mark.parametrize("variant", sorted(PER_TOKEN))
def test_every_variant_is_what_it_is_on_the_logits(monkeypatch, variant, mean, memory):
    small_tiles(monkeypatch, 12, chunk=21)
    case = problem()
    got = one_pass(variant, mean, *case, memory=memory, whole_sequences=variant in COUPLED)
    assert_same(got, composed(variant, mean, *case))


@pytest.mark.parametrize("variant", sorted(COUPLED))
def test_packed_rows_couple_their_segments(variant):
    batch, hidden, tokens = problem()
    segments = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [2, 1, 1, 1, 1]])
    packed = batch._replace(segment_ids=segments)
    case = packed, hidden, tokens
    got = one_pass(variant, "sequence_mean", *case, whole_sequences=True)
    assert_same(got, composed(variant, "sequence_mean", *case))
    unpacked = one_pass(variant, "sequence_mean", batch, hidden, tokens, whole_sequences=True)
    assert not torch.allclose(got[0], unpacked[0])


@pytest.mark.parametrize("mean", sorted(MEANS))
@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_micro_batches_add_up_to_the_step(memory, mean):
    batch, hidden, tokens = problem()
    total = step_totals(batch.mask, batch.group_ids)
    whole = one_pass("clipped", mean, batch, hidden, tokens)
    parts = [
        one_pass(
            "clipped", mean, Batch(*(None if x is None else x[rows] for x in batch)),
            hidden[rows], tokens[rows], total.rows(rows), memory=memory,
        )
        for rows in (slice(0, 1), slice(1, 4))
    ]  # fmt: skip
    assert_same([a + b for a, b in zip(parts[0], parts[1], strict=True) if a.ndim != 2][:1],
                whole[:1])  # fmt: skip
    assert_same([torch.cat([p[2] for p in parts]), parts[0][3] + parts[1][3]], whole[2:4])
    assert_same([parts[0][4] + parts[1][4]], whole[4:])


def reinforce(log_probs, advantages, mask):
    return policy_gradient_loss(log_ratio(log_probs, log_probs.detach(), mask), advantages)


def run(hidden, weight, tokens, mask, fn=None, **options):
    """A step of REINFORCE with the hidden states' own first column for advantages."""
    advantages = hidden.detach()[..., 0].double()
    return linear_token_loss(
        fn or reinforce, hidden, weight, tokens, advantages, mask, mask=mask,
        **{"total": None, **options},
    )  # fmt: skip


@pytest.mark.parametrize("options", [{"temperature": 0.3}, {"temperature": HEAT}, {"softcap": 1.5}])
@pytest.mark.parametrize("memory", MEMORIES)
def test_the_gradients_are_those_of_the_log_probs(memory, options):
    batch, hidden, tokens = problem(lengths=(5, 0, 3), groups=(1, 1, 1))
    results = []
    inputs = leaves(hidden, WEIGHT)
    run(*inputs, tokens, batch.mask, memory=memory, **options).loss.backward()
    again = leaves(hidden, WEIGHT)
    log_probs = linear_token_log_probs(*again, tokens, mask=batch.mask, **options)
    token_mean(reinforce(log_probs, hidden[..., 0], batch.mask), batch.mask).backward()
    results = [[x.grad for x in some] for some in (inputs, again)]
    assert_same(*results)


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_the_size_of_a_chunk_changes_rounding_alone_and_no_bit_of_a_log_prob(monkeypatch, memory):
    batch, hidden, tokens = problem()
    results = []
    for chunk in (7, 21, 35, 10**6):
        small_tiles(monkeypatch, 14, chunk=chunk)
        inputs = leaves(hidden.float(), WEIGHT.float())
        result = run(*inputs, tokens, batch.mask, memory=memory)
        result.loss.backward()
        scored = linear_token_log_probs(*inputs, tokens, mask=batch.mask)
        assert torch.equal(result.log_probs, scored)
        results.append([result.loss, *(x.grad for x in inputs)])
    for other in results[1:]:
        assert_same(other, results[0], rtol=1e-5, atol=1e-6)


# --- one pass -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learns", "products"), [((True, True), 3), ((True, False), 2), ((False, True), 2)]
)
def test_one_pass_is_a_product_for_the_logits_and_one_for_each_side_that_learns(learns, products):
    batch, hidden, tokens = problem()
    inputs = [x.clone().requires_grad_(r) for x, r in zip((hidden, WEIGHT), learns, strict=True)]
    with Products() as seen:
        result = run(*inputs, tokens, batch.mask)
    assert len(seen.shapes) == products
    with Products() as seen:
        result.loss.backward()
    assert seen.shapes == []
    assert [x.grad is not None for x in inputs] == list(learns)


def test_without_gradients_nothing_but_the_scoring_is_done():
    batch, hidden, tokens = problem()
    inputs = leaves(hidden, WEIGHT)
    buffer = torch.zeros_like(WEIGHT, dtype=torch.float32)
    with Products() as seen, torch.no_grad():
        result = run(*inputs, tokens, batch.mask, weight_grad=buffer)
    assert len(seen.shapes) == 1
    assert not result.loss.requires_grad
    assert (buffer == 0).all()
    assert_same(result[:2], run(*inputs, tokens, batch.mask)[:2])
    assert not run(hidden, WEIGHT, tokens, batch.mask).loss.requires_grad


@exact_products
@pytest.mark.no_shape_hook
def test_lean_keeps_some_tiles_beside_the_gradients_and_fast_a_chunk_too(monkeypatch):
    rows, width, vocab, tile = 600, 64, 1_000, 4_000
    small_tiles(monkeypatch, tile, chunk=100 * vocab)
    mask = torch.ones(3, rows // 3, dtype=torch.bool)
    inputs = leaves(*(torch.randn(*n, width).bfloat16() for n in (mask.shape, [vocab])))
    tokens, advantages = torch.randint(vocab, mask.shape), torch.randn(mask.shape)
    peaks = {}
    for memory in ("lean", "fast"):
        with Peak() as peak:
            result = linear_token_loss(
                reinforce, *inputs, tokens, advantages, mask, mask=mask, total=None, memory=memory
            )
        held = torch.zeros(())
        with Peak() as backward:
            result.loss.backward()
        peaks[memory] = peak.peak
        assert backward.peak <= sum(2 * x.numel() for x in inputs) * 1.1 + held.nbytes
    gradients = 2 * (rows + vocab) * width
    sums = 4 * rows * width + 4 * 30 * rows  # of the hidden gradient, and a few numbers a row
    assert peaks["lean"] < gradients + sums + 10 * 4 * tile
    chunk = 4 * 100 * vocab + 4 * vocab * width
    assert chunk < peaks["fast"] < gradients + sums + 10 * 4 * tile + chunk
    assert 4 * rows * vocab > 2 * peaks["fast"]  # which all logits would take


@pytest.mark.no_shape_hook
def test_the_gradients_are_handed_over_without_a_copy():
    batch, hidden, tokens = problem()
    inputs = leaves(hidden.float(), WEIGHT.float())
    result = run(*inputs, tokens, batch.mask)
    with Peak() as peak:
        (result.loss * 3).backward()
    assert peak.peak < WEIGHT.numel() * 4


# --- the gradient from above ----------------------------------------------------------------------


def test_the_gradient_from_above_multiplies_and_a_retained_graph_gives_it_again():
    batch, hidden, tokens = problem()
    inputs = leaves(hidden, WEIGHT)
    expected = torch.autograd.grad(run(*inputs, tokens, batch.mask).loss, inputs)
    loss = run(*inputs, tokens, batch.mask).loss
    first = torch.autograd.grad(3 * loss, inputs, retain_graph=True)
    second = torch.autograd.grad(-0.5 * loss, inputs, retain_graph=True)
    (2 * loss).backward()
    assert_same(first, [3 * x for x in expected])
    assert_same(second, [-0.5 * x for x in expected])
    assert_same([x.grad for x in inputs], [2 * x for x in expected])


@pytest.mark.parametrize("first", [0.0, math.inf, math.nan, 1e-45])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_retained_graph_gives_the_same_bits_after_any_gradient_from_above(first, dtype):
    batch, hidden, tokens = problem()
    inputs = leaves(hidden.to(dtype), WEIGHT.to(dtype))
    expected = torch.autograd.grad(run(*inputs, tokens, batch.mask).loss, inputs)
    loss = run(*inputs, tokens, batch.mask).loss
    got = torch.autograd.grad(first * loss, inputs, retain_graph=True)
    assert not (first == 0 and any(x.any() for x in got))
    for x in got:
        x.fill_(math.nan)  # it is the caller's
    again = torch.autograd.grad(loss, inputs)
    assert all(torch.equal(x, y) for x, y in zip(again, expected, strict=True))
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_second_derivative_raises_rather_than_being_left_out():
    batch, hidden, tokens = problem()
    (weight,) = leaves(WEIGHT)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(run(hidden, weight, tokens, batch.mask).loss, weight, create_graph=True)


def test_a_fully_masked_batch_gives_a_zero_that_is_attached():
    batch, hidden, tokens = problem()
    inputs = leaves(hidden * math.nan, WEIGHT)
    result = run(*inputs, tokens, torch.zeros_like(batch.mask))
    result.loss.backward()
    assert result.loss == 0
    assert all((x.grad == 0).all() for x in inputs)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
@pytest.mark.parametrize("whole_sequences", [False, True])
def test_no_rows_give_an_attached_zero_too(memory, shape, whole_sequences):
    # A slice, as of completions without a token: its rows do not lie side by side.
    inputs = leaves(torch.zeros(shape[0], 5, WIDTH), WEIGHT.float())
    hidden, nothing = inputs[0][:, : shape[1]], torch.zeros(shape)
    result = run(
        hidden, inputs[1], nothing.long(), nothing > 0, memory=memory,
        whole_sequences=whole_sequences,
    )  # fmt: skip
    result.loss.backward()
    assert result.loss == 0
    assert (inputs[1].grad == 0).all()
    assert linear_token_log_probs(hidden, inputs[1], nothing.long()).shape == shape


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e30])
def test_what_lies_under_the_mask_changes_no_bit(monkeypatch, memory, junk):
    small_tiles(monkeypatch, 12, chunk=21)
    batch, hidden, tokens = problem()
    clean, dirty = leaves(hidden, WEIGHT), leaves(hidden.clone(), WEIGHT)
    with torch.no_grad():
        dirty[0][~batch.mask] = junk
    off = torch.where(batch.mask, tokens, -100)
    a, b = run(*clean, tokens, batch.mask, memory=memory), None
    advantages = torch.where(batch.mask, hidden[..., 0], junk)
    b = linear_token_loss(
        reinforce, *dirty, off, advantages, batch.mask, mask=batch.mask, total=None, memory=memory
    )
    a.loss.backward()
    b.loss.backward()
    assert torch.equal(a.loss, b.loss)
    assert torch.equal(a.log_probs, b.log_probs)
    assert all(torch.equal(x.grad, y.grad) for x, y in zip(clean, dirty, strict=True))


# --- weight_grad ----------------------------------------------------------------------------------


@exact_products
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_the_weight_is_added_to_the_buffer_that_is_given(
    monkeypatch, memory, dtype
):
    small_tiles(monkeypatch, 12, chunk=21)
    batch, hidden, tokens = problem()
    *inputs, bias = leaves(*(x.to(dtype) for x in (hidden, WEIGHT, BIAS)))
    buffer = torch.full_like(WEIGHT, 0.25, dtype=torch.float32)
    result = run(*inputs, tokens, batch.mask, memory=memory, weight_grad=buffer, bias=bias)
    result.loss.backward()
    wide = leaves(hidden.to(dtype).double(), WEIGHT.to(dtype).double(), BIAS.to(dtype).double())
    run(*wide[:2], tokens, batch.mask, bias=wide[2]).loss.backward()
    assert inputs[1].grad is None
    torch.testing.assert_close(buffer - 0.25, wide[1].grad.float(), rtol=1e-5, atol=1e-6)
    for x, y in ((inputs[0], wide[0]), (bias, wide[2])):
        torch.testing.assert_close(x.grad.double(), y.grad, rtol=1e-2, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on CUDA it ends the process")
def test_a_loss_whose_weight_gradient_was_added_cannot_be_scaled():
    batch, hidden, tokens = problem()
    (hidden,) = leaves(hidden.float())
    buffer = torch.zeros_like(WEIGHT, dtype=torch.float32)
    loss = run(hidden, WEIGHT.float(), tokens, batch.mask, weight_grad=buffer).loss
    with pytest.raises(RuntimeError, match="cannot be scaled afterwards"):
        (2 * loss).backward()


def test_nothing_is_added_where_the_loss_could_not_be_attached_to_anything():
    batch, hidden, tokens = problem()
    buffer = torch.zeros_like(WEIGHT, dtype=torch.float32)
    with pytest.raises(ValueError, match="weight_grad would be added to by a loss without"):
        run(hidden.float(), WEIGHT.float(), tokens, batch.mask, weight_grad=buffer)
    assert not buffer.any()
    with torch.no_grad():
        run(hidden.float(), WEIGHT.float(), tokens, batch.mask, weight_grad=buffer)
    (weight,) = leaves(WEIGHT.float())
    run(hidden.float(), weight, tokens, batch.mask, weight_grad=buffer).loss.backward()
    assert buffer.any()
    assert weight.grad is None


# --- metrics --------------------------------------------------------------------------------------


def with_metrics(log_probs, old_log_probs, advantages, mask):
    ratio = log_ratio(log_probs, old_log_probs, mask)
    weights = metrics.importance_weights(ratio, ratio.detach().exp().clamp(max=1.1), mask)
    return clipped_loss(ratio, advantages), {
        "kl": metrics.approximate_kl(ratio, mask),
        "range": metrics.ratio_range(ratio, mask),
        "weights": weights,
        "sum": torch.where(mask, ratio, 0.0).sum(),
    }


def tensors_of(value):
    parts = [value] if isinstance(value, torch.Tensor) else vars(value).values()
    return [x for p in parts for x in ([p] if isinstance(p, torch.Tensor) else tensors_of(p))]


@pytest.mark.parametrize("memory", MEMORIES)
def test_metrics_add_up_over_chunks_to_those_of_the_batch(monkeypatch, memory):
    small_tiles(monkeypatch, 12, chunk=21)
    batch, hidden, tokens = problem()
    (weight,) = leaves(WEIGHT)
    per_token = batch.old, batch.advantages, batch.mask
    result = linear_token_loss(
        with_metrics, hidden, weight, tokens, *per_token, mask=batch.mask, total=None, memory=memory
    )
    _, expected = with_metrics(result.log_probs, *per_token)
    assert result.metrics.keys() == expected.keys()
    for name, value in expected.items():
        assert type(result.metrics[name]) is type(value)
        assert_same(tensors_of(result.metrics[name]), tensors_of(value))
    assert not result.metrics["sum"].requires_grad
    assert {Mean, Range, EffectiveSampleSize} <= {
        type(result.metrics["kl"]),
        type(result.metrics["range"]),
        type(result.metrics["weights"].effective_sample_size),
    }


# --- what would be silently wrong -----------------------------------------------------------------

MASK = torch.tensor([[True, True, False]])
COUPLING = {
    "sequence_log_ratio": lambda x, m: sequence_log_ratio(x, x.detach(), m),
    "packed sequence_log_ratio": lambda x, m: sequence_log_ratio(
        x, x.detach(), m, segment_ids=torch.zeros_like(m, dtype=torch.long)
    ),
    "geometric_log_ratio": lambda x, m: geometric_log_ratio(x, x.detach(), x.detach(), m),
}
WHOLE_BATCH = {
    "token_mean": lambda x, m: x - token_mean(x, m),
    "sequence_mean": lambda x, m: x * sequence_mean(x, m),
    "token_weights": lambda x, m: x * token_weights(token_mean, m).to(x.dtype),
    "step_totals": lambda x, m: x / step_totals(m, m[:, 0].long()).tokens,
    "group_token_mean": lambda x, m: x * group_token_mean(x, m, m[:, 0].long()),
    "high_entropy_mask": lambda x, m: x * high_entropy_mask(x, m, quantile=0.5),
    "overlong_mask": lambda x, m: x * overlong_mask(m.long(), m, end_ids=[1]),
}


@pytest.mark.parametrize("name", sorted({**COUPLING, **WHOLE_BATCH}))
@pytest.mark.parametrize("learns", [True, False])
def test_what_couples_tokens_raises_in_a_chunk_even_if_it_holds_everything(name, learns):
    (hidden,) = leaves(torch.zeros(1, 3, WIDTH))
    fn = {**COUPLING, **WHOLE_BATCH}[name]

    def call(**options):
        return linear_token_loss(
            fn, hidden if learns else hidden.detach(), WEIGHT.float(), MASK.long(), MASK,
            mask=MASK, total=None, **options,
        )  # fmt: skip

    match = "needs the whole batch" if name in WHOLE_BATCH else "whole_sequences=True"
    with pytest.raises(ValueError, match=match):
        call()
    fn(torch.zeros(1, 3), MASK)  # outside it is right again
    if name in WHOLE_BATCH:
        with pytest.raises(ValueError, match=match):
            call(whole_sequences=True)
    else:
        assert call(whole_sequences=True).loss == 0


@pytest.mark.parametrize(
    ("fn", "error", "match"),
    [
        (lambda x, *_: x.sum(), ValueError, r"not a mean of them.*need shape \(1, 3\), got \(\)"),
        (lambda x, *_: x[0], ValueError, r"need shape \(1, 3\), got \(3,\)"),
        (lambda x, *_: x.mean(1, keepdim=True), ValueError, r"got \(1, 1\)"),
        (lambda x, *_: x.detach(), ValueError, "must depend on the log-probs"),
        (lambda x, a, m: a.detach().clone().requires_grad_(), ValueError, "must depend on the log"),
        (lambda x, *_: (x, 3), TypeError, "got Tensor and int"),
        (lambda x, *_: None, TypeError, "got NoneType and dict"),
        (lambda x, *_: (x, {"each": x}), ValueError, "metric 'each' must have no axes"),
        (lambda x, *_: (x, {"note": "a"}), TypeError, "metric 'note' must be .*, got str"),
        (lambda x, *_: (x, {"all": [x.sum()]}), TypeError, "metric 'all' must be .*, got list"),
        (lambda x, *_: (x, {"none": None}), TypeError, "metric 'none' must be .*, got NoneType"),
        (lambda x, *_: x > 0, TypeError, "the loss of each token must be of a floating-point"),
    ],
)
def test_a_loss_function_that_returns_something_else_raises(fn, error, match):
    (hidden,) = leaves(torch.ones(1, 3, WIDTH))
    with pytest.raises(error, match=match):
        run(hidden, WEIGHT.float(), MASK.long(), MASK, fn)


@pytest.mark.no_shape_hook  # which would refuse the mean before we do
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("chunk", [7, 10**6])
@pytest.mark.parametrize(
    ("mean", "error", "match"),
    [
        (lambda v, *_, **__: v, ValueError, r"mean must return a tensor without .* \(1, 3\)"),
        (lambda v, *_, **__: v.sum()[None], ValueError, r"mean must return .* got shape \(1,\)"),
        (lambda v, *_, **__: 0.5, TypeError, "mean must return a tensor without axes, got float"),
    ],
)
def test_a_mean_that_is_no_scalar_raises(monkeypatch, mean, error, match, chunk, learns, dtype):
    small_tiles(monkeypatch, 7, chunk=chunk)
    hidden = torch.ones(1, 3, WIDTH, dtype=dtype, requires_grad=learns)
    with pytest.raises(error, match=match):
        run(hidden, WEIGHT.to(dtype), MASK.long(), MASK, mean=mean)


def test_metrics_that_are_numbers_add_up(monkeypatch):
    small_tiles(monkeypatch, 7)
    (hidden,) = leaves(torch.ones(1, 3, WIDTH))
    result = run(
        hidden, WEIGHT.float(), MASK.long(), MASK,
        lambda x, *_: (x, {"rows": x.shape[1], "half": 0.5}), memory="fast",
    )  # fmt: skip
    assert result.metrics == {"rows": 3, "half": 1.5}


def test_metrics_that_differ_between_chunks_raise(monkeypatch):
    small_tiles(monkeypatch, 7)
    names = iter("ab")
    (hidden,) = leaves(torch.ones(1, 2, WIDTH))
    mask = MASK[:, :2]
    with pytest.raises(ValueError, match=r"same metrics for each chunk, got \['a'\] and \['b'\]"):
        run(
            hidden, WEIGHT.float(), mask.long(), mask,
            lambda x, *_: (x, {next(names): x.sum()}), memory="fast",
        )  # fmt: skip


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"memory": "small"}, ValueError, "memory must be one of 'auto', 'fast', 'lean'"),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
        ({"mask": MASK.float()}, TypeError, "mask must be bool"),
        ({"mask": MASK[:, :2]}, ValueError, "mask must have the shape of tokens"),
        ({"softcap": 0.0}, ValueError, "softcap must be finite and above 0"),
        ({"weight_grad": torch.zeros(7, 3)}, ValueError, "weight_grad must have the shape of"),
        ({"weight_grad": torch.zeros(7, 4).half()}, TypeError, "weight_grad must be float32"),
        ({"per_token": [MASK[0]]}, ValueError, r"per_token\[0\] must have the shape of tokens"),
        (
            {"per_token": [MASK, torch.zeros(1, 3, requires_grad=True)]},
            ValueError,
            r"per_token\[1\] gets no gradient: detach it",
        ),
    ],
)
def test_wrong_use_raises(change, error, match):
    options = {"mask": MASK, "total": None, "per_token": [], **change}
    per_token = options.pop("per_token")
    with pytest.raises(error, match=match):
        linear_token_loss(
            lambda x, *_: x, torch.zeros(1, 3, 4), torch.zeros(7, 4), MASK.long(), *per_token,
            **options,
        )  # fmt: skip


@pytest.mark.no_shape_hook
def test_mask_and_total_have_to_be_said():
    with pytest.raises(TypeError, match="missing 2 required keyword-only arguments"):
        linear_token_loss(lambda x: x, torch.zeros(1, 3, 4), torch.zeros(7, 4), MASK.long())


# --- machinery ------------------------------------------------------------------------------------


def test_a_loss_function_may_hold_an_autograd_function_of_its_own():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * ctx.saved_tensors[0] * grad

    batch, hidden, tokens = problem()
    grads = []
    for fn in (lambda x, *_: Square.apply(x), lambda x, *_: x * x):
        (weight,) = leaves(WEIGHT)
        run(hidden, weight, tokens, batch.mask, fn).loss.backward()
        grads.append(weight.grad)
    assert_same(grads[:1], grads[1:])


def test_autocast_casts_both_factors_as_a_linear_layer_does():
    batch, hidden, tokens = problem()
    inputs, narrow = (
        leaves(hidden.float(), WEIGHT.float()),
        leaves(hidden.bfloat16(), WEIGHT.bfloat16()),
    )
    with torch.autocast(hidden.device.type, dtype=torch.bfloat16):
        result = run(*inputs, tokens, batch.mask)
    advantages = hidden[..., 0].float().double()
    expected = linear_token_loss(
        reinforce, *narrow, tokens, advantages, batch.mask, mask=batch.mask, total=None
    )
    result.loss.backward()
    expected.loss.backward()
    assert torch.equal(result.loss, expected.loss)
    for x, y in zip(inputs, narrow, strict=True):
        assert torch.equal(x.grad, y.grad.float())


@pytest.mark.no_shape_hook
@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("variant", ["clipped", "gspo"])
def test_several_chunks_with_metrics_compile_without_a_graph_break(monkeypatch, memory, variant):
    small_tiles(monkeypatch, 12, chunk=21)
    batch, hidden, tokens = problem()

    def coupled(log_probs, old_log_probs, advantages, mask):
        return clipped_loss(sequence_log_ratio(log_probs, old_log_probs, mask), advantages)

    def step(hidden, weight):
        result = linear_token_loss(
            with_metrics if variant == "clipped" else coupled, hidden, weight, tokens, batch.old,
            batch.advantages, batch.mask, mask=batch.mask, total=None, memory=memory,
            whole_sequences=variant == "gspo",
        )  # fmt: skip
        return 2 * result.loss, result.log_probs, result.metrics

    torch.compiler.reset()
    outputs = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        inputs = leaves(hidden, WEIGHT)
        loss, log_probs, found = function(*inputs)
        loss.backward()
        outputs.append(
            [loss, log_probs, *(x.grad for x in inputs)]
            + [x for value in found.values() for x in tensors_of(value)]
        )
    assert_same(*outputs)


@pytest.mark.parametrize(("spare", "passes"), [(0, 1), (-1, 2)])
def test_auto_is_fast_until_a_chunk_and_its_sums_are_too_large(monkeypatch, spare, passes):
    small_tiles(monkeypatch, 14, chunk=28)
    batch, hidden, tokens = problem()
    inputs = leaves(hidden.bfloat16(), WEIGHT.bfloat16())
    needs = 4 * 28 + 4 * WEIGHT.numel()
    monkeypatch.setattr(_linear_passes, "_AUTO_BYTES", needs + spare)
    with Products() as auto:
        run(*inputs, tokens, batch.mask)
    with Products() as said:
        run(*inputs, tokens, batch.mask, memory="fast" if passes == 1 else "lean")
    assert auto.shapes == said.shapes


def test_under_inference_mode_it_scores_too():
    batch, hidden, tokens = problem()
    with torch.inference_mode():
        result = run(hidden * 1, WEIGHT, tokens, batch.mask & True)
    assert_same(result[:2], run(hidden, WEIGHT, tokens, batch.mask)[:2])


def test_activation_checkpointing_and_offloading_around_it_change_nothing():
    batch, hidden, tokens = problem()
    grads = []
    for call in (
        lambda f, *x: f(*x),
        lambda f, *x: torch.utils.checkpoint.checkpoint(f, *x, use_reentrant=False),
    ):
        inputs = leaves(hidden, WEIGHT)
        call(lambda *x: run(*x, tokens, batch.mask).loss, *inputs).backward()
        grads.append([x.grad for x in inputs])
    inputs = leaves(hidden, WEIGHT)
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone):
        run(*inputs, tokens, batch.mask).loss.backward()
    assert_same(grads[1], grads[0])
    assert_same([x.grad for x in inputs], grads[0])


def test_in_float16_a_loss_scale_is_applied_before_gradients_are_rounded():
    torch.manual_seed(0)
    hidden = torch.randn(2, 3, 8, dtype=torch.float16, requires_grad=True)
    weight = torch.randn(11, 8, dtype=torch.float16, requires_grad=True)
    tokens = torch.randint(11, (2, 3))
    mask = torch.ones(2, 3, dtype=torch.bool)
    total = step_totals(mask, torch.tensor([0, 0]))._replace(tokens=torch.tensor(2_000_000))

    def loss_of(hidden, weight, scale):
        result = linear_token_loss(lambda x: -x, hidden, weight, tokens, mask=mask, total=total)
        return torch.autograd.grad(result.loss * scale, (hidden, weight))

    found = loss_of(hidden, weight, 65536.0)
    wide = (x.detach().double().requires_grad_() for x in (hidden, weight))
    for a, b in zip(found, loss_of(*wide, 65536.0), strict=True):
        assert (a.double() - b).norm() <= 2e-3 * b.norm()
    with pytest.raises(ValueError, match="weight_grad must be None"):
        linear_token_loss(
            lambda x: -x,
            hidden,
            weight,
            tokens,
            mask=mask,
            total=None,
            weight_grad=torch.zeros(11, 8),
        )


@pytest.mark.parametrize("result", [(), (1,), (1, {}, 3)])
def test_a_tuple_of_another_length_raises(result):
    def odd(log_probs):
        return tuple(log_probs if x == 1 else x for x in result)

    hidden, weight = torch.zeros(1, 2, 4, requires_grad=True), torch.zeros(3, 4)
    tokens, mask = torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(TypeError, match="loss_fn must return"):
        linear_token_loss(odd, hidden, weight, tokens, mask=mask, total=None)


def test_another_thread_is_not_inside_the_loss_of_this_one():
    hidden, weight = torch.randn(2, 3, 4, requires_grad=True), torch.randn(5, 4)
    tokens, mask = torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)
    new, old = torch.randn(2, 3), torch.randn(2, 3)
    wanted = sequence_log_ratio(new, old, mask), token_mean(new, mask)
    found = []

    def meanwhile(log_probs):
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: (sequence_log_ratio(new, old, mask), token_mean(new, mask)))
            found.append(other.result())
        return -log_probs

    linear_token_loss(
        meanwhile, hidden, weight, tokens, mask=mask, total=None, whole_sequences=True
    )
    for a, b in zip(found[0], wanted, strict=True):
        assert torch.equal(a, b)
