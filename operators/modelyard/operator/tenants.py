"""Put the parts of one namespace together."""

from datetime import timedelta
from functools import partial

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.observed import Platform
from modelyard.operator.cause_finder import CauseFinder
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.controller import Tenant
from modelyard.operator.kubernetes import Api
from modelyard.operator.kubernetes_jobs import KubernetesJobs
from modelyard.operator.kubernetes_resources import KubernetesResources
from modelyard.operator.kubernetes_serving import KubernetesServing
from modelyard.operator.local import LocalInputs, LocalLeftovers
from modelyard.operator.manifests import Place, build_serve_config, shared_options
from modelyard.operator.ray_manifests import build_engine_options, build_ray_job, build_ray_service
from modelyard.operator.reconcile import Reconciler
from modelyard.operator.support import Support
from modelyard.operator.support_manifests import GATEWAY_PORT
from modelyard.operator.watch_cache import WatchCache

HELPER_THREADS = 2
"""For the gateway and the embedding model on the head of the serving side."""


def build_tenant(namespace: str, settings: ClusterSettings, api: Api, cache: WatchCache, gateway_url: str) -> Tenant:
    """One namespace's reconciler and what it stands on. gateway_url: without a path; `{namespace}` is replaced."""
    resources = KubernetesResources(api, cache, namespace, api.clock.now)
    causes = CauseFinder(api, namespace)
    serving = KubernetesServing(
        api,
        cache,
        namespace,
        gateway_url.format(namespace=namespace),
        lambda config: build_ray_service(namespace, config, settings),
        causes.find,
    )
    jobs = KubernetesJobs(
        api,
        cache,
        namespace,
        settings.runs_uri,
        build=lambda name, job, owner, attempt: build_ray_job(name, namespace, job, owner, settings, attempt, suspend=False),
        find_cause=causes.find,
        clock=api.clock.seconds,
        keep_s=settings.ttl_seconds_after_finished,
    )
    place = Place(
        store=settings.store_uri,
        milvus_uri=settings.milvus_uri,
        http_host="0.0.0.0",
        http_port=GATEWAY_PORT,
        proxy_location="EveryNode",
        gateway_options=shared_options(1),
        retrieval_options=shared_options(HELPER_THREADS),
        engine_options=partial(build_engine_options, settings),
    )
    return Tenant(
        reconciler=Reconciler(
            resources=resources,
            jobs=jobs,
            serving=serving,
            inputs=LocalInputs(),
            leftovers=LocalLeftovers(ArtifactStore(settings.store_uri), settings.milvus_uri, {}),
            platform=Platform(store=settings.store_uri, milvus_uri=settings.milvus_uri, machines=settings.machines()),
            build_config=lambda plans: build_serve_config(plans, place),
            now=api.clock.now,
            patience=timedelta(seconds=settings.cleanup_patience_s),
        ),
        resources=resources,
        jobs=jobs,
        serving=serving,
        support=Support(api, namespace, settings),
    )
