from kubernetes import client, watch

from harness.cluster import Cluster

TIMEOUT_S = 30
POD = {"spec": {"containers": [{"name": "ray", "image": "ray:none"}]}}
RAY_CLUSTER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "metadata": {"name": "one"},
    "spec": {"rayVersion": "2.60.0", "headGroupSpec": {"rayStartParams": {}, "template": POD}},
}


def test_kuberay_makes_the_head_pod_of_a_ray_cluster(kuberay: Cluster, namespace: str) -> None:
    kuberay.apply([RAY_CLUSTER], namespace)

    core, watching = client.CoreV1Api(kuberay.client()), watch.Watch()
    events = watching.stream(core.list_namespaced_pod, namespace, timeout_seconds=TIMEOUT_S)
    head = next((event["object"] for event in events), None)
    watching.stop()

    assert head is not None, kuberay.kubectl("describe", "raycluster", "one", "-n", namespace).stdout
    assert head.metadata.labels["ray.io/cluster"] == "one"
    assert head.metadata.labels["ray.io/node-type"] == "head"
