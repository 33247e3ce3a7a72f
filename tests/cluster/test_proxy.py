import json
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
import urllib3
from kubernetes import client

from harness.cluster import Cluster
from harness.faults import Action, Answer, CutAfter, CutBefore, Delay, RepeatEvents, Silence, Truncate
from harness.proxy import Proxy
from harness.watches import Ending

TIMEOUT_S = 20.0
RESET = (urllib3.exceptions.HTTPError, OSError)


@pytest.fixture
def direct(cluster: Cluster) -> client.CoreV1Api:
    """The server without the proxy."""
    return client.CoreV1Api(cluster.client())


@pytest.fixture
def core(cluster: Cluster, proxy: Proxy) -> client.CoreV1Api:
    """The server by way of the proxy; the client does not try again by itself."""
    api = cluster.client(proxy.kubeconfig)
    api.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return client.CoreV1Api(api)


def config_map(name: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name))


def names(core: client.CoreV1Api, namespace: str) -> set[str]:
    """The ConfigMaps that the test made."""
    return {item.metadata.name for item in core.list_namespaced_config_map(namespace).items} - {"kube-root-ca.crt"}


def test_the_proxy_counts_by_verb_and_resource(proxy: Proxy, core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("one"))
    core.patch_namespaced_config_map("one", namespace, {"data": {"a": "b"}})
    core.read_namespaced_config_map("one", namespace)
    core.list_namespaced_secret(namespace)

    seen = [(call.verb, call.resource, call.name) for call in proxy.traffic.calls(namespace=namespace)]
    assert seen == [("create", "configmaps", ""), ("patch", "configmaps", "one"), ("get", "configmaps", "one"), ("list", "secrets", "")]
    assert (proxy.traffic.count(kind="write"), proxy.traffic.count(kind="read"), proxy.traffic.count(kind="watch")) == (2, 2, 0)


def test_kubectl_goes_through_the_proxy(cluster: Cluster, proxy: Proxy, namespace: str) -> None:
    done = cluster.kubectl("get", "configmaps", "-n", namespace, "-o", "name", kubeconfig=proxy.kubeconfig)

    assert done.returncode == 0, done.stderr
    assert proxy.traffic.count(verb="list", resource="configmaps") == 1


def test_a_service_account_stays_itself_behind_the_proxy(cluster: Cluster, proxy: Proxy, direct: client.CoreV1Api, namespace: str) -> None:
    direct.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="nobody")))
    asking = client.CoreV1Api(cluster.client(proxy.through(cluster.kubeconfig_for("nobody", namespace))))

    with pytest.raises(client.ApiException) as refused:
        asking.list_namespaced_config_map(namespace)

    assert refused.value.status == 403
    assert proxy.traffic.count(resource="configmaps") == 1


@pytest.mark.parametrize(
    ("action", "happened"),
    [
        pytest.param(CutBefore(), {"one", "three"}, id="cut before the server hears of it: it did not happen"),
        pytest.param(CutAfter(), {"one", "two", "three"}, id="cut after the server did it: it happened, though the client saw a reset"),
    ],
)
def test_the_second_write_is_cut(
    proxy: Proxy, core: client.CoreV1Api, direct: client.CoreV1Api, namespace: str, action: Action, happened: set[str]
) -> None:
    fault = proxy.inject(action, nth=2, kind="write", resource="configmaps")

    core.create_namespaced_config_map(namespace, config_map("one"))
    with pytest.raises(RESET):
        core.create_namespaced_config_map(namespace, config_map("two"))
    core.create_namespaced_config_map(namespace, config_map("three"))

    assert names(direct, namespace) == happened
    assert fault.fired == 1


@pytest.mark.parametrize("status", [409, 410, 429, 500])
def test_the_proxy_answers_instead_of_the_server(
    proxy: Proxy, core: client.CoreV1Api, direct: client.CoreV1Api, namespace: str, status: int
) -> None:
    proxy.inject(Answer(status, retry_after_s=1), verb="create")

    with pytest.raises(client.ApiException) as answered:
        core.create_namespaced_config_map(namespace, config_map("one"))

    assert answered.value.status == status
    assert answered.value.headers["Retry-After"] == "1"
    assert names(direct, namespace) == set()


def test_a_delayed_request_arrives_all_the_same(proxy: Proxy, core: client.CoreV1Api, namespace: str) -> None:
    proxy.inject(Delay(2), verb="create")

    with pytest.raises(RESET):
        core.create_namespaced_config_map(namespace, config_map("late"), _request_timeout=1)
    core.create_namespaced_config_map(namespace, config_map("prompt"))

    assert proxy.traffic.count(verb="create") == 2


@pytest.mark.parametrize(
    ("action", "happened"),
    [
        pytest.param(Silence(acted=False), set(), id="no answer comes, and the server never heard of it"),
        pytest.param(Silence(acted=True), {"one"}, id="no answer comes, though the server did it"),
        pytest.param(Truncate(whole=False), {"one"}, id="the connection breaks in the middle of the answer"),
    ],
)
def test_an_answer_does_not_come_whole(
    proxy: Proxy, core: client.CoreV1Api, direct: client.CoreV1Api, namespace: str, action: Action, happened: set[str]
) -> None:
    proxy.inject(action, verb="create")

    with pytest.raises(RESET):
        core.create_namespaced_config_map(namespace, config_map("one"), _request_timeout=1)

    assert names(direct, namespace) == happened


def test_half_an_answer_may_look_whole(proxy: Proxy, core: client.CoreV1Api, namespace: str) -> None:
    proxy.inject(Truncate(whole=True), verb="create")

    answer = core.create_namespaced_config_map(namespace, config_map("one"), _preload_content=False)

    with pytest.raises(ValueError):
        json.loads(answer.data)


def test_a_healed_proxy_lets_everything_pass(proxy: Proxy, core: client.CoreV1Api, namespace: str) -> None:
    proxy.inject(Answer(500), times=None)
    proxy.heal()

    core.create_namespaced_config_map(namespace, config_map("one"))

    assert names(core, namespace) == {"one"}


@pytest.fixture
def watching(core: client.CoreV1Api, namespace: str) -> Iterator[Callable[[], "Queue[Any]"]]:
    """Start watching the namespace's ConfigMaps; the queue gets each event, and at last how the watch ended."""
    threads: list[threading.Thread] = []

    def start() -> "Queue[Any]":
        events: Queue[Any] = Queue()

        def follow() -> None:
            options = {"field_selector": "metadata.name=one", "timeout_seconds": int(TIMEOUT_S)}
            try:
                for event in core.list_namespaced_config_map(namespace, watch=True, _preload_content=False, **options):
                    events.put(event)
                events.put("end")
            except RESET:
                events.put("reset")

        threads.append(threading.Thread(target=follow))
        threads[-1].start()
        return events

    yield start
    for thread in threads:
        thread.join(TIMEOUT_S)


def test_events_are_repeated(proxy: Proxy, direct: client.CoreV1Api, namespace: str, watching: Callable[[], "Queue[Any]"]) -> None:
    direct.create_namespaced_config_map(namespace, config_map("one"))
    proxy.inject(RepeatEvents(2), kind="watch")

    events = watching()

    assert events.get(timeout=TIMEOUT_S) == events.get(timeout=TIMEOUT_S)
    proxy.close_watches()


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        pytest.param(Ending.RESET, ["reset"], id="the connection breaks"),
        pytest.param(Ending.END, ["end"], id="the stream ends in good order"),
        pytest.param(Ending.EXPIRED, [410, "end"], id="the resource version is too old"),
    ],
)
def test_open_watches_end(
    proxy: Proxy, direct: client.CoreV1Api, namespace: str, watching: Callable[[], "Queue[Any]"], ending: Ending, said: list[Any]
) -> None:
    direct.create_namespaced_config_map(namespace, config_map("one"))
    events = watching()
    events.get(timeout=TIMEOUT_S)

    closed = proxy.close_watches(ending, resource="configmaps")

    assert closed == 1
    assert [_brief(events.get(timeout=TIMEOUT_S)) for _ in said] == said
    assert proxy.open_watches() == 0


def _brief(event: Any) -> Any:
    """An ERROR event's code; other words as they are."""
    return event if isinstance(event, str) else json.loads(event)["object"]["code"]
