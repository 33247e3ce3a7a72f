"""Many Models over some namespaces: make them, follow them, change them, take them away."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cluster import Cluster

OURS = "/apis/modelyard.io/v1alpha1"
THREADS = 8
MERGE = "application/merge-patch+json"
CLEARED = (f"{OURS}/namespaces/%s/modelversions", "/apis/ray.io/v1/namespaces/%s/rayjobs", "/api/v1/namespaces/%s/events")

Key = tuple[str, str]
"""(namespace, name)"""


@dataclass
class Seen:
    """A Model as the watch told it last."""

    uid: str
    generation: int
    observed: int
    phase: str
    writes: int
    """How often it was told."""


class Fleet:
    """The Models of one run. Names have one width, so that none is part of another."""

    def __init__(self, cluster: Cluster, folder: Path, count: int, per_namespace: int, letter: str) -> None:
        api = cluster.client()
        self.pool, self.server = api.rest_client.pool_manager, api.configuration.host
        self.folder, self.letter = folder, letter
        self.namespaces = [cluster.namespace("bench") for _ in range(-(-count // per_namespace))]
        self.keys = [self.key(number, self.namespaces[number // per_namespace]) for number in range(count)]
        self.seen: dict[Key, Seen] = {}
        self.first_write_at = 0.0
        """When the first Model was written to after it was made, by `time.monotonic`."""
        self._changed = threading.Condition()
        self._over = threading.Event()

    def key(self, number: int, namespace: str) -> Key:
        """The key of the Model of a number."""
        return namespace, f"{self.letter}{number:06d}"

    def make(self, keys: Iterable[Key] | None = None) -> None:
        """Create the Models, as fast as it goes."""
        self._each(lambda key: self.request("POST", f"{OURS}/namespaces/{key[0]}/models", self._document(key)), keys or self.keys)

    def patch(self, key: Key, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a Model."""
        return self.request("PATCH", f"{OURS}/namespaces/{key[0]}/models/{key[1]}", changes)

    def delete(self, key: Key) -> None:
        """Ask for a Model's end."""
        self.request("DELETE", f"{OURS}/namespaces/{key[0]}/models/{key[1]}")

    def clear(self) -> None:
        """Take everything away without the operator."""
        for namespace in self.namespaces:
            models = self.items(f"{OURS}/namespaces/{namespace}/models")
            keys = [(namespace, model["metadata"]["name"]) for model in models]
            self._each(lambda key: self.patch(key, {"metadata": {"finalizers": None}}), keys)
            for path in (f"{OURS}/namespaces/%s/models", *CLEARED):
                self.request("DELETE", path % namespace)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection."""
        return list(self.request("GET", path)["items"])

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Raises RuntimeError for an answer that is no success; an object that is gone already is none to be deleted."""
        headers = {"Content-Type": MERGE if method == "PATCH" else "application/json"}
        answer = self.pool.request(method, f"{self.server}{path}", body=json.dumps(body) if body else None, headers=headers)
        if answer.status >= 400 and not (method in ("DELETE", "PATCH") and answer.status == 404):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        return dict(json.loads(answer.data))

    def follow(self) -> None:
        """Watch the Models from now on, in a thread."""
        listed = self.request("GET", f"{OURS}/models")
        threading.Thread(target=self._watch, args=(listed["metadata"]["resourceVersion"],), daemon=True).start()

    def unfollow(self) -> None:
        """End the watch, with its next event."""
        self._over.set()

    def wait(self, what: Callable[[], bool], timeout_s: float) -> float:
        """Wait until it is so, looked at with every event; the moment by `time.monotonic`. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(what, timeout_s):
                phases = sorted({(seen.phase, seen.observed == seen.generation) for seen in self.seen.values()})
                raise TimeoutError(
                    f"not so after {timeout_s:.0f} s; phases: {phases}, {len(self.seen)} Models, not ready: {self.waiting()[:3]}"
                )
            return time.monotonic()

    def wait_observed(self, key: Key, generation: int, timeout_s: float) -> float:
        """Wait until a status speaks of a generation; the moment by `time.monotonic`. Raises TimeoutError."""
        return self.wait(lambda: self.seen[key].observed == generation, timeout_s)

    def waiting(self) -> list[Key]:
        """The Models that are not ready with the spec that they have now."""
        return [key for key, seen in self.seen.items() if seen.phase != "Ready" or seen.observed != seen.generation]

    def all_ready(self, count: int) -> Callable[[], bool]:
        """Whether that many Models are ready and no other is there. Cheap: it is asked with every event."""
        return lambda: len(self.seen) == count and self._ready == count

    _ready = 0

    def _watch(self, version: str) -> None:
        answer = self.pool.request(
            "GET", f"{self.server}{OURS}/models?watch=1&resourceVersion={version}&timeoutSeconds=3600", preload_content=False, timeout=None
        )
        rest = b""
        for chunk in answer.stream(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            with self._changed:
                for line in lines:
                    self._take(json.loads(line))
                self._changed.notify_all()
            if self._over.is_set():
                break
        answer.close()

    def _take(self, event: dict[str, Any]) -> None:
        metadata, status = event["object"]["metadata"], event["object"].get("status") or {}
        key = (metadata["namespace"], metadata["name"])
        if key[0] not in self.namespaces:
            return
        former = self.seen.pop(key, None)
        self._ready -= former is not None and former.phase == "Ready" and former.observed == former.generation
        if event["type"] == "DELETED":
            return
        writes = former.writes + 1 if former and former.uid == metadata["uid"] else 0
        if writes and not self.first_write_at:
            self.first_write_at = time.monotonic()
        now = Seen(metadata["uid"], metadata["generation"], status.get("observedGeneration", 0), status.get("phase", ""), writes)
        self.seen[key] = now
        self._ready += now.phase == "Ready" and now.observed == now.generation

    def _document(self, key: Key) -> dict[str, Any]:
        """A tuned, judged and served Model with rows of its own; the base is the namespace's."""
        suite = self.folder / f"{key[1]}.jsonl"
        suite.write_text('{"messages": []}\n')
        return {
            "apiVersion": "modelyard.io/v1alpha1",
            "kind": "Model",
            "metadata": {"name": key[1], "namespace": key[0]},
            "spec": {
                "source": {"uri": "package://weights/w.gguf"},
                "fineTune": {"dataset": {"uri": suite.as_uri()}},
                "evaluation": {
                    "suites": [{"name": "records", "uri": suite.as_uri()}],
                    "gate": [{"metric": "records.field_score", "betterThan": "base", "margin": 0.25}],
                },
                "serving": {},
            },
        }

    def _each(self, act: Callable[[Key], object], keys: Iterable[Key]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(act, keys))
