"""KubeRay's own operator, and pods that really run: the jobs of a Model are carried out by Ray, and their word reaches the status."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tiny_models import build_llama, build_tokenizer

from harness.cluster import Cluster
from harness.process_node import NoAddressError, ProcessNode
from operating import Operator, build_settings, wait_until
from world import World

NOBODY = "http://127.0.0.1:1"
ROWS = 400
CHAT = (
    "{% for message in messages %}{{ message['role'] }}:{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
JOB_S = 240
"""A Ray cluster and a job start in half a minute on an idle machine, and in minutes on a busy one."""


@pytest.fixture
def world(kuberay: Cluster, crds: None, namespace: str, tmp_path: Path) -> Iterator[World]:
    try:
        node = ProcessNode(kuberay.client(), namespace, tmp_path, Path(sys.executable).parent)
    except NoAddressError as error:
        pytest.skip(str(error))
    with node:
        yield World(kuberay, namespace, tmp_path, None)  # type: ignore[arg-type]


@pytest.fixture
def model(world: World) -> dict[str, Any]:
    """Fetched from a folder and scored; small enough for seconds, with rows enough to look at its progress."""
    weights, tokenizer = world.folder / "tiny", build_tokenizer(CHAT, eos_token="</s>", pad_token="<pad>")
    tokenizer.save_pretrained(weights)
    build_llama(tokenizer, initializer_range=0.2).save_pretrained(weights)
    rows = [{"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}"}]} for n in range(ROWS)]
    suite = world.folder / "rows.jsonl"
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    evaluation = {"suites": [{"name": "numbers", "uri": suite.as_uri(), "maxTokens": 8}]}
    return world.model(source={"uri": weights.as_uri()}, fineTune=None, evaluation=evaluation, serving=None)


def deployment(world: World, kind: str) -> str:
    jobs = world.objects.list_namespaced_custom_object("ray.io", "v1", world.namespace, "rayjobs")["items"]
    return next((job.get("status", {}).get("jobDeploymentStatus", "") for job in jobs if job["metadata"]["name"].startswith(kind)), "gone")


@pytest.mark.timeout(1200)
def test_a_model_is_fetched_and_scored_by_jobs_that_kuberay_runs(world: World, model: dict[str, Any]) -> None:
    settings = build_settings(world.folder, world.namespace)
    variables = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    settings = settings.model_copy(update={"environment": variables, "ttl_seconds_after_finished": 0})
    progress: list[float] = []

    def scoring() -> bool:
        status = world.status()
        progress.append((status.get("progress") or {}).get("percent", 0.0))
        return status.get("phase") == "Evaluating" and progress[-1] > 0

    with Operator(world.cluster.client(), settings, NOBODY):
        world.apply(model)
        wait_until(scoring, JOB_S, told=lambda: told(world))

        world.apply(model | {"spec": model["spec"] | {"suspend": True}})
        wait_until(lambda: deployment(world, "evaluate") == "Suspended", told=lambda: told(world))
        wait_until(lambda: world.condition("Ready").get("reason") == "Suspended", told=lambda: told(world))
        world.apply(model | {"spec": model["spec"] | {"suspend": False}})

        wait_until(lambda: world.phase() == "Ready", JOB_S, told=lambda: told(world))
        (version,) = world.all("modelversions")
        assert {score["metric"]: score["rows"] for score in version["status"]["scores"]}["numbers.answered"] == ROWS
        wait_until(lambda: deployment(world, "evaluate") in ("Complete", "gone"), told=lambda: told(world))

        world.delete()
        world.await_gone()
        wait_until(lambda: deployment(world, "") == "gone", told=lambda: told(world))
        wait_until(lambda: world.core.list_namespaced_pod(world.namespace).items == [], told=lambda: told(world))


def told(world: World) -> str:
    logs = [f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(world.folder.glob("*.log"))]
    jobs = world.cluster.kubectl("get", "rayjobs,rayclusters,pods", "-n", world.namespace, "-o", "wide").stdout
    return "\n".join([json.dumps(world.get(), indent=1), jobs, *logs])
