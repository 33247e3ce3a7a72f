"""A namespace with a player in it, what a user applies there, and what a test asks of it."""

import json
from pathlib import Path
from typing import Any

from kubernetes import client

from harness.cluster import Cluster
from operating import Operator, build_settings, wait_until
from players import RayPlayer

CRDS = Path(__file__).parents[2] / "charts" / "platform" / "files" / "crds"
GROUP = ("modelyard.io", "v1alpha1")
PLURALS = ("models", "modelversions", "evaluations", "knowledgebases")


def install_crds(cluster: Cluster) -> None:
    """Ours and KubeRay's; again is nothing new."""
    cluster.apply_crds(CRDS)
    cluster.install_kuberay_crds()


class World:
    """Everything of one test."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, player: RayPlayer) -> None:
        self.cluster, self.namespace, self.folder, self.player = cluster, namespace, folder, player
        self.objects = client.CustomObjectsApi(cluster.client())
        self.core = client.CoreV1Api(cluster.client())
        self.settings = build_settings(folder, namespace)
        (folder / "store").mkdir(exist_ok=True)
        for name in ("train.jsonl", "heldout.jsonl"):
            (folder / name).write_text('{"messages": []}\n')
        (folder / "docs").mkdir(exist_ok=True)
        (folder / "docs" / "a.md").write_text("# A\n")

    def operator(self, kubeconfig: Path | None = None, **changes: Any) -> Operator:
        settings = self.settings.model_copy(update=changes)
        return Operator(self.cluster.client(kubeconfig), settings, self.player.gateway_url)

    def model(self, name: str = "bot", **spec: Any) -> dict[str, Any]:
        """A model with all stages; `spec` replaces some (None: leaves one out)."""
        whole = {
            "source": {"uri": "package://weights/w.gguf"},
            "fineTune": {"dataset": {"uri": (self.folder / "train.jsonl").as_uri()}},
            "evaluation": {
                "suites": [{"name": "records", "uri": (self.folder / "heldout.jsonl").as_uri()}],
                "gate": [{"metric": "records.field_score", "betterThan": "base", "margin": 0.25}],
            },
            "serving": {},
        } | spec
        return {
            "apiVersion": "modelyard.io/v1alpha1",
            "kind": "Model",
            "metadata": {"name": name},
            "spec": {field: value for field, value in whole.items() if value is not None},
        }

    def knowledge_base(self) -> dict[str, Any]:
        return {
            "apiVersion": "modelyard.io/v1alpha1",
            "kind": "KnowledgeBase",
            "metadata": {"name": "docs"},
            "spec": {"sources": [{"uri": (self.folder / "docs").as_uri()}]},
        }

    def apply(self, *documents: dict[str, Any]) -> None:
        self.cluster.apply(documents, self.namespace)

    def all(self, plural: str) -> list[dict[str, Any]]:
        return list(self.objects.list_namespaced_custom_object(*GROUP, self.namespace, plural)["items"])

    def get(self, plural: str = "models", name: str = "bot") -> dict[str, Any] | None:
        return next((found for found in self.all(plural) if found["metadata"]["name"] == name), None)

    def status(self, plural: str = "models", name: str = "bot") -> dict[str, Any]:
        return dict((self.get(plural, name) or {}).get("status") or {})

    def phase(self, plural: str = "models", name: str = "bot") -> str:
        return str(self.status(plural, name).get("phase", ""))

    def await_phase(self, phase: str, plural: str = "models", name: str = "bot") -> dict[str, Any]:
        wait_until(lambda: self.phase(plural, name) == phase, told=lambda: json.dumps(self.get(plural, name), indent=1))
        return self.status(plural, name)

    def condition(self, kind: str, plural: str = "models", name: str = "bot") -> dict[str, Any]:
        conditions = self.status(plural, name).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def delete(self, plural: str = "models", name: str = "bot") -> None:
        self.objects.delete_namespaced_custom_object(*GROUP, self.namespace, plural, name)

    def await_gone(self, plural: str = "models", name: str = "bot") -> None:
        wait_until(lambda: self.get(plural, name) is None, told=lambda: json.dumps(self.get(plural, name), indent=1))

    def ray_services(self) -> list[dict[str, Any]]:
        return list(self.objects.list_namespaced_custom_object("ray.io", "v1", self.namespace, "rayservices")["items"])

    def events(self) -> list[Any]:
        return list(self.core.list_namespaced_event(self.namespace).items)

    def live_jobs(self) -> list[str]:
        """Kinds of the jobs that have not ended: those are KubeRay's to remove, after a while."""
        return sorted(
            job["metadata"]["name"].partition("-")[0]
            for job in self.player.jobs()
            if (job.get("status") or {}).get("jobDeploymentStatus") not in ("Complete", "Failed")
            and "deletionTimestamp" not in job["metadata"]
        )
