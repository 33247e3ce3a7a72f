from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pytest

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.passage import Passage
from modelyard.domain.serving import KnowledgeBaseRoute
from modelyard.retrieval.embedding import EmbeddingModel
from modelyard.retrieval.service import RetrievalService
from modelyard.retrieval.store import VectorStore

ROUTE = KnowledgeBaseRoute(name="docs", alias="kb_docs", embedding_digest="digest", top_k=2)


class FakeModel:
    def embed(self, texts: Sequence[str], advance: Callable[[int, int], None] = lambda texts, characters: None) -> Any:
        return np.array([[float(len(text)), 0.0] for text in texts], dtype=np.float32)


class FakeVectors:
    def __init__(self) -> None:
        self.searches: list[tuple[str, list[float], int]] = []

    def search(self, alias: str, vector: Sequence[float], top_k: int) -> list[Passage]:
        self.searches.append((alias, list(vector), top_k))
        return [Passage(text="t", title="T", file="a.md", chunk_id="1")]


class Fakes:
    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.vectors = FakeVectors()
        self.service = RetrievalService(self.load, cast(VectorStore, self.vectors))

    def load(self, digest: str) -> EmbeddingModel:
        if digest != "digest":
            raise NotFoundError(f"artifact {digest} is not there", "fetch it")
        self.loaded.append(digest)
        return cast(EmbeddingModel, FakeModel())


def test_a_query_is_embedded_by_the_route_s_model_and_searched_in_its_alias() -> None:
    fakes = Fakes()
    assert [hit.chunk_id for hit in fakes.service.search(ROUTE, "four")] == ["1"]
    fakes.service.search(ROUTE, "four", 7)
    assert fakes.vectors.searches == [("kb_docs", [4.0, 0.0], 2), ("kb_docs", [4.0, 0.0], 7)]


def test_a_model_is_loaded_on_first_use_and_kept() -> None:
    fakes = Fakes()
    assert fakes.loaded == []
    assert fakes.service.embed("digest", ["a", "bb"]) == [[1.0, 0.0], [2.0, 0.0]]
    fakes.service.search(ROUTE, "x")
    assert fakes.loaded == ["digest"]


@pytest.mark.parametrize(
    ("query", "top_k", "words"),
    [
        pytest.param(" ", None, "the query to docs is empty", id="nothing to search for"),
        pytest.param("x", 0, "0 passages", id="no passages"),
        pytest.param("x", 51, "ask for 1 to 50", id="too many passages"),
    ],
)
def test_searches_that_make_no_sense_are_refused(query: str, top_k: int | None, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        Fakes().service.search(ROUTE, query, top_k)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        Fakes().service.embed("other", ["a"])
