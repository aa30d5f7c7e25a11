"""Hidden states and head of a causal language model, taken without changing the model.

The model's decoder is called, not the model, so that no logits exist. What a model does between its
decoder and its logits (a bias, a scale, a soft cap) is looked up in its head and its configuration,
and compared once with logits of the model's own: a model that does something else raises.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from grpo_core._tensors import check_bool, check_ndim
from grpo_core.losses import (
    StepTotals,
    linear_token_log_probs,
    linear_token_loss,
    token_mean,
)
from grpo_core.losses._linear_loss import TokenLoss

Backend = Literal["auto", "torch", "triton"]
# Where configurations keep what is done to logits. A name does not say whether it multiplies or
# divides (logits_scaling does either, by model): both are compared with the model.
SCALES = ("logit_scale", "logits_scaling", "output_multiplier")
CAPS = ("final_logit_softcapping", "logits_soft_cap")
PROBE = 8  # positions of the first row that are compared with the model's own logits
_checked: WeakKeyDictionary[nn.Module, tuple[float, float | None]] = WeakKeyDictionary()


class _Head(NamedTuple):
    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    scale: float
    softcap: float | None


def causal_lm_token_loss(
    model: nn.Module,
    input_ids: Int[Tensor, "batch whole"],
    attention_mask: Int[Tensor, "batch whole"] | Bool[Tensor, "batch whole"],
    loss_fn: Callable[..., Any],
    *per_token: Tensor,
    mask: Bool[Tensor, "batch seq"],
    total: StepTotals | None,
    mean: Callable[..., Tensor] = token_mean,
    temperature: float = 1.0,
    memory: Literal["auto", "fast", "lean"] = "auto",
    whole_sequences: bool = False,
    sparse: float | None = None,
    backend: Backend = "auto",
    **inputs: Any,
) -> TokenLoss:
    """Loss of the completions that end `input_ids`, with gradients to every parameter of the model.

    `linear_token_loss` on the decoder's hidden states and the output embeddings: the logits
    `[batch, seq, vocab]` never exist, and nothing is computed twice. Each row is a prompt, then a
    completion in the last `seq` columns, padded on either side (on the left, a model with absolute
    positions needs `position_ids`); the hidden state before a token predicts it. The model is not
    changed, and its own forward runs once for each model, without gradients, on eight positions:
    its logits must be what hidden states, weight, bias, scale and soft cap give.

    A wrapper that gathers parameters as it is called (FullyShardedDataParallel, ZeRO 3) is not
    passed through: such a model raises, as a PEFT wrapper does (pass `get_base_model()`). With
    DistributedDataParallel pass `.module` inside `no_sync()` and reduce the gradients yourself.
    Router losses of mixtures of experts are not part of it.

    Args:
        model: A `...ForCausalLM` of transformers, or any module with its `base_model`,
            `get_output_embeddings` and `config`.
        input_ids: Prompts and completions.
        attention_mask: True or 1 where `input_ids` is not padding.
        loss_fn: As in `linear_token_loss`: log-probs and `per_token` of some rows, to the loss of
            each token, or to that and metrics.
        *per_token: Of each completion token, without gradients, cut along with the log-probs.
        mask: True where a completion token counts; its width says how long completions are.
        total: Of the whole optimiser step, from `step_totals`; None says that this call holds it.
        mean: The aggregation, as in `linear_token_loss`.
        temperature: What the sampler divided by, above 0.
        memory: As in `linear_token_loss`.
        whole_sequences: As in `linear_token_loss`.
        sparse: As in `linear_token_loss`.
        backend: As in `linear_token_loss`.
        **inputs: What else the decoder takes, such as `position_ids`.

    Returns:
        Loss, detached log-probs `[batch, seq]` and metrics, as `linear_token_loss` does.

    Raises:
        TypeError: If the output embeddings are no `nn.Linear`, or a dtype is not as annotated.
        ValueError: If a shape differs, parameters are sharded, or the model's logits are NaN or
            not what its configuration says.

    Example:
        >>> import torch
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from grpo_core.adapters.transformers import causal_lm_token_loss
        >>> from grpo_core.losses import clipped_loss, log_ratio
        >>> sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
        >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=11, num_attention_heads=2, **sizes))
        >>> input_ids, mask = torch.randint(11, (2, 7)), torch.ones(2, 4, dtype=torch.bool)
        >>> def grpo(log_probs, old_log_probs, advantages, mask):
        ...     return clipped_loss(log_ratio(log_probs, old_log_probs, mask), advantages)
        >>> old_log_probs, advantages = torch.full((2, 4), -2.4), torch.ones(2, 4)
        >>> result = causal_lm_token_loss(
        ...     model, input_ids, torch.ones_like(input_ids),
        ...     grpo, old_log_probs, advantages, mask, mask=mask, total=None,
        ... )
        >>> result.loss.backward()
        >>> model.lm_head.weight.grad.shape, result.log_probs.shape
        (torch.Size([11, 16]), torch.Size([2, 4]))
    """
    tokens, head = _completions(model, input_ids, attention_mask, mask, inputs)
    return linear_token_loss(
        loss_fn,
        head.hidden,
        head.weight,
        tokens,
        *per_token,
        mask=mask,
        total=total,
        mean=mean,
        bias=head.bias,
        temperature=temperature / head.scale,
        softcap=_scaled_cap(head),
        memory=memory,
        whole_sequences=whole_sequences,
        sparse=sparse,
        backend=backend,
    )


def causal_lm_token_log_probs(
    model: nn.Module,
    input_ids: Int[Tensor, "batch whole"],
    attention_mask: Int[Tensor, "batch whole"] | Bool[Tensor, "batch whole"],
    *,
    mask: Bool[Tensor, "batch seq"],
    temperature: float = 1.0,
    backend: Backend = "auto",
    **inputs: Any,
) -> Float[Tensor, "batch seq"]:
    """Log-probs of the completions that end `input_ids`, for old or reference log-probs.

    Differentiable; under `torch.no_grad()` nothing is kept. With the arguments, limits and errors
    of `causal_lm_token_loss`.

    Args:
        model: A causal language model.
        input_ids: Prompts and completions.
        attention_mask: True or 1 where `input_ids` is not padding.
        mask: True where a completion token counts; its width says how long completions are.
        temperature: What the sampler divided by, above 0.
        backend: As in `linear_token_log_probs`.
        **inputs: What else the decoder takes, such as `position_ids`.

    Returns:
        In nats, 0 off the mask.

    Raises:
        TypeError: If the output embeddings are no `nn.Linear`, or a dtype is not as annotated.
        ValueError: If a shape differs, parameters are sharded, or the model's logits are NaN or
            not what its configuration says.

    Example:
        >>> import torch
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from grpo_core.adapters.transformers import causal_lm_token_log_probs
        >>> from grpo_core.losses import token_log_probs
        >>> sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
        >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=11, num_attention_heads=2, **sizes))
        >>> input_ids, mask = torch.randint(11, (2, 7)), torch.ones(2, 4, dtype=torch.bool)
        >>> found = causal_lm_token_log_probs(model, input_ids, torch.ones(2, 7), mask=mask)
        >>> wanted = token_log_probs(model(input_ids).logits[:, 2:-1], input_ids[:, 3:])
        >>> torch.allclose(found, wanted, atol=1e-5)
        True
    """
    tokens, head = _completions(model, input_ids, attention_mask, mask, inputs)
    return linear_token_log_probs(
        head.hidden,
        head.weight,
        tokens,
        mask=mask,
        bias=head.bias,
        temperature=temperature / head.scale,
        softcap=_scaled_cap(head),
        backend=backend,
    )


def _completions(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    mask: Tensor,
    inputs: dict[str, Any],
) -> tuple[Tensor, _Head]:
    """The completions' tokens, and the hidden states that predict them."""
    check_ndim(2, input_ids=input_ids, attention_mask=attention_mask, mask=mask)
    check_bool(mask=mask)
    seq, whole = mask.shape[1], input_ids.shape[1]
    if len(input_ids) != len(mask) or not 0 < seq < whole:
        raise ValueError(
            "mask must be of the last columns of input_ids, at least one and not the first: got "
            f"mask {tuple(mask.shape)} and input_ids {tuple(input_ids.shape)}"
        )
    linear = _output_embeddings(model)
    scale, softcap = _checked.get(model) or _check(model, linear)
    decoder: nn.Module = model.base_model  # pyright: ignore[reportAssignmentType]
    output = decoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **inputs)
    hidden = output.last_hidden_state[:, -seq - 1 : -1]
    return input_ids[:, -seq:], _Head(hidden, linear.weight, linear.bias, scale, softcap)


def _output_embeddings(model: nn.Module) -> nn.Linear:
    if hasattr(model, "peft_config"):
        raise TypeError(
            f"{type(model).__name__} wraps the model: pass model.get_base_model(), which holds the "
            "adapters (but not those that learn a prompt)"
        )
    if getattr(model, "base_model", model) is model or not hasattr(model, "get_output_embeddings"):
        raise TypeError(f"need a causal language model of transformers, got {type(model).__name__}")
    linear = cast("nn.Module", model.get_output_embeddings())  # pyright: ignore[reportCallIssue]
    if type(linear) is not nn.Linear:  # a subclass may add to the product, as LoRA's does
        raise TypeError(f"output embeddings must be an nn.Linear, got {type(linear).__name__}")
    # A DTensor (FSDP 2, tensor parallel) has full_tensor; ZeRO 3 and FSDP 1 leave nothing here.
    sharded = hasattr(linear.weight, "full_tensor") or linear.weight.ndim != 2
    if sharded or not linear.weight.numel():
        raise ValueError(
            "the output embeddings are sharded: gather them and call linear_token_loss, got "
            f"{type(linear.weight).__name__} {tuple(linear.weight.shape)}"
        )
    return linear


@torch.no_grad()
def _check(model: nn.Module, linear: nn.Linear) -> tuple[float, float | None]:
    """Scale and soft cap that turn the head's product into the model's logits on a few tokens."""
    seen: list[Tensor] = []
    device = linear.weight.device
    # Not the batch's tokens: padding may embed to zeros, and zeros tell nothing.
    probe = 1 + torch.arange(PROBE, device=device)[None] % max(1, len(linear.weight) - 1)
    decoder: nn.Module = model.base_model  # pyright: ignore[reportAssignmentType]
    hook = decoder.register_forward_hook(lambda _, __, out: seen.append(out.last_hidden_state))
    unscrambled = torch.random.fork_rng([device] if device.type == "cuda" else [])
    try:  # one forward of the whole model: dropout, if any, is the same on both sides
        with torch.autocast(device.type, enabled=False), unscrambled:
            logits = model(input_ids=probe, use_cache=False).logits.double()
    finally:
        hook.remove()
    if not seen:
        raise ValueError(
            f"{type(model).__name__} does not call its base_model: pass its hidden states to "
            "linear_token_loss yourself"
        )
    if logits.isnan().any():
        raise ValueError(f"{type(model).__name__} gives NaN for logits of the ids 1 to {PROBE}")
    # As the model's own head computes it: of what precision matrix products are (TF32, say) is its
    # matter, and the same on both sides.
    with torch.autocast(device.type, enabled=False):
        hidden = seen[0].to(linear.weight.dtype)
        product = nn.functional.linear(hidden, linear.weight, linear.bias).double()
    config = getattr(model, "config", None)
    values = [float(value) for name in SCALES if (value := getattr(config, name, None))]
    # What is configured goes first: small logits tell a soft cap from none no better than rounding.
    scales = [*(s for value in values for s in (value, 1 / value)), 1.0]
    caps = [*(float(cap) for name in CAPS if (cap := getattr(config, name, None))), None]
    tolerance = 0.02 if linear.weight.element_size() < 4 else 1e-3
    for scale in scales:
        for cap in caps:
            error = (_capped(product * scale, cap) - logits).norm()
            if error <= tolerance * logits.norm():
                if logits.norm() > 0:  # or all would fit
                    _checked[model] = scale, cap
                return scale, cap
    raise ValueError(
        f"{type(model).__name__} does more to its logits than a bias, a scale of {scales} or a "
        f"soft cap of {caps}: pass its hidden states to linear_token_loss yourself"
    )


def _capped(logits: Tensor, cap: float | None) -> Tensor:
    return logits if cap is None else cap * (logits / cap).tanh()


def _scaled_cap(head: _Head) -> float | None:
    """Caps of `linear_token_loss` are of the product before its scale."""
    return None if head.softcap is None else head.softcap / head.scale
