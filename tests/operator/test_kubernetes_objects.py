"""The API server's documents and ours."""

import pytest

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.model import Model, ModelVersion, ModelVersionSpec, Source
from modelyard.domain.resource import Metadata, OwnerReference
from modelyard.operator.kubernetes_objects import status_document, to_document, to_resource, without_ballast

MODEL = {
    "apiVersion": "modelyard.io/v1alpha1",
    "kind": "Model",
    "metadata": {
        "name": "bot",
        "namespace": "team",
        "uid": "u1",
        "generation": 3,
        "resourceVersion": "77",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["modelyard.io/cleanup"],
        "managedFields": [{"manager": "kubectl"}],
        "labels": {"a": "b"},
    },
    "spec": {"source": {"uri": "hf://a/b"}},
    "status": {"phase": "Ready"},
}


def test_a_stored_resource_is_read_with_what_the_server_set_and_without_what_is_its_own() -> None:
    model = to_resource(MODEL)
    assert isinstance(model, Model)
    assert (model.key, model.metadata.uid, model.metadata.generation, model.metadata.resource_version) == (
        ("Model", "team", "bot"),
        "u1",
        3,
        77,
    )
    assert model.status.phase == "Ready"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"spec": {"source": {"uri": "hf://a/b"}, "gone": 1}}, "spec.gone", id="a field that is no more"),
        pytest.param({"spec": {}}, "spec.source", id="a field that came since"),
        pytest.param({"status": {"phase": "Dreaming"}}, "status.phase", id="a phase of another version"),
    ],
)
def test_what_another_version_of_the_crd_let_in_is_named(change: dict, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        to_resource(MODEL | change)


def test_a_version_is_made_with_its_owner_and_without_a_status() -> None:
    version = ModelVersion(
        metadata=Metadata(name="bot-1", namespace="team", owner_references=[OwnerReference(kind="Model", name="bot", uid="u1")]),
        spec=ModelVersionSpec(model="bot", source=Source(uri="hf://a/b"), base_digest="b", revision=1),
    )
    assert to_document(version) == {
        "apiVersion": "modelyard.io/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {
            "name": "bot-1",
            "namespace": "team",
            "ownerReferences": [
                {
                    "apiVersion": "modelyard.io/v1alpha1",
                    "kind": "Model",
                    "name": "bot",
                    "uid": "u1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": version.spec.wire(),
    }


def test_a_status_is_for_this_very_object_and_no_namesake() -> None:
    model = to_resource(MODEL)
    assert isinstance(model, Model)
    assert status_document(model, model.status)["metadata"] == {"name": "bot", "namespace": "team", "uid": "u1"}


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        pytest.param("RayJob", {"suspend": True}, id="of a RayJob not the pods"),
        pytest.param("RayService", {"suspend": True, "rayClusterSpec": {"headGroupSpec": {}}}, id="of anything else the whole spec"),
    ],
)
def test_what_is_kept_in_thousands_is_kept_without_its_ballast(kind: str, kept: dict[str, object]) -> None:
    document = {
        "kind": kind,
        "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]},
        "spec": {"suspend": True, "rayClusterSpec": {"headGroupSpec": {}}},
        "status": {"jobStatus": "RUNNING"},
    }
    assert without_ballast(document) == {"kind": kind, "metadata": {"name": "a"}, "spec": kept, "status": {"jobStatus": "RUNNING"}}
    assert document["metadata"] == {"name": "a", "managedFields": [{"manager": "kubectl"}]}, "the document itself stays as it is"
