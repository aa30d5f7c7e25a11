"""The policy: a Llama of 163 thousand parameters, its shipped weights, and how it is sampled.

The weights are stored in float16 (329 kB) and used in float32. `_supervise.py` rebuilds them.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from grpo_core.losses import token_statistics
from grpo_core.recipes.demo._task import ALPHABET, BOS, EOS, PAD, Problem, encode

CHECKPOINT = Path(__file__).with_name("policy.safetensors")
MAX_LENGTH = 30  # tokens of a completion; the clean ones take 21 to 24


class Rollout(NamedTuple):
    """Completions as they were sampled, with the log-probabilities they were sampled at."""

    prompts: Int[Tensor, "batch prompt"]
    tokens: Int[Tensor, "batch seq"]
    log_probs: Float[Tensor, "batch seq"]
    entropy: Float[Tensor, "batch seq"]
    mask: Bool[Tensor, "batch seq"]


def new_policy() -> LlamaForCausalLM:
    """The architecture, with random weights."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(ALPHABET),
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=64,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
            tie_word_embeddings=False,
        )
    )


def save_policy(policy: LlamaForCausalLM, path: Path) -> None:
    """Write the weights in float16."""
    save_file({name: weight.half() for name, weight in policy.state_dict().items()}, path)


def load_policy(device: str = "cpu", path: Path = CHECKPOINT) -> LlamaForCausalLM:
    """The policy with the weights of a file, by default the broken habit that is shipped."""
    policy = new_policy()
    policy.load_state_dict(load_file(path))  # copies into the float32 parameters
    nn.Module.to(policy, device)  # transformers' own `to` has lost its types
    return policy.eval()


def encode_prompts(problems: list[Problem], device: str = "cpu") -> Int[Tensor, "batch prompt"]:
    """The prompts, which are all of one length, so that nothing is padded on the left."""
    rows = [[BOS, *encode(problem.prompt)] for problem in problems]
    return torch.tensor(rows, device=device)


@torch.no_grad()
def generate(policy: LlamaForCausalLM, prompts: Int[Tensor, "batch prompt"]) -> Rollout:
    """One completion of each prompt, sampled at temperature 1 from the whole distribution."""
    output = policy.generate(  # pyright: ignore[reportAttributeAccessIssue] - of its own mixin
        prompts,
        GenerationConfig(
            max_new_tokens=MAX_LENGTH,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            pad_token_id=PAD,
            eos_token_id=EOS,
            return_dict_in_generate=True,
            output_logits=True,
        ),
        attention_mask=torch.ones_like(prompts),
    )
    tokens = output.sequences[:, prompts.shape[1] :]
    log_probs, entropy = token_statistics(torch.stack(output.logits, 1), tokens)
    ended = (tokens == EOS).cumsum(1) - (tokens == EOS).int()  # the end token itself counts
    return Rollout(prompts, tokens, log_probs, entropy, ended == 0)


def completion_logits(
    policy: LlamaForCausalLM,
    prompts: Int[Tensor, "batch prompt"],
    tokens: Int[Tensor, "batch seq"],
) -> Float[Tensor, "batch seq vocab"]:
    """Logits that predict `tokens`, in one pass and with gradients.

    Padding comes after the end of a completion only, where a causal model cannot see it.
    """
    sequences = torch.cat([prompts, tokens], 1)
    return policy(sequences[:, :-1], use_cache=False).logits[:, prompts.shape[1] - 1 :]
