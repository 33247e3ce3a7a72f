from typing import Any

import pytest
from pydantic import ValidationError

from modelyard.domain.knowledge_base import Chunking, KnowledgeBase, KnowledgeBaseSpec


@pytest.mark.parametrize(("max_tokens", "overlap"), [(100, 0), (100, 50), (17, 8)])
def test_overlaps_up_to_half_a_chunk(max_tokens: int, overlap: int) -> None:
    assert Chunking(max_tokens=max_tokens, overlap_tokens=overlap).overlap_tokens == overlap


@pytest.mark.parametrize(("max_tokens", "overlap", "most"), [(100, 51, 50), (17, 9, 8)])
def test_larger_overlaps_are_refused(max_tokens: int, overlap: int, most: int) -> None:
    with pytest.raises(
        ValidationError, match=f"overlapTokens {overlap} is more than half of maxTokens {max_tokens}; set it to at most {most}"
    ):
        Chunking(max_tokens=max_tokens, overlap_tokens=overlap)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sources": []}, id="no documents"),
        pytest.param({"chunking": {"maxTokens": 8}}, id="chunks too small to say anything"),
        pytest.param({"chunking": {"overlapTokens": -1}}, id="a negative overlap"),
        pytest.param({"ranking": {"topK": 0}}, id="no passage"),
        pytest.param({"ranking": {"topK": 51}}, id="more passages than a prompt holds"),
        pytest.param({"embedding": {"source": {"uri": "all-minilm"}}}, id="an embedding model without scheme"),
        pytest.param({"reranker": {}}, id="an unknown section"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KnowledgeBaseSpec.model_validate({"sources": [{"uri": "docs"}], **changes})


def test_a_folder_is_enough() -> None:
    base = KnowledgeBase.model_validate({"metadata": {"name": "docs"}, "spec": {"sources": [{"uri": "docs"}]}})
    assert base.spec.sources[0].include == ["**/*.md", "**/*.txt", "**/*.rst"]
    assert base.spec.embedding.source.uri.startswith("package://")
    assert KnowledgeBase.model_validate(base.wire()) == base
