"""The plan of a KnowledgeBase: fetch the embedding model → ingest → answer searches. Pure."""

from collections.abc import Mapping

from modelyard.domain.base import digest_of
from modelyard.domain.job import IngestJob, IngestResult
from modelyard.domain.knowledge_base import KnowledgeBase, KnowledgeBaseStatus
from modelyard.domain.names import collection_alias, collection_name, job_name
from modelyard.domain.observed import Observed, Plan, RemoveIndex, RemoveResource, SetStatus
from modelyard.domain.refresh import REFRESH_ANNOTATION, Marks, Occasion, follow_after_failure, is_under_way
from modelyard.domain.serving import GATEWAY_APP, RETRIEVAL_APP, EmbeddingRoute, KnowledgeBaseRoute
from modelyard.domain.stage import Draft


def plan_knowledge_base(base: KnowledgeBase, seen: Observed) -> Plan:
    """What must change so that the documents are searchable as they are now, or with `refresh` as they were at its last tick."""
    name = base.metadata.name
    alias = collection_alias(base.metadata.namespace, name)
    if base.metadata.deletion_timestamp:
        return Plan(steps=(RemoveIndex(alias), RemoveResource()))
    draft = Draft(seen, base.metadata.generation, base.status.conditions)
    fetched = draft.fetch(base.spec.embedding.source, "embedding", "Fetched")
    embedding_digest = fetched.digest if fetched else ""
    digests, marks = _take_documents(base, draft, alias, embedding_digest)
    may_ingest = embedding_digest and digests and not draft.waiting
    result = _ingest(_build_job(base, draft, alias, embedding_digest, digests or {}), draft) if may_ingest else None
    routes: tuple[KnowledgeBaseRoute, ...] = ()
    embeddings: tuple[EmbeddingRoute, ...] = ()
    # The alias goes on pointing at the last whole collection while a new one is built.
    if embedding_digest and (result or base.status.collection):
        routes = (KnowledgeBaseRoute(name=name, alias=alias, embedding_digest=embedding_digest, top_k=base.spec.ranking.top_k),)
        embeddings = (EmbeddingRoute(name=base.spec.embedding.name, digest=embedding_digest),)
    if result:
        _serve(draft, name, result)
    former = base.status
    builds, content = _number_build(base, embedding_digest, digests or {}) if may_ingest else (former.builds, former.content)
    status = KnowledgeBaseStatus(
        observed_generation=base.metadata.generation,
        phase=draft.phase,
        conditions=draft.conditions,
        progress=draft.progress,
        job=draft.job or former.job,
        collection=result.collection if result else former.collection,
        documents=result.documents if result else former.documents,
        chunks=result.chunks if result else former.chunks,
        builds=builds,
        content=content,
        source_digests=(digests or {}) if base.spec.refresh else {},
        last_schedule_time=marks.last_schedule_time,
        next_schedule_time=marks.next_schedule_time,
        refreshed=marks.refreshed,
    )
    if status != former:
        draft.steps.append(SetStatus(status))
    return Plan(steps=tuple(draft.steps), jobs=frozenset(draft.jobs), knowledge_bases=routes, embeddings=embeddings)


def _take_documents(base: KnowledgeBase, draft: Draft, alias: str, embedding_digest: str) -> tuple[dict[str, str] | None, Marks]:
    """The digests of the documents (URI → sha256) that are to be searchable, and what to remember of the last time.

    With `refresh` those of its last tick, until a person asks, another tick comes or the spec changes; never while a job
    runs. None, stated as the reason to wait, where they cannot be read.
    """
    former, inputs = base.status, {source.uri: source.uri for source in base.spec.sources}
    marks = Marks(former.last_schedule_time, former.next_schedule_time, former.refreshed)
    occasion = Occasion(base.spec.refresh, base.metadata.annotations.get(REFRESH_ANNOTATION, ""), marks, draft.seen.now)
    is_current = base.spec.refresh is not None and former.observed_generation == base.metadata.generation
    pinned = former.source_digests if is_current else {}
    if not embedding_digest:
        return pinned, occasion.waiting()
    if pinned:
        seen = draft.seen.jobs.get(job_name(_build_job(base, draft, alias, embedding_digest, pinned)))
        if not occasion.is_due or is_under_way(seen):
            return follow_after_failure(draft, inputs, pinned, seen), occasion.waiting()
    digests = draft.digests("Ingested", inputs)
    return (pinned or None, occasion.waiting()) if digests is None else (digests, occasion.taken())


def _number_build(base: KnowledgeBase, embedding_digest: str, digests: Mapping[str, str]) -> tuple[int, str]:
    """The number of the build that documents (URI → sha256) are searchable by, and the digest of its content."""
    content = digest_of([[digests[source.uri] for source in base.spec.sources], base.spec.chunking.wire(), embedding_digest])
    return base.status.builds + (content != base.status.content), content


def _build_job(base: KnowledgeBase, draft: Draft, alias: str, embedding_digest: str, digests: Mapping[str, str]) -> IngestJob:
    # A job of the same name would be taken for done, but its collection went when another one was published.
    build = [base.metadata.uid, *_number_build(base, embedding_digest, digests)]
    return IngestJob(
        store=draft.seen.platform.store,
        sources=base.spec.sources,
        chunking=base.spec.chunking,
        embedding_digest=embedding_digest,
        milvus_uri=draft.seen.platform.milvus_uri,
        collection=collection_name(alias, build),
        alias=alias,
    )


def _ingest(job: IngestJob, draft: Draft) -> IngestResult | None:
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
