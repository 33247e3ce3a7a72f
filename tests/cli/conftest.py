from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from modelyard.cli.main import app
from modelyard.cli.session import Session
from modelyard.domain.evaluation import Check, Score, Verdict
from modelyard.domain.fine_tune import Dataset, FineTune
from modelyard.domain.model import Model, ModelSpec, ModelStatus, ModelVersion, ModelVersionSpec, ModelVersionStatus, Source
from modelyard.domain.resource import Condition, Metadata, OwnerReference, Progress
from modelyard.operator.settings import Settings
from modelyard.operator.store import ResourceStore

START = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = ("Model", "default", "bot")
VERSION = ("ModelVersion", "default", "bot-0123456789")


@dataclass
class World:
    """A platform whose time moves only when the command sleeps."""

    settings: Settings
    running: bool = True
    free_bytes: int = 1 << 30
    seconds: float = 0.0
    script: list[Callable[[], object]] = field(default_factory=list)
    """What happens at each sleep; Ctrl-C when it is over, so that no test can hang."""
    endless: bool = False
    """Nothing happens any more after the script, instead of Ctrl-C."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.script:
            self.script.pop(0)()
        elif not self.endless:
            raise KeyboardInterrupt

    def session(self) -> Session:
        return Session(
            self.settings,
            clock=self.now,
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            is_running=lambda settings: self.running,
            free_bytes=lambda folder: self.free_bytes,
        )

    @staticmethod
    def condition(kind: str, status: str, reason: str, message: str, generation: int = 1) -> Condition:
        return Condition.model_validate(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        )

    @staticmethod
    def training(percent: float = 42, generation: int = 1) -> ModelStatus:
        return ModelStatus(
            observed_generation=generation,
            phase="Training",
            conditions=[World.condition("Ready", "False", "Running", "job train-1 is running", generation)],
            progress=Progress(
                stage="training", step=int(percent / 2), total_steps=50, percent=percent, eta_seconds=200, loss=1.25, tokens_per_second=96
            ),
            job="train-1",
            version="bot-0123456789",
            served_names=["bot:base"],
        )

    @staticmethod
    def ended(phase: str, message: str, generation: int = 1) -> ModelStatus:
        status = "True" if phase == "Ready" else "False"
        return ModelStatus.model_validate(
            {
                "observedGeneration": generation,
                "phase": phase,
                "conditions": [World.condition("Ready", status, "Because", message, generation).wire()],
                "version": "bot-0123456789",
            }
        )

    @staticmethod
    def add_model(store: ResourceStore, name: str = "bot", namespace: str = "default") -> Model:
        spec = ModelSpec(source=Source(uri="hf://org/base"), fine_tune=FineTune(dataset=Dataset(uri="file:///rows.jsonl")))
        store.apply(Model(metadata=Metadata(name=name, namespace=namespace), spec=spec))
        found = store.get("Model", namespace, name)
        assert isinstance(found, Model)
        return found

    @staticmethod
    def add_version(store: ResourceStore, owner: Model) -> None:
        def score(metric: str, value: float) -> Score:
            return Score(metric=metric, value=value, low=value - 0.1, high=value + 0.1, rows=40)

        checks = [
            Check(metric="t.score", bar="at least 0.8", value=0.61, passed=False, reason="t.score 0.610 misses at least 0.8"),
            Check(metric="t.valid", bar="at least 0.5", value=0.7, passed=True, reason="t.valid 0.700 clears at least 0.5"),
        ]
        status = ModelVersionStatus(
            phase="Rejected",
            adapter_digest="c0ffee" * 8,
            adapter_uri="file:///artifacts/c0ffee",
            scores=[score("t.score", 0.61), score("t.valid", 0.7)],
            base_scores=[score("t.score", 0.5)],
            verdict=Verdict(passed=False, checks=checks),
            message="t.score 0.610 misses at least 0.8",
        )
        reference = OwnerReference(kind="Model", name=owner.metadata.name, uid=owner.metadata.uid)
        spec = ModelVersionSpec(model=owner.metadata.name, source=owner.spec.source, base_digest="d", revision=1)
        store.create(ModelVersion(metadata=Metadata(name=VERSION[2], owner_references=[reference]), spec=spec, status=status))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings(home=tmp_path / "home"))


@pytest.fixture
def store(world: World) -> Iterator[ResourceStore]:
    store = ResourceStore(world.settings.database, clock=world.now)
    yield store
    store.close()


@pytest.fixture
def run(world: World) -> Callable[..., Result]:
    """Run a command line in the world. Without the `store` fixture there is no platform."""

    def run(*words: str, input: str | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(app, list(words), obj=world.session(), input=input)

    return run
