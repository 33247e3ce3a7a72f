"""`modelyard refresh`, and what people see of schedules."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from modelyard.domain.evaluation import Evaluation, EvaluationRun, EvaluationSpec, EvaluationStatus, Suite
from modelyard.domain.knowledge_base import DocumentSource, KnowledgeBase, KnowledgeBaseSpec, KnowledgeBaseStatus
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.resource import Metadata, Resource
from modelyard.domain.schedule import Schedule
from modelyard.operator.store import ResourceStore

DAILY = Schedule(cron="0 6 * * *", time_zone="Europe/Berlin")
EVALUATION = ("Evaluation", "default", "nightly")
KNOWLEDGE_BASE = ("KnowledgeBase", "default", "docs")


def evaluation(schedule: Schedule | None = DAILY) -> Evaluation:
    spec = EvaluationSpec(model="bot", suites=[Suite(name="t", uri="file:///t.jsonl")], schedule=schedule)
    return Evaluation(metadata=Metadata(name="nightly"), spec=spec)


def knowledge_base(refresh: Schedule | None = DAILY) -> KnowledgeBase:
    spec = KnowledgeBaseSpec(sources=[DocumentSource(uri="file:///docs")], refresh=refresh)
    return KnowledgeBase(metadata=Metadata(name="docs"), spec=spec)


def untuned() -> Model:
    return Model(metadata=Metadata(name="bot"), spec=ModelSpec(source=Source(uri="hf://org/base")))


@pytest.mark.parametrize(
    ("words", "resource", "said"),
    [
        pytest.param(["model", "bot"], None, "model/bot: it is trained on its rows as they are now, if they changed", id="a model"),
        pytest.param(
            ["evaluation/nightly"],
            evaluation(),
            "evaluation/nightly: the version that is active now is asked, on the rows as they are now",
            id="an evaluation",
        ),
        pytest.param(
            ["eval", "nightly"],
            evaluation(None),
            "evaluation/nightly: the version that is active now is asked, on the rows as they are now",
            id="an evaluation without a schedule",
        ),
        pytest.param(["kb", "docs"], knowledge_base(), "knowledgebase/docs: its documents are taken up as they are now", id="documents"),
    ],
)
def test_a_request_is_left_on_the_resource(
    run: Callable[..., Result], store: ResourceStore, world: Any, words: list[str], resource: Resource | None, said: str
) -> None:
    if resource is None:
        resource = world.add_model(store)
    else:
        store.apply(resource)
    result = run("refresh", *words)
    assert (result.exit_code, result.stdout) == (0, f"{said}\n")
    found = store.get(*resource.key)
    assert found.metadata.annotations == {"modelyard.io/refresh": "2026-01-01T00:00:00.000+00:00"}
    assert found.metadata.generation == 1


def test_the_same_later_is_another_request_and_other_annotations_stay(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    model = world.add_model(store)
    store.apply(model.model_copy(update={"metadata": model.metadata.model_copy(update={"annotations": {"team": "a"}})}))
    run("refresh", "model/bot")
    world.seconds = 1
    run("refresh", "model/bot")
    annotations = store.get(*model.key).metadata.annotations
    assert annotations == {"team": "a", "modelyard.io/refresh": "2026-01-01T00:00:01.000+00:00"}


@pytest.mark.parametrize(
    ("resource", "words", "message"),
    [
        pytest.param(
            untuned(),
            ["model/bot"],
            "model/bot is not tuned, so there are no rows to train on; add spec.fineTune, or name another model",
            id="a model without rows",
        ),
        pytest.param(
            knowledge_base(None),
            ["kb/docs"],
            "knowledgebase/docs has no spec.refresh: it takes up changed documents by itself; see `modelyard describe`",
            id="documents that are watched anyway",
        ),
        pytest.param(
            evaluation(),
            ["eval/other"],
            "there is no Evaluation 'other' in namespace 'default'; there is nightly",
            id="a name that there is not",
        ),
        pytest.param(evaluation(), ["eval", "nightly", "other"], "2 resources are named; name one", id="two at once"),
    ],
)
def test_what_means_nothing_is_refused(
    run: Callable[..., Result], store: ResourceStore, resource: Resource, words: list[str], message: str
) -> None:
    store.apply(resource)
    result = run("refresh", *words)
    assert (result.exit_code, result.stderr) == (1, f"error: {message}\n")
    assert store.get(*resource.key).metadata.annotations == {}


def test_a_model_that_trains_by_itself_needs_nobody(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    model = world.add_model(store)
    store.apply(model.model_copy(update={"spec": model.spec.model_copy(update={"retrain": "on-change"})}))
    result = run("refresh", "model/bot")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: model/bot trains by itself when its rows change; see `modelyard describe` for how far it is\n",
    )


def test_a_version_is_refused_and_its_model_named(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    world.add_version(store, world.add_model(store))
    result = run("refresh", "mv/bot-0123456789")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: modelversion/bot-0123456789 is a ModelVersion, which never changes; refresh the Model that it belongs to\n"
    )


def lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.splitlines()]


def test_a_description_tells_the_schedule_and_the_trend(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    store.apply(evaluation())
    runs = [
        EvaluationRun(run=2, time="2026-01-01T05:01:00Z", target="bot-2", passed=False, scores={"t.f1": 0.61, "t.valid": 0.9}),
        EvaluationRun(run=1, time="2025-12-31T05:01:00Z", target="bot-1", passed=True, scores={"t.f1": 0.8}),
    ]
    times = {"last_schedule_time": "2026-01-01T05:00:00Z", "next_schedule_time": "2026-01-02T05:00:00Z"}
    store.set_status(EVALUATION, EvaluationStatus(phase="Rejected", run=2, history=runs, **times))
    world.seconds = 8 * 3600
    described = lines(run("describe", "eval/nightly").output)
    assert "Schedule:     0 6 * * * (Europe/Berlin), last 3h ago, next in 21h" in described
    start = described.index("History:")
    assert described[start + 1 : start + 4] == [
        "  RUN  SINCE  TARGET  RESULT  T.F1   T.VALID",
        "  2    2h59m  bot-2   missed  0.610  0.900",
        "  1    1d2h   bot-1   passed  0.800",
    ]


def test_a_tick_that_waits_is_told_and_an_evaluation_that_runs_once_tells_no_schedule(
    run: Callable[..., Result], store: ResourceStore, world: Any
) -> None:
    store.apply(knowledge_base())
    times = {"last_schedule_time": "2025-12-31T05:00:00Z", "next_schedule_time": "2026-01-01T05:00:00Z"}
    store.set_status(KNOWLEDGE_BASE, KnowledgeBaseStatus(phase="Ingesting", **times))
    world.seconds = 5 * 3600 + 300
    described = lines(run("describe", "kb/docs").output)
    assert "Schedule:     0 6 * * * (Europe/Berlin), last 1d ago, next due for 5m" in described
    store.apply(evaluation(None))
    output = run("describe", "eval/nightly").output
    assert "Schedule:" not in output and "History:" not in output


def test_wide_tells_when_something_is_looked_at(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    store.apply(evaluation())
    store.apply(knowledge_base())
    times = {"last_schedule_time": "2026-01-01T05:00:00Z", "next_schedule_time": "2026-01-02T05:00:00Z"}
    store.set_status(EVALUATION, EvaluationStatus(phase="Passed", **times))
    world.seconds = 8 * 3600
    output = run("get", "all", "-o", "wide").output
    head, row = (line for line in output.splitlines() if "SCHEDULE" in line or "0 6 * * *" in line and "nightly" in line)
    assert row[head.index("SCHEDULE") :].startswith("0 6 * * *")
    assert row[head.index("LAST") :].startswith("3h")
    assert "REFRESH" in output
