"""Language models small enough to be made on the spot: a tokenizer of bytes, and a llama of a few thousand weights."""

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def build_tokenizer(chat_template: str, *, first: Sequence[str] = (), **special: Any) -> PreTrainedTokenizerFast:
    """One token a byte. first: tokens before those; special: `eos_token` and the like, after them where they are none of these."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate([*first, *letters])}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=plain, chat_template=chat_template, **special)


def build_llama(tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Two small layers with random weights, in float32. changes: of the LlamaConfig."""
    usual = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**{**usual, **changes}))
