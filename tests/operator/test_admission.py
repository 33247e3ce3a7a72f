"""What the operator says about a resource before it is stored."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from modelyard.domain.architecture import Architecture
from modelyard.domain.fine_tune import Dataset
from modelyard.domain.model import Model
from modelyard.operator.admission import Known, Ruling, judge
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.quota import Quota

SETTINGS = ClusterSettings.model_validate(
    {
        "image": "yard:1",
        "rayVersion": "2.60.0",
        "storeUri": "s3://yard/store",
        "runsUri": "s3://yard/runs",
        "milvusUri": "http://milvus:19530",
        "profiles": {
            "small": {"limits": {"cpu": "4", "memory": "16Gi"}, "rayResources": {"CPU": 4}, "memoryGib": 16},
            "large": {"limits": {"cpu": "16", "memory": "64Gi"}, "rayResources": {"CPU": 16}, "memoryGib": 64},
        },
        "defaultProfile": "small",
    }
)
LLAMA_7B = Architecture(
    parameters=6_738_415_616,
    layers=32,
    hidden_size=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    feed_forward_size=11008,
    gated=True,
    vocabulary=32000,
)
TUNE = {"dataset": {"uri": "s3://rows"}}
SHORT = {"dataset": {"uri": "s3://rows"}, "hyperparameters": {"microBatchSize": 1, "maxLength": 128}}
SOURCE = {"uri": "hf://org/base"}


def request(spec: Any, old: Any = None, kind: str = "Model", **changes: Any) -> dict[str, Any]:
    """What the API server sends: defaults are filled in, and there is metadata that we know nothing of."""
    metadata = {"name": "bot", "namespace": "team", "uid": "u", "managedFields": [{"manager": "kubectl"}], "creationTimestamp": "now"}

    def document(spec: Any) -> dict[str, Any]:
        return {"apiVersion": "modelyard.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": {"phase": "Ready"}}

    asked = {"uid": "r", "kind": {"kind": kind}, "namespace": "team", "name": "bot", "operation": "UPDATE" if old else "CREATE"}
    return asked | {"object": document(spec), "oldObject": document(old) if old else None} | changes


def knowing(architecture: Architecture | None = None, *quotas: Quota, warnings: tuple[str, ...] = ()) -> Callable[[Model], Known]:
    return lambda model: Known(architecture, list(quotas), list(warnings))


def nobody_looks(model: Model) -> Known:
    raise AssertionError(f"{model.metadata.name} is looked at")


TOO_LARGE = (
    "a training worker wants 35.0 GiB (activations 20.8, weights 12.6, adapter and its optimizer 0.7, runtime 0.5, logits 0.5) and "
    "profile small has 16 GiB for it; set spec.fineTune.workers.profile to large"
)
"""Not even short rows of Llama 2 7B fit beside each other into 16 GiB: four of 128 tokens want 16.4."""
TOO_MUCH = "the training job wants 6 requests.cpu and ResourceQuota team allows"
FORMATS = ", ".join(get_args(Dataset.model_fields["format"].annotation))


@pytest.mark.parametrize(
    ("asked", "known", "ruling"),
    [
        pytest.param(request({"source": SOURCE, "fineTune": TUNE, "serving": {}}), knowing(), Ruling(), id="nothing is known"),
        pytest.param(request({"source": SOURCE, "fineTune": SHORT, "serving": {}}), knowing(LLAMA_7B), Ruling(), id="it fits"),
        pytest.param(
            request({"source": SOURCE, "fineTune": TUNE}),
            knowing(LLAMA_7B),
            Ruling([TOO_LARGE]),
            id="a base that was fetched before is too large to train",
        ),
        pytest.param(
            request({"source": SOURCE, "serving": {"kvCacheGib": 4}}),
            knowing(LLAMA_7B),
            Ruling(
                [
                    "an engine wants 17.1 GiB (weights 12.6, key-value cache 4.0, runtime 0.5) and profile small has 16 GiB; "
                    "set spec.serving.kvCacheGib to 2"
                ]
            ),
            id="a base that was fetched before is too large to serve",
        ),
        pytest.param(
            request({"source": {"uri": "hf://org/base-13B"}, "fineTune": TUNE, "serving": {}}),
            knowing(),
            Ruling(
                warnings=[
                    "by its name the source wants 24.2 GiB for the weights of a training worker alone, and profile small has 16 GiB; "
                    "what it takes is known once it is fetched",
                    "by its name the source wants 24.2 GiB for the weights of an engine alone, and profile small has 16 GiB; "
                    "what it takes is known once it is fetched",
                ]
            ),
            id="a name is a reason to warn, and never to refuse",
        ),
        pytest.param(
            request({"source": {"uri": "hf://org/base-13B"}, "fineTune": SHORT, "serving": {}}),
            knowing(LLAMA_7B),
            Ruling(),
            id="what is known counts more than a name",
        ),
        pytest.param(
            request({"source": {"uri": "hf://org/base-7B"}, "fineTune": TUNE, "serving": {}}), knowing(), Ruling(), id="a name that fits"
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": {**TUNE, "workers": {"profile": "smal"}}, "serving": {"profile": "gpu"}}),
            nobody_looks,
            Ruling(
                [
                    "spec.fineTune.workers.profile: there is no profile 'smal' on this cluster; did you mean small? there is small, large",
                    "spec.serving.profile: there is no profile 'gpu' on this cluster; there is small, large",
                ]
            ),
            id="profiles that there are not",
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": TUNE}),
            knowing(None, Quota("team", {"requests.cpu": 5}, {})),
            Ruling(
                [f"{TOO_MUCH} 5; take a smaller profile, or have the quota raised"]
            ),
            id="more than the quota allows",
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": TUNE}),
            knowing(LLAMA_7B, Quota("team", {"requests.cpu": 5}, {})),
            Ruling(
                [
                    TOO_LARGE,
                    f"{TOO_MUCH} 5; take a smaller profile, or have the quota raised",
                ]
            ),
            id="both at once",
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": TUNE}),
            knowing(None, Quota("team", {"requests.cpu": 8}, {"requests.cpu": 4}), warnings=("the store does not answer",)),
            Ruling(
                warnings=[
                    "the store does not answer",
                    f"{TOO_MUCH} 4 beside what is in use; it waits until there is room",
                ]
            ),
            id="more than the quota has left now",
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": {**TUNE, "hyperparameters": {"batchSize": 10}}}),
            nobody_looks,
            Ruling(["spec.fineTune: batchSize 10 is not a multiple of microBatchSize × workers.count = 4; set batchSize to 8"]),
            id="what only the parser says",
        ),
        pytest.param(
            request({"source": SOURCE, "fineTune": {"dataset": {"uri": "s3://rows", "format": "chatml"}}}),
            nobody_looks,
            Ruling(
                [f"spec.fineTune.dataset.format is 'chatml'; did you mean chat? give one of {FORMATS}"]
            ),
            id="a dataset format that there is not: the schema refuses it already",
        ),
        pytest.param(
            request({}, object={"apiVersion": "modelyard.io/v1alpha1", "metadata": {"generateName": "bot-"}, "spec": {"source": SOURCE}}),
            knowing(),
            Ruling(),
            id="one that the API server names",
        ),
        pytest.param(
            request({"sources": []}, kind="KnowledgeBase"),
            nobody_looks,
            Ruling(["spec.sources is an empty list; give a list with at least 1 entry"]),
            id="a knowledge base, by the parser alone",
        ),
        pytest.param(
            request({"model": "bot", "suites": [{"name": "s", "uri": "s3://s"}]}, kind="Evaluation"),
            nobody_looks,
            Ruling(),
            id="an evaluation",
        ),
    ],
)  # fmt: skip
def test_a_resource_is_judged_before_it_is_stored(asked: dict[str, Any], known: Callable[[Model], Known], ruling: Ruling) -> None:
    assert judge(asked, SETTINGS, known) == ruling


UNKNOWN = {"source": SOURCE, "fineTune": {**TUNE, "workers": {"profile": "gone"}}}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(request(UNKNOWN, old=UNKNOWN), id="an update of metadata alone: a finalizer must come and go"),
        pytest.param(request({"source": 1}, old={"source": 1}), id="what is stored already, however wrong"),
        pytest.param(request(None, operation="DELETE", object=None), id="a deletion"),
        pytest.param(
            request(UNKNOWN, old={"source": SOURCE}, object={"metadata": {"deletionTimestamp": "now"}, "spec": UNKNOWN}),
            id="one that is being deleted",
        ),
        pytest.param(request({}, kind="ModelVersion"), id="a kind that only the operator writes"),
        pytest.param(request(UNKNOWN, namespace="other"), id="a namespace that this operator does not look after"),
    ],
)
def test_what_is_no_business_of_ours_passes(asked: dict[str, Any]) -> None:
    assert judge(asked, SETTINGS.model_copy(update={"namespaces": ["team"]}), nobody_looks) == Ruling()


SUITES = {"suites": [{"name": "s", "uri": "s3://s"}]}
WHOLE = {"source": SOURCE, "fineTune": TUNE, "serving": {"kvCacheGib": 4}}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param(WHOLE | {"suspend": True}, [], id="nothing that takes memory"),
        pytest.param(WHOLE | {"serving": {"kvCacheGib": 8}}, ["an engine wants"], id="serving: the training is not judged again"),
        pytest.param(WHOLE | {"fineTune": {**TUNE, "maxFailures": 1}}, ["a training worker wants"], id="the training"),
        pytest.param(WHOLE | {"fineTune": SHORT}, [], id="a training that fits: the engine is not judged again"),
        pytest.param(WHOLE | {"fineTune": {**SHORT, "adapter": {"rank": 8}}}, ["an engine wants"], id="the adapter that an engine holds"),
        pytest.param(WHOLE | {"fineTune": SHORT, "evaluation": SUITES, "serving": None}, [], id="an evaluation more"),
        pytest.param(WHOLE | {"source": {"uri": "hf://org/other"}}, ["a training worker wants"], id="the source"),
    ],
)
def test_of_an_update_only_what_it_changes_is_judged(spec: dict[str, Any], told: list[str]) -> None:
    ruling = judge(request(spec, old=WHOLE), SETTINGS, knowing(LLAMA_7B))
    assert [problem.partition(" wants")[0] + " wants" for problem in ruling.problems] == told


def test_an_update_of_what_this_version_does_not_understand_is_judged_as_new() -> None:
    assert judge(request({"source": SOURCE, "fineTune": TUNE}, old={"source": {}}), SETTINGS, knowing(LLAMA_7B)).problems
