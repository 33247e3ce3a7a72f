"""The resources of one namespace as custom resources. Reads from the watch cache, writes to the API."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal

from modelyard.domain.base import Spec, digest_of
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.model import ModelVersion
from modelyard.domain.names import HASH_LENGTH
from modelyard.domain.resource import API_VERSION, Resource
from modelyard.operator.kubernetes import Api, RefusedError
from modelyard.operator.kubernetes_objects import status_document, to_document, to_resource
from modelyard.operator.labels import FINALIZER
from modelyard.operator.ports import Key
from modelyard.operator.watch_cache import WatchCache

logger = logging.getLogger(__name__)

OURS = ("Model", "Evaluation", "KnowledgeBase", "ModelVersion")
HELD = ("Model", "KnowledgeBase")
"""Kinds with something outside the API server to clean up before they go."""
LONGEST_NAME = 253
Names = list[str]
"""An alias, since `list` means something else inside KubernetesResources."""


class KubernetesResources:
    """What the reconciler needs of the API server. Every writing method may raise RetryLaterError."""

    def __init__(self, api: Api, cache: WatchCache, namespace: str, now: Callable[[], str]) -> None:
        """now: UTC, RFC 3339."""
        self.api, self.cache, self.namespace, self._now = api, cache, namespace, now
        self._parsed: dict[Key, tuple[Any, Resource]] = {}

    def list(self) -> list[Resource]:
        """All resources of the namespace that this version understands."""
        documents = [document for kind in OURS for document in self.cache.list(kind, self.namespace)]
        return [resource for document in documents if (resource := self._understand(document)) is not None]

    def served_and_unreadable(self) -> Names:
        """Names of resources that are served and that this version does not understand: what they want served is not known."""
        documents = [document for kind in OURS for document in self.cache.list(kind, self.namespace)]
        return [document["metadata"]["name"] for document in documents if _is_served(document) and self._understand(document) is None]

    def find(self, kind: str, namespace: str, name: str) -> Resource | None:
        """A resource, or None. Raises InvalidInputError for one that this version does not understand."""
        document = self.cache.get(kind, namespace, name)
        if document is None:
            self._parsed.pop((kind, namespace, name), None)
            return None
        return self._parse(document)

    def versions(self, namespace: str | None, model: str | None) -> Iterable[ModelVersion]:
        """The versions of a model; None: of all namespaces, of all models."""
        if namespace is None or model is None:
            found = self.cache.list("ModelVersion", namespace, lambda document: model is None or document["spec"].get("model") == model)
        else:
            found = self.cache.list_of_model("ModelVersion", namespace, model)
        parsed = [self._understand(document) for document in found]
        return [version for version in parsed if isinstance(version, ModelVersion)]

    def create(self, resource: Resource) -> object:
        """Make a resource; nothing happens when there is one of that name, as after a crash."""
        made = self.api.create(to_document(resource))
        if made is not None:
            self.cache.put(made)
        return resource

    def set_status(self, key: Key, status: Spec) -> bool:
        """Replace the status. False, and nothing written, when it is so already or the resource is gone."""
        document = self.cache.get(*key)
        if document is None or (document.get("status") or {}) == status.wire():
            return False
        self.cache.put(self.api.apply(status_document(self._parse(document), status), "status"))
        return True

    def hold(self, key: Key) -> None:
        """Put our finalizer on a resource that has something to clean up, before anything of the kind is made."""
        document = self.cache.get(*key)
        if document is None or key[0] not in HELD or document["metadata"].get("deletionTimestamp"):
            return
        if FINALIZER not in (document["metadata"].get("finalizers") or []):
            self._set_finalizers(document, [*(document["metadata"].get("finalizers") or []), FINALIZER])

    def remove(self, key: Key) -> None:
        """Let a resource go that is being deleted; delete one that is not."""
        document = self.cache.get(*key)
        if document is None:
            return
        if not document["metadata"].get("deletionTimestamp"):
            self.api.delete(*key, uid=document["metadata"]["uid"])
        elif FINALIZER in (document["metadata"].get("finalizers") or []):
            self._set_finalizers(document, [name for name in document["metadata"]["finalizers"] if name != FINALIZER])

    def refuse(self, key: Key, message: str) -> None:
        """Say in the status that a stored resource is not understood."""
        document = self.cache.get(*key)
        if document is None:
            return
        metadata, before = document["metadata"], document.get("status") or {}
        former: dict[str, Any] = next((c for c in (document.get("status") or {}).get("conditions") or [] if c.get("type") == "Ready"), {})
        since = former["lastTransitionTime"] if former.get("status") == "False" and former.get("lastTransitionTime") else self._now()
        ready = {"type": "Ready", "status": "False", "reason": "InvalidSpec", "message": message, "lastTransitionTime": since}
        # What is served stays on record: it goes on being served, see `served_and_unreadable`.
        status = {field: before[field] for field in ("servedNames", "collection") if before.get(field)} | {
            "phase": "Failed",
            "observedGeneration": metadata.get("generation", 0),
            "conditions": [ready | {"observedGeneration": metadata.get("generation", 0)}],
        }
        if document.get("status") == status:
            return
        named = {field: metadata[field] for field in ("name", "namespace", "uid")}
        self.cache.put(self.api.apply({"apiVersion": API_VERSION, "kind": key[0], "metadata": named, "status": status}, "status"))

    def record_event(self, key: Key, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:  # noqa: A002
        """Tell an event about a resource; the very same again is counted."""
        document = self.cache.get(*key)
        if document is None:
            return
        kind, namespace, name = key
        uid = document["metadata"]["uid"]
        tail = digest_of([uid, type, reason, message])[:HASH_LENGTH]
        event_name = f"{name[: LONGEST_NAME - HASH_LENGTH - 1]}.{tail}"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event_name, "namespace": namespace},
            "involvedObject": {"apiVersion": API_VERSION, "kind": kind, "namespace": namespace, "name": name, "uid": uid},
            "type": type,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "modelyard-operator"},
            "firstTimestamp": self._now(),
            "lastTimestamp": self._now(),
            "count": 1,
        }
        try:
            if self.api.create(event) is None:
                told = self.api.get("Event", namespace, event_name) or {}
                self.api.patch("Event", namespace, event_name, {"count": told.get("count", 1) + 1, "lastTimestamp": self._now()})
        except RefusedError as error:
            logger.warning("an event was not taken: %s", error)

    def _set_finalizers(self, document: dict[str, Any], finalizers: Names) -> None:
        metadata = document["metadata"]
        changes = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]}}
        changed = self.api.patch(document["kind"], metadata["namespace"], metadata["name"], changes)
        if changed is None:
            self.cache.drop(document)  # it went before the watches began: they do not tell
        elif finalizers:
            self.cache.put(changed)

    def _understand(self, document: dict[str, Any]) -> Resource | None:
        try:
            return self._parse(document)
        except InvalidInputError:
            return None

    def _parse(self, document: dict[str, Any]) -> Resource:
        """Parsed once for each version of an object: the cache never changes a document in place."""
        key = (document["kind"], document["metadata"]["namespace"], document["metadata"]["name"])
        known = self._parsed.get(key)
        if known is not None and known[0] is document:
            return known[1]
        resource = to_resource(document)
        self._parsed[key] = (document, resource)
        return resource


def _is_served(document: dict[str, Any]) -> bool:
    status = document.get("status") or {}
    return bool(status.get("servedNames") or status.get("collection"))
