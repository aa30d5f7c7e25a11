"""linear_token_log_probs and linear_token_statistics: what the logits would give, without them."""

import pytest
import torch
from torch.nn import functional

from grpo_core.losses import (
    linear_token_log_probs,
    linear_token_statistics,
    token_statistics,
)
from linear_cases import BIAS, HEAT, HIDDEN, MASK, TOKENS, WEIGHT, leaves, small_tiles


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
