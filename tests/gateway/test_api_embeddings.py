"""Embeddings, as an OpenAI client sees them."""

import base64
import struct
from typing import Any

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize("given", [pytest.param("abc", id="one string"), pytest.param(["abc", "x"], id="a list")])
def test_embeds_texts(client: TestClient, given: Any) -> None:
    response = client.post("/v1/embeddings", json={"model": "minilm", "input": given}).json()
    vectors = [entry["embedding"] for entry in response["data"]]
    assert vectors[0] == [3.0, 0.5] and len(vectors) == (1 if given == "abc" else 2)
    assert [entry["index"] for entry in response["data"]] == list(range(len(vectors)))


def test_embeds_as_little_endian_floats_in_base64(client: TestClient) -> None:
    body = {"model": "minilm", "input": "abc", "encoding_format": "base64"}
    encoded = client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"input": [1, 2]}, "token ids belong to another model's tokenizer", id="token ids"),
        pytest.param({"input": [[1, 2]]}, "token ids belong to another model's tokenizer", id="several texts as token ids"),
        pytest.param({"input": []}, "send at least 1 text", id="nothing"),
        pytest.param({"encoding_format": "hex"}, "'float' or 'base64'", id="an unknown encoding"),
        pytest.param({"dimensions": 3}, "dimensions is 3 and minilm has 2", id="another size"),
    ],
)
def test_refuses_embeddings_with_the_remedy(client: TestClient, fields: dict[str, Any], message: str) -> None:
    response = client.post("/v1/embeddings", json={"model": "minilm", "input": "x", **fields})
    assert response.status_code == 400 and message in response.json()["error"]["message"]
