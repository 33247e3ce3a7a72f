import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.control_plane import ControlPlane
from harness.marker import ForeignClusterError
from harness.processes import Processes
from harness.session import ALIVE, PREFIX, RefusedError, open_cluster, sweep
from harness.settings import ClusterTestSettings


def seen_as(cluster: Cluster, identity: str) -> Cluster:
    """The same server, as a session of another id sees it."""
    return Cluster(cluster.kubeconfig, cluster.home, identity, cluster.control_plane, cluster.say)


def own_plane(cluster: Cluster) -> ControlPlane:
    if cluster.control_plane is None:
        pytest.skip("only a cluster that the tests made carries their marker")
    return cluster.control_plane


@pytest.mark.parametrize("way", ["client", "kubectl", "namespace"])
def test_a_cluster_that_another_session_made_is_left_alone(cluster: Cluster, way: str) -> None:
    own_plane(cluster)
    foreign = seen_as(cluster, secrets.token_hex(16))

    with pytest.raises(ForeignClusterError, match="belongs to the test session"):
        getattr(foreign, way)()


def test_a_given_cluster_is_refused_until_it_is_allowed(tmp_path: Path) -> None:
    settings = ClusterTestSettings(kubeconfig=tmp_path / "production", any_cluster=None)

    with pytest.raises(RefusedError, match="MODELYARD_TEST_ANY_CLUSTER=yes"), open_cluster(settings, lambda text: None):
        pass


def test_a_given_cluster_that_is_allowed_is_used_and_left_clean(cluster: Cluster) -> None:
    with open_cluster(ClusterTestSettings(kubeconfig=cluster.kubeconfig, any_cluster="yes"), lambda text: None) as given:
        name = given.namespace()
        assert given.server == cluster.server

    phase = cluster.kubectl("get", "namespace", name, "-o", "jsonpath={.status.phase}")
    assert phase.stdout in {"", "Terminating"}


@pytest.mark.parametrize("variable", ["KUBECONFIG", "HOME"])
def test_the_machine_s_own_contexts_are_not_seen(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    (tmp_path / ".kube").mkdir()
    production = tmp_path / ".kube" / "config"
    production.write_text("current-context: production\n")
    monkeypatch.setenv(variable, str(production if variable == "KUBECONFIG" else tmp_path))

    assert cluster.kubectl("config", "current-context").stdout.strip() != "production"
    assert "production" not in cluster.kubectl("config", "view").stdout


STARTER = """
import sys, time
from pathlib import Path
from harness.processes import Processes
processes = Processes(Path(sys.argv[1]))
processes.start("sleeper", ["/bin/sleep", "600"])
print(processes.running["sleeper"].pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_killed_session_leaves_no_process(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r})\n{STARTER}"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()

    watcher = Processes(tmp_path)
    watcher.start("watcher", ["/bin/sleep", "60"])
    watcher.wait_until("watcher", lambda: not _runs(pid), timeout_s=10)
    watcher.stop_all()


def test_the_folder_of_a_killed_session_is_swept_and_a_living_one_s_is_not(cluster: Cluster) -> None:
    dead = Path(tempfile.mkdtemp(prefix=PREFIX))
    (dead / ALIVE).touch()

    sweep()

    assert not dead.exists()
    assert cluster.kubeconfig.exists()


def _runs(pid: int) -> bool:
    """Is there such a process that is not merely waiting to be counted?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
