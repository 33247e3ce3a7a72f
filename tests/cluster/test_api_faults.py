"""Every kind of answer that an API server in trouble gives, to every kind of call of a model's whole life, and to every n-th call.

A fault matrix: the life ends the same, no job is made twice, nothing is left; and what was hit is counted.
"""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.calls import Call
from harness.cluster import Cluster
from harness.faults import Action, Answer, CutAfter, CutBefore, Fault, Silence, Truncate
from harness.proxy import Proxy
from modelyard.operator.__main__ import RETRIES
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.kubernetes import Api, RetryLaterError
from operating import Operator, wait_until
from scenarios import edit, has_changed, is_gone, outcome
from world import World

AT_ONCE = 4
PATIENCE_S = 0.5
"""The operator's own is 30 s."""
EVERY_WRITE, EVERY_READ = 3, 5
IN_A_ROW = 2
"""How often each kind of call fails, from its first time on."""

FAULTS: dict[str, Action] = {
    "409 Conflict": Answer(409),
    "410 Gone": Answer(410),
    "429 with Retry-After": Answer(429, retry_after_s=1),
    "500": Answer(500),
    "503": Answer(503),
    "no answer, not acted": Silence(acted=False),
    "no answer, acted": Silence(acted=True),
    "cut before it acted": CutBefore(),
    "cut after it acted": CutAfter(),
    "cut in the answer": Truncate(whole=False),
    "half an answer": Truncate(whole=True),
}

CallKind = tuple[str, str, str]
"""Verb, resource, subresource."""

READ_WHILE_WAITING = {
    ("list", "pods", ""),
    ("list", "events", ""),
    ("list", "rayclusters", ""),
    ("get", "events", ""),
    ("patch", "events", ""),
}
"""Asked only where a job waits for seconds, or the same happens twice: they fail when they come, and need not come."""


class ImpatientClient:
    """An API client that waits less long than the operator's."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def call_api(self, *words: Any, **more: Any) -> Any:
        return self._client.call_api(*words, **more | {"_request_timeout": (5.0, PATIENCE_S)})


def connect(cluster: Cluster, proxy: Proxy) -> Any:
    """A client by way of a proxy that tries again as little as the operator's own."""
    client = cluster.client(proxy.kubeconfig)
    client.rest_client.pool_manager.connection_pool_kw["retries"] = RETRIES
    return ImpatientClient(client)


def settings_of(world: World) -> ClusterSettings:
    """With everything that a namespace may have."""
    more = {"network": {}, "volumeClaim": {"name": "yard", "mountPath": "/yard", "size": "1Gi"}}
    return ClusterSettings.model_validate(world.settings.wire() | more)


def live(world: World, proxy: Proxy) -> tuple[dict[str, Any], Counter[str]]:
    """A model is made, served, edited, and deleted with all that is its own: what there was before the end, and which jobs in all."""
    with Operator(connect(world.cluster, proxy), settings_of(world), world.player.gateway_url):
        world.apply(world.model())
        world.await_phase("Ready")
        edit(world)
        wait_until(lambda: has_changed(world), told=world.status)
        lived = outcome(world)
        world.delete()
        wait_until(lambda: is_gone(world), told=lambda: (world.get(), world.all("modelversions"), world.ray_services(), world.live_jobs()))
    return lived, world.player.started


def kind_of(call: Call) -> CallKind:
    return (call.verb, call.resource, call.subresource)


def fail_each_kind(proxy: Proxy, action: Action, kinds: set[CallKind]) -> list[Fault]:
    return [
        proxy.inject(action, times=IN_A_ROW, verb=verb, resource=resource, subresource=subresource)
        for verb, resource, subresource in sorted(kinds)
    ]


def fail_every_nth(proxy: Proxy, action: Action, kinds: set[CallKind]) -> list[Fault]:
    return [
        proxy.inject(action, nth=EVERY_WRITE, times=None, every=EVERY_WRITE, kind="write"),
        proxy.inject(action, nth=EVERY_READ, times=None, every=EVERY_READ, kind="read"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fail", [fail_each_kind, fail_every_nth], ids=["each kind of call fails", "each n-th call fails"])
def test_whatever_the_api_server_answers_the_end_is_the_same(
    cluster: Cluster, new_world: Callable[[], World], fail: Callable[[Proxy, Action, set[CallKind]], list[Fault]], capsys: Any
) -> None:
    with Proxy(cluster.control_plane) as undisturbed:  # type: ignore[arg-type]
        expected, jobs = live(new_world(), undisturbed)
        kinds = {kind_of(call) for call in undisturbed.traffic.calls() if call.resource}

    def spoil(action: Action) -> tuple[dict[str, Any], list[str], int]:
        world = new_world()
        with Proxy(cluster.control_plane) as proxy:  # type: ignore[arg-type]
            faults = fail(proxy, action, kinds)
            lived, started = live(world, proxy)
        missed = [str(kind) for fault in faults if fault.fired == 0 and (kind := named(fault)) not in READ_WHILE_WAITING]
        twice = [name for name, count in started.items() if count > 1]
        return lived | {"jobs made twice": twice, "jobs": Counter(name.partition("-")[0] for name in started)}, missed, hits(faults)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = dict(zip(FAULTS, pool.map(spoil, FAULTS.values()), strict=True))
    with capsys.disabled():
        for name, (_, _, hit) in ends.items():
            sys.stdout.write(f"\n{fail.__name__}: {name}: {hit} calls failed")
        failed = sum(hit for _, _, hit in ends.values())
        sys.stdout.write(f"\n{fail.__name__}: {failed} failed calls of {len(kinds)} kinds in {len(ends)} lives\n")
    assert {name: end for name, (end, _, _) in ends.items() if end != expected} == {}, f"undisturbed: {expected}, {jobs}"
    assert {name: missed for name, (_, missed, _) in ends.items() if missed} == {}


def test_retry_after_is_heeded_whatever_happens_meanwhile(world: World, proxy: Proxy) -> None:
    asked_s = 3
    proxy.inject(Answer(429, retry_after_s=asked_s), verb="list", resource="models")
    refused = proxy.inject(Answer(429, retry_after_s=asked_s), verb="patch", resource="rayjobs")
    world.apply(world.model())
    with Operator(connect(world.cluster, proxy), world.settings, world.player.gateway_url) as operator:
        wait_until(lambda: refused.fired == 1, told=world.status)
        for _ in range(5):
            operator.controller.queue.add(("Model", world.namespace, "bot"))
        world.await_phase("Ready")
    for first, second, *_ in (
        proxy.traffic.moments(verb="list", resource="models"),
        proxy.traffic.moments(verb="patch", resource="rayjobs"),
    ):
        assert asked_s <= second - first < asked_s + 20


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_list_whose_continuation_expired_is_begun_anew(world: World, proxy: Proxy, times: int) -> None:
    versions = [f"pair-{number}" for number in range(5)]
    world.apply(*({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in versions))
    api = Api(connect(world.cluster, proxy), page_objects=2)
    expired = proxy.inject(Answer(410), nth=2, times=times, every=2, verb="list", resource="serviceaccounts")
    for _ in range(times):
        with pytest.raises(RetryLaterError):
            api.list_at("ServiceAccount", world.namespace)
    documents, _ = api.list_at("ServiceAccount", world.namespace)
    assert {document["metadata"]["name"] for document in documents} >= set(versions)
    assert expired.fired == times


def named(fault: Fault) -> CallKind:
    return (str(fault.match.verb), str(fault.match.resource), str(fault.match.subresource))


def hits(faults: list[Fault]) -> int:
    return sum(fault.fired for fault in faults)
