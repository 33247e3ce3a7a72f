"""The shape of a decoder-only transformer, as far as memory depends on it. Pure; how it is read is known elsewhere."""

import re

from pydantic import Field

from modelyard.domain.base import Spec
from modelyard.domain.fine_tune import Adapter

SIZE_IN_NAME = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
"""`7B`, `1.5b`, `135M`, `8x7B`; not the `4bit` or `Q4` of a quantization."""
SCALES = {"m": 10**6, "b": 10**9}


class Architecture(Spec):
    """What a model is made of."""

    parameters: int = Field(ge=1)
    """All weights; those that two layers share count once."""
    layers: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    """Heads of keys and values; fewer than `heads` under grouped-query attention."""
    head_dim: int = Field(ge=1)
    feed_forward_size: int = Field(ge=1)
    """Width of the feed-forward layer that a token goes through; of a mixture, of all its experts together."""
    gated: bool
    """Whether the feed-forward layer has three matrices (SwiGLU) or two."""
    vocabulary: int = Field(ge=1)

    @property
    def query_size(self) -> int:
        """Width of all queries together."""
        return self.heads * self.head_dim

    @property
    def key_value_size(self) -> int:
        """Width of all keys together, and of all values."""
        return self.kv_heads * self.head_dim

    def adapter_parameters(self, adapter: Adapter) -> int:
        """The weights of a LoRA adapter: rank × (inputs + outputs) of each matrix that gets one (Hu et al. 2021, section 4.1).

        Of target modules with names of their own, those that most families share are known; others count as nothing.
        """
        hidden, queries, keys, wide = self.hidden_size, self.query_size, self.key_value_size, self.feed_forward_size
        ends = {
            "q_proj": hidden + queries,
            "k_proj": hidden + keys,
            "v_proj": hidden + keys,
            "o_proj": queries + hidden,
            "up_proj": hidden + wide,
            "down_proj": wide + hidden,
        }
        if self.gated:
            ends["gate_proj"] = hidden + wide
        if adapter.target_modules == "all-linear":
            wanted = sum(ends.values())
        else:
            wanted = sum(ends.get(name.rpartition(".")[2], 0) for name in adapter.target_modules)
        return adapter.rank * wanted * self.layers


def parameters_by_name(uri: str) -> int | None:
    """How many parameters a model's name says that it has; None where it says nothing.

    The experts of a mixture share some layers, so `8x7B` says more than there are.
    """
    match = SIZE_IN_NAME.search(uri.rstrip("/").rpartition("/")[2])
    if match is None:
        return None
    experts, size, scale = match.groups()
    return round(int(experts or 1) * float(size) * SCALES[scale.lower()])
