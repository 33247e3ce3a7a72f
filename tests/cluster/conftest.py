"""The session's Kubernetes API server. It is built once per machine, started once per session, and gone with it."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import binaries
from harness.cluster import Cluster
from harness.control_plane import PROGRAMS
from harness.proxy import Proxy
from harness.session import RefusedError, check, open_cluster
from harness.settings import ClusterTestSettings
from players import RayPlayer
from world import World, install_crds

HERE = Path(__file__).parent
SETTINGS = ClusterTestSettings()
FIXTURE = "cluster"
NEEDED_BY = {"kuberay": ("ray-operator",)}
"""Programs beyond the control plane that a fixture of this name wants built."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the cluster, so that `-m "not cluster"` leaves it out."""
    for item in items:
        if item.path.is_relative_to(HERE) and FIXTURE in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test begins: building takes minutes, which no test's time limit should count."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if FIXTURE not in wanted or session.config.option.collectonly:
        return
    try:
        check(SETTINGS)
    except RefusedError as error:
        raise pytest.UsageError(str(error)) from error
    if not SETTINGS.kubeconfig:
        extra = [program for fixture, programs in NEEDED_BY.items() if fixture in wanted for program in programs]
        binaries.ensure([*PROGRAMS, *extra], _teller(session.config))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A real API server with RBAC, its etcd and its controllers; no nodes, no scheduler."""
    with open_cluster(SETTINGS, _teller(request.config)) as opened:
        yield opened


@pytest.fixture(scope="module")
def kuberay(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with KubeRay's operator running against it, for the tests of one module."""
    cluster.kuberay()
    yield cluster
    cluster.stop_kuberay()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = cluster.namespace()
    yield name
    cluster.delete_namespace(name)


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A door to the API server at which requests are counted and spoilt."""
    if cluster.control_plane is None:
        pytest.skip("the proxy stands only before a cluster that the tests made")
    with Proxy(cluster.control_plane) as door:
        yield door


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    install_crds(cluster)


@pytest.fixture
def world(cluster: Cluster, crds: None, namespace: str, tmp_path: Path) -> Iterator[World]:
    """A namespace in which what the machine lacks is played."""
    with RayPlayer(cluster.client(), namespace) as player:
        yield World(cluster, namespace, tmp_path, player)


@pytest.fixture
def new_world(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Makes worlds, each in a namespace of its own, for what happens to several at once."""
    players: list[tuple[RayPlayer, str]] = []

    def make() -> World:
        namespace = cluster.namespace("many")
        player = RayPlayer(cluster.client(), namespace)
        player.__enter__()
        players.append((player, namespace))
        folder = tmp_path / namespace
        folder.mkdir()
        return World(cluster, namespace, folder, player)

    yield make
    for player, namespace in players:
        player.__exit__()
        cluster.delete_namespace(namespace)


@pytest.fixture
def collected() -> Iterator[None]:
    """Have what was left open complain after its own test, rather than in whichever comes next."""
    yield
    gc.collect()


def _teller(config: pytest.Config) -> binaries.Say:
    """Say what is going on past the capture of output: minutes of silence look like a hang."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        if reporter is None:
            return
        if capture is None:
            reporter.write_line(text)
            return
        with capture.global_and_fixture_disabled():
            reporter.write_line(text)

    return say
