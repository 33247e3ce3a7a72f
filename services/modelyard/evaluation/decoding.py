"""Greedy decoding of rows in step: what they have in common is computed once, and rows that are done are let go.

Why not `model.generate`: it keeps every row until the slowest is done, cannot compute a shared beginning once,
and keeps to one attention kernel. Knows token numbers only.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


@dataclass(frozen=True)
class Prefix:
    """Tokens that every prompt begins with, and their keys and values."""

    length: int = 0
    cache: Any = None
    """A DynamicCache of one row; None when nothing is shared."""


@torch.inference_mode()
def share_prefix(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Prefix:
    """Compute the longest common beginning of prompts once; each keeps at least one token of its own."""
    cache = DynamicCache(config=model.config)
    if len(prompts) < 2 or not _can_share(cache):
        return Prefix()
    length = min(len(os.path.commonprefix([list(prompt) for prompt in prompts])), min(map(len, prompts)) - 1)
    if length < 1:
        return Prefix()
    ids = torch.tensor([list(prompts[0][:length])], device=model.device)
    model.set_attn_implementation("sdpa")
    model(input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=cache, logits_to_keep=1)
    return Prefix(length, cache)


class Decoder:
    """The rows of one batch, one token further with each step."""

    def __init__(self, model: PreTrainedModel, prefix: Prefix, prompts: Sequence[Sequence[int]]) -> None:
        """Read the prompts, padded on the left so that all of them end in the same column."""
        self._model = model
        self._cache = _spread(model, prefix, len(prompts))
        own = [list(prompt[prefix.length :]) for prompt in prompts]
        width = max(map(len, own))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in own], device=model.device)
        padded = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in own], device=model.device)
        self._mask = torch.cat([padded.new_ones(len(own), prefix.length), padded], dim=1)
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)[:, prefix.length :]
        # The fused kernel is the better one for many queries a row, and needs memory in line with length, not its square.
        model.set_attn_implementation("sdpa")
        self._logits = self._forward(ids, positions)
        self._next_position = positions[:, -1:] + 1
        if model.device.type == "cpu":
            # With one query a row its CPU version takes twice as long as plain matrix products (torch 2.13, 40 rows, bf16).
            model.set_attn_implementation("eager")

    def first(self) -> list[int]:
        """The first token of every row's answer."""
        self._last = self._logits.argmax(-1)
        return [int(token) for token in self._last]

    def step(self) -> list[int]:
        """The next token of every row that is still kept."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        self._logits = self._forward(self._last[:, None], self._next_position)
        self._next_position = self._next_position + 1
        return self.first()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only (numbers among those kept so far), in this order."""
        chosen = torch.tensor(list(rows), device=self._model.device)
        self._cache.batch_select_indices(chosen)
        self._mask, self._last, self._next_position = self._mask[chosen], self._last[chosen], self._next_position[chosen]

    @torch.inference_mode()
    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """ids, positions: [rows, tokens]. Returns the logits of the last column: [rows, vocabulary]."""
        output = self._model(
            input_ids=ids, attention_mask=self._mask, position_ids=positions, past_key_values=self._cache, logits_to_keep=1
        )
        logits: Tensor = output.logits[:, -1]
        return logits


def kv_bytes_per_token(model: PreTrainedModel) -> int:
    """What one token of one row takes in the cache."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


def _can_share(cache: Any) -> bool:
    """Whether padding between prefix and prompt is invisible: not under a sliding window or in a recurrent state."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _spread(model: PreTrainedModel, prefix: Prefix, rows: int) -> Any:
    if prefix.cache is None:
        return DynamicCache(config=model.config)
    cache = copy.deepcopy(prefix.cache)
    cache.batch_repeat_interleave(rows)
    return cache
