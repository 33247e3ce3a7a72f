"""A rollout through the real gateway: requests are counted there, and what it counted decides."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.chat import ErrorEvent, StartEvent, TextEvent
from modelyard.domain.figures import VersionFigures
from modelyard.domain.model import Model, ModelVersion, ModelVersionSpec, ModelVersionStatus
from modelyard.domain.names import version_served_name
from modelyard.domain.passage import Passage
from modelyard.domain.resource import Metadata
from modelyard.domain.rollout_plan import plan_rollout
from modelyard.domain.rollout_situation import RolloutState, Situation
from modelyard.domain.routing import build_routes
from modelyard.domain.serving import GatewayConfig, KnowledgeBaseRoute
from modelyard.gateway.api import build_api
from modelyard.gateway.directory import Directory

OLD, NEW = "bot-old", "bot-new"
RULES = [{"metric": "error_rate", "above": 0.01}, {"metric": "p95_latency_seconds", "above": 2}]
ROLLOUT = {"steps": [10, 50], "interval": "1m", "minRequests": 20, "abortIf": RULES}
MODEL = Model.model_validate(
    {"metadata": {"name": "bot"}, "spec": {"source": {"uri": "hf://org/base"}, "serving": {"rollout": ROLLOUT}}},
)


def version(name: str, adapter: str) -> ModelVersion:
    spec = ModelVersionSpec(model="bot", source=MODEL.spec.source, base_digest="b", revision=1)
    return ModelVersion(metadata=Metadata(name=name), spec=spec, status=ModelVersionStatus(phase="Passed", adapter_digest=adapter))


VERSIONS = {OLD: version(OLD, "a"), NEW: version(NEW, "n")}


@dataclass
class Engines:
    """Answer in no time, but for the new version."""

    seconds: float = 0.0
    """What an answer of the new version takes."""
    fails: bool = False
    """Whether the new version fails."""
    now: float = 0.0

    async def chat(self, engine: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        yield StartEvent(prompt_tokens=1).wire()
        if request["adapter"] == "n":
            self.now += self.seconds
            if self.fails:
                yield ErrorEvent(reason="failed", message="NaN in the logits").wire()
                return
        yield TextEvent(text="Hello.", tokens=1, finish_reason="stop").wire()

    async def status(self, engine: str) -> dict[str, Any]:
        return {"adapters": ["a", "n"], "problems": {}}

    async def search(self, route: KnowledgeBaseRoute, query: str, top_k: int | None) -> list[Passage]:
        return []

    async def embed(self, digest: str, texts: list[str]) -> list[list[float]]:
        return []


@dataclass
class Yard:
    """A gateway that is told the routes of each state, and an operator that reads its figures."""

    engines: Engines
    state: RolloutState = field(default_factory=lambda: RolloutState(active=OLD))
    minute: int = 0

    def __post_init__(self) -> None:
        self.client = TestClient(build_api(self.engines, self._directory, clock=lambda: self.engines.now))

    def _directory(self) -> Directory:
        status = self.state.status
        loaded = [VERSIONS[self.state.active], *([VERSIONS[status.version]] if status and status.receives else [])]
        assert MODEL.spec.serving is not None
        return Directory(GatewayConfig(routes=list(build_routes(MODEL, MODEL.spec.serving, loaded, status.weight if status else 0))))

    def look(self) -> None:
        """One pass of the operator, a minute after the one before."""
        ready = self.client.get("/ready").json()
        assert MODEL.spec.serving is not None
        situation = Situation(
            rollout=MODEL.spec.serving.rollout,
            now=f"2026-01-01T00:{self.minute:02}:00Z",
            desired=NEW,
            passed={OLD: 1, NEW: 2},
            answering=frozenset(name for name in VERSIONS if version_served_name("bot", name) in ready["models"]),
            figures={name: VersionFigures.model_validate(counts) for name, counts in ready.get("versions", {}).items()},
        )
        self.state = plan_rollout(self.state, situation)
        self.minute += 1

    def ask(self, requests: int) -> Counter[str]:
        """Requests of as many users; returns how often each version answered."""
        body = {"model": "bot", "messages": [{"role": "user", "content": "hello"}]}
        posted = [self.client.post("/v1/chat/completions", json={**body, "user": f"user-{user}"}) for user in range(requests)]
        return Counter(response.headers["x-modelyard-version"] for response in posted)


def test_a_healthy_version_gets_more_and_more_and_then_everything() -> None:
    yard = Yard(Engines())
    shares = []
    for _ in range(4):
        yard.look()
        shares.append(yard.ask(300)[NEW])
        yard.look()
    assert yard.state.active == NEW and yard.state.status is not None and yard.state.status.phase == "Promoted"
    assert shares == [0, pytest.approx(30, abs=20), pytest.approx(150, abs=40), 300]


@pytest.mark.parametrize(
    ("engines", "metric"),
    [
        pytest.param(Engines(seconds=5.0), "p95_latency_seconds 4.875 is above 2", id="slow"),
        pytest.param(Engines(fails=True), "error_rate 1 is above 0.01", id="failing"),
    ],
)
def test_a_bad_version_is_taken_back_and_gets_nothing_any_more(engines: Engines, metric: str) -> None:
    yard = Yard(engines)
    yard.look()
    yard.look()
    seen = yard.ask(300)[NEW]
    assert seen >= 20
    yard.look()
    assert yard.state.status is not None
    assert (yard.state.active, yard.state.status.phase) == (OLD, "RolledBack")
    assert yard.state.status.message == f"{metric} at 10 % ({seen} requests)"
    for _ in range(3):
        yard.look()
        assert yard.ask(100)[NEW] == 0
