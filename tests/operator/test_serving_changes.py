"""Who is planned anew when the serving side is told of differently."""

import pytest

from modelyard.domain.figures import VersionFigures
from modelyard.domain.observed import AppSeen, Plan
from modelyard.domain.serving import Canary, KnowledgeBaseRoute, Route
from modelyard.operator.ports import ServingSeen
from modelyard.operator.serving_changes import find_changes, matters_to

RUNNING = AppSeen(phase="running")
BOT = Plan(
    routes=(
        Route(name="bot", engine="engine-a", version="bot-1", canary=Canary(version="bot-2", engine="engine-b", weight=10)),
        Route(name="bot:base", engine="engine-a"),
    )
)
DOCS = Plan(knowledge_bases=(KnowledgeBaseRoute(name="docs", alias="kb_docs", embedding_digest="e" * 64),))


@pytest.mark.parametrize(
    ("after", "whom"),
    [
        pytest.param(ServingSeen(answering=frozenset({"bot:base"})), ["bot"], id="one of its names answers"),
        pytest.param(ServingSeen(answering=frozenset({"other"})), [], id="another model answers"),
        pytest.param(ServingSeen(apps={"engine-a": RUNNING}), ["bot"], id="its engine runs"),
        pytest.param(ServingSeen(apps={"engine-b": RUNNING}), ["bot"], id="the engine of what takes over runs"),
        pytest.param(ServingSeen(apps={"engine-c": RUNNING}), [], id="another engine runs"),
        pytest.param(ServingSeen(apps={"gateway": RUNNING}), ["bot", "docs"], id="the gateway runs: all that is served"),
        pytest.param(ServingSeen(apps={"retrieval": RUNNING}), ["docs"], id="retrieval runs"),
        pytest.param(ServingSeen(problems={"bot": "no slot"}), ["bot"], id="its adapter is not loaded"),
        pytest.param(ServingSeen(figures={"bot-2": VersionFigures()}), ["bot"], id="the version that takes over has counted"),
        pytest.param(ServingSeen(figures={"bot-1": VersionFigures()}), ["bot"], id="the version that answers has counted"),
        pytest.param(ServingSeen(answering=frozenset({"docs"})), ["docs"], id="the knowledge base answers"),
        pytest.param(ServingSeen(), [], id="nothing is different"),
    ],
)
def test_only_those_are_planned_anew_that_it_matters_to(after: ServingSeen, whom: list[str]) -> None:
    for before, now in ((ServingSeen(), after), (after, ServingSeen())):
        changed = find_changes(before, now)
        assert [name for name, plan in (("bot", BOT), ("docs", DOCS), ("unserved", Plan())) if matters_to(plan, changed)] == whom
