"""Say which served names lead to which version, and the engines that they need. Pure; decides about no version."""

from collections.abc import Sequence

from modelyard.domain.model import Model, ModelVersion, Serving
from modelyard.domain.names import base_served_name, engine_name, version_served_name
from modelyard.domain.observed import EngineWanted
from modelyard.domain.serving import Canary, Route


def build_routes(model: Model, serving: Serving, versions: Sequence[ModelVersion], weight: int) -> tuple[Route, ...]:
    """The routes of a model.

    versions: the active one, then the one that is loaded beside it, if any, with `weight` percent of the requests.
    Each is loaded since its own name needs it, so that a rollback waits for nothing. The untuned base has a name where an
    engine holds it anyway: beside an adapter, and not beside whole weights.
    """
    if not versions:
        return ()
    name, owner = model.metadata.name, f"{model.metadata.namespace}/{model.metadata.name}"

    def route(served: str, version: ModelVersion, adapter: str, canary: Canary | None = None) -> Route:
        engine = engine_name(version.served_base, serving)
        told = version.metadata.name if adapter == version.status.adapter_digest else ""
        return Route(name=served, engine=engine, adapter=adapter, owner=owner, version=told, canary=canary)

    active = versions[0]
    canary = None
    if len(versions) > 1 and weight:
        coming = versions[1]
        canary = Canary(
            version=coming.metadata.name,
            engine=engine_name(coming.served_base, serving),
            adapter=coming.status.adapter_digest,
            weight=weight,
        )
    routes = [route(name, active, active.status.adapter_digest, canary)]
    routes += [route(version_served_name(name, version.metadata.name), version, version.status.adapter_digest) for version in versions]
    if active.status.adapter_digest:
        routes.append(route(base_served_name(name), active, ""))
    return tuple(routes)


def build_engines(serving: Serving, versions: Sequence[ModelVersion]) -> tuple[EngineWanted, ...]:
    """The engines that hold the bases of versions; those that are equal are named once."""
    engines = [
        EngineWanted(
            name=engine_name(version.served_base, serving),
            base_digest=version.served_base,
            engine=serving.engine,
            max_model_length=serving.max_model_length,
            kv_cache_gib=serving.kv_cache_gib,
            max_rank=version.spec.fine_tune.adapter.rank if version.spec.fine_tune and not version.status.weights_digest else 1,
            min_replicas=serving.replicas.min,
            max_replicas=serving.replicas.max,
            profile=serving.profile,
        )
        for version in versions
    ]
    return tuple(dict.fromkeys(engines))
