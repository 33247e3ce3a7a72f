import pytest

from harness.calls import Call, read_call

JOBS = "/apis/ray.io/v1/namespaces/ml/rayjobs"


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        pytest.param("GET", "/api/v1/nodes", {}, Call("list", resource="nodes"), id="a list of a core kind"),
        pytest.param("GET", JOBS, {}, Call("list", "ray.io", "rayjobs", namespace="ml"), id="a list in a namespace"),
        pytest.param("GET", f"{JOBS}/a", {}, Call("get", "ray.io", "rayjobs", namespace="ml", name="a"), id="one object"),
        pytest.param("GET", JOBS, {"watch": "true"}, Call("watch", "ray.io", "rayjobs", namespace="ml"), id="client-go and Python watch"),
        pytest.param("GET", JOBS, {"watch": "1"}, Call("watch", "ray.io", "rayjobs", namespace="ml"), id="a watch written as 1"),
        pytest.param("GET", JOBS, {"watch": "false"}, Call("list", "ray.io", "rayjobs", namespace="ml"), id="no watch after all"),
        pytest.param("POST", JOBS, {}, Call("create", "ray.io", "rayjobs", namespace="ml"), id="a create has no name"),
        pytest.param("PUT", f"{JOBS}/a", {}, Call("update", "ray.io", "rayjobs", namespace="ml", name="a"), id="a replace"),
        pytest.param(
            "PATCH", f"{JOBS}/a/status", {}, Call("patch", "ray.io", "rayjobs", "status", "ml", "a"), id="the status is a subresource"
        ),
        pytest.param("DELETE", f"{JOBS}/a", {}, Call("delete", "ray.io", "rayjobs", namespace="ml", name="a"), id="a delete"),
        pytest.param("DELETE", JOBS, {}, Call("deletecollection", "ray.io", "rayjobs", namespace="ml"), id="a delete of all"),
        pytest.param("GET", "/api/v1/namespaces", {}, Call("list", resource="namespaces"), id="namespaces are a kind too"),
        pytest.param("GET", "/api/v1/namespaces/ml", {}, Call("get", resource="namespaces", name="ml"), id="one namespace"),
        pytest.param(
            "PUT",
            "/api/v1/namespaces/ml/finalize",
            {},
            Call("update", resource="namespaces", subresource="finalize", name="ml"),
            id="a namespace's own subresource is no kind in it",
        ),
        pytest.param("GET", "/apis", {}, Call("get"), id="discovery has no resource"),
        pytest.param("GET", "/apis/ray.io/v1", {}, Call("get"), id="the discovery of a group has none either"),
        pytest.param("GET", "/readyz", {}, Call("get"), id="a health check has none"),
    ],
)
def test_a_request_is_read_as_the_server_reads_it(method: str, path: str, query: dict[str, str], expected: Call) -> None:
    assert read_call(method, path, query) == expected


def test_a_dry_run_is_no_write() -> None:
    assert not read_call("PATCH", f"{JOBS}/a", {"dryRun": "All"}).is_write
