"""The Lease as documents of the API: what is read, what is written, and who is faster."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.rest import RESTResponse

from modelyard.operator.kubernetes_lease import LEASE_NAME, KubernetesLease
from modelyard.operator.leader import Hold, LeaseUnreachableError

ALL = "/apis/coordination.k8s.io/v1/namespaces/system/leases"
ONE = f"{ALL}/{LEASE_NAME}"


class FakeClient(ApiClient):  # type: ignore[misc]  # the client has no types
    """An API server with one Lease: it refuses a write about another version, unless told to answer with a status or an error."""

    def __init__(self, stored: dict[str, Any] | None = None) -> None:
        super().__init__(Configuration(host="http://api.test"))
        self.stored = stored
        self.fails: int | Exception | None = None
        self.asked: list[tuple[str, str]] = []

    def call_api(self, method: str, url: str, header_params: Any = None, body: Any = None, *_: Any, **__: Any) -> RESTResponse:
        self.asked.append((method, urlsplit(url).path))
        if isinstance(self.fails, Exception):
            raise self.fails
        status = self.fails or self._act(method, body)
        headers = {"Content-Type": "application/json"}
        text = json.dumps(self.stored if status < 300 else {"kind": "Status"})
        return RESTResponse(urllib3.HTTPResponse(text.encode(), headers, status, preload_content=False))

    def _act(self, method: str, body: dict[str, Any]) -> int:
        if method == "POST" and self.stored is not None:
            return 409
        if method in ("GET", "PUT") and self.stored is None:
            return 404
        if method == "PUT" and self.stored and body["metadata"].get("resourceVersion") != self.stored["metadata"]["resourceVersion"]:
            return 409
        if method != "GET":
            version = int(self.stored["metadata"]["resourceVersion"]) + 1 if self.stored else 1
            self.stored = body | {"metadata": body["metadata"] | {"resourceVersion": str(version)}}
        return 200 if method != "POST" else 201


def lease(holder: str | None, version: str = "7", duration_s: int | None = 15) -> dict[str, Any]:
    spec = {field: value for field, value in (("holderIdentity", holder), ("leaseDurationSeconds", duration_s)) if value is not None}
    return {"metadata": {"name": LEASE_NAME, "namespace": "system", "resourceVersion": version}, "spec": spec}


@pytest.mark.parametrize(
    ("stored", "hold"),
    [
        pytest.param(None, None, id="there is none"),
        pytest.param(lease("a"), Hold("a", 15.0, "7"), id="somebody holds it"),
        pytest.param(lease(""), Hold("", 15.0, "7"), id="it was given back"),
        pytest.param(lease(None, duration_s=None), Hold("", 0.0, "7"), id="somebody made it empty"),
        pytest.param({"metadata": {"resourceVersion": "7"}}, Hold("", 0.0, "7"), id="it has no spec at all"),
    ],
)
def test_what_it_says_is_read(stored: dict[str, Any] | None, hold: Hold | None) -> None:
    client = FakeClient(stored)
    assert KubernetesLease(client, "system").read() == hold
    assert client.asked == [("GET", ONE)]


def test_it_is_made_and_then_replaced() -> None:
    client = FakeClient()
    kept = KubernetesLease(client, "system")
    made = kept.write(Hold("a", 15.0), None)
    assert made == Hold("a", 15.0, "1")
    assert kept.write(Hold("", 1.0), made) == Hold("", 1.0, "2")
    assert client.asked == [("POST", ALL), ("PUT", ONE)]
    assert client.stored is not None
    assert client.stored["spec"].pop("renewTime")
    assert client.stored["spec"] == {"holderIdentity": "", "leaseDurationSeconds": 1}
    assert client.stored["metadata"]["labels"]["app.kubernetes.io/managed-by"]


@pytest.mark.parametrize(
    ("stored", "before"),
    [
        pytest.param(lease("b"), None, id="somebody made it meanwhile"),
        pytest.param(lease("b", "8"), Hold("a", 15.0, "7"), id="somebody replaced it meanwhile"),
        pytest.param(None, Hold("a", 15.0, "7"), id="somebody deleted it meanwhile"),
    ],
)
def test_who_is_not_the_fastest_is_told_so_and_changes_nothing(stored: dict[str, Any] | None, before: Hold | None) -> None:
    client = FakeClient(stored)
    assert KubernetesLease(client, "system").write(Hold("a", 15.0), before) is None
    assert client.stored == stored


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(500, id="the API server fails"),
        pytest.param(403, id="the Role does not allow it"),
        pytest.param(urllib3.exceptions.ReadTimeoutError(None, "", "slow"), id="the answer takes too long"),  # type: ignore[arg-type]
        pytest.param(ConnectionResetError(), id="the connection breaks"),
    ],
)
def test_what_is_not_known_is_not_taken_for_lost(fails: int | Exception) -> None:
    client = FakeClient(lease("a"))
    client.fails = fails
    kept = KubernetesLease(client, "system")
    for act in (kept.read, lambda: kept.write(Hold("a", 15.0), None), lambda: kept.write(Hold("a", 15.0), Hold("a", 15.0, "7"))):
        with pytest.raises(LeaseUnreachableError):
            act()
