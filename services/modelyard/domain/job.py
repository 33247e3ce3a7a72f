"""What a job is asked and what it answers: the contract between the operator and the services.

The operator writes a `JobSpec` into a run folder and starts the service on it; the service writes
`Progress`, then a result or a `JobFailure`, into the same folder (`modelyard.artifacts.runs`).
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from modelyard.domain.architecture import Architecture
from modelyard.domain.base import Spec
from modelyard.domain.evaluation import Score, Suite
from modelyard.domain.fine_tune import FineTune
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.model import Source


class FetchJob(Spec):
    """Bring weights into the artifact store. `python -m modelyard.artifacts`."""

    kind: Literal["fetch"] = "fetch"
    store: str
    """Root URI of the artifact store."""
    source: Source
    role: Literal["causal-lm", "embedding"]
    """What the weights must be; anything else is refused."""


class TrainJob(Spec):
    """Fine-tune base weights into an adapter. `python -m modelyard.training`."""

    kind: Literal["train"] = "train"
    store: str
    version: str
    """Name of the ModelVersion."""
    base_digest: str
    fine_tune: FineTune
    dataset_digest: str
    """sha256 of the dataset's bytes; the run refuses others."""
    suites: dict[str, str] = {}
    """Suite → URI of the rows that will be asked, and that are not learned (`dataset.decontaminate`)."""


class EvaluateJob(Spec):
    """Score weights on suites. `python -m modelyard.evaluation`."""

    kind: Literal["evaluate"] = "evaluate"
    store: str
    base_digest: str
    adapter_digest: str = ""
    """Empty: the base itself is asked."""
    tuned: bool = False
    """Whether `base_digest` names weights that were trained whole, or merged with their adapter."""
    suites: list[Suite]
    """`fewShot` is honoured only where an untuned base is asked."""
    suite_digests: dict[str, str]
    """Suite name → sha256 of its rows; the run refuses others."""


class IngestJob(Spec):
    """Make documents searchable. `python -m modelyard.retrieval`."""

    kind: Literal["ingest"] = "ingest"
    store: str
    sources: list[DocumentSource]
    chunking: Chunking
    embedding_digest: str
    milvus_uri: str
    collection: str
    """The new collection to build."""
    alias: str
    """What readers use; moved to the new collection when that is whole."""


JobSpec = Annotated[FetchJob | TrainJob | EvaluateJob | IngestJob, Field(discriminator="kind")]
JOB_SPEC: TypeAdapter[FetchJob | TrainJob | EvaluateJob | IngestJob] = TypeAdapter(JobSpec)


class FetchResult(Spec):
    """The stored weights."""

    digest: str
    weights_bytes: int
    architecture: Architecture | None = None
    """None where the weights do not tell it, and of results that were written before it was asked for."""


class TrainResult(Spec):
    """What was trained and stored."""

    digest: str
    kind: Literal["adapter", "causal-lm"] = "adapter"
    """`causal-lm`: whole weights, which are a base of their own."""
    steps: int
    loss: float
    """Mean over the last ten steps."""
    validation_loss: float | None = None
    tokens: int
    """Learned from, over all steps and workers."""


class Attempt(Spec):
    """The scores of one suite with one number of worked examples."""

    suite: str
    shots: int
    scores: list[Score]


class EvaluateResult(Spec):
    """The scores that count, and all that were tried."""

    scores: list[Score]
    attempts: list[Attempt]
    seconds: float


class IngestResult(Spec):
    """The new collection."""

    collection: str
    documents: int
    chunks: int


class JobFailure(Spec):
    """Why a job ended without a result."""

    message: str
    retryable: bool
    preempted: bool = False
    """Stopped from outside, not failed: it is started again and goes on, and no attempt is used up."""
