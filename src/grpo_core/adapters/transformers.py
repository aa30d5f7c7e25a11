"""Loss and log-probs of a Hugging Face causal language model, whose logits are never stored."""

from grpo_core.adapters._transformers import causal_lm_token_log_probs, causal_lm_token_loss

__all__ = ["causal_lm_token_log_probs", "causal_lm_token_loss"]
