"""Play KubeRay, its jobs and the gateways for a whole cluster, as a process that costs little: two watches, no polling.

A RayJob is set running and then complete, each when the watch tells the former. Prints a line when it is ready.
"""

import argparse
import hashlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from harness.clients import connect
from modelyard.operator.manifests import wanted_names

RAY = "/apis/ray.io/v1"
WRITERS = 4


class FastPlayer:
    """Writes the status of every RayJob and RayService that a watch tells of."""

    def __init__(self, kubeconfig: Path, runs: Path) -> None:
        api = connect(kubeconfig)
        self.pool, self.server, self.runs = api.rest_client.pool_manager, api.configuration.host, runs
        self.names: dict[str, list[str]] = {}
        """What the gateway of each namespace answers for."""
        self._work: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin to follow the objects."""
        for target in (*[self._write] * WRITERS, lambda: self._follow("rayjobs"), lambda: self._follow("rayservices")):
            threading.Thread(target=target, daemon=True).start()

    def _follow(self, plural: str) -> None:
        while True:
            listed = json.loads(self.pool.request("GET", f"{self.server}{RAY}/{plural}").data)
            for item in listed["items"]:
                self._work.put({"kind": "RayJob" if plural == "rayjobs" else "RayService", **item})
            for event in self._watch(plural, listed["metadata"]["resourceVersion"]):
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._work.put(event["object"])

    def _watch(self, plural: str, version: str) -> Iterator[dict[str, Any]]:
        url = f"{self.server}{RAY}/{plural}?watch=1&resourceVersion={version}&timeoutSeconds=1800"
        answer = self.pool.request("GET", url, preload_content=False, timeout=None)
        rest = b""
        for chunk in answer.stream(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, lines)

    def _write(self) -> None:
        while True:
            document = self._work.get()
            (self._advance if document["kind"] == "RayJob" else self._serve)(document)

    def _advance(self, job: dict[str, Any]) -> None:
        phase = (job.get("status") or {}).get("jobDeploymentStatus")
        if job["metadata"].get("deletionTimestamp") or phase == "Complete":
            return
        if phase == "Running":
            self._finish(job["metadata"]["namespace"], job["metadata"]["name"])
            self._say("rayjobs", job, {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"})
        else:
            self._say("rayjobs", job, {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"})

    def _finish(self, namespace: str, name: str) -> None:
        """Leave a result in the run folder; where there is no folder, nobody reads it."""
        folder = self.runs / namespace / name
        if not (folder / "spec.json").exists():
            return
        partial = folder / "result.json.partial"
        partial.write_text(json.dumps(self._result(name, json.loads((folder / "spec.json").read_text()))))
        partial.rename(folder / "result.json")

    def _result(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        match spec["kind"]:
            case "fetch":
                return {"digest": digest, "weightsBytes": 1}
            case "train":
                return {"digest": digest, "steps": 1, "loss": 0.1, "tokens": 1}
            case _:
                value = 0.9 if spec.get("adapterDigest") else 0.1
                score = {"metric": "records.field_score", "value": value, "low": 0, "high": 1, "rows": 4}
                return {"scores": [score], "attempts": [], "seconds": 1}

    def _serve(self, service: dict[str, Any]) -> None:
        config = yaml.load(service["spec"]["serveConfigV2"], yaml.CSafeLoader)
        self.names[service["metadata"]["namespace"]] = sorted(wanted_names(config))
        apps = {app["name"]: {"status": "RUNNING"} for app in config["applications"]}
        if ((service.get("status") or {}).get("activeServiceStatus") or {}).get("applicationStatuses") != apps:
            self._say("rayservices", service, {"activeServiceStatus": {"applicationStatuses": apps}})

    def _say(self, plural: str, document: dict[str, Any], status: dict[str, Any]) -> None:
        metadata = document["metadata"]
        url = f"{self.server}{RAY}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}/status"
        body, headers = json.dumps({"status": status}), {"Content-Type": "application/merge-patch+json"}
        answer = self.pool.request("PATCH", url, body=body, headers=headers)
        if answer.status not in (200, 404, 409):
            raise RuntimeError(f"{url}: {answer.status} {answer.data[:300]!r}")


def build_gateway(player: FastPlayer) -> type[BaseHTTPRequestHandler]:
    """A handler that answers `/NAMESPACE/ready`."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: D102
            names = player.names.get(self.path.split("/")[1], [])
            body = json.dumps({"models": names, "knowledgeBases": [], "problems": {}, "versions": {}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # noqa: D102
            return

    return Gateway


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="the folder of all run folders")
    parser.add_argument("--port", type=int, required=True, help="where the gateways answer")
    arguments = parser.parse_args()
    player = FastPlayer(arguments.kubeconfig, arguments.runs)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), build_gateway(player))
    player.start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
