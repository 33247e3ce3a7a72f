"""Whether two models answer alike: their logits on fixed prompts, and the bar for the difference. Knows no adapter and no store."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

PROMPTS = (
    "The capital of France is Paris, and the capital of Japan is",
    "def add(a, b):\n    return",
    '{"name": "Ada", "year": 1815, "field": "',
    "Q: A train leaves at 9:40 and arrives at 11:05. How long does it take?\nA:",
    "Dear customer, thank you for your patience. We have found that your order",
    "Wer anderen eine Grube gräbt, fällt",
    "1, 1, 2, 3, 5, 8, 13,",
    "Once upon a time there was a library in which every book",
)
"""Prose, code, JSON, arithmetic, another language: enough that a weight which went astray shows somewhere."""

BARS = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""By the format that merged weights are stored in: rounding each weight to it is all the difference that there may be."""
QUANTIZED_BARS = {"nf4": 3e-2, "int8": 5e-2}
"""Of a base that was quantized, at least: its layers round what they compute (nf4) or are given (int8), and whole weights do not."""


@dataclass(frozen=True)
class Parity:
    """How alike two models answer."""

    difference: float
    """‖a - b‖ / ‖a‖ over the logits of all positions, each row less its mean, which no probability depends on."""
    agreement: float
    """The share of positions where both think the same token the likeliest."""
    bar: float
    """The most that `difference` may be."""

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bar. One that is no number is not."""
        return self.difference <= self.bar

    def wire(self) -> dict[str, Any]:
        """As manifests hold it."""
        return {"difference": self.difference, "agreement": self.agreement, "bar": self.bar, "prompts": len(PROMPTS)}


@torch.no_grad()
def answer(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[Tensor]:
    """The logits of every fixed prompt, float32, each [tokens, vocabulary]."""
    ids = [tokenizer(prompt, return_tensors="pt").input_ids for prompt in PROMPTS]
    return [model(input_ids=one.to(model.device)).logits[0].float().cpu() for one in ids]


def choose_bar(dtype: str, quantization: str) -> float:
    """The bar for merged weights in a format, whose base was quantized so while the adapter was trained."""
    return max(BARS[dtype], QUANTIZED_BARS.get(quantization, 0.0))


def compare(expected: list[Tensor], found: list[Tensor], bar: float) -> Parity:
    """How alike two answers to the fixed prompts are."""
    wanted, got = torch.cat(expected), torch.cat(found)
    agreement = (wanted.argmax(-1) == got.argmax(-1)).float().mean()
    wanted, got = (logits - logits.mean(-1, keepdim=True) for logits in (wanted, got))
    return Parity(float((wanted - got).norm() / wanted.norm()), float(agreement), bar)
