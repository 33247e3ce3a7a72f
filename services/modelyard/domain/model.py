"""The Model resource: the name that clients call and the chain it goes through."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.evaluation import Gate, Score, Suite, Verdict
from modelyard.domain.resource import Condition, Progress, Resource


class Source(Spec):
    """Where base weights come from."""

    uri: str = Field(pattern=r"^(hf|s3|gs|file|package)://.+")
    """`hf://ORG/NAME`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `file:///PATH`, or `package://NAME/FILE`:
    a file or folder that an installed Python package carries."""
    revision: str = "main"
    """Branch, tag or commit of a hub repository; other sources ignore it."""


class Dataset(Spec):
    """Supervised rows, one JSON object a line."""

    uri: str
    """Any fsspec URI, or a path relative to the manifest."""
    format: Literal["auto", "chat", "alpaca", "prompt-completion"] = "auto"
    validation_split: float = Field(default=0.1, ge=0.0, le=0.5)
    """The share of rows held out to measure validation loss."""


class Adapter(Spec):
    """LoRA: Hu et al. 2021."""

    type: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: Literal["all-linear"] | list[str] = "all-linear"


class DeepSpeed(Spec):
    """How optimizer state, gradients and parameters are spread over the workers."""

    zero_stage: Literal[0, 1, 2, 3] = 2


class Hyperparameters(Spec):
    """The knobs of the training loop."""

    epochs: float = Field(default=3.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after this many optimizer steps, however many epochs are asked for."""
    learning_rate: float = Field(default=2.0e-4, gt=0)
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0.0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=8, ge=1)
    """Rows per optimizer step, over all workers."""
    micro_batch_size: int = Field(default=4, ge=1)
    """Rows per worker and forward pass."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens; longer rows are cut at the end, and counted."""
    seed: int = 0
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    checkpoint_every: int = Field(default=10, ge=1)
    """Optimizer steps between checkpoints."""
    evaluate_every: int = Field(default=10, ge=1)
    """Optimizer steps between two measurements of the validation loss."""


class Workers(Spec):
    """The Ray Train workers of one run."""

    count: int = Field(default=1, ge=1, le=1024)
    resources: dict[str, float] = {"CPU": 1}
    """What each worker reserves, in Ray's words: `CPU`, `GPU`, or a custom resource."""
    profile: str | None = None
    """The kind of machine that the workers run on: one of the cluster's named profiles; without it, the cluster's default.
    A laptop has none and ignores it."""


class FineTune(Spec):
    """How the base weights are changed."""

    method: Literal["sft"] = "sft"
    dataset: Dataset
    adapter: Adapter = Adapter()
    deepspeed: DeepSpeed = DeepSpeed()
    hyperparameters: Hyperparameters = Hyperparameters()
    workers: Workers = Workers()
    max_failures: int = Field(default=3, ge=0)
    """How often a crashed run is resumed from its last checkpoint."""

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        per_pass = self.hyperparameters.micro_batch_size * self.workers.count
        if self.hyperparameters.batch_size % per_pass:
            raise ValueError(
                f"batchSize {self.hyperparameters.batch_size} is not a multiple of microBatchSize × workers.count = {per_pass};"
                f" set batchSize to {max(1, self.hyperparameters.batch_size // per_pass) * per_pass}"
            )
        return self


class ModelEvaluation(Spec):
    """What the result must score before it is served."""

    suites: list[Suite] = Field(min_length=1)
    gate: list[Gate] = []


class Replicas(Spec):
    """How many copies of an engine run."""

    min: int = Field(default=1, ge=0)
    max: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; lower min or raise max")
        return self


class Serving(Spec):
    """How the model is served."""

    engine: Literal["auto", "vllm", "transformers"] = "auto"
    """`auto` takes vLLM where it can be imported, else transformers."""
    replicas: Replicas = Replicas()
    max_model_length: int = Field(default=2048, ge=64)
    """Tokens of prompt and answer together."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """Memory for the key-value cache of one replica on CPU."""
    profile: str | None = None
    """The kind of machine that the engine runs on: one of the cluster's named profiles; without it, the cluster's default.
    A laptop has none and ignores it."""


class Retention(Spec):
    """Which old versions are kept."""

    keep_versions: Annotated[int, Field(ge=1)] = 5


class ModelSpec(Spec):
    """The chain that a model goes through. Every stage but `source` is optional."""

    source: Source
    fine_tune: FineTune | None = None
    evaluation: ModelEvaluation | None = None
    serving: Serving | None = None
    retention: Retention = Retention()
    suspend: bool = False
    """Hold the chain: no job starts and running ones are suspended; what is served stays."""

    @model_validator(mode="after")
    def _gate_names_a_suite(self) -> Self:
        if self.evaluation is None:
            return self
        suites = {suite.name for suite in self.evaluation.suites}
        for gate in self.evaluation.gate:
            suite = gate.metric.partition(".")[0]
            if suite not in suites:
                raise ValueError(f"gate metric {gate.metric!r} names no suite; write SUITE.METRIC with one of {sorted(suites)}")
            if gate.better_than == "base" and self.fine_tune is None:
                raise ValueError(f"gate on {gate.metric!r} compares with the base, but there is no fineTune; use atLeast")
        return self


class ModelVersionSpec(Spec):
    """What distinguishes one version from another; immutable."""

    model: str
    source: Source
    base_digest: str
    """Of the base weights."""
    fine_tune: FineTune | None = None
    dataset_digest: str = ""
    revision: int
    """1 for the first version of a model, then counting."""


class ModelVersionStatus(Spec):
    """What became of a version."""

    phase: Literal["Pending", "Training", "Evaluating", "Passed", "Rejected", "Failed"] = "Pending"
    adapter_digest: str = ""
    adapter_uri: str = ""
    scores: list[Score] = []
    base_scores: list[Score] = []
    verdict: Verdict | None = None
    message: str = ""


class ModelVersion(Resource):
    """One immutable outcome of a Model's chain. Made by the operator, as a ReplicaSet is by a Deployment."""

    kind: Literal["ModelVersion"] = "ModelVersion"
    spec: ModelVersionSpec
    status: ModelVersionStatus = ModelVersionStatus()


class ModelStatus(Spec):
    """Where a model is in its chain."""

    observed_generation: int = 0
    phase: Literal["Pending", "Fetching", "Training", "Evaluating", "Deploying", "Ready", "Rejected", "Failed", "Deleting"] = "Pending"
    conditions: list[Condition] = []
    progress: Progress | None = None
    job: str = ""
    """The job that runs, or ran last."""
    version: str = ""
    """The version that the spec asks for."""
    active_version: str = ""
    """The version that the model's name answers with."""
    served_names: list[str] = []
    """What clients may write as `model`."""


class Model(Resource):
    """The name that clients call and the chain it goes through: source, fine-tuning, evaluation, serving."""

    kind: Literal["Model"] = "Model"
    spec: ModelSpec
    status: ModelStatus = ModelStatus()
