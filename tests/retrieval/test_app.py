import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.job import IngestJob
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.passage import Passage
from modelyard.domain.serving import RETRIEVAL_DEPLOYMENT, KnowledgeBaseRoute, RetrievalArgs
from modelyard.retrieval.app import RetrievalReplica, build_app
from modelyard.retrieval.job import ingest
from modelyard.retrieval.store import VectorStore


@pytest.mark.slow
def test_what_was_ingested_is_found(milvus: Any, minilm: tuple[str, str], tmp_path: Path) -> None:
    store, digest = minilm
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Bread\n\nBread is made of flour.")
    sources = [DocumentSource(uri=str(tmp_path / "docs"))]
    spec = IngestJob(
        store=store,
        sources=sources,
        chunking=Chunking(),
        embedding_digest=digest,
        milvus_uri=milvus.uri,
        collection="kb_app_1",
        alias="kb_app",
    )
    ingest(spec, RunFolder((tmp_path / "run").as_uri()))
    replica = RetrievalReplica(RetrievalArgs(store=store, milvus_uri=milvus.uri).wire())
    route = KnowledgeBaseRoute(name="docs", alias="kb_app", embedding_digest=digest).model_dump()
    (hit,) = asyncio.run(replica.search(route, "What is bread made of?"))
    assert Passage.model_validate(hit).text == "Bread is made of flour."
    assert hit["score"] > 0.5
    (vector,) = asyncio.run(replica.embed(digest, ["bread"]))
    assert len(vector) == 384
    VectorStore(milvus.uri).remove("kb_app")


def test_the_application_is_the_contract_s_deployment() -> None:
    application = build_app(RetrievalArgs(store="file:///s", milvus_uri="http://127.0.0.1:1").wire())
    assert application._bound_deployment.name == RETRIEVAL_DEPLOYMENT
    assert application._bound_deployment.ray_actor_options["num_cpus"] == 0


def test_arguments_that_are_none_are_refused_before_a_replica_starts() -> None:
    with pytest.raises(ValidationError):
        build_app({"store": "file:///s"})
