"""Build the documents that carry out the plans. Pure: plain dicts, no I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.domain.observed import EngineWanted, Plan
from modelyard.domain.serving import (
    ENGINE_DEPLOYMENT,
    GATEWAY_APP,
    GATEWAY_DEPLOYMENT,
    RETRIEVAL_APP,
    RETRIEVAL_DEPLOYMENT,
    EngineArgs,
    EngineConfig,
    GatewayConfig,
    RetrievalArgs,
)

Options = dict[str, Any]
"""Serve's `ray_actor_options`: what a replica reserves, and its environment."""


@dataclass(frozen=True)
class Place:
    """Where the applications run, and what they reserve there."""

    store: str
    milvus_uri: str
    http_host: str
    http_port: int
    proxy_location: str
    """Serve's: `HeadOnly`, or `EveryNode`."""
    gateway_options: Options
    retrieval_options: Options
    engine_options: Callable[[str | None], Options]
    """By the name of a profile; None: the default."""


def shared_options(threads: int) -> Options:
    """For replicas that share their cores with others, jobs among them: what limits one is its threads."""
    return {"num_cpus": 0, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads)}}}


def build_serve_config(plans: Iterable[Plan], place: Place) -> dict[str, Any]:
    """The one Serve config for all resources, in the schema of Ray Serve's `PUT /api/serve/applications/`."""
    plans = list(plans)
    applications = [_gateway(plans, place)]
    if any(plan.knowledge_bases for plan in plans):
        applications.append(_retrieval(place))
    engines: dict[str, list[EngineWanted]] = {}
    for plan in plans:
        for wanted in plan.engines:
            engines.setdefault(wanted.name, []).append(wanted)
    for name in sorted(engines):
        adapters = {route.adapter for plan in plans for route in plan.routes if route.engine == name and route.adapter}
        applications.append(_engine(engines[name], sorted(adapters), place))
    return {
        "proxy_location": place.proxy_location,
        "http_options": {"host": place.http_host, "port": place.http_port},
        "applications": applications,
    }


def has_canary(config: Mapping[str, Any]) -> bool:
    """Whether a version takes over by steps under a Serve config."""
    gateway = next(app for app in config["applications"] if app["name"] == GATEWAY_APP)
    return any("canary" in route for route in gateway["deployments"][0]["user_config"]["routes"])


def wanted_names(config: Mapping[str, Any]) -> frozenset[str]:
    """The models and knowledge bases that answer once a Serve config is carried out."""
    gateway = next(app for app in config["applications"] if app["name"] == GATEWAY_APP)
    told = gateway["deployments"][0]["user_config"]
    return frozenset(item["name"] for item in told["routes"] + told["knowledgeBases"])


def _gateway(plans: list[Plan], place: Place) -> dict[str, Any]:
    config = GatewayConfig(
        routes=sorted((route for plan in plans for route in plan.routes), key=lambda route: route.name),
        knowledge_bases=sorted((base for plan in plans for base in plan.knowledge_bases), key=lambda base: base.name),
        embeddings=sorted({e.name: e for plan in plans for e in plan.embeddings}.values(), key=lambda e: e.name),
    )
    return _application(GATEWAY_APP, "/", "modelyard.gateway.app:build_app", {}, GATEWAY_DEPLOYMENT, config.wire(), place.gateway_options)


def _retrieval(place: Place) -> dict[str, Any]:
    args = RetrievalArgs(store=place.store, milvus_uri=place.milvus_uri).wire()
    return _application(RETRIEVAL_APP, None, "modelyard.retrieval.app:build_app", args, RETRIEVAL_DEPLOYMENT, None, place.retrieval_options)


def _engine(wanted: list[EngineWanted], adapters: list[str], place: Place) -> dict[str, Any]:
    first = wanted[0]
    args = EngineArgs(
        store=place.store,
        base_digest=first.base_digest,
        engine=first.engine,
        max_model_length=first.max_model_length,
        kv_cache_gib=first.kv_cache_gib,
        # In steps, so that one more adapter seldom restarts the engine, and room for a second version from the start.
        max_adapters=_at_least((4, 16, 64, 256), len(adapters)),
        max_rank=max(engine.max_rank for engine in wanted),
    )
    application = _application(
        first.name,
        None,
        "modelyard.inference.app:build_app",
        args.wire(),
        ENGINE_DEPLOYMENT,
        EngineConfig(adapters=adapters).wire(),
        place.engine_options(first.profile),
    )
    low, high = max(engine.min_replicas for engine in wanted), max(engine.max_replicas for engine in wanted)
    deployment = application["deployments"][0]
    if low == high:
        deployment["num_replicas"] = high
    else:
        deployment["autoscaling_config"] = {"min_replicas": low, "max_replicas": high}
    return application


def _application(
    name: str,
    route: str | None,
    import_path: str,
    args: dict[str, Any],
    deployment: str,
    user_config: dict[str, Any] | None,
    options: Options,
) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": deployment, "ray_actor_options": options}
    if user_config is not None:
        settings["user_config"] = user_config
    return {"name": name, "route_prefix": route, "import_path": import_path, "args": args, "deployments": [settings]}


def _at_least(sizes: tuple[int, ...], wanted: int) -> int:
    return next((size for size in sizes if size >= wanted), wanted)
