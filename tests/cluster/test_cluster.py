import copy

import pytest
from kubernetes import client

from harness.cluster import Cluster

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.tests.modelyard.io}
spec:
  group: tests.modelyard.io
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer, minimum: 1}}
"""
WIDGET = {"apiVersion": "tests.modelyard.io/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}}
WIDGET_KIND = ("tests.modelyard.io", "v1")


def config_map(name: str = "one", **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_the_server_says_the_version_that_it_is_built_from(cluster: Cluster) -> None:
    assert client.VersionApi(cluster.client()).get_code().git_version == "v1.37.2"


def test_kubectl_and_the_client_ask_the_same_server(cluster: Cluster, namespace: str) -> None:
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"by": "kubectl"}}], namespace)

    assert client.CoreV1Api(cluster.client()).read_namespaced_config_map("one", namespace).data == {"by": "kubectl"}


def test_a_definition_is_served_once_it_is_applied(cluster: Cluster, namespace: str) -> None:
    cluster.apply_crds([WIDGETS])
    widgets = client.CustomObjectsApi(cluster.client())

    widgets.create_namespaced_custom_object(*WIDGET_KIND, namespace, "widgets", WIDGET)

    assert widgets.get_namespaced_custom_object(*WIDGET_KIND, namespace, "widgets", "one")["spec"] == {"size": 1}


def test_a_definition_refuses_what_its_schema_forbids(cluster: Cluster, namespace: str) -> None:
    cluster.apply_crds([WIDGETS])
    too_small = {**copy.deepcopy(WIDGET), "spec": {"size": 0}}

    with pytest.raises(client.ApiException) as refused:
        client.CustomObjectsApi(cluster.client()).create_namespaced_custom_object(*WIDGET_KIND, namespace, "widgets", too_small)

    assert refused.value.status == 422
    assert "spec.size" in refused.value.body


def test_replacing_a_stale_copy_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    core = client.CoreV1Api(cluster.client())
    stale = core.create_namespaced_config_map(namespace, config_map(turn="first"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"turn": "second"}})

    with pytest.raises(client.ApiException) as refused:
        core.replace_namespaced_config_map("one", namespace, stale)

    assert refused.value.status == 409
    assert core.read_namespaced_config_map("one", namespace).data == {"turn": "second"}


@pytest.fixture
def reader(cluster: Cluster, namespace: str) -> client.CoreV1Api:
    """A service account that may read ConfigMaps in its own namespace, and nothing else."""
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}
    cluster.apply(
        [account, {**rbac, "kind": "Role", "rules": rules}, {**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}],
        namespace,
    )
    return client.CoreV1Api(cluster.client(cluster.kubeconfig_for("reader", namespace)))


def test_a_service_account_may_do_what_its_role_says(cluster: Cluster, namespace: str, reader: client.CoreV1Api) -> None:
    client.CoreV1Api(cluster.client()).create_namespaced_config_map(namespace, config_map(secret="no"))

    assert reader.read_namespaced_config_map("one", namespace).data == {"secret": "no"}


def test_a_service_account_may_do_nothing_else(namespace: str, reader: client.CoreV1Api) -> None:
    with pytest.raises(client.ApiException) as refused:
        reader.create_namespaced_config_map(namespace, config_map())

    assert refused.value.status == 403
    assert f"system:serviceaccount:{namespace}:reader" in refused.value.body
