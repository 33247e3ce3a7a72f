"""Turn the API server's documents into our resources and back. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from modelyard.domain.base import Spec
from modelyard.domain.documents import KINDS
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.resource import API_VERSION, Resource

METADATA = ("name", "namespace", "labels", "annotations", "uid", "generation", "creationTimestamp", "deletionTimestamp")
OWNER = ("kind", "name", "uid")


def version_of(document: Mapping[str, Any]) -> int:
    """The resourceVersion as a number: later writes have greater ones (KEP-5504, stable since Kubernetes 1.35)."""
    return int(document["metadata"].get("resourceVersion") or 0)


def without_ballast(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without what is large and never looked at: who set which field, and the pods that a RayJob describes.

    Thousands of them are kept.
    """
    metadata = {field: value for field, value in document["metadata"].items() if field != "managedFields"}
    kept = {**document, "metadata": metadata}
    if document["kind"] == "RayJob" and "spec" in document:
        kept["spec"] = {field: value for field, value in document["spec"].items() if field != "rayClusterSpec"}
    return kept


def to_resource(document: Mapping[str, Any]) -> Resource:
    """A custom resource as the domain knows it.

    Raises InvalidInputError for one that this version does not understand: stored under an older or a newer CRD.
    """
    metadata = document["metadata"]
    kept = {field: metadata[field] for field in METADATA if metadata.get(field) is not None}
    kept["resourceVersion"] = version_of(document)
    kept["ownerReferences"] = [{field: owner[field] for field in OWNER} for owner in metadata.get("ownerReferences") or []]
    body = {"apiVersion": API_VERSION, "kind": document["kind"], "metadata": kept, "spec": document.get("spec") or {}}
    if document.get("status"):
        body["status"] = document["status"]
    try:
        return KINDS[document["kind"]].model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(
            f"{field}: {first['msg']}", "correct the resource; it was stored under another version of the CRD"
        ) from None


def to_document(resource: Resource) -> dict[str, Any]:
    """What is applied to make a resource: no status, and of the metadata what a client may set."""
    metadata = resource.metadata
    owners = [
        {"apiVersion": API_VERSION, **owner.wire(), "controller": True, "blockOwnerDeletion": True} for owner in metadata.owner_references
    ]
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": metadata.name, "namespace": metadata.namespace},
        "spec": resource.spec_document(),
    }
    for field, value in (("labels", metadata.labels), ("annotations", metadata.annotations), ("ownerReferences", owners)):
        if value:
            document["metadata"][field] = value
    return document


def status_document(resource: Resource, status: Spec) -> dict[str, Any]:
    """What is applied to the status subresource. The uid keeps it from a namesake made meanwhile."""
    metadata = resource.metadata
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
        "status": status.wire(),
    }
