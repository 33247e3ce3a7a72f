"""The settings of the operator on a cluster."""

from pathlib import Path

import pytest

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.machine import Machine, Machines
from modelyard.operator.cluster_settings import ClusterSettings, Profile, Toleration, VolumeClaim, read_settings

GOOD = """\
image: registry.example/modelyard:1
rayVersion: 2.60.0
storeUri: s3://yard/store
runsUri: s3://yard/runs
milvusUri: http://milvus:19530
defaultProfile: cpu
profiles:
  cpu: {limits: {cpu: 4, memory: 16Gi}, rayResources: {CPU: 4}, memoryGib: 16}
"""


def read(folder: Path, text: str) -> ClusterSettings:
    path = folder / "settings.yaml"
    path.write_text(text)
    return read_settings(path)


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == ClusterSettings(
        image="registry.example/modelyard:1",
        ray_version="2.60.0",
        store_uri="s3://yard/store",
        runs_uri="s3://yard/runs",
        milvus_uri="http://milvus:19530",
        default_profile="cpu",
        profiles={"cpu": Profile(limits={"cpu": "4", "memory": "16Gi"}, ray_resources={"CPU": 4.0}, memory_gib=16.0)},
    )


def test_a_profile_and_a_volume_say_all_that_a_pod_needs(tmp_path: Path) -> None:
    more = (
        "  h100:\n"
        "    nodeSelector: {pool: gpu}\n"
        "    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]\n"
        "    limits: {nvidia.com/gpu: 1}\n"
        "    rayResources: {CPU: 8, GPU: 1}\n"
        "    memoryGib: 80\n"
        "volumeClaim: {name: yard, mountPath: /yard}\n"
    )
    settings = read(tmp_path, GOOD + more)
    assert settings.profile("h100") == Profile(
        node_selector={"pool": "gpu"},
        tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
        limits={"nvidia.com/gpu": "1"},
        ray_resources={"CPU": 8.0, "GPU": 1.0},
        memory_gib=80.0,
    )
    assert settings.profile(None) == settings.profiles["cpu"]
    assert settings.volume_claim == VolumeClaim(name="yard", mount_path="/yard")


def test_an_unknown_profile_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no profile 'cpus' on this cluster; did you mean cpu\\? there is cpu$"):
        read(tmp_path, GOOD).profile("cpus")


BAD = [
    pytest.param(GOOD + "quee: gpus\n", "settings.yaml:9: quee is unknown; did you mean queueName?", id="a mistyped field"),
    pytest.param(GOOD.replace("image: registry.example/modelyard:1\n", ""), "image is missing; add it", id="no image"),
    pytest.param(
        GOOD.replace("16Gi", "16Gb"),
        "settings.yaml:8: profiles.cpu.limits.memory is '16Gb'; give a Kubernetes quantity such as 500m, 4 or 16Gi",
        id="a bad quantity names its field and its line",
    ),
    pytest.param(GOOD.replace("2.60.0", "2.60"), "rayVersion is 2.6, which is not text; put it in quotes", id="a version read as a number"),
    pytest.param(
        GOOD.replace("defaultProfile: cpu", "defaultProfile: gpu"),
        "defaultProfile is 'gpu'; set it to one of cpu",
        id="a default that is no profile",
    ),
    pytest.param(
        GOOD.replace("  cpu: {", "  CPU: {"), "the profile name 'CPU' is not usable", id="a profile that cannot be in a pod's name"
    ),
    pytest.param(GOOD.replace("{CPU: 4}", "{GPU: 1}"), "profiles.cpu: rayResources has no CPU", id="a profile without CPUs for Ray"),
    pytest.param(
        GOOD + "network: {destinations: [{cidr: 10.0.0.0/8, namespace: milvus, ports: [443]}]}\n",
        "network.destinations[0]: a destination is one place; give exactly one of cidr, namespace",
        id="a destination in two places",
    ),
    pytest.param("- image\n", "are not a mapping", id="a list"),
    pytest.param(GOOD + "---\n" + GOOD, "have 2 documents; leave one", id="two documents"),
    pytest.param("", "have 0 documents; leave one", id="an empty file"),
    pytest.param("image: [\n", "settings.yaml:2:1: not valid YAML", id="broken YAML"),
    pytest.param(GOOD + "image: other\n", "image is given twice, on lines 1 and 9", id="a field that is given twice"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, GOOD.replace("2.60.0", "new") + "quee: gpus\n")
    assert [line.partition(":")[2].partition(" ")[0] for line in str(caught.value).splitlines()] == ["2:", "9:"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere.yaml cannot be read: No such file"):
        read_settings(tmp_path / "nowhere.yaml")


def test_the_example_is_read() -> None:
    settings = read_settings(Path(__file__).parents[2] / "examples" / "operator.yaml")
    assert settings.profile("l4").ray_resources == {"CPU": 8.0, "GPU": 1.0}
    assert settings.namespaces == ["team-a"]


def test_the_profiles_are_the_machines_of_the_lifecycle(tmp_path: Path) -> None:
    gpu = "  gpu: {limits: {cpu: 8, memory: 64Gi}, rayResources: {CPU: 8, GPU: 2}, memoryGib: 48}\n"
    machines = read(tmp_path, GOOD + gpu).machines()
    assert machines == Machines({"cpu": Machine(16, {"CPU": 4}), "gpu": Machine(48, {"CPU": 8, "GPU": 2})}, "cpu")
