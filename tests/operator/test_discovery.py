"""Which kinds an API server has, by what it tells of itself, and when it does not."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.rest import RESTResponse

from modelyard.operator.discovery import Discovery

OURS, RAYS = "/apis/modelyard.io/v1alpha1", "/apis/ray.io/v1"


def groups(*names: str) -> dict[str, Any]:
    version = {"groupVersion": "any/v1", "version": "v1"}
    return {"kind": "APIGroupList", "groups": [{"name": name, "versions": [version]} for name in names]}


def resources(*plurals: str) -> dict[str, Any]:
    found = [{"name": name, "kind": "Any", "namespaced": True, "singularName": "", "verbs": ["get"]} for name in plurals]
    return {"kind": "APIResourceList", "groupVersion": "any/v1", "resources": found}


class FakeClient(ApiClient):  # type: ignore[misc]  # the client has no types
    """An API server that answers at some paths; at a path with a number it answers with that status, else with 404."""

    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__(Configuration(host="http://api.test"))
        self.answers = answers
        self.asked: list[str] = []

    def call_api(self, method: str, url: str, *_: Any, **__: Any) -> RESTResponse:
        path = urlsplit(url).path
        self.asked.append(path)
        answer = self.answers.get(path, 404)
        if isinstance(answer, Exception):
            raise answer
        status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
        headers = {"Content-Type": "application/json"}
        return RESTResponse(urllib3.HTTPResponse(json.dumps(body).encode(), headers, status, preload_content=False))


ALL = {"Model", "ModelVersion", "RayJob"}
THERE = {
    "/apis/": groups("modelyard.io", "ray.io"),
    OURS: resources("models", "models/status", "modelversions"),
    RAYS: resources("rayjobs"),
}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        pytest.param({}, set(), id="all are there"),
        pytest.param({OURS: resources("models")}, {"ModelVersion"}, id="one of a group is not installed"),
        pytest.param({OURS: resources("models/status", "modelversions")}, {"Model"}, id="a subresource is not the kind"),
        pytest.param({"/apis/": groups("modelyard.io")}, {"RayJob"}, id="a whole group is not installed"),
        pytest.param({"/apis/": groups()}, ALL, id="there is none of them"),
        pytest.param({RAYS: 404}, {"RayJob"}, id="a group is there, but not in this version"),
        pytest.param({RAYS: 503}, ALL, id="one group does not answer: nothing is known for sure"),
        pytest.param({"/apis/": 401}, ALL, id="the API server refuses"),
        pytest.param({"/apis/": urllib3.exceptions.ProtocolError("cut")}, ALL, id="the connection breaks"),
        pytest.param({OURS: ConnectionRefusedError()}, ALL, id="nobody listens"),
    ],
)
def test_what_the_api_server_does_not_tell_is_missing(changes: dict[str, Any], missing: set[str]) -> None:
    assert Discovery(FakeClient(THERE | changes)).missing(ALL) == missing


def test_each_group_is_asked_once_and_none_that_is_not_there() -> None:
    client = FakeClient(THERE | {"/apis/": groups("modelyard.io")})
    Discovery(client).missing(ALL)
    assert client.asked == ["/apis/", OURS]


def test_of_no_kind_none_is_missing() -> None:
    assert Discovery(FakeClient(THERE)).missing([]) == set()
