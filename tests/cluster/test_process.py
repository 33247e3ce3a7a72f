"""The operator as a process of its own: start, health, faults, end, and several replicas."""

import json

import yaml

from harness.cluster import Cluster
from harness.faults import Answer
from harness.proxy import Proxy
from harness.watches import Ending
from modelyard.operator.kubernetes_lease import LEASE_NAME
from operating import wait_until
from operator_process import LEAVES_CONNECTIONS, OperatorProcess
from world import CRDS, World

WATCHED = 6


pytestmark = LEAVES_CONNECTIONS


def run(world: World, proxy: Proxy, *words: str) -> OperatorProcess:
    return OperatorProcess(proxy.kubeconfig, world.settings, world.folder, "--verbose", *words, gateway_url=world.player.gateway_url)


def test_it_brings_a_model_to_ready_through_broken_watches_and_leaves_nothing_of_kopfs(world: World, proxy: Proxy) -> None:
    token = yaml.safe_load(proxy.kubeconfig.read_text())["users"][0]["user"]["token"]
    with run(world, proxy) as operator:
        wait_until(lambda: operator.health("/readyz") == 200, told=operator.log)
        wait_until(lambda: proxy.open_watches() == WATCHED, told=operator.log)
        world.apply(world.model())
        world.await_phase("Ready")
        for ending in Ending:
            assert proxy.close_watches(ending) == WATCHED
            wait_until(lambda: proxy.open_watches() == WATCHED, told=operator.log)
        world.apply(world.model("second"))
        world.await_phase("Ready", name="second")
        assert operator.health("/healthz") == 200 and operator.health("/elsewhere") == 404
        metrics = operator.metrics()
        assert f'modelyard_resource_phase{{kind="Model",name="bot",namespace="{world.namespace}",phase="Ready"}} 1.0' in metrics
        assert f'modelyard_gate_results_total{{kind="Model",name="bot",namespace="{world.namespace}",result="passed"}} 1.0' in metrics
        assert "modelyard_leader 1.0" in metrics and "modelyard_queue_depth" in metrics
    everything = json.dumps([world.all("models"), world.all("modelversions"), world.player.jobs(), world.ray_services()])
    assert "kopf" not in everything and "zalando" not in everything
    assert {event.source.component for event in world.events()} == {"modelyard-operator"}
    assert token not in operator.log()
    assert "Traceback" not in operator.log()


def test_one_that_starts_before_the_api_server_answers_waits_and_goes_on(world: World, proxy: Proxy) -> None:
    world.apply(world.model())
    proxy.inject(Answer(503), times=None)
    with run(world, proxy) as operator:
        wait_until(lambda: proxy.traffic.count() >= 3, told=operator.log)
        assert operator.health("/readyz") == 503 and operator.health("/healthz") == 200
        proxy.heal()
        wait_until(lambda: operator.health("/readyz") == 200, told=operator.log)
        world.await_phase("Ready")


def test_one_that_waits_for_the_api_server_ends_at_once(world: World, proxy: Proxy) -> None:
    proxy.inject(Answer(503), times=None)
    with run(world, proxy) as operator:
        wait_until(lambda: operator.health("/readyz") == 503, told=operator.log)


def test_a_kind_that_is_installed_later_is_watched_then(world: World, proxy: Proxy) -> None:
    world.cluster.kubectl("delete", "crd", "evaluations.modelyard.io")
    try:
        with run(world, proxy) as operator:
            wait_until(lambda: proxy.open_watches() == WATCHED - 1, told=operator.log)
            assert "not installed yet: Evaluation" in operator.log()
            world.apply(world.model())
            world.await_phase("Ready")
            world.cluster.apply_crds([(CRDS / "evaluations.yaml").read_text()])
            wait_until(lambda: proxy.open_watches(resource="evaluations") == 1, told=operator.log)
            suites = world.model()["spec"]["evaluation"]["suites"]
            evaluation = {"apiVersion": "modelyard.io/v1alpha1", "kind": "Evaluation", "metadata": {"name": "again"}}
            world.apply(evaluation | {"spec": {"model": "bot", "suites": suites}})
            world.await_phase("Passed", "evaluations", "again")
    finally:
        world.cluster.apply_crds([(CRDS / "evaluations.yaml").read_text()])


def test_of_two_replicas_one_works_and_the_other_goes_on_when_it_is_killed(world: World, proxy: Proxy, cluster: Cluster) -> None:
    world.player.held = {"train"}
    lease = ("--lease-namespace", world.namespace)
    with Proxy(cluster.control_plane) as other, run(world, proxy, *lease) as leader:  # type: ignore[arg-type]
        wait_until(lambda: "train" in world.live_jobs() or bool(world.apply(world.model())), told=leader.log)
        with run(world, other, *lease) as follower:
            wait_until(lambda: follower.health("/readyz") == 200, told=follower.log)
            wait_until(lambda: other.traffic.count(resource="leases", verb="get") >= 2, told=follower.log)
            assert {call.resource for call in other.traffic.calls()} == {"leases"}
            assert other.traffic.count(kind="write") == 0
            assert "modelyard_leader 0.0" in follower.metrics()
            leader.kill()
            world.player.held = set()
            wait_until(lambda: other.traffic.count(resource="models") > 0, 25, told=follower.log)
            world.await_phase("Ready")
    assert set(world.player.started.values()) == {1}


def test_a_leader_that_ends_gives_the_lease_back(world: World, proxy: Proxy) -> None:
    with run(world, proxy, "--lease-namespace", world.namespace) as operator:
        wait_until(lambda: proxy.open_watches() == WATCHED, told=operator.log)
    holder = world.cluster.kubectl("get", "lease", LEASE_NAME, "-n", world.namespace, "-o", "jsonpath={.spec.holderIdentity}").stdout
    assert holder == ""


def test_a_leader_that_cannot_renew_ends_itself(world: World, proxy: Proxy) -> None:
    with run(world, proxy, "--lease-namespace", world.namespace) as operator:
        wait_until(lambda: operator.health("/readyz") == 200 and proxy.open_watches() == WATCHED, told=operator.log)
        proxy.inject(Answer(500), times=None, resource="leases")
        wait_until(lambda: operator.ended() is not None, 20, told=operator.log)
        assert operator.ended() == 3
    assert "could not be renewed in time" in operator.log()
