"""A real `trl.GRPOTrainer` on the CPU: tiny random Llama, tokenizer in memory, inputs by hand."""

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("trl")

from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

# Of tests that make a trainer. TRL 1.16 uses names that transformers 5.23 deprecates.
MARKS = [
    pytest.mark.no_shape_hook,
    pytest.mark.usefixtures("on_the_cpu"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PAD, END, VOCAB, HIDDEN = 0, 1, 20, 16
# Two micro-batches of four rows, 8 tokens and 21: what is averaged in the wrong place is seen.
LENGTHS = [2, 1, 3, 2, 6, 5, 6, 4]
PROMPT_LENGTHS = [3, 1, 2, 3, 2, 3, 1, 2]
ADVANTAGES = [1.0, -0.6, 1.7, -1.2, 0.8, -1.0, 0.0, 1.3]
MAX_LENGTH = 9  # of a completion, by the config; wider than this batch

OFFLINE_CPU = {
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "disable_tqdm": True,
    "max_completion_length": MAX_LENGTH,
}


def save_model(directory: str) -> None:
    """Write the random weights that every trainer here loads, and its reference model too."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        initializer_range=0.4,  # far from uniform distributions, so that entropies differ
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    LlamaForCausalLM(config).save_pretrained(directory)


def load_model(directory: str, dtype: torch.dtype) -> LlamaForCausalLM:
    """The saved weights; in float64, all of it: Llama's own norm computes in float32."""
    model = LlamaForCausalLM.from_pretrained(directory, dtype=dtype)
    if dtype == torch.float64:
        for module in list(model.modules()):
            for name, child in module.named_children():
                if type(child).__name__ == "LlamaRMSNorm":
                    norm = nn.RMSNorm(HIDDEN, eps=child.variance_epsilon, dtype=dtype)
                    norm.weight = child.weight
                    setattr(module, name, norm)
    return model


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One id a word, left-padded as TRL wants it."""
    words = ["<pad>", "<end>", *(f"w{i}" for i in range(2, VOCAB))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )


class PlainLogProbs:
    """Mix-in: TRL's fused head computes in float32 whatever comes; this one is plain PyTorch."""

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, **_
    ):
        logits = model(input_ids, attention_mask=attention_mask).logits
        log_p = (logits[:, -logits_to_keep - 1 : -1] / self.temperature).log_softmax(-1)
        log_probs = log_p.gather(-1, input_ids[:, -logits_to_keep:, None])[..., 0]
        entropy = -(log_p.exp() * log_p).sum(-1)
        padding = attention_mask[:, -logits_to_keep:] == 0
        return log_probs.masked_fill(padding, 0), entropy.masked_fill(padding, 0), None


def distinct_words(completions: list[str], **_) -> list[float]:
    """A reward that varies from completion to completion."""
    return [float(len(set(completion.split()))) for completion in completions]


def make_trainer(
    directory: str,
    dtype: torch.dtype = torch.float32,
    *,
    trainer: type[GRPOTrainer] = GRPOTrainer,
    config: type[GRPOConfig] = GRPOConfig,
    rewards=distinct_words,
    **options,
) -> GRPOTrainer:
    """A trainer as a user makes it, in train mode; in float64 its log-probs are plain PyTorch."""
    if dtype == torch.float64:
        trainer = type("Float64", (PlainLogProbs, trainer), {})
    defaults = {"per_device_train_batch_size": len(LENGTHS), "num_generations": 4, **OFFLINE_CPU}
    made = trainer(
        model=load_model(directory, dtype),
        reward_funcs=rewards,
        args=config(output_dir=directory, **{**defaults, **options}),
        train_dataset=Dataset.from_dict({"prompt": ["w2 w3", "w4 w5 w6", "w7", "w8 w9"] * 4}),
        processing_class=make_tokenizer(),
    )
    made.model.train()
    # `train()` sets it at each optimiser step.
    made.current_gradient_accumulation_steps = made.args.gradient_accumulation_steps
    return made


def make_inputs(model: LlamaForCausalLM) -> dict[str, Tensor]:
    """What `_compute_loss` takes: prompts padded left, completions right, policies of the past."""
    generator = torch.Generator().manual_seed(1)

    def padded(lengths: list[int], side: str) -> tuple[Tensor, Tensor]:
        place = torch.arange(max(lengths))
        place = place.flip(0) if side == "left" else place
        mask = place < torch.tensor(lengths)[:, None]
        ids = torch.randint(END + 1, VOCAB, mask.shape, generator=generator)
        return torch.where(mask, ids, PAD), mask.long()

    prompt_ids, prompt_mask = padded(PROMPT_LENGTHS, "left")
    completion_ids, completion_mask = padded(LENGTHS, "right")
    dtype, width = next(model.parameters()).dtype, max(LENGTHS)
    with torch.no_grad():
        logits = model(
            torch.cat([prompt_ids, completion_ids], 1),
            attention_mask=torch.cat([prompt_mask, completion_mask], 1),
        ).logits[:, -width - 1 : -1]
    log_probs = logits.log_softmax(-1).gather(-1, completion_ids[..., None])[..., 0]

    def near(scale: float, shift: float = 0.0) -> Tensor:
        noise = torch.randn(log_probs.shape, generator=generator, dtype=torch.float64)
        moved = log_probs + shift + scale * noise.to(dtype)
        return torch.where(completion_mask.bool(), moved, 0.0)

    return {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": completion_ids,
        "completion_mask": completion_mask,
        "old_per_token_logps": near(0.4),
        "ref_per_token_logps": near(0.6),
        "sampling_per_token_logps": near(0.3, shift=0.3),
        "advantages": torch.tensor(ADVANTAGES, dtype=dtype),
        "num_items_in_batch": completion_mask.sum(),
    }


def rows(inputs: dict[str, Tensor], part: slice) -> dict[str, Tensor]:
    """A micro-batch, as TRL cuts it: what the whole step counts is passed on whole."""
    return {name: x[part] if x.ndim else x for name, x in inputs.items()}
