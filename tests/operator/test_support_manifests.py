"""What the pods of a namespace stand on, whole."""

from modelyard.operator.cluster_settings import ClusterSettings, Destination, Network, Profile, VolumeClaim
from modelyard.operator.support_manifests import build_network_policies, build_service_account, build_volume_claim

PLAIN = ClusterSettings(
    image="yard:1",
    ray_version="2.60.0",
    store_uri="s3://yard/store",
    runs_uri="s3://yard/runs",
    milvus_uri="http://milvus:19530",
    default_profile="cpu",
    profiles={"cpu": Profile(limits={"cpu": "4"}, ray_resources={"CPU": 4}, memory_gib=16)},
)
LABELS = {"app.kubernetes.io/managed-by": "modelyard"}


def settings(**changes: object) -> ClusterSettings:
    return PLAIN.model_copy(update=changes)


def test_the_account_mounts_no_token_by_itself() -> None:
    assert build_service_account("team", settings(image_pull_secrets=["registry"])) == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "modelyard-jobs", "namespace": "team", "labels": LABELS},
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "registry"}],
    }


def test_a_volume_with_a_size_is_claimed() -> None:
    claim = VolumeClaim(name="yard", mount_path="/yard", size="100Gi", storage_class="nfs")
    assert build_volume_claim("team", settings(volume_claim=claim)) == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "yard", "namespace": "team", "labels": LABELS},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Gi"}}, "storageClassName": "nfs"},
    }


def test_a_volume_without_a_class_gets_the_default_of_the_cluster() -> None:
    claim = build_volume_claim("team", settings(volume_claim=VolumeClaim(name="yard", mount_path="/yard", size="1Gi")))
    assert claim is not None
    assert "storageClassName" not in claim["spec"]


def test_a_volume_without_a_size_is_somebody_elses() -> None:
    assert build_volume_claim("team", settings(volume_claim=VolumeClaim(name="yard", mount_path="/yard"))) is None
    assert build_volume_claim("team", PLAIN) is None


def test_there_are_no_fences_where_none_are_asked_for() -> None:
    assert build_network_policies("team", PLAIN) == []


def tcp(*ports: int) -> list[dict[str, object]]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def namespace(name: str) -> dict[str, object]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def test_only_the_gateway_is_open_to_the_namespace() -> None:
    network = Network(
        client_namespaces=["ingress"],
        metrics_namespaces=["monitoring"],
        destinations=[Destination(cidr="10.0.0.0/8", ports=[443, 9000]), Destination(namespace="milvus", ports=[19530])],
    )
    operators = [namespace("modelyard"), namespace("kuberay")]
    lookups = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    outside = [
        lookups,
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": tcp(443, 9000)},
        {"to": [namespace("milvus")], "ports": tcp(19530)},
    ]
    metrics = {"from": [namespace("monitoring")], "ports": tcp(8080)}
    serving = {"matchLabels": LABELS | {"modelyard.io/kind": "RayService", "modelyard.io/name": "modelyard"}}
    jobs = {"matchExpressions": [{"key": "modelyard.io/job", "operator": "Exists"}]}
    assert build_network_policies("team", settings(network=network)) == [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "modelyard", "namespace": "team", "labels": LABELS},
            "spec": {
                "podSelector": serving,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {"from": [{"podSelector": serving}]},
                    {"from": [{"podSelector": {}}, namespace("ingress")], "ports": tcp(8000)},
                    {"from": operators, "ports": tcp(8000, 8265)},
                    metrics,
                ],
                "egress": [{"to": [{"podSelector": serving}]}, *outside],
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "modelyard-jobs", "namespace": "team", "labels": LABELS},
            "spec": {
                "podSelector": jobs,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": jobs}]}, {"from": operators, "ports": tcp(8265)}, metrics],
                "egress": [{"to": [{"podSelector": jobs}]}, *outside],
            },
        },
    ]


def test_fences_keep_the_metrics_closed_where_nobody_scrapes() -> None:
    for policy in build_network_policies("team", settings(network=Network())):
        assert tcp(8080) not in [rule.get("ports") for rule in policy["spec"]["ingress"]]
