from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.retrieval.embedding import EmbeddingModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(minilm: tuple[str, str]) -> EmbeddingModel:
    return EmbeddingModel(ArtifactStore(minilm[0]).open(minilm[1]))


def test_vectors_have_length_one_and_keep_the_order(model: EmbeddingModel) -> None:
    texts = ["a", "bread and butter " * 20, "bread", "the assert statement", *("x" * place for place in range(1, 40))]
    vectors = model.embed(texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), model.dimension), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    alone = np.concatenate([model.embed([text]) for text in texts[:4]])
    assert np.allclose(vectors[:4], alone, atol=1e-5)


def test_near_in_meaning_is_near(model: EmbeddingModel) -> None:
    question, near, far = model.embed(["How do I bake a loaf?", "Bread is made in an oven.", "Integer division truncates."])
    assert question @ near > question @ far + 0.2


def test_nothing_gives_nothing(model: EmbeddingModel) -> None:
    assert model.embed([]).shape == (0, 384)


def test_progress_counts_all_texts_and_characters(model: EmbeddingModel) -> None:
    seen: list[tuple[int, int]] = []
    model.embed(["abc"] * 40, lambda texts, characters: seen.append((texts, characters)))
    assert [sum(column) for column in zip(*seen, strict=True)] == [40, 120]
    assert len(seen) > 1


def test_token_starts_are_offsets_of_the_text(model: EmbeddingModel) -> None:
    text = "Hello  unbelievably\n\nlong words: __debug__ ü"
    starts = model.token_starts(text)
    assert starts == sorted(starts)
    assert {0, 7} <= set(starts)
    assert len(model.token_starts("word " * 1000)) == 1000, "a long document is neither cut nor warned about"


def test_a_text_of_the_longest_length_is_read_to_its_end(model: EmbeddingModel) -> None:
    words = ["word"] * (model.max_tokens - 1)
    one, other = model.embed([" ".join([*words, "bread"]), " ".join([*words, "division"])])
    beyond, same = model.embed([" ".join([*words, "word", "bread"]), " ".join([*words, "word", "division"])])
    assert not np.allclose(one, other, atol=1e-3)
    assert np.allclose(beyond, same, atol=1e-5)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="is not an embedding model.*embedding.source"):
        EmbeddingModel(tmp_path)


def test_threads_may_share_a_model(model: EmbeddingModel) -> None:
    def embed(text: str) -> Any:
        model.token_starts(text)
        return model.embed([text])[0]

    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(embed, ["bread", "butter"] * 8))
    assert all(np.allclose(vector, vectors[place % 2], atol=1e-5) for place, vector in enumerate(vectors))
