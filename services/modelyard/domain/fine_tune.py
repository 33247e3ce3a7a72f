"""How base weights are changed: the data, what is trained, how it is spread over workers. Knows no Ray and no DeepSpeed."""

import re
from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.resource import MAX_URI


class Dataset(Spec):
    """Rows to learn from: conversations of which the answers are learned, or texts."""

    uri: str = Field(min_length=1, max_length=MAX_URI)
    """A file, a folder or a pattern with `*`; any fsspec URI, or a path relative to the manifest. JSON Lines, a JSON array,
    CSV, TSV or Parquet."""
    format: Literal["auto", "chat", "sharegpt", "alpaca", "prompt-completion", "text"] = "auto"
    """How a row is written: `chat` has `messages`, `sharegpt` has `conversations`, `alpaca` has `instruction`, `input` and
    `output`, `prompt-completion` has `prompt` and `completion`, `text` has `text`; `auto` looks at the first row."""
    validation_split: float = Field(default=0.1, ge=0.0, le=0.5)
    """The share of rows held out to measure validation loss."""
    overlong: Literal["cut", "drop", "split"] = "cut"
    """What becomes of rows of more than maxLength tokens: `cut` at their end, `drop`, or `split`, which lets a text go on in
    the next example and cuts conversations. Each is counted."""
    deduplicate: bool = True
    """Whether rows that are equal to one before them are left out; they are counted in either case. Set it to false where
    rows are repeated to give them more weight."""
    decontaminate: Literal["none", "exact", "ngram"] = "exact"
    """Which rows are left out because a suite of the Model's evaluation asks them: `exact` those with its whole question,
    `ngram` also those with 13 words in a row that only one question of the suite has. They are counted by suite."""


class Adapter(Spec):
    """What is trained: LoRA matrices beside the frozen base weights (Hu et al. 2021), or the base weights themselves."""

    type: Literal["lora", "none"] = "lora"
    """`lora`: an adapter; `none`: all base weights are trained (full fine-tuning) and become weights of their own, and the other
    fields of adapter say nothing."""
    rank: int = Field(default=16, ge=1, le=512)
    """Inner dimension of the LoRA matrices: a higher one learns more and costs more memory."""
    alpha: float = Field(default=32.0, gt=0)
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The share of the adapter's inputs that is zeroed while training."""
    rank_stabilized: bool = False
    """Scale by alpha / √rank instead (rsLoRA, Kalajdzievski 2023), so that a high rank learns as fast as a low one."""
    weight_decomposed: bool = False
    """Learn the length of each row of a weight apart from its direction (DoRA, Liu et al. 2024): learns more at a low rank,
    takes longer a step."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """The layers that get an adapter: `all-linear`, or a list of module names such as `q_proj`."""
    target_pattern: str = Field(default="", max_length=512)
    """A regular expression (RE2): of targetModules, only those whose whole name it matches get an adapter, such as
    `model[.]layers[.][0-9][.]self_attn[.].*`; empty: all of them."""
    modules_to_save: list[str] = Field(default=[], max_length=32)
    """Modules that are trained whole beside the adapter and stored with it, such as `lm_head`."""

    @field_validator("target_pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}; mend it, or list names in targetModules") from None
        return pattern


class Quantization(Spec):
    """How the frozen base weights are held while an adapter is trained beside them (QLoRA, Dettmers et al. 2023)."""

    type: Literal["none", "nf4", "int8"] = "none"
    """`nf4`: 4 bits a weight; `int8`: 8 bits; `none`: as hyperparameters.dtype says."""
    double_quantization: bool = True
    """Under `nf4`: hold the scales in 8 bits too."""


class DeepSpeed(Spec):
    """How optimizer state, gradients and parameters are spread over the workers, and over kinds of memory."""

    zero_stage: Literal[0, 1, 2, 3] = 2
    """What is sharded: 0 nothing, 1 optimizer state, 2 gradients too, 3 parameters too."""
    offload: Literal["none", "optimizer", "parameters"] = "none"
    """What lies outside the accelerator: the optimizer's state (from ZeRO 1 on), or parameters too (ZeRO 3 alone)."""
    nvme_path: str = Field(default="", max_length=1024)
    """A folder on a fast local disk of every worker's machine that takes what is offloaded (ZeRO 3 alone); empty: main memory does."""

    @model_validator(mode="after")
    def _offload_is_sharded(self) -> Self:
        if self.offload == "optimizer" and self.zero_stage == 0:
            raise ValueError("offload optimizer wants sharded optimizer state; set zeroStage to 2, or offload to none")
        if self.offload == "parameters" and self.zero_stage != 3:
            raise ValueError(f"offload parameters wants ZeRO 3, and zeroStage is {self.zero_stage}; set zeroStage to 3")
        if self.nvme_path and (self.offload == "none" or self.zero_stage != 3):
            raise ValueError(f"nvmePath wants ZeRO 3 and something to offload, and zeroStage is {self.zero_stage}; leave nvmePath out")
        return self


class EarlyStopping(Spec):
    """When a run has learned what it can."""

    patience: int = Field(default=3, ge=1)
    """Measurements of the validation loss without an improvement, one after the other."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """What counts as an improvement: a validation loss lower than the lowest before it by more than this."""


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
    packing: bool = False
    """Whether the rows of a pass stand one behind the other in one sequence, each blind to the others, rather than
    padded to one length: the same losses from fewer tokens. Sequences hold up to microBatchSize × maxLength tokens."""
    seed: int = 0
    """Of the shuffling, the initial adapter and dropout; the same seed repeats a run."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """The number format that training computes in."""
    checkpoint_every: int = Field(default=10, ge=1)
    """Optimizer steps between checkpoints."""
    evaluate_every: int = Field(default=10, ge=1)
    """Optimizer steps between two measurements of the validation loss."""
    keep: Literal["last", "best"] = "last"
    """Which weights become the version: those of the last step, or those with the lowest validation loss."""
    early_stopping: EarlyStopping | None = None
    """Ends the run before its last step when the validation loss falls no further."""


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
    quantization: Quantization = Quantization()
    deepspeed: DeepSpeed = DeepSpeed()
    gradient_checkpointing: bool = False
    """Keep only the inputs of every layer and compute the rest again in the backward pass: less memory, about a third more time."""
    kernels: Literal["plain", "liger"] = "plain"
    """`liger`: fused Triton kernels, where workers have a GPU and the package liger-kernel is installed; `plain`: PyTorch's."""
    hyperparameters: Hyperparameters = Hyperparameters()
    workers: Workers = Workers()
    merge: bool = False
    """Merge the trained adapter into its base: the version is whole weights then, served by an engine of its own."""
    max_failures: int = Field(default=3, ge=0)
    """How often a crashed run is resumed from its last checkpoint."""

    @model_validator(mode="after")
    def _measures_what_it_needs(self) -> Self:
        knobs = self.hyperparameters
        needs = "keep: best" if knobs.keep == "best" else "earlyStopping" if knobs.early_stopping else ""
        if needs and not self.dataset.validation_split:
            raise ValueError(f"hyperparameters.{needs} needs a validation loss, and dataset.validationSplit is 0; set it to 0.1, say")
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        per_pass = self.hyperparameters.micro_batch_size * self.workers.count
        if self.hyperparameters.batch_size % per_pass:
            raise ValueError(
                f"batchSize {self.hyperparameters.batch_size} is not a multiple of microBatchSize × workers.count = {per_pass};"
                f" set batchSize to {max(1, self.hyperparameters.batch_size // per_pass) * per_pass}"
            )
        return self

    @model_validator(mode="after")
    def _quantization_fits(self) -> Self:
        if self.quantization.type != "none" and self.adapter.type == "none":
            raise ValueError(
                f"quantization {self.quantization.type} holds weights that cannot be trained, and adapter.type is none;"
                " set adapter.type to lora, or quantization.type to none"
            )
        if self.quantization.type != "none" and self.deepspeed.zero_stage == 3:
            raise ValueError(f"ZeRO 3 cannot shard weights in {self.quantization.type}; set deepspeed.zeroStage to 2")
        return self

    @model_validator(mode="after")
    def _kernels_have_a_gpu(self) -> Self:
        if self.kernels == "liger" and not self.workers.resources.get("GPU"):
            raise ValueError("kernels liger wants workers with a GPU; set workers.resources.GPU to 1, or kernels to plain")
        return self
