import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.tiny_models import build_llama, build_tokenizer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from modelyard.evaluation.weights import Weights

CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}:{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and the three that a chat needs."""
    return build_tokenizer(CHAT_TEMPLATE, first=["<pad>", "<s>", "</s>"], pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Its answers differ from prompt to prompt."""
    return build_llama(tokenizer, max_position_embeddings=512, initializer_range=0.2, tie_word_embeddings=False).eval()


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
