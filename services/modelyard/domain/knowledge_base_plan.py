"""The plan of a KnowledgeBase: fetch the embedding model → ingest → answer searches. Pure."""

from modelyard.domain.job import IngestJob, IngestResult
from modelyard.domain.knowledge_base import KnowledgeBase, KnowledgeBaseStatus
from modelyard.domain.names import collection_alias, collection_name
from modelyard.domain.observed import Observed, Plan, RemoveIndex, RemoveResource, SetStatus
from modelyard.domain.serving import GATEWAY_APP, RETRIEVAL_APP, EmbeddingRoute, KnowledgeBaseRoute
from modelyard.domain.stage import Draft


def plan_knowledge_base(base: KnowledgeBase, seen: Observed) -> Plan:
    """What must change so that the documents are searchable as they are now."""
    name = base.metadata.name
    alias = collection_alias(base.metadata.namespace, name)
    if base.metadata.deletion_timestamp:
        return Plan(steps=(RemoveIndex(alias), RemoveResource()))
    draft = Draft(seen, base.metadata.generation, base.status.conditions)
    fetched = draft.fetch(base.spec.embedding.source, "embedding", "Fetched")
    embedding_digest = fetched.digest if fetched else ""
    result = _ingest(base, draft, alias, embedding_digest) if embedding_digest else None
    routes: tuple[KnowledgeBaseRoute, ...] = ()
    embeddings: tuple[EmbeddingRoute, ...] = ()
    # The alias goes on pointing at the last whole collection while a new one is built.
    if embedding_digest and (result or base.status.collection):
        routes = (KnowledgeBaseRoute(name=name, alias=alias, embedding_digest=embedding_digest, top_k=base.spec.ranking.top_k),)
        embeddings = (EmbeddingRoute(name=base.spec.embedding.name, digest=embedding_digest),)
    if result:
        _serve(draft, name, result)
    former = base.status
    status = KnowledgeBaseStatus(
        observed_generation=base.metadata.generation,
        phase=draft.phase,
        conditions=draft.conditions,
        progress=draft.progress,
        job=draft.job or former.job,
        collection=result.collection if result else former.collection,
        documents=result.documents if result else former.documents,
        chunks=result.chunks if result else former.chunks,
    )
    if status != former:
        draft.steps.append(SetStatus(status))
    return Plan(steps=tuple(draft.steps), jobs=frozenset(draft.jobs), knowledge_bases=routes, embeddings=embeddings)


def _ingest(base: KnowledgeBase, draft: Draft, alias: str, embedding_digest: str) -> IngestResult | None:
    digests = []
    for source in base.spec.sources:
        digest = draft.digest("Ingested", source.uri)
        if digest is None:
            return None
        digests.append(digest)
    job = IngestJob(
        store=draft.seen.platform.store,
        sources=base.spec.sources,
        chunking=base.spec.chunking,
        embedding_digest=embedding_digest,
        milvus_uri=draft.seen.platform.milvus_uri,
        collection=collection_name(alias, [digests, base.spec.chunking.wire(), embedding_digest]),
        alias=alias,
    )
    document = draft.run(job, "Ingested", "Ingesting")
    if document is None:
        return None
    result = IngestResult.model_validate_json(document)
    draft.state("Ingested", "True", "Ingested", f"{result.documents} documents, {result.chunks} chunks")
    return result


def _serve(draft: Draft, name: str, result: IngestResult) -> None:
    for app_name in (GATEWAY_APP, RETRIEVAL_APP):
        app = draft.seen.apps.get(app_name)
        if app is not None and app.phase == "failed":
            draft.fail("Serving", "ApplicationFailed", f"Serve application {app_name} failed: {app.message}")
            return
        if app is None or app.phase != "running" or name not in draft.seen.answering:
            draft.wait_for_app(app_name)
            return
    draft.phase = "Ready"
    draft.state("Serving", "True", "Answering", f"answers searches as {name}")
    draft.state("Ready", "True", "Answering", f"{result.documents} documents are searchable")
