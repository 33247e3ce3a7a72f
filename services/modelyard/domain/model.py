"""The Model resource: the name that clients call and the chain it goes through."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.evaluation import MAX_GATES, MAX_SUITES, Gate, Score, Suite, Verdict, check_suites
from modelyard.domain.resource import MAX_URI, Condition, Progress, Resource
from modelyard.domain.rollout import Rollout, RolloutStatus


class Source(Spec):
    """Where base weights come from."""

    uri: str = Field(pattern=r"^(hf|s3|gs|file|package)://.+", max_length=MAX_URI)
    """`hf://ORG/NAME`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `file:///PATH`, or `package://NAME/FILE`:
    a file or folder that an installed Python package carries."""
    revision: str = "main"
    """Branch, tag or commit of a hub repository; other sources ignore it."""


class Dataset(Spec):
    """Supervised rows, one JSON object a line."""

    uri: str = Field(min_length=1, max_length=MAX_URI)
    """Any fsspec URI, or a path relative to the manifest."""
    format: Literal["auto", "chat", "alpaca", "prompt-completion"] = "auto"
    """How a row is written: `chat` has `messages`, `alpaca` has `instruction`, `input` and `output`, `prompt-completion`
    has `prompt` and `completion`; `auto` looks at the first row."""
    validation_split: float = Field(default=0.1, ge=0.0, le=0.5)
    """The share of rows held out to measure validation loss."""


class Adapter(Spec):
    """What is trained beside the frozen base weights: LoRA matrices (Hu et al. 2021)."""

    type: Literal["lora"] = "lora"
    """The kind of adapter."""
    rank: int = Field(default=16, ge=1, le=512)
    """Inner dimension of the LoRA matrices: a higher one learns more and costs more memory."""
    alpha: float = Field(default=32.0, gt=0)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The share of the adapter's inputs that is zeroed while training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """The layers that get an adapter: `all-linear`, or a list of module names such as `q_proj`."""


class DeepSpeed(Spec):
    """How optimizer state, gradients and parameters are spread over the workers."""

    zero_stage: Literal[0, 1, 2, 3] = 2
    """What is sharded: 0 nothing, 1 optimizer state, 2 gradients too, 3 parameters too."""


class Hyperparameters(Spec):
    """The knobs of the training loop."""

    epochs: float = Field(default=3.0, gt=0)
    """Passes over the training rows; fractions are fine."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after this many optimizer steps, however many epochs are asked for."""
    learning_rate: float = Field(default=2.0e-4, gt=0)
    """The highest learning rate, reached after the warm-up."""
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    """The share of all steps over which the learning rate rises from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """AdamW's decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients with a larger norm are scaled down to it."""
    batch_size: int = Field(default=8, ge=1)
    """Rows per optimizer step, over all workers."""
    micro_batch_size: int = Field(default=4, ge=1)
    """Rows per worker and forward pass."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens; longer rows are cut at the end, and counted."""
    seed: int = 0
    """Of the shuffling, the initial adapter and dropout; the same seed repeats a run."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """The number format that training computes in."""
    checkpoint_every: int = Field(default=10, ge=1)
    """Optimizer steps between checkpoints."""
    evaluate_every: int = Field(default=10, ge=1)
    """Optimizer steps between two measurements of the validation loss."""


class Workers(Spec):
    """The Ray Train workers of one run."""

    count: int = Field(default=1, ge=1, le=1024)
    """How many processes train together, each on its share of every batch."""
    resources: dict[str, NonNegativeFloat] = {"CPU": 1}
    """What each worker reserves, in Ray's words: `CPU`, `GPU`, or a custom resource."""
    profile: str | None = None
    """The kind of machine that the workers run on: one of the cluster's named profiles; without it, the cluster's default.
    A laptop has none and ignores it."""


class FineTune(Spec):
    """How the base weights are changed."""

    method: Literal["sft"] = "sft"
    """`sft`: supervised fine-tuning on the answers of the dataset."""
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

    suites: list[Suite] = Field(min_length=1, max_length=MAX_SUITES)
    """What the base and every version are asked; each name at most once."""
    gate: list[Gate] = Field(default=[], max_length=MAX_GATES)
    """The bars that a version must clear, all of them, before it is served."""

    @model_validator(mode="after")
    def _gate_fits(self) -> Self:
        check_suites(self.suites, self.gate)
        return self


class Replicas(Spec):
    """How many copies of an engine run."""

    min: int = Field(default=1, ge=0)
    """Kept even when nobody asks; 0 lets the engine go when it is idle."""
    max: int = Field(default=1, ge=1)
    """The most that load may start."""

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
    rollout: Rollout | None = None
    """How a new version takes over; without it, all requests go to a version as soon as it passed its gate."""


class Retention(Spec):
    """Which old versions are kept."""

    keep_versions: Annotated[int, Field(ge=1)] = 5
    """The newest ones that are kept; the active version always is."""


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
    def _base_is_not_its_own_bar(self) -> Self:
        for gate in self.evaluation.gate if self.evaluation else []:
            if gate.better_than == "base" and self.fine_tune is None:
                raise ValueError(f"gate on {gate.metric!r} compares with the base, but there is no fineTune; use atLeast")
        return self


class ModelVersionSpec(Spec):
    """What distinguishes one version from another; immutable."""

    model: str = Field(max_length=63)
    """The Model that it belongs to."""
    source: Source
    base_digest: str = Field(max_length=64)
    """Of the base weights: a sha256."""
    fine_tune: FineTune | None = None
    dataset_digest: str = Field(default="", max_length=64)
    """Of the rows that it was trained on: a sha256; empty without fine-tuning."""
    revision: int
    """1 for the first version of a model, then counting."""


class ModelVersionStatus(Spec):
    """What became of a version."""

    phase: Literal["Pending", "Training", "Evaluating", "Passed", "Rejected", "Failed"] = "Pending"
    """Where it is, for people."""
    adapter_digest: str = ""
    """Of the trained adapter: a sha256; empty until it is trained."""
    adapter_uri: str = ""
    """Where the trained adapter lies."""
    scores: list[Score] = []
    """What this version scored."""
    base_scores: list[Score] = []
    """What its untuned base scored on the same rows."""
    verdict: Verdict | None = None
    """What the gate said."""
    message: str = ""
    """One sentence for people: why it is in its phase."""


class ModelVersion(Resource):
    """One immutable outcome of a Model's chain. Made by the operator, as a ReplicaSet is by a Deployment."""

    kind: Literal["ModelVersion"] = "ModelVersion"
    spec: ModelVersionSpec
    status: ModelVersionStatus = ModelVersionStatus()


class ModelStatus(Spec):
    """Where a model is in its chain."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: Literal[
        "Pending", "Fetching", "Training", "Evaluating", "Deploying", "RollingOut", "Ready", "Rejected", "Failed", "Deleting"
    ] = "Pending"
    """Where it is, for people; programs read the conditions."""
    conditions: list[Condition] = []
    """One fact for each stage, and Ready over all."""
    progress: Progress | None = None
    """Of the job that runs now."""
    job: str = ""
    """The job that runs, or ran last."""
    version: str = ""
    """The version that the spec asks for."""
    active_version: str = ""
    """The version that the model's name answers with; while a rollout goes on, the one before it."""
    rollout: RolloutStatus | None = None
    """The rollout that goes on, else the last one; none before a second version passed."""
    rolled_back_versions: list[str] = []
    """Versions that were taken back by a rule or by hand: they get no requests until `modelyard rollout retry`."""
    served_names: list[str] = []
    """What clients may write as `model`."""


class Model(Resource):
    """The name that clients call and the chain it goes through: source, fine-tuning, evaluation, serving."""

    kind: Literal["Model"] = "Model"
    spec: ModelSpec
    status: ModelStatus = ModelStatus()
