"""KL penalties: what each value is, and what each gradient descends, by exact expectation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oracles
from grpo_core.losses import kl_penalty, log_ratio

POLICY = torch.tensor([0.5, -1.0, 0.2, 1.1], dtype=torch.float64)  # logits of four ids
REFERENCE = torch.tensor([0.1, 0.3, -0.4, 0.9], dtype=torch.float64)
EVERY_ID = torch.arange(4)[None]


@given(x=st.floats(-5, 5), value=st.sampled_from(["k1", "k2", "k3"]))
def test_the_value_is_schulmans(x, value):
    for gradient in ("naive", "score"):
        got = kl_penalty(torch.tensor([[x]], dtype=torch.float64), value=value, gradient=gradient)
        assert got.item() == pytest.approx(oracles.kl_value(x, value), rel=1e-9, abs=1e-12)


def test_k3_keeps_its_digits_near_zero():
    x = 1e-4
    got = kl_penalty(torch.tensor([[x]]), value="k3", gradient="naive").item()
    assert got == pytest.approx(x * x / 2, rel=1e-2)  # exp(-x) - 1 in float32 would leave noise


def expected_gradient(value, gradient, behaviour=None):
    """Gradient with respect to the policy's logits of the expected penalty, over all four ids."""
    logits = POLICY.clone().requires_grad_()
    log_probs = logits.log_softmax(0)[None]
    reference, sampled = REFERENCE.log_softmax(0)[None], log_probs.detach()
    if behaviour is not None:
        sampled = behaviour.log_softmax(0)[None]
    mask = torch.ones(1, 4, dtype=torch.bool)
    importance = {"policy_log_ratio": log_ratio(log_probs, sampled, mask)}
    penalty = kl_penalty(
        log_ratio(log_probs, reference, mask),
        value=value,
        gradient=gradient,
        **(importance if gradient == "importance" else {}),
    )
    (sampled.exp() * penalty).sum().backward()
    return logits.grad


def true_gradient(of):
    logits = POLICY.clone().requires_grad_()
    p, q = logits.log_softmax(0), REFERENCE.log_softmax(0)
    x = p - q
    {
        "KL(policy, reference)": (p.exp() * x).sum(),
        "KL(reference, policy)": -(q.exp() * x).sum(),
        "E[k2]": (p.exp() * x.square() / 2).sum(),
        "nothing": (p * 0).sum(),
    }[of].backward()
    return logits.grad


@pytest.mark.parametrize(
    ("value", "gradient", "descends"),
    [
        ("k1", "naive", "nothing"),
        ("k2", "naive", "KL(policy, reference)"),
        ("k3", "naive", "KL(reference, policy)"),
        ("k1", "score", "KL(policy, reference)"),
        ("k2", "score", "E[k2]"),
        ("k3", "score", "KL(policy, reference)"),
        ("k1", "importance", "KL(policy, reference)"),
        ("k2", "importance", "E[k2]"),
        ("k3", "importance", "KL(policy, reference)"),
    ],
)
def test_on_policy_the_expected_gradient_is_the_one_in_the_table(value, gradient, descends):
    torch.testing.assert_close(expected_gradient(value, gradient), true_gradient(descends))


@pytest.mark.parametrize("value", ["k1", "k3"])
def test_off_policy_the_importance_gradient_still_descends_the_kl(value):
    behaviour = torch.tensor([0.0, 0.4, 0.3, 0.5], dtype=torch.float64)
    got = expected_gradient(value, "importance", behaviour)
    torch.testing.assert_close(got, true_gradient("KL(policy, reference)"))


@pytest.mark.no_shape_hook
def test_wrong_use_raises():
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="value must be one of 'k1', 'k2', 'k3', got 'k4'"):
        kl_penalty(x, value="k4")
    with pytest.raises(ValueError, match="gradient must be one of"):
        kl_penalty(x, gradient="none")
    with pytest.raises(ValueError, match="policy_log_ratio must have the shape of log_ratio"):
        kl_penalty(x, gradient="importance", policy_log_ratio=x[:, :1])
