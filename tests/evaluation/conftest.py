import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from modelyard.evaluation.weights import Weights

CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}:{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and the three that a chat needs."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<pad>", "<s>", "</s>"]
    plain = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(special + letters)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    made.chat_template = CHAT_TEMPLATE
    return made


def build_model(tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, context: int = 512) -> LlamaForCausalLM:
    """Two small layers with random weights, in float32."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.2,  # large enough that its answers differ from prompt to prompt
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def weights(tokenizer: PreTrainedTokenizerFast) -> Weights:
    return Weights(build_model(tokenizer), tokenizer)


WriteRows = Callable[[str, Sequence[tuple[str, str]]], str]


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Write (question, answer) pairs as chat rows; returns the URI."""

    def write(name: str, pairs: Sequence[tuple[str, str]]) -> str:
        path = tmp_path / name
        turns = ([{"role": "user", "content": asked}, {"role": "assistant", "content": answer}] for asked, answer in pairs)
        path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in turns))
        return path.as_uri()

    return write
