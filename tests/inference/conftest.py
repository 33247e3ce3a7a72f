"""A llama of a few thousand weights with a byte tokenizer, and adapters that change what it says."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.tiny_models import build_llama, build_tokenizer
from transformers import AutoModelForCausalLM

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore

TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
END = "<|end|>"


def save_model(folder: Path) -> None:
    tokenizer = build_tokenizer(TEMPLATE, eos_token=END, pad_token=END)
    sizes = {"num_attention_heads": 2, "head_dim": 32, "max_position_embeddings": 512}
    build_llama(tokenizer, initializer_range=0.3, **sizes).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_adapter(base: Path, folder: Path, seed: int) -> None:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore((tmp_path_factory.mktemp("artifacts")).as_uri())


@pytest.fixture(scope="session")
def base_digest(store: ArtifactStore) -> str:
    with store.staging(1 << 20) as folder:
        save_model(folder)
        return store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))


@pytest.fixture(scope="session")
def adapter_digests(store: ArtifactStore, base_digest: str) -> list[str]:
    digests = []
    for seed in (1, 2):
        with store.staging(1 << 20) as folder:
            save_adapter(store.open(base_digest), folder, seed)
            (folder / "README.md").unlink(missing_ok=True)
            digests.append(store.add(folder, Manifest(kind="adapter", base_digest=base_digest, files=list_files(folder))))
    return digests
