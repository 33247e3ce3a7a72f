"""Plays what a cluster has and this machine has not: KubeRay with its pods, the jobs in them, and the gateway."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.base import digest_of
from modelyard.operator.manifests import wanted_names

RAY = ("ray.io", "v1")
TICK_S = 0.03


class RayPlayer:
    """Takes every RayJob of a namespace through running to its end, and says of every RayService that its applications run."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.objects = client.CustomObjectsApi(api)
        self.namespace = namespace
        self.tuned_score = 0.9
        self.suite_scores: dict[str, float] = {}
        """Suite → what a tuned version scores in it, where it is not that."""
        self.held: set[str] = set()
        """Kinds of jobs, or suites, that run on until they are taken out."""
        self.failures: dict[str, list[tuple[str, bool]]] = {}
        """Kind, or KIND/MODEL → the next failures: message, and whether another attempt may help."""
        self.left_alone: set[str] = set()
        """Models whose first job is the test's own business."""
        self.alone: dict[str, dict[str, Any]] = {}
        """Model → that job."""
        self.started: Counter[str] = Counter()
        """Name → how many RayJobs of that name there were."""
        self.config: dict[str, Any] | None = None
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._gateway())
        self._server_thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.gateway_url = f"http://127.0.0.1:{self._server.server_port}"
        self.versions: dict[str, Any] = {}
        """What the gateway says it has counted of each version."""

    def __enter__(self) -> "RayPlayer":
        self._thread.start()
        self._server_thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._server.shutdown()
        self._server_thread.join()
        self._server.server_close()

    def jobs(self) -> list[dict[str, Any]]:
        """The RayJobs there are."""
        return list(self.objects.list_namespaced_custom_object(*RAY, self.namespace, "rayjobs")["items"])

    def _play(self) -> None:
        while not self._stop.wait(TICK_S):
            for job in self.jobs():
                try:
                    self._advance(job)
                except ApiException as error:
                    if error.status not in (404, 409):  # gone, or changed meanwhile
                        raise
            services = self.objects.list_namespaced_custom_object(*RAY, self.namespace, "rayservices")["items"]
            self.config = None
            for service in services:
                self._serve(service)

    def _advance(self, job: dict[str, Any]) -> None:
        metadata, status = job["metadata"], job.get("status") or {}
        if metadata["uid"] not in self._seen:
            self._seen.add(metadata["uid"])
            self.started[metadata["name"]] += 1
        if metadata.get("deletionTimestamp") or status.get("jobDeploymentStatus") in ("Complete", "Failed"):
            return
        if job["spec"].get("suspend"):
            if status.get("jobDeploymentStatus") != "Suspended":
                self._say(metadata["name"], {"jobDeploymentStatus": "Suspended", "jobStatus": ""})
            return
        if metadata["labels"]["modelyard.io/name"] in self.left_alone:
            self.alone[metadata["labels"]["modelyard.io/name"]] = job
            return
        run = RunFolder(job["spec"]["entrypoint"].rpartition(" ")[2])
        spec = json.loads(run.read("spec.json") or "{}")
        if status.get("jobDeploymentStatus") != "Running":
            run.write("progress.json", json.dumps({"stage": "working", "step": 1, "totalSteps": 2, "percent": 50.0}))
            self._say(metadata["name"], {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"})
        elif not self.held & {spec["kind"], *_suites(spec)}:
            of_model = f"{spec['kind']}/{metadata['labels']['modelyard.io/name']}"
            failure = (self.failures.get(of_model) or self.failures.get(spec["kind"]) or [None]).pop(0)
            if failure:
                run.write("failure.json", json.dumps({"message": failure[0], "retryable": failure[1]}))
                self._say(metadata["name"], {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"})
            else:
                run.write("result.json", json.dumps(self._result(spec)))
                self._say(metadata["name"], {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"})

    def _say(self, name: str, status: dict[str, Any]) -> None:
        self.objects.patch_namespaced_custom_object_status(*RAY, self.namespace, "rayjobs", name, {"status": status})

    def _result(self, spec: dict[str, Any]) -> dict[str, Any]:
        match spec["kind"]:
            case "fetch":
                return {"digest": spec["role"][0] * 64, "weightsBytes": 1}
            case "train":
                return {"digest": digest_of(spec["version"]), "steps": 1, "loss": 0.1, "tokens": 1}
            case "evaluate":
                return {
                    "scores": [
                        {"metric": f"{suite['name']}.field_score", "value": self._score(spec, suite), "low": 0, "high": 1, "rows": 4}
                        for suite in spec["suites"]
                    ],
                    "attempts": [],
                    "seconds": 1,
                }
            case _:
                return {"collection": "c", "documents": 1, "chunks": 1}

    def _score(self, spec: dict[str, Any], suite: dict[str, Any]) -> float:
        return self.suite_scores.get(suite["name"], self.tuned_score) if spec.get("adapterDigest") else 0.1

    def _serve(self, service: dict[str, Any]) -> None:
        self.config = yaml.safe_load(service["spec"]["serveConfigV2"])
        apps = {app["name"]: {"status": "RUNNING"} for app in self.config["applications"]}
        if ((service.get("status") or {}).get("activeServiceStatus") or {}).get("applicationStatuses") == apps:
            return
        status = {"status": {"activeServiceStatus": {"applicationStatuses": apps}}}
        try:
            self.objects.patch_namespaced_custom_object_status(*RAY, self.namespace, "rayservices", service["metadata"]["name"], status)
        except ApiException as error:
            if error.status != 404:
                raise

    def _gateway(self) -> type[BaseHTTPRequestHandler]:
        player = self

        class Gateway(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                names = sorted(wanted_names(player.config)) if (player.config or {}).get("applications") else []
                body = json.dumps({"models": names, "knowledgeBases": names, "problems": {}, "versions": player.versions}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Gateway


def _suites(spec: dict[str, Any]) -> list[str]:
    """The names of what an evaluation asks; other jobs may mention suites, too."""
    return [suite["name"] for suite in spec["suites"]] if spec["kind"] == "evaluate" else []
