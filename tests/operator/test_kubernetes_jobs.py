"""RayJobs that have ended: who removes them, and when. All else about them is tested against a real API server, in tests/cluster."""

from pathlib import Path
from typing import Any, cast

import pytest

from modelyard.operator.attempts import Attempt, record_attempt
from modelyard.operator.kubernetes import Api
from modelyard.operator.kubernetes_jobs import KubernetesJobs
from modelyard.operator.labels import ATTEMPT_ANNOTATION, JOB_LABEL
from modelyard.operator.watch_cache import WatchCache

ENDED = "2026-01-01T00:00:00Z"
ENDED_S = 1767225600.0
KEEP_S = 600.0
NAME = "fetch-1"


class FakeApi:
    """Remembers what was deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def delete(self, kind: str, namespace: str, name: str, uid: str = "") -> None:
        self.deleted.append(f"{kind}/{name}/{uid}")


def ray_job(**status: str) -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": "a", "uid": "u", "resourceVersion": "1"}
    marks = {"labels": {JOB_LABEL: NAME}, "annotations": {ATTEMPT_ANNOTATION: "1"}}
    return {"kind": "RayJob", "metadata": metadata | marks, "spec": {}, "status": status}


SUCCEEDED = {"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete", "endTime": ENDED}


@pytest.mark.parametrize(
    ("status", "result", "later_s", "deleted"),
    [
        pytest.param(SUCCEEDED, True, KEEP_S, True, id="its time has passed"),
        pytest.param(SUCCEEDED, True, KEEP_S - 1, False, id="people may still look at its pods"),
        pytest.param(SUCCEEDED, False, KEEP_S, False, id="it left no result: why is still to be found out"),
        pytest.param(SUCCEEDED | {"endTime": ""}, True, KEEP_S, False, id="KubeRay is not done with it"),
        pytest.param({"jobStatus": "RUNNING", "jobDeploymentStatus": "Running"}, True, KEEP_S, False, id="it runs"),
    ],
)
@pytest.mark.parametrize("wanted", [pytest.param({NAME}, id="a plan stands on it"), pytest.param(set[str](), id="nobody wants it")])
def test_a_ray_job_that_succeeded_goes_after_a_while_and_its_run_stays(
    tmp_path: Path, status: dict[str, str], result: bool, later_s: float, deleted: bool, wanted: set[str]
) -> None:
    api, cache = FakeApi(), WatchCache()
    cache.put(ray_job(**status))
    jobs = KubernetesJobs(
        cast(Api, api),
        cache,
        "a",
        tmp_path.as_uri(),
        build=lambda *_: {},
        find_cause=lambda _: None,
        clock=lambda: ENDED_S + later_s,
        keep_s=KEEP_S,
    )
    record_attempt(jobs.run(NAME), Attempt(queued_at=1.0, count=1))
    if result:
        jobs.run(NAME).write("result.json", "{}")
    jobs.advance(wanted)
    assert api.deleted == ([f"RayJob/{NAME}/u"] if deleted else [])
    assert jobs.has_succeeded == (status["jobStatus"] == "SUCCEEDED")
    assert (jobs.run(NAME).read("result.json") is not None) == result
