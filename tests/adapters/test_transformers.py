"""Causal language models of transformers without their logits, against their own logits."""

from functools import partial

import pytest
import torch

transformers = pytest.importorskip("transformers")

from grpo_core.adapters.transformers import (  # noqa: E402 - after the check
    causal_lm_token_log_probs,
    causal_lm_token_loss,
)
from grpo_core.losses import (  # noqa: E402
    clipped_loss,
    group_token_mean,
    log_ratio,
    step_totals,
    token_log_probs,
    token_mean,
)
from grpo_core.metrics import clip_fraction_high  # noqa: E402

SIZES = {
    "vocab_size": 37, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OTHERS = {
    "gpt2": {
        "vocab_size": 37, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
        "bos_token_id": 1, "eos_token_id": 2,
    },
}  # fmt: skip
# What stands between hidden states and logits: nothing, a bias, tied weights, a cap, a scale that
# multiplies, and one that divides under the name of one that multiplies elsewhere.
ARCHITECTURES = [
    ("llama", {}),
    ("qwen3", {"head_dim": 8}),
    ("gpt2", {}),
    ("phi", {}),
    ("gemma2", {"head_dim": 8, "final_logit_softcapping": 0.5}),
    ("nanochat", {"final_logit_softcapping": 0.5}),
    ("cohere", {"logit_scale": 0.25}),
    ("granite", {"logits_scaling": 3.0}),
    ("hyperclovax", {"logits_scaling": 3.0}),
    ("llama", {"tie_word_embeddings": True}),
]


def policy(kind, options):
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[kind](**{**OTHERS.get(kind, SIZES), **options})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():  # logits that a cap bends and a bias shifts
        model.get_output_embeddings().weight.mul_(20)
        if model.get_output_embeddings().bias is not None:
            model.get_output_embeddings().bias.normal_()
    return model


def batch():
    torch.manual_seed(1)
    input_ids = torch.randint(3, 37, (4, 9))
    attention_mask = torch.ones_like(input_ids)
    attention_mask[0, :2] = 0  # a short prompt, padded on the left
    mask = torch.arange(5) < torch.tensor([[5], [3], [4], [1]])
    attention_mask[:, 4:] = mask.long()
    return input_ids, attention_mask, mask


def grpo(log_probs, old_log_probs, advantages, mask):
    ratio = log_ratio(log_probs, old_log_probs, mask)
    return clipped_loss(ratio, advantages), {
        "high": clip_fraction_high(ratio, advantages, mask, epsilon_high=0.28)
    }


@pytest.mark.parametrize(("kind", "options"), ARCHITECTURES, ids=str)
def test_loss_and_every_gradient_equal_those_of_the_model_s_own_logits(kind, options):
    model, (input_ids, attention_mask, mask) = policy(kind, options), batch()
    group_ids = torch.tensor([0, 0, 1, 1])
    mean, total = partial(group_token_mean, group_ids=group_ids), step_totals(mask, group_ids)
    logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, -6:-1]
    wanted = token_log_probs(logits, input_ids[:, -5:], mask=mask, temperature=0.7)
    torch.manual_seed(2)
    old = wanted.detach() + 0.3 * torch.randn(4, 5)
    advantages = torch.randn(4, 1).expand(4, 5)
    per_token, report = grpo(wanted, old, advantages, mask)
    expected = mean(per_token, mask, total=total)
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    result = causal_lm_token_loss(
        model, input_ids, attention_mask, grpo, old, advantages, mask,
        mask=mask, total=total, mean=mean, temperature=0.7,
    )  # fmt: skip
    result.loss.backward()
    torch.testing.assert_close(result.loss, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.log_probs, wanted.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result.metrics["high"].value(), report["high"].value())
    assert gradients
    for name, parameter in model.named_parameters():
        if name in gradients:
            scale = gradients[name].abs().max().item()
            torch.testing.assert_close(
                parameter.grad, gradients[name], rtol=1e-3, atol=1e-4 * scale + 1e-8
            )
    assert any(gradient.abs().max() > 0 for gradient in gradients.values())


@pytest.mark.parametrize(("kind", "options"), ARCHITECTURES, ids=str)
def test_scoring_equals_the_model_s_own_logits(kind, options):
    model, (input_ids, attention_mask, mask) = policy(kind, options), batch()
    with torch.no_grad():
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, -6:-1]
        wanted = token_log_probs(logits, input_ids[:, -5:], mask=mask)
        found = causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


class Odd(transformers.LlamaForCausalLM):
    """Does to its logits what no configuration says."""

    def forward(self, *args, **options):
        output = super().forward(*args, **options)
        output.logits = output.logits + torch.arange(37) / 10
        return output


def test_a_model_that_does_something_else_to_its_logits_raises():
    model = Odd(transformers.LlamaConfig(**SIZES))
    input_ids, attention_mask, mask = batch()
    with pytest.raises(ValueError, match="Odd does more to its logits"):
        causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)


def test_a_model_that_gives_nan_is_told_so():
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="LlamaForCausalLM gives NaN for logits"):
        causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)


def test_an_adapted_head_raises():
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()

    class Lora(torch.nn.Linear):
        pass

    model.set_output_embeddings(Lora(32, 37, bias=False))
    with pytest.raises(TypeError, match=r"must be an nn\.Linear, got Lora"):
        causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)


def test_what_is_no_language_model_raises():
    input_ids, attention_mask, mask = batch()
    with pytest.raises(TypeError, match=r"need a causal language model .* got Linear"):
        causal_lm_token_log_probs(torch.nn.Linear(2, 2), input_ids, attention_mask, mask=mask)


def test_a_wrapper_of_adapters_says_what_to_pass():
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()
    model.peft_config = {}
    with pytest.raises(TypeError, match=r"pass model\.get_base_model"):
        causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)


@pytest.mark.parametrize("width", [0, 9])
def test_a_mask_of_another_width_raises(width):
    model, (input_ids, attention_mask, _) = policy("llama", {}), batch()
    mask = torch.ones(4, width, dtype=torch.bool)
    with pytest.raises(ValueError, match="the last columns of input_ids"):
        causal_lm_token_loss(
            model, input_ids, attention_mask, grpo, mask=mask, total=None, mean=token_mean
        )


def test_autocast_padding_and_the_generator_do_not_disturb_the_check():
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()
    with torch.no_grad():
        model.get_input_embeddings().weight[0] = 0.0  # as a model made with a pad token has it
    input_ids = torch.cat([torch.zeros(4, 8, dtype=torch.long), input_ids], 1)
    attention_mask = torch.cat([torch.zeros(4, 8, dtype=torch.long), attention_mask], 1)
    state = torch.get_rng_state()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first = causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
    assert first.isfinite().all()
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("kind", "options"), ARCHITECTURES, ids=str)
def test_matrix_products_of_low_precision_do_not_disturb_the_check(monkeypatch, kind, options):
    linear = torch.nn.functional.linear

    def medium(x, weight, bias=None):  # as set_float32_matmul_precision("medium") may compute it
        return linear(x.bfloat16().float(), weight.bfloat16().float(), bias)

    monkeypatch.setattr(torch.nn.functional, "linear", medium)
    model, (input_ids, attention_mask, mask) = policy(kind, options), batch()
    with torch.no_grad():
        found = causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
    assert found.isfinite().all()


def test_a_configured_cap_is_taken_although_small_logits_do_not_show_it():
    model, (input_ids, attention_mask, mask) = policy("gemma2", {"head_dim": 8}), batch()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-3)
        causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
        model.get_output_embeddings().weight.mul_(1e5)
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, -6:-1]
        wanted = token_log_probs(logits, input_ids[:, -5:], mask=mask)
        found = causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)


def test_the_model_s_own_head_runs_once_and_on_eight_positions_alone():
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()
    rows = []
    hook = model.lm_head.register_forward_hook(lambda _, __, out: rows.append(out.shape[:-1]))
    with torch.no_grad():
        for _ in range(3):
            causal_lm_token_log_probs(model, input_ids, attention_mask, mask=mask)
    hook.remove()
    assert rows == [(1, 8)]


@pytest.mark.parametrize("sparse", [0.0, 1.5])
def test_sparse_reaches_the_loss_and_not_the_decoder(sparse):
    model, (input_ids, attention_mask, mask) = policy("llama", {}), batch()
    with pytest.raises(ValueError, match=rf"sparse must be None or in \(0, 1\), got {sparse}"):
        causal_lm_token_loss(
            model, input_ids, attention_mask, lambda log_probs: -log_probs,
            mask=mask, total=None, sparse=sparse,
        )  # fmt: skip
