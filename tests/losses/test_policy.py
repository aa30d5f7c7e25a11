"""Surrogates of one token. Values over random batches are in test_rules; here, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core import losses

ratios, advantages = st.floats(0.01, 20), st.floats(-3, 3)


def gradient(loss, ratio, advantage, **options):
    """d loss / d log r at one ratio and advantage."""
    x = torch.tensor([[ratio]], dtype=torch.float64).log().requires_grad_()
    loss(x, torch.tensor([[advantage]], dtype=torch.float64), **options).sum().backward()
    return x.grad.item()


def value(loss, ratio, advantage, **options):
    x = torch.tensor([[ratio]], dtype=torch.float64).log()
    return loss(x, torch.tensor([[advantage]], dtype=torch.float64), **options).item()


# --- clipped --------------------------------------------------------------------------------------


@given(ratio=ratios, advantage=advantages, low=st.floats(0, 1), high=st.floats(0, 5))
def test_clipped_is_ppos_with_two_epsilons(ratio, advantage, low, high):
    expected = oracles.clipped(ratio, advantage, low, high)
    got = value(losses.clipped_loss, ratio, advantage, epsilon_low=low, epsilon_high=high)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, -2.0),  # on policy: the policy gradient
        (1.27, 1.0, -1.27),
        (1.29, 1.0, 0.0),  # pushed up beyond 1 + 0.28: nothing more to earn
        (0.79, -1.0, 0.0),  # pushed down beyond 1 - 0.2
        (1.29, -1.0, 1.29),  # on the wrong side: the full ratio
        (0.79, 1.0, -0.79),
        (5.0, 0.0, 0.0),
    ],
)
def test_the_clip_stops_a_gradient_only_where_it_would_go_further(ratio, advantage, expected):
    assert gradient(losses.clipped_loss, ratio, advantage) == pytest.approx(expected)


@given(ratio=ratios, advantage=advantages, cap=st.floats(1.28, 10))
def test_dual_clip_caps_what_a_negative_advantage_is_charged(ratio, advantage, cap):
    expected = oracles.dual_clipped(ratio, advantage, 0.2, 0.28, cap)
    got = value(losses.clipped_loss, ratio, advantage, ratio_max=cap)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_infinite_epsilon_clips_nothing():
    options = {"epsilon_low": 1.0, "epsilon_high": math.inf}
    for ratio, advantage in [(50.0, 1.0), (0.01, -1.0)]:
        got = gradient(losses.clipped_loss, ratio, advantage, **options)
        assert got == pytest.approx(-ratio * advantage)


# --- the others -----------------------------------------------------------------------------------


@given(ratio=ratios, advantage=advantages, cap=st.floats(0.1, 10))
def test_cispo_truncates_the_weight_and_keeps_the_gradient(ratio, advantage, cap):
    got = gradient(losses.cispo_loss, ratio, advantage, ratio_max=cap)
    assert got == pytest.approx(-min(ratio, cap) * advantage, rel=1e-9)


@given(ratio=ratios, advantage=advantages)
def test_the_policy_gradient_does_not_depend_on_the_ratio(ratio, advantage):
    assert gradient(losses.policy_gradient_loss, ratio, advantage) == -advantage


@given(ratio=ratios, advantage=advantages, positive=st.floats(0.1, 3), negative=st.floats(0.1, 3))
def test_sapo_is_the_papers(ratio, advantage, positive, negative):
    got = value(losses.sapo_loss, ratio, advantage, tau_positive=positive, tau_negative=negative)
    expected = oracles.sapo(ratio, advantage, positive, negative)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        losses.clipped_loss,
        losses.cispo_loss,
        losses.sapo_loss,
        losses.policy_gradient_loss,
        lambda x, a: losses.divergence_masked_loss(x, a, x - 1, divergence="tv", threshold=0.1),
    ],
)
@given(advantage=advantages)
def test_on_policy_every_surrogate_has_reinforces_gradient(loss, advantage):
    assert gradient(loss, 1.0, advantage) == pytest.approx(-advantage)


@pytest.mark.parametrize(("divergence", "threshold"), [("tv", 0.15), ("kl", 0.05)])
@given(old=st.floats(0.001, 0.999), new=st.floats(0.001, 0.999), advantage=advantages)
def test_dppo_stops_only_what_leaves_the_sampler(divergence, threshold, old, new, advantage):
    x = torch.tensor([[new / old]], dtype=torch.float64).log().requires_grad_()
    log_old = torch.tensor([[old]], dtype=torch.float64).log()
    loss = losses.divergence_masked_loss(
        x, torch.full_like(log_old, advantage), log_old, divergence=divergence, threshold=threshold
    )
    loss.backward()
    expected = oracles.dppo(math.log(new), math.log(old), advantage, divergence, threshold)
    assert loss.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert x.grad.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_dppo_truncates_the_weight_of_a_rare_token_and_keeps_its_gradient():
    x = torch.tensor([[5.0, 0.5]], requires_grad=True)
    old, advantages = torch.tensor([[-15.0, -15.0]]), torch.ones(1, 2)
    options = {"divergence": "tv", "threshold": 0.15, "ratio_max": 20.0}
    loss = losses.divergence_masked_loss(x, advantages, old, **options)
    loss.sum().backward()
    assert loss.tolist() == [pytest.approx([-20.0, -math.exp(0.5)])]
    assert x.grad.tolist() == [pytest.approx([-20.0, -math.exp(0.5)])]


def test_dppo_kl_is_finite_where_a_token_is_certain():
    x, advantages = torch.tensor([[-1.0, 5.0]], requires_grad=True), torch.tensor([[-1.0, 1.0]])
    old = torch.tensor([[0.0, -5.0]])  # certain before; certain after
    loss = losses.divergence_masked_loss(x, advantages, old, divergence="kl", threshold=0.05)
    loss.sum().backward()
    assert loss.tolist() == [[0.0, 0.0]]  # both left far behind: masked
    assert x.grad.tolist() == [[0.0, 0.0]]


def test_advantages_get_no_gradient():
    a = torch.ones(1, 1, requires_grad=True)
    x = torch.zeros(1, 1, requires_grad=True)
    for name in ("clipped_loss", "cispo_loss", "sapo_loss", "policy_gradient_loss"):
        getattr(losses, name)(x, a).sum().backward()
    assert a.grad is None


# --- errors ---------------------------------------------------------------------------------------

X = torch.zeros(1, 2)


@pytest.mark.no_shape_hook
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: losses.clipped_loss(X, X, epsilon_low=1.1), "need 0 <= epsilon_low <= 1"),
        (lambda: losses.clipped_loss(X, X, epsilon_high=-0.1), "got 0.2, -0.1"),
        (lambda: losses.clipped_loss(X, X, epsilon_high=math.nan), "got 0.2, nan"),
        (lambda: losses.clipped_loss(X, X, ratio_max=math.nan), "ratio_max must be at least"),
        (lambda: losses.cispo_loss(X, X, ratio_max=0.0), "ratio_max must be above 0, got 0.0"),
        (
            lambda: losses.sapo_loss(X, X, tau_positive=0.0),
            "tau_positive must be finite and above 0",
        ),
        (
            lambda: losses.divergence_masked_loss(X, X, X, divergence="js", threshold=0.1),
            "divergence must be one of 'tv', 'kl', got 'js'",
        ),
        (
            lambda: losses.divergence_masked_loss(X, X, X, divergence="tv", threshold=0.0),
            "threshold must be finite and above 0",
        ),
        (
            lambda: losses.divergence_masked_loss(
                X, X, X, divergence="tv", threshold=0.1, ratio_max=1.0
            ),
            "ratio_max must be above 1, got 1.0",
        ),
        (lambda: losses.policy_gradient_loss(X, X[:, :1]), "advantages must have the shape of"),
    ],
)
def test_wrong_use_raises(call, match):
    with pytest.raises(ValueError, match=match):
        call()
