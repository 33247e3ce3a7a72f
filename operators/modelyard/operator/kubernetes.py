"""Talk to the Kubernetes API: read, server-side apply, delete. The only module that does; it knows no lifecycle."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from modelyard.domain.errors import ModelyardError
from modelyard.domain.resource import GROUP
from modelyard.operator.kubernetes_objects import without_ballast
from modelyard.operator.labels import FIELD_MANAGER
from modelyard.operator.server_clock import ServerClock

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = (5.0, 30.0)
"""To connect, and to read."""

PAGE_OBJECTS = 200
"""How many objects are listed with one request."""

APPLY = "application/apply-patch+yaml"

Document = dict[str, Any]
Query = list[tuple[str, str]]
Documents = list[Document]
"""Aliases, since `list` means something else inside Api."""


class RetryLaterError(Exception):
    """The API server cannot do it now, or somebody changed the object meanwhile: look again and plan again.

    after_s: how long the API server asks to be left alone; 0 where it does not say.
    """

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class RefusedError(ModelyardError):
    """The API server, a policy or a quota does not let it be written as it is."""


REFUSED = {
    400: "correct the resource, or upgrade the CRDs",
    403: "let the operator's Role, the policy or the quota allow it",
    404: "install the CRDs of this kind, or make the namespace",
    422: "correct the resource, or upgrade the CRDs",
}
"""Answers to a write that will be the same next time, and what helps."""


OTHER_UID = "UID in precondition"
"""What the API server says where the object of a name is not the one that is meant."""


@dataclass(frozen=True)
class Kind:
    """Where the objects of a kind are in the API."""

    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The path of the collection, of an object, or of its subresource."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        place = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{self.api_version}{place}/{self.plural}", name, subresource) if part)


KINDS = {
    "Model": Kind(f"{GROUP}/v1alpha1", "models"),
    "ModelVersion": Kind(f"{GROUP}/v1alpha1", "modelversions"),
    "Evaluation": Kind(f"{GROUP}/v1alpha1", "evaluations"),
    "KnowledgeBase": Kind(f"{GROUP}/v1alpha1", "knowledgebases"),
    "RayJob": Kind("ray.io/v1", "rayjobs"),
    "RayCluster": Kind("ray.io/v1", "rayclusters"),
    "RayService": Kind("ray.io/v1", "rayservices"),
    "Pod": Kind("v1", "pods"),
    "Event": Kind("v1", "events"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "ResourceQuota": Kind("v1", "resourcequotas"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
}


class Api:
    """One API server. Thread-safe. Every method may raise RetryLaterError, and those that write RefusedError."""

    def __init__(self, client: ApiClient, clock: ServerClock | None = None, page_objects: int = PAGE_OBJECTS) -> None:
        """clock: hears the date of every answer. page_objects: how many are listed with one request."""
        self._client, self.clock, self._page_objects = client, clock or ServerClock(), page_objects

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """An object, or None."""
        return self._call("GET", KINDS[kind].path(namespace, name), missing_ok=True)

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> Documents:
        """The objects of a kind in a namespace (None: in all). The items carry no kind of their own, so it is put back."""
        answer = self._call("GET", KINDS[kind].path(namespace), query=[("labelSelector", selector)] if selector else [])
        assert answer is not None
        return _items(kind, answer)

    def list_at(self, kind: str, namespace: str | None) -> tuple[Documents, int]:
        """All objects of a kind in a namespace (None: in all) without their ballast, and the resourceVersion of the list.

        None and 0 where the API server does not know the kind, as long as its CRD is not installed.
        """
        documents: Documents = []
        query: Query = [("limit", str(self._page_objects))]
        while True:
            answer = self._call("GET", KINDS[kind].path(namespace), query=query, missing_ok=True)
            if answer is None:
                return [], 0
            # Page by page, for thousands of RayJobs with the pods that they describe are hundreds of MiB.
            documents += map(without_ballast, _items(kind, answer))
            token = answer["metadata"].get("continue")
            if not token:
                return documents, int(answer["metadata"]["resourceVersion"])
            query = [("limit", str(self._page_objects)), ("continue", token)]

    def apply(self, document: Mapping[str, Any], subresource: str = "") -> Document:
        """Server-side apply under our field manager; returns the object as it is then.

        With `metadata.uid` in the document nothing is created and no namesake is changed: RetryLaterError.
        Raises RefusedError when the API server does not take the document.
        """
        metadata = document["metadata"]
        path = KINDS[document["kind"]].path(metadata.get("namespace"), metadata["name"], subresource)
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        applied = self._call("PATCH", path, query=query, body=document, content_type=APPLY)
        assert applied is not None
        return applied

    def create(self, document: Mapping[str, Any]) -> Document | None:
        """Create an object and return it; None, and nothing happens, when there is one of that name."""
        path = KINDS[document["kind"]].path(document["metadata"]["namespace"])
        return self._call("POST", path, query=[("fieldManager", FIELD_MANAGER)], body=document, exists_ok=True)

    def patch(self, kind: str, namespace: str, name: str, changes: Mapping[str, Any]) -> Document | None:
        """Merge changes into an object; None when it is gone. `metadata.resourceVersion` in the changes makes it a test-and-set."""
        content = "application/merge-patch+json"
        query = [("fieldManager", FIELD_MANAGER)]
        return self._call("PATCH", KINDS[kind].path(namespace, name), query=query, body=changes, content_type=content, missing_ok=True)

    def delete(self, kind: str, namespace: str, name: str, uid: str = "") -> None:
        """Delete an object, its dependents in the background. Nothing happens when it, or the one with that uid, is gone."""
        body: Document = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        self._call("DELETE", KINDS[kind].path(namespace, name), body=body, missing_ok=True)

    def log_tail(self, namespace: str, pod: str, container: str, lines: int = 20) -> str:
        """The last lines of a container's log, of the run before if that one ended; empty where there is none."""
        for previous in ("false", "true"):
            query = [("container", container), ("tailLines", str(lines)), ("previous", previous)]
            try:
                text = self._send("GET", KINDS["Pod"].path(namespace, pod, "log"), query, None, "application/json")
            except (_Refusal, RetryLaterError):
                continue
            if text.strip():
                return text
        return ""

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        missing_ok: bool = False,
        exists_ok: bool = False,
    ) -> Document | None:
        try:
            text = self._send(method, path, query or [], body, content_type)
        except _Refusal as refusal:
            # A conflict of any other kind leaves undone what was asked.
            if (refusal.is_missing and missing_ok) or (refusal.reason == "AlreadyExists" and exists_ok):
                return None
            if method != "GET" and refusal.status in REFUSED:
                raise RefusedError(f"the API server refuses {path}: {refusal.message}", REFUSED[refusal.status]) from None
            raise RetryLaterError(f"{method} {path}: {refusal.status} {refusal.message}", refusal.after_s) from None
        try:
            document: Document = json.loads(text)
        except ValueError:
            raise RetryLaterError(f"{method} {path}: the answer ends in the middle, or is no JSON") from None
        return document

    def _send(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None, content_type: str) -> str:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = self._client.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = self._client.call_api(*request, _request_timeout=REQUEST_TIMEOUT_S)
            self.clock.hear(response.headers.get("Date"))
            text: str = response.read().decode(errors="replace")
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise RetryLaterError(f"{method} {path}: {type(error).__name__}") from error
        if not 200 <= response.status <= 299:
            raise _Refusal(response.status, _status(text), _pause_s(response.headers.get("Retry-After")))
        return text


class _Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, told: Document, after_s: float) -> None:
        self.message, self.reason = str(told.get("message") or f"status {status}"), told.get("reason")
        super().__init__(self.message)
        self.status, self.after_s = status, after_s

    @property
    def is_missing(self) -> bool:
        """Whether the object is not there, or one of another uid is."""
        return self.status == 404 or (self.status == 409 and OTHER_UID in self.message)


def _items(kind: str, answer: Document) -> list[Document]:
    return [{"kind": kind, "apiVersion": KINDS[kind].api_version, **item} for item in answer.get("items") or []]


def _pause_s(retry_after: str | None) -> float:
    """Seconds; API servers write no dates there."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _status(text: str) -> Document:
    """The Status document of an answer that is not 2xx; empty where something before the API server answered."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
