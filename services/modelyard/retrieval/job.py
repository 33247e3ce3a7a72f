"""Build the index of a knowledge base: read, cut, embed, store, publish."""

import time
from collections.abc import Sequence

from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import IngestJob, IngestResult
from modelyard.domain.knowledge_base import Chunking
from modelyard.domain.passage import Passage
from modelyard.domain.resource import Progress
from modelyard.retrieval.chunking import Chunk, chunk_document
from modelyard.retrieval.embedding import EmbeddingModel
from modelyard.retrieval.parsing import read_documents
from modelyard.retrieval.settings import MilvusSettings
from modelyard.retrieval.store import VectorStore

ROWS_AN_INSERT = 500


def ingest(spec: IngestJob, run: RunFolder) -> IngestResult:
    """Carry out one ingest. Run again after a crash it starts anew, or finds its work published and ends.

    Raises NotFoundError, InvalidInputError for sources and settings, IntegrityError for the model,
    UnavailableError for Milvus.
    """
    _check_name(spec)
    run.report(Progress(stage="loading"), force=True)
    model = EmbeddingModel(ArtifactStore(spec.store).open(spec.embedding_digest))
    _check_length(spec.chunking, model)
    vectors = VectorStore(spec.milvus_uri, MilvusSettings().token.get_secret_value())
    published = vectors.published(spec.alias)
    documents, chunks = _cut(spec, model, run)
    if published != (spec.collection, len(chunks)):
        build(spec, chunks, model, vectors, run)
    return IngestResult(collection=spec.collection, documents=documents, chunks=len(chunks))


def build(spec: IngestJob, chunks: Sequence[Chunk], model: EmbeddingModel, vectors: VectorStore, run: RunFolder) -> None:
    """Embed chunks into a new collection, then make it what readers see."""
    embedded = model.embed([_embedded_text(chunk) for chunk in chunks], _Meter(run, chunks).advance)
    run.report(Progress(stage="indexing", step=0, total_steps=len(chunks)), force=True)
    vectors.create(spec.collection, model.dimension, len(chunks))
    for start in range(0, len(chunks), ROWS_AN_INSERT):
        rows = slice(start, start + ROWS_AN_INSERT)
        vectors.insert(spec.collection, [_passage(chunk) for chunk in chunks[rows]], embedded[rows].tolist())
        done = min(rows.stop, len(chunks))
        run.report(Progress(stage="indexing", step=done, total_steps=len(chunks), percent=100 * done / len(chunks)))
    vectors.publish(spec.collection, spec.alias)
    run.report(Progress(stage="published", step=len(chunks), total_steps=len(chunks), percent=100.0), force=True)


def _cut(spec: IngestJob, model: EmbeddingModel, run: RunFolder) -> tuple[int, list[Chunk]]:
    """(number of documents, their chunks)."""
    documents, chunks = 0, list[Chunk]()
    for document in read_documents(spec.sources):
        documents += 1
        chunks += chunk_document(document, model.token_starts, spec.chunking.max_tokens, spec.chunking.overlap_tokens)
        run.report(Progress(stage="parsing", step=documents))
    if not chunks:
        uris = ", ".join(source.uri for source in spec.sources)
        raise InvalidInputError(f"the {documents} documents in {uris} hold no text", "correct sources[].uri or sources[].include")
    return documents, chunks


def _embedded_text(chunk: Chunk) -> str:
    """What is embedded: the passage below the titles that it stands under, which often name its subject."""
    titles = [chunk.document.title, chunk.heading]
    return "\n".join([*(title for title in titles if title), chunk.text])


def _passage(chunk: Chunk) -> Passage:
    return Passage(
        text=chunk.text,
        title=chunk.document.title,
        file=chunk.document.file,
        chunk_id=chunk.chunk_id,
        heading=chunk.heading,
        start_char=chunk.start,
        end_char=chunk.end,
    )


def _check_name(spec: IngestJob) -> None:
    if not spec.collection.startswith(f"{spec.alias}_"):
        raise InvalidInputError(f"collection {spec.collection} does not belong to alias {spec.alias}", f"name it {spec.alias}_SUFFIX")


def _check_length(chunking: Chunking, model: EmbeddingModel) -> None:
    if chunking.max_tokens > model.max_tokens:
        raise InvalidInputError(
            f"chunking.maxTokens {chunking.max_tokens} is more than the {model.max_tokens} tokens that the embedding model reads",
            f"set it to at most {model.max_tokens}",
        )


class _Meter:
    """Reports how far embedding is; the time left follows from the characters left."""

    def __init__(self, run: RunFolder, chunks: Sequence[Chunk]) -> None:
        self._run, self._total = run, len(chunks)
        self._characters_left = sum(len(_embedded_text(chunk)) for chunk in chunks)
        self._characters_done = self._done = 0
        self._started = time.monotonic()

    def advance(self, texts: int, characters: int) -> None:
        """After each batch."""
        self._done += texts
        self._characters_done += characters
        self._characters_left -= characters
        elapsed = time.monotonic() - self._started
        self._run.report(
            Progress(
                stage="embedding",
                step=self._done,
                total_steps=self._total,
                percent=100 * self._done / self._total,
                eta_seconds=elapsed * self._characters_left / self._characters_done,
            )
        )
