"""Embeddings in OpenAI's wire shape."""

import base64
import struct
from typing import Any

from modelyard.gateway.problems import ApiError
from modelyard.gateway.requests import EmbeddingsBody


def build_embeddings(body: EmbeddingsBody, vectors: list[list[float]]) -> dict[str, Any]:
    """The response for one vector per text. Raises ApiError where `dimensions` asks for another size."""
    size = len(vectors[0])
    if body.dimensions not in (None, size):
        raise ApiError(400, f"dimensions is {body.dimensions} and {body.model} has {size}; leave dimensions out", param="dimensions")
    encode = encode_base64 if body.encoding_format == "base64" else list
    data = [{"object": "embedding", "index": index, "embedding": encode(vector)} for index, vector in enumerate(vectors)]
    # The embedding service does not say how many tokens it read.
    return {"object": "list", "model": body.model, "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


def encode_base64(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI's SDK decodes."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
