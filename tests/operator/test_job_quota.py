from typing import Any

import pytest

from modelyard.domain.model import Model
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.job_quota import find_quota_problem
from modelyard.operator.quota import Quota

SETTINGS = ClusterSettings.model_validate(
    {
        "image": "yard:1",
        "rayVersion": "2.60.0",
        "storeUri": "s3://yard/store",
        "runsUri": "s3://yard/runs",
        "milvusUri": "http://milvus:19530",
        "headLimits": {"cpu": "2", "memory": "8Gi"},
        "profiles": {
            "cpu": {"limits": {"cpu": "4", "memory": "16Gi"}, "rayResources": {"CPU": 4}, "memoryGib": 16},
            "gpu": {
                "limits": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "2"},
                "rayResources": {"CPU": 8, "GPU": 2},
                "memoryGib": 48,
            },
        },
        "defaultProfile": "cpu",
    }
)


def model(count: int = 8, **spec: Any) -> Model:
    tune = {
        "dataset": {"uri": "s3://rows"},
        "workers": {"count": count, "resources": {"GPU": 1}, "profile": "gpu"},
        "hyperparameters": {"batchSize": 32, "microBatchSize": 4},
    }
    document = {"source": {"uri": "hf://org/base"}, "fineTune": tune} | spec
    return Model.model_validate({"metadata": {"name": "bot"}, "spec": {name: value for name, value in document.items() if value}})


def quota(hard: dict[str, float], **used: float) -> Quota:
    return Quota("team", hard, {name.replace("_", "."): amount for name, amount in used.items()})


SUITES = {"suites": [{"name": "s", "uri": "s3://s"}]}


# Eight workers with a GPU each are on four pods: 4 × 8 + 2 CPUs, 8 GPUs.
@pytest.mark.parametrize(
    ("asked", "quotas", "refusal", "warning"),
    [
        pytest.param(model(), [], "", "", id="no quota"),
        pytest.param(model(), [quota({"requests.cpu": 34, "requests.nvidia.com/gpu": 8, "pods": 5})], "", "", id="just enough"),
        pytest.param(
            model(),
            [quota({"requests.nvidia.com/gpu": 5})],
            "the training job wants 8 requests.nvidia.com/gpu and ResourceQuota team allows 5; set spec.fineTune.workers.count to 4",
            "",
            id="fewer workers, as many as share the batch evenly",
        ),
        pytest.param(
            model(),
            [quota({"requests.nvidia.com/gpu": 5}), quota({"pods": 2})],
            "the training job wants 8 requests.nvidia.com/gpu and ResourceQuota team allows 5; set spec.fineTune.workers.count to 2",
            "",
            id="as few as every quota allows",
        ),
        pytest.param(
            model(),
            [quota({"limits.cpu": 9.5})],
            "the training job wants 34 limits.cpu and ResourceQuota team allows 9.5; take a smaller profile, or have the quota raised",
            "",
            id="not even one worker",
        ),
        pytest.param(
            model(),
            [quota({"requests.cpu": 40}, requests_cpu=10)],
            "",
            "the training job wants 34 requests.cpu and ResourceQuota team allows 30 beside what is in use; it waits until there is room",
            id="others are using it",
        ),
        pytest.param(
            model(fineTune=None, evaluation=SUITES),
            [quota({"memory": 12 * 2**30})],
            "an evaluation job wants 16Gi memory and ResourceQuota team allows 12Gi; have the quota raised",
            "",
            id="an evaluation",
        ),
        pytest.param(
            model(fineTune=None),
            [quota({"cpu": 1})],
            "the fetch job wants 2 cpu and ResourceQuota team allows 1; have the quota raised",
            "",
            id="the fetch",
        ),
        pytest.param(
            model(fineTune={"dataset": {"uri": "s3://rows"}, "workers": {"resources": {"CPU": 6}}}),
            [],
            "a worker reserves 6 CPU and a pod of profile 'cpu' offers 4; set spec.fineTune.workers.profile to gpu, or lower "
            "spec.fineTune.workers.resources",
            "",
            id="a worker that fits on no pod of its profile",
        ),
    ],
)
def test_a_job_that_no_quota_allows_is_told_with_the_nearest_number_of_workers(
    asked: Model, quotas: list[Quota], refusal: str, warning: str
) -> None:
    assert find_quota_problem(asked, SETTINGS, quotas) == (refusal, warning)
