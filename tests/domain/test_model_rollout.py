"""A Model whose dataset changes: the routes, conditions and versions that its rollout leads to."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from modelyard.domain.evaluation import Score
from modelyard.domain.figures import VersionFigures
from modelyard.domain.job import EvaluateJob, EvaluateResult, FetchResult, TrainResult
from modelyard.domain.lifecycle import inputs_of, plan
from modelyard.domain.model import Model, ModelStatus, ModelVersion
from modelyard.domain.names import job_name, version_served_name
from modelyard.domain.observed import (
    AppSeen,
    CreateVersion,
    DeleteVersion,
    Job,
    JobSeen,
    Observed,
    Plan,
    Platform,
    RunJob,
    SetStatus,
    SetVersionStatus,
)
from modelyard.domain.resource import Condition, Metadata
from modelyard.domain.rollout import COMMAND_ANNOTATION, VERSION_ANNOTATION
from modelyard.domain.serving import Canary

BASE = "b" * 64


def model(**serving: Any) -> Model:
    return Model.model_validate(
        {
            "metadata": {"name": "bot", "uid": "u", "generation": 1},
            "spec": {
                "source": {"uri": "package://weights/w.gguf"},
                "fineTune": {"dataset": {"uri": "file:///train.jsonl"}},
                "evaluation": {
                    "suites": [{"name": "records", "uri": "file:///heldout.jsonl"}],
                    "gate": [{"metric": "records.score", "notWorseThan": "active"}],
                },
                "serving": {"rollout": {"steps": [10], "interval": "5m", "abortIf": [{"metric": "error_rate", "above": 0.01}]}} | serving,
                "retention": {"keepVersions": 1},
                "retrain": "on-change",
            },
        }
    )


@dataclass
class World:
    """Jobs succeed as soon as they are asked for, and what a plan wants served is served."""

    resource: Model
    dataset: str = "1" * 64
    """Also the digest of the adapter that is trained on it."""
    scores: dict[str, float] = field(default_factory=dict)
    """Adapter digest, or suite and adapter digest as `SUITE/DIGEST` → score; 0.5 without one."""
    undone: dict[str, JobSeen] = field(default_factory=dict)
    """Suite → how a job that asks it is now, instead of done."""
    problems: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, JobSeen] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    figures: dict[str, VersionFigures] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    minute: int = 0
    loads: bool = True
    """Whether names that did not answer before come to answer."""

    def plan(self) -> Plan:
        digests = {uri: self.dataset if uri == "file:///train.jsonl" else "e" * 64 for uri, _ in inputs_of(self.resource)}
        digests = {uri: digest for uri, digest in digests.items() if uri not in self.problems}
        seen = Observed(
            platform=Platform(store="file:///store", milvus_uri=""),
            now=f"2026-01-01T00:{self.minute:02}:00Z",
            jobs=self.jobs,
            digests=digests,
            problems=self.problems,
            apps={name: AppSeen("running") for name in ("gateway", *(engine.name for engine in self.engines))},
            answering=self.answering,
            figures=self.figures,
            versions=tuple(self.versions.values()),
        )
        return plan(self.resource, seen)

    engines: tuple[Any, ...] = ()

    def settle(self) -> Plan:
        """Pass until nothing is asked for; time stands still."""
        for _ in range(20):
            wanted = self.plan()
            for step in wanted.steps:
                self._carry_out(step)
            answering = frozenset(route.name for route in wanted.routes)
            answering = answering if self.loads else answering & self.answering
            if not wanted.steps and (answering, wanted.engines) == (self.answering, self.engines):
                return wanted
            self.answering, self.engines = answering, wanted.engines
        raise AssertionError("no fixed point")

    def _carry_out(self, step: Any) -> None:
        match step:
            case RunJob(job):
                suites = job.suites if isinstance(job, EvaluateJob) else []
                undone = [self.undone[suite.name] for suite in suites if suite.name in self.undone]
                self.jobs[job_name(job)] = undone[0] if undone else JobSeen("succeeded", result=self._result(job))
            case CreateVersion(name, spec):
                self.versions[name] = ModelVersion(metadata=Metadata(name=name), spec=spec)
            case SetVersionStatus(name, status):
                self.versions[name] = self.versions[name].model_copy(update={"status": status})
            case DeleteVersion(name):
                del self.versions[name]
            case SetStatus(status):
                self.resource = self.resource.model_copy(update={"status": status})

    def _result(self, job: Job) -> str:
        match job.kind:
            case "fetch":
                return FetchResult(digest=BASE, weights_bytes=1).model_dump_json()
            case "train":
                return TrainResult(digest=job.dataset_digest, steps=1, loss=0.1, tokens=1).model_dump_json()
            case "evaluate":
                scores = [self._score(suite.name, job.adapter_digest) for suite in job.suites]
                return EvaluateResult(scores=scores, attempts=[], seconds=1).model_dump_json()
        raise AssertionError(job.kind)

    def _score(self, suite: str, adapter: str) -> Score:
        value = self.scores.get(f"{suite}/{adapter}", self.scores.get(adapter, 0.5))
        return Score(metric=f"{suite}.score", value=value, low=value, high=value, rows=9)

    def train_anew(self, dataset: str) -> str:
        """The dataset changes; returns the version that comes of it."""
        self.dataset = dataset
        self.settle()
        return self.resource.status.version

    def ask(self, command: str, version: str) -> None:
        annotations = {COMMAND_ANNOTATION: command, VERSION_ANNOTATION: version}
        self.resource = self.resource.model_copy(
            update={"metadata": self.resource.metadata.model_copy(update={"annotations": annotations})}
        )

    def condition(self, kind: str) -> Condition:
        return next(condition for condition in self.resource.status.conditions if condition.type == kind)


def begun(**serving: Any) -> tuple[World, str, str]:
    """A world in the first step of a rollout, and its two versions."""
    world = World(model(**serving))
    world.settle()
    first = world.resource.status.active_version
    return world, first, world.train_anew("2" * 64)


def own(version: str) -> str:
    return version_served_name("bot", version)


def test_the_first_version_is_served_whole() -> None:
    world = World(model())
    wanted = world.settle()
    assert [(route.name, route.canary) for route in wanted.routes if route.canary] == []
    assert (world.resource.status.phase, world.resource.status.rollout) == ("Ready", None)


def test_a_step_sends_a_share_to_the_new_adapter_of_the_same_engine() -> None:
    world, first, second = begun()
    wanted = world.settle()
    routes = {route.name: route for route in wanted.routes}
    assert set(routes) == {"bot", "bot:base", own(first), own(second)}
    engine = routes["bot"].engine
    assert routes["bot"].version == first and routes["bot"].adapter == "1" * 64
    assert routes["bot"].canary == Canary(version=second, engine=engine, adapter="2" * 64, weight=10)
    assert (routes[own(second)].adapter, routes[own(second)].version) == ("2" * 64, second)
    assert (routes["bot:base"].adapter, routes["bot:base"].version) == ("", "")
    assert [engine.name for engine in wanted.engines] == [engine]


def test_the_status_tells_the_rollout() -> None:
    world, first, second = begun()
    status = world.resource.status
    assert (status.phase, status.active_version, status.version) == ("RollingOut", first, second)
    assert (world.condition("Promoted").reason, world.condition("Serving").status) == ("RollingOut", "True")
    assert (world.condition("Ready").status, world.condition("Ready").message) == (
        "False",
        f"{second}: step 1 of 1: 10 % of the requests for 5m",
    )


def test_the_version_before_stays_loaded_until_the_promotion_whatever_is_kept() -> None:
    world, first, second = begun()
    assert set(world.versions) == {first, second}
    world.minute = 5
    wanted = world.settle()
    assert (world.resource.status.phase, world.resource.status.active_version) == ("Ready", second)
    assert {route.name for route in wanted.routes} == {"bot", "bot:base", own(second), own(first)}, "gateways may still send to it"
    assert not any(route.canary for route in wanted.routes)
    world.minute = 6
    wanted = world.settle()
    assert {route.name for route in wanted.routes} == {"bot", "bot:base", own(second)}
    assert set(world.versions) == {second}


def test_a_version_that_is_not_loaded_gets_nothing() -> None:
    world = World(model())
    world.settle()
    world.loads = False
    world.train_anew("2" * 64)
    wanted = world.settle()
    rollout = world.resource.status.rollout
    assert rollout is not None and (rollout.step, rollout.weight) == (0, 0)
    assert all(route.canary is None for route in wanted.routes)
    assert world.resource.status.phase == "Deploying"


def test_a_rollback_says_why_and_unloads_the_version() -> None:
    world, first, second = begun()
    world.figures = {second: VersionFigures(requests=120, errors=6)}
    wanted = world.settle()
    reason = f"{second}: error_rate 0.05 is above 0.01 at 10 % (120 requests)"
    assert (world.resource.status.phase, world.resource.status.rolled_back_versions) == ("Rejected", [second])
    assert (world.condition("Promoted").reason, world.condition("Ready").message) == ("RolledBack", reason)
    assert not any(route.canary for route in wanted.routes)
    world.minute = 50
    assert {route.name for route in world.settle().routes} == {"bot", "bot:base", own(first)}


def test_a_worse_score_is_never_started() -> None:
    world = World(model(), scores={"2" * 64: 0.1})
    world.settle()
    first = world.resource.status.active_version
    world.train_anew("2" * 64)
    assert (world.resource.status.phase, world.resource.status.active_version) == ("Rejected", first)
    assert world.resource.status.rollout is None


def test_the_next_version_is_compared_with_the_one_in_service_not_with_one_that_was_taken_back() -> None:
    world = World(model(), scores={"2" * 64: 0.9, "3" * 64: 0.6})
    world.settle()
    second = world.train_anew("2" * 64)
    world.figures = {second: VersionFigures(requests=1, errors=1)}
    world.settle()
    third = world.train_anew("3" * 64)
    assert world.resource.status.rollout is not None
    assert (world.resource.status.rollout.version, world.resource.status.phase) == (third, "RollingOut")


def test_a_version_that_was_taken_back_for_an_earlier_spec_says_how_to_try_it_again() -> None:
    world, first, second = begun(rollout={"steps": [10], "abortIf": [{"metric": "error_rate", "above": 0.01}]})
    world.figures = {second: VersionFigures(requests=1, errors=1)}
    world.settle()
    world.resource = world.resource.model_copy(
        update={
            "spec": world.resource.spec.model_copy(
                update={"retention": world.resource.spec.retention.model_copy(update={"keep_versions": 9})}
            )
        }
    )
    world.train_anew("3" * 64)
    world.train_anew("2" * 64)
    assert world.resource.status.version == second
    assert "was taken back before; run `modelyard rollout retry bot`" in world.condition("Ready").message
    world.ask("retry", second)
    world.settle()
    assert world.resource.status.rollout is not None
    assert (world.resource.status.rollout.version, world.resource.status.rollout.weight) == (second, 10)


def test_a_promoted_version_that_loses_its_gate_hands_back_to_the_one_before() -> None:
    world, first, second = begun()
    world.minute = 5
    world.settle()
    strict = world.resource.spec.evaluation
    assert strict is not None
    strict = strict.model_copy(update={"gate": [strict.gate[0].model_copy(update={"not_worse_than": None, "at_least": 0.9})]})
    world.resource = world.resource.model_copy(update={"spec": world.resource.spec.model_copy(update={"evaluation": strict})})
    wanted = world.settle()
    assert [route.name for route in wanted.routes] == ["bot", own(first), "bot:base"]
    assert (world.resource.status.phase, world.resource.status.active_version) == ("Rejected", first)


def test_without_a_rollout_a_version_takes_everything_at_once_and_can_be_undone() -> None:
    world = World(model(rollout=None))
    world.resource = world.resource.model_copy(
        update={
            "spec": world.resource.spec.model_copy(
                update={"retention": world.resource.spec.retention.model_copy(update={"keep_versions": 9})}
            )
        }
    )
    world.settle()
    first = world.resource.status.active_version
    second = world.train_anew("2" * 64)
    assert (world.resource.status.phase, world.resource.status.active_version) == ("Ready", second)
    world.ask("undo", second)
    world.loads = False
    waiting = world.settle()
    bot = next(route for route in waiting.routes if route.name == "bot")
    assert bot.canary is not None and (bot.version, bot.canary.version, bot.canary.weight) == (first, second, 100)
    world.loads = True
    wanted = world.settle()
    assert {route.name: route.adapter for route in wanted.routes} == {"bot": "1" * 64, own(first): "1" * 64, "bot:base": ""}
    assert (world.resource.status.phase, world.condition("Ready").reason) == ("Rejected", "RolledBack")


ONLINE = {
    "steps": [10],
    "interval": "5m",
    "evaluation": {
        "suites": [{"name": "live", "uri": "file:///live.jsonl"}],
        "gate": [{"metric": "live.score", "notWorseThan": "active"}, {"metric": "live.score", "betterThan": "base", "margin": 0.1}],
    },
}
"""The base scores 0.2, the version before 0.6."""


def online(score: float, undone: JobSeen | None = None, problem: str = "") -> World:
    """A world five minutes after its second version, of this score, began to take over."""
    world = World(model(rollout=ONLINE), scores={"live/": 0.2, f"live/{'1' * 64}": 0.6, f"live/{'2' * 64}": score})
    world.undone = {"live": undone} if undone else {}
    world.problems = {"file:///live.jsonl": problem} if problem else {}
    world.settle()
    world.train_anew("2" * 64)
    world.minute = 5
    world.settle()
    return world


@pytest.mark.parametrize(
    ("world", "phase", "message"),
    [
        pytest.param(online(0.7), "Promoted", "held 1 step", id="as good as asked: promoted"),
        pytest.param(
            online(0.4),
            "RolledBack",
            "live.score 0.4 (0.4 to 0.4) is worse than the active version's 0.6 (0.6 to 0.6) at 10 %",
            id="a missed bar: taken back",
        ),
        pytest.param(
            online(0.7, undone=JobSeen("running")),
            "Progressing",
            "step 1 of 1: 10 % of the requests for 5m; its time is over, and it waits for its evaluation",
            id="no step ends before the scores are there",
        ),
        pytest.param(
            online(0.7, undone=JobSeen("failed", message="out of memory")),
            "Progressing",
            "step 1 of 1: 10 % of the requests for 5m; its time is over, and it waits for its evaluation: out of memory",
            id="a job that failed is told",
        ),
        pytest.param(
            online(0.7, problem="there is no such file"),
            "Progressing",
            "step 1 of 1: 10 % of the requests for 5m; its time is over, and it waits for its evaluation: there is no such file",
            id="rows that are missing are told",
        ),
    ],
)
def test_an_evaluation_beside_the_rollout(world: World, phase: str, message: str) -> None:
    rollout = world.resource.status.rollout
    assert rollout is not None and (rollout.phase, rollout.message) == (phase, message)


def test_the_scores_are_kept_with_the_figures_of_the_step() -> None:
    rollout = online(0.7).resource.status.rollout
    assert rollout is not None and rollout.analyses[0].figures == {"live.score": 0.7}


def test_the_evaluation_begins_with_the_first_step_and_its_jobs_stay_wanted() -> None:
    world = online(0.7, undone=JobSeen("running"))
    running = {name for name, seen in world.jobs.items() if seen.phase == "running"}
    assert len(running) == 3 and running <= world.plan().jobs


def test_a_version_that_was_just_made_is_not_taken_for_the_one_that_serves() -> None:
    world = World(model())
    world.settle()
    world.train_anew("2" * 64)
    world.minute = 5
    world.settle()
    world.minute = 6
    world.settle()  # the first version is retired, but its jobs are done
    world.dataset = "1" * 64
    wanted = world.plan()
    status = next(step.status for step in wanted.steps if isinstance(step, SetStatus))
    assert isinstance(status, ModelStatus)
    assert (status.phase, status.active_version != status.version) == ("Deploying", True)
    assert f"{status.version} takes over next" in [condition.message for condition in status.conditions]
