"""The Model resource: the name that clients call and the chain it goes through."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.evaluation import MAX_GATES, MAX_SUITES, Gate, Score, Suite, Verdict, check_suites
from modelyard.domain.fine_tune import FineTune
from modelyard.domain.resource import MAX_URI, Condition, Progress, Resource
from modelyard.domain.rollout import Rollout, RolloutStatus


class Source(Spec):
    """Where base weights come from."""

    uri: str = Field(pattern=r"^(hf|s3|gs|file|package)://.+", max_length=MAX_URI)
    """`hf://ORG/NAME`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `file:///PATH`, or `package://NAME/FILE`:
    a file or folder that an installed Python package carries."""
    revision: str = "main"
    """Branch, tag or commit of a hub repository; other sources ignore it."""


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
    retrain: Literal["never", "on-change"] = "never"
    """What rows that changed after the training lead to: `never` leaves the version as it is and says so in a condition,
    until `modelyard refresh` or the annotation `modelyard.io/refresh` asks to train anew; `on-change` trains by itself."""
    suspend: bool = False
    """Hold the chain: no job starts and running ones are suspended; what is served stays."""

    @model_validator(mode="after")
    def _base_is_not_its_own_bar(self) -> Self:
        for gate in self.evaluation.gate if self.evaluation else []:
            if gate.better_than == "base" and self.fine_tune is None:
                raise ValueError(f"gate on {gate.metric!r} compares with the base, but there is no fineTune; use atLeast")
        return self

    @model_validator(mode="after")
    def _engine_loads_the_adapter(self) -> Self:
        if self.fine_tune is None or self.serving is None or self.serving.engine == "transformers" or self.fine_tune.merge:
            return self
        adapter = self.fine_tune.adapter
        if adapter.type == "lora" and (adapter.weight_decomposed or adapter.modules_to_save):
            raise ValueError(
                "vLLM loads no adapter with weightDecomposed or modulesToSave; set fineTune.merge to true,"
                " or serving.engine to transformers"
            )
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
    weights_digest: str = ""
    """Of whole weights that were trained or merged: a sha256; they are served as a base of their own. Empty for an adapter."""
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

    @property
    def served_base(self) -> str:
        """Digest of the weights that an engine holds for it: its own whole ones, else those that its adapter belongs to."""
        return self.status.weights_digest or self.spec.base_digest


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
    refreshed: str = ""
    """The value of the annotation `modelyard.io/refresh` that was taken up last."""


class Model(Resource):
    """The name that clients call and the chain it goes through: source, fine-tuning, evaluation, serving."""

    kind: Literal["Model"] = "Model"
    spec: ModelSpec
    status: ModelStatus = ModelStatus()
