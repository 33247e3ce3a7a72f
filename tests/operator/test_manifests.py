"""The Serve config, whole."""

from ray.serve.schema import ServeDeploySchema

from modelyard.domain.observed import EngineWanted, Plan
from modelyard.domain.serving import EmbeddingRoute, KnowledgeBaseRoute, Route
from modelyard.operator.local import local_place
from modelyard.operator.manifests import build_serve_config


def engine(**changes: object) -> EngineWanted:
    settings = {
        "name": "engine-1",
        "base_digest": "b",
        "engine": "auto",
        "max_model_length": 2048,
        "kv_cache_gib": 1.0,
        "max_rank": 12,
        "min_replicas": 1,
        "max_replicas": 1,
    }
    return EngineWanted(**(settings | changes))  # type: ignore[arg-type]


def build(*plans: Plan) -> dict:
    return build_serve_config(plans, local_place("file:///store", "http://127.0.0.1:1", 8000, 2))


def test_an_empty_platform_has_a_gateway_and_nothing_else() -> None:
    actor = {"num_cpus": 0, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}}
    config = {"routes": [], "knowledgeBases": [], "embeddings": []}
    assert build(Plan()) == {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [
            {
                "name": "gateway",
                "route_prefix": "/",
                "import_path": "modelyard.gateway.app:build_app",
                "args": {},
                "deployments": [{"name": "Gateway", "ray_actor_options": actor, "user_config": config}],
            }
        ],
    }


def full() -> dict:
    one = Plan(routes=(Route(name="bot", engine="engine-1", adapter="a"), Route(name="bot:base", engine="engine-1")), engines=(engine(),))
    two = Plan(routes=(Route(name="pal", engine="engine-1", adapter="c"),), engines=(engine(max_rank=40, max_replicas=3),))
    docs = Plan(
        knowledge_bases=(KnowledgeBaseRoute(name="docs", alias="kb", embedding_digest="e"),),
        embeddings=(EmbeddingRoute(name="minilm", digest="e"),),
    )
    return build(two, docs, one)


def applications() -> dict:
    return {application["name"]: application for application in full()["applications"]}


def test_models_on_one_base_share_its_engine_with_all_their_adapters() -> None:
    shared = applications()["engine-1"]
    assert shared["deployments"][0]["user_config"] == {"adapters": ["a", "c"]}
    assert shared["args"]["maxAdapters"] == 4
    assert shared["args"]["maxRank"] == 40
    assert shared["deployments"][0]["autoscaling_config"] == {"min_replicas": 1, "max_replicas": 3}


def test_every_route_reaches_the_gateway_in_order_of_name() -> None:
    config = applications()["gateway"]["deployments"][0]["user_config"]
    assert [route["name"] for route in config["routes"]] == ["bot", "bot:base", "pal"]
    assert [base["name"] for base in config["knowledgeBases"]] == ["docs"]


def test_an_adapter_more_changes_the_config_in_place_only() -> None:
    before = applications()["engine-1"]
    more = Plan(routes=(Route(name="new", engine="engine-1", adapter="d"),), engines=(engine(),))
    plans = [Plan(routes=(Route(name="bot", engine="engine-1", adapter="a"), Route(name="pal", engine="engine-1", adapter="c")))]
    after = next(a for a in build(*plans, more)["applications"] if a["name"] == "engine-1")
    assert after["args"] | {"maxRank": 40} == before["args"]


def test_ray_serve_accepts_the_config() -> None:
    schema = ServeDeploySchema.model_validate(full())
    assert {application.name for application in schema.applications} == {"gateway", "retrieval", "engine-1"}
