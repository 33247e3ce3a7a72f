"""The gateway and an engine as real Serve applications, from one declarative config, asked by the unchanged OpenAI client."""

import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from openai import NotFoundError, OpenAI
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.serving import (
    ENGINE_DEPLOYMENT,
    GATEWAY_APP,
    GATEWAY_DEPLOYMENT,
    EngineArgs,
    EngineConfig,
    GatewayConfig,
    Route,
)

pytestmark = pytest.mark.slow

QUESTION: Any = [{"role": "user", "content": "hi"}]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_config(store: ArtifactStore, base: str, adapters: dict[str, str], port: int) -> dict[str, Any]:
    routes = [Route(name="tiny:base", engine="engine-tiny")]
    routes += [Route(name=name, engine="engine-tiny", adapter=digest) for name, digest in adapters.items()]
    args = EngineArgs(store=store.root_uri, base_digest=base, engine="transformers", max_model_length=256)
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": [
            _application(GATEWAY_APP, "/", "modelyard.gateway.app:build_app", {}, GATEWAY_DEPLOYMENT, GatewayConfig(routes=routes).wire()),
            _application(
                "engine-tiny",
                None,
                "modelyard.inference.app:build_app",
                args.wire(),
                ENGINE_DEPLOYMENT,
                EngineConfig(adapters=sorted(adapters.values())).wire(),
            ),
        ],
    }


def _application(name: str, route: str | None, path: str, args: dict[str, Any], deployment: str, config: dict[str, Any]) -> dict[str, Any]:
    deployments = [{"name": deployment, "ray_actor_options": {"num_cpus": 0}, "user_config": config}]
    return {"name": name, "route_prefix": route, "import_path": path, "args": args, "deployments": deployments}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    # Short, since paths of Unix sockets end at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="yard", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(num_cpus=2, include_dashboard=False, _temp_dir=folder, log_to_driver=False, object_store_memory=100 << 20)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield port
        serve.shutdown()
        ray.shutdown()


@pytest.fixture(scope="module")
def client(port: int) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused") as client:
        yield client


def deploy(config: dict[str, Any]) -> None:
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config), _blocking=True)


def stream(client: OpenAI, model: str) -> list[str]:
    chunks = client.chat.completions.create(model=model, messages=QUESTION, temperature=0, max_tokens=12, stream=True)
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]


def test_serves_base_and_adapters_and_swaps_them_in_place(
    port: int, client: OpenAI, store: ArtifactStore, base_digest: str, adapter_digests: list[str]
) -> None:
    first, second = adapter_digests
    deploy(build_config(store, base_digest, {"tuned": first}, port))
    assert [model.id for model in client.models.list()] == ["tiny:base", "tuned"]
    base, tuned = stream(client, "tiny:base"), stream(client, "tuned")
    assert len(base) > 3 and len(tuned) > 3, "the answer comes in pieces"
    assert base != tuned
    whole = client.chat.completions.create(model="tuned", messages=QUESTION, temperature=0, max_tokens=12)
    assert whole.choices[0].message.content == "".join(tuned)
    assert whole.usage is not None and whole.usage.completion_tokens == 12
    assert whole._request_id and "," not in whole._request_id

    before = _engine_replicas()
    deploy(build_config(store, base_digest, {"other": second}, port))
    assert _engine_replicas() == before, "adapters are swapped without a restart"
    assert stream(client, "tiny:base") == base
    assert stream(client, "other") not in (base, tuned)
    with pytest.raises(NotFoundError, match="there are: other, tiny:base"):
        stream(client, "tuned")


def _engine_replicas() -> list[str]:
    details = _get_global_client().get_serve_details()
    return [replica["replica_id"] for replica in details["applications"]["engine-tiny"]["deployments"][ENGINE_DEPLOYMENT]["replicas"]]
