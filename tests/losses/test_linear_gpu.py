"""Every backend, dtype and memory mode on a GPU against float64, at sizes of many tiles."""

import pytest
import torch

from grpo_core.losses import (
    clipped_loss,
    linear_token_log_probs,
    linear_token_loss,
    linear_token_statistics,
    log_ratio,
)

pytestmark = pytest.mark.gpu

ROWS, WIDTH, VOCAB = 5000, 512, 20_011  # torch: 6 blocks of rows; kernels: 3 chunks, if lean
# float16 gradients of a mean are below its range, as before any loss scale: here, one is in the
# loss.
SCALE = 2.0**10


def case(dtype):
    torch.manual_seed(0)
    hidden = (2 * torch.randn(2, ROWS // 2, WIDTH, device="cuda")).to(dtype)
    weight = (torch.randn(VOCAB, WIDTH, device="cuda") * WIDTH**-0.5).to(dtype)
    tokens = torch.randint(VOCAB, hidden.shape[:2], device="cuda")
    mask = torch.rand(tokens.shape, device="cuda") > 0.2
    hidden[~mask] = float("nan")
    advantages = torch.randn(tokens.shape, device="cuda")
    old = -10 + torch.randn(tokens.shape, device="cuda")
    return hidden.requires_grad_(), weight.requires_grad_(), tokens, mask, old, advantages


def exact(hidden, weight, tokens, mask, temperature=1.0, softcap=None):
    """Leaves in float64, and log-probs and entropies made of them."""
    clean = torch.where(mask[..., None], hidden.detach(), 0.0).double().requires_grad_()
    wide = weight.detach().double().requires_grad_()
    z = clean @ wide.T
    if softcap is not None:
        z = softcap * torch.tanh(z / softcap)
    log_p = (z / temperature).log_softmax(-1)
    return clean, wide, log_p.gather(-1, tokens[..., None])[..., 0], -(log_p.exp() * log_p).sum(-1)


def error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def per_token(log_probs, old, advantages, mask):
    return SCALE * clipped_loss(log_ratio(log_probs, old, mask), advantages)


DTYPES = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 3e-3}
ENGINES = [
    (backend, dtype)
    for backend in ("torch", "triton")
    for dtype in DTYPES
    if (backend, dtype) != ("triton", torch.float32)
]


@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_the_loss_and_its_gradients_are_those_of_float64(backend, dtype, memory):
    hidden, weight, tokens, mask, old, advantages = case(dtype)
    given = old, advantages, mask
    found = linear_token_loss(
        per_token, hidden, weight, tokens, *given, mask=mask, total=None, memory=memory,
        backend=backend,
    )  # fmt: skip
    found.loss.backward()
    clean, wide, log_probs, _ = exact(hidden, weight, tokens, mask)
    losses = per_token(log_probs, old.double(), advantages.double(), mask)
    (losses[mask].sum() / mask.sum()).backward()
    assert error(found.log_probs[mask], log_probs[mask]) < 1e-5
    assert error(hidden.grad, clean.grad) < DTYPES[dtype]
    assert error(weight.grad, wide.grad) < (
        4e-3 if memory == "lean" and dtype == torch.bfloat16 else DTYPES[dtype]
    )


@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_statistics_and_their_gradients_are_those_of_float64(backend, dtype, softcap):
    hidden, weight, tokens, mask, _, advantages = case(dtype)
    options = {"temperature": 0.7, "softcap": softcap}
    log_probs, entropy = linear_token_statistics(
        hidden, weight, tokens, mask=mask, backend=backend, **options
    )
    loss = ((log_probs * advantages + entropy) * mask).sum() / mask.sum()
    (SCALE * loss).backward()
    clean, wide, true_log_probs, true_entropy = exact(hidden, weight, tokens, mask, **options)
    loss = ((true_log_probs * advantages + true_entropy) * mask).sum() / mask.sum()
    (SCALE * loss).backward()
    assert error(log_probs[mask], true_log_probs[mask]) < 1e-5
    assert error(entropy[mask], true_entropy[mask]) < 1e-5
    assert error(hidden.grad, clean.grad) < DTYPES[dtype]
    assert error(weight.grad, wide.grad) < DTYPES[dtype]


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_training_and_scoring_give_the_same_bits(backend, dtype):
    hidden, weight, tokens, mask, old, advantages = case(dtype)
    with torch.no_grad():
        scored = linear_token_log_probs(hidden, weight, tokens, mask=mask, backend=backend)
    found = linear_token_loss(
        per_token, hidden, weight, tokens, old, advantages, mask, mask=mask, total=None,
        backend=backend,
    )  # fmt: skip
    assert torch.equal(found.log_probs, scored)
