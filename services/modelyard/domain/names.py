"""Every name that is derived from another, made here and nowhere else.

Each is valid for Kubernetes (lower-case letters, digits, `-`; at most 63 characters) and carries ten hex
digits of a sha256 over all it depends on, so that equal inputs share a name and different ones do not.
"""

from modelyard.domain.base import digest_of
from modelyard.domain.fine_tune import FineTune
from modelyard.domain.job import EvaluateJob, FetchJob, IngestJob, TrainJob
from modelyard.domain.model import Serving

HASH_LENGTH = 10
MAX_LENGTH = 63
PLACES = ("store", "milvusUri")
"""Fields of a job that say where things are kept, not what is asked."""


def _hashed(prefix: str, document: object) -> str:
    tail = digest_of(document)[:HASH_LENGTH]
    return f"{prefix[: MAX_LENGTH - HASH_LENGTH - 1].rstrip('-')}-{tail}"


def version_name(model: str, base_digest: str, fine_tune: FineTune | None, dataset_digest: str) -> str:
    """The ModelVersion of a model for one (base, fine-tune spec, dataset)."""
    tuned = fine_tune.wire() if fine_tune else None
    return _hashed(model, [model, base_digest, tuned, dataset_digest])


def job_name(job: FetchJob | TrainJob | EvaluateJob | IngestJob) -> str:
    """The run of a job; two resources that ask for the same work share it, wherever its results are kept."""
    asked = {field: value for field, value in job.wire().items() if field not in PLACES}
    if isinstance(job, TrainJob):
        # A suite that is added later must not train a version anew that is there already.
        del asked["suites"]
    return _hashed(job.kind, asked)


def engine_name(base_digest: str, serving: Serving) -> str:
    """The Serve application that holds one base model; models that share base and settings share it.

    How versions take over is no setting of an engine: a change of the rollout restarts nothing.
    """
    return _hashed("engine", [base_digest, {key: value for key, value in serving.wire().items() if key != "rollout"}])


def collection_alias(namespace: str, knowledge_base: str) -> str:
    """The Milvus alias that readers of a knowledge base use. Milvus allows letters, digits and `_`."""
    return f"kb_{namespace}__{knowledge_base}".replace("-", "_") + "_" + digest_of([namespace, knowledge_base])[:HASH_LENGTH]


def collection_name(alias: str, content: object) -> str:
    """The Milvus collection behind an alias for one state of documents and settings."""
    return f"{alias}_{digest_of(content)[:HASH_LENGTH]}"


def base_served_name(model: str) -> str:
    """What clients call to reach the untuned base of a model. No resource name holds a `:`, so none collides."""
    return f"{model}:base"


def version_served_name(model: str, version: str) -> str:
    """What clients call to reach one version of a model, whichever is active."""
    return f"{model}:{version.rpartition('-')[2]}"
