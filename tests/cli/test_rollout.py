from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from modelyard.domain.model import Model, ModelStatus
from modelyard.domain.rollout import Analysis, RolloutStatus
from modelyard.domain.rollout_situation import read_request
from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")
VERSION = "bot-0123456789"

EXPECTED = """\
Version:    bot-2
Before:     bot-0123456789
Phase:      Progressing for 90s
Requests:   50 % go to bot-2, step 2
Message:    step 2 of 2: 50 % of the requests for 5m
Taken back: bot-0
STEP  WEIGHT  RESULT  REQUESTS  ERROR_RATE  P95_LATENCY_SECONDS
1     10 %    passed  120       0           1.25
"""


def rolling(**changes: Any) -> ModelStatus:
    rollout = RolloutStatus(
        version="bot-2",
        previous=VERSION,
        phase="Progressing",
        step=2,
        weight=50,
        since="2026-01-01T00:00:00Z",
        message="step 2 of 2: 50 % of the requests for 5m",
        analyses=[Analysis(step=1, weight=10, requests=120, figures={"error_rate": 0.0, "p95_latency_seconds": 1.25}, passed=True)],
    )
    return ModelStatus(
        phase="RollingOut",
        version="bot-2",
        active_version=VERSION,
        rollout=rollout.model_copy(update=changes),
        rolled_back_versions=["bot-0"],
    )


@pytest.fixture
def model(store: ResourceStore, world: Any) -> Model:
    """A model that has one version and rolls out another."""
    world.add_version(store, world.add_model(store))
    store.set_status(MODEL, rolling())
    found = store.get(*MODEL)
    assert isinstance(found, Model)
    return found


def lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.splitlines()]


def test_the_status_tells_the_share_and_the_figures_of_each_step(run: Callable[..., Result], model: Model, world: Any) -> None:
    world.seconds = 90
    assert lines(run("rollout", "status", "bot").output) == EXPECTED.splitlines()
    assert lines(run("rollout", "status", "model/bot").output) == EXPECTED.splitlines()


def test_watching_tells_what_changes_and_nothing_twice(run: Callable[..., Result], store: ResourceStore, model: Model, world: Any) -> None:
    world.script = [
        lambda: store.record_event(MODEL, "Normal", "Unrelated", "x"),
        lambda: store.set_status(MODEL, rolling(phase="Promoted", message="held 2 steps", weight=100)),
    ]
    output = run("rollout", "status", "bot", "--watch").output
    assert [line for line in lines(output) if line.startswith("Message")] == [
        "Message:    step 2 of 2: 50 % of the requests for 5m",
        "Message:    held 2 steps",
    ]


def test_a_description_has_the_rollout(run: Callable[..., Result], model: Model, world: Any) -> None:
    world.seconds = 90
    described = lines(run("describe", "model", "bot").output)
    start = described.index("Rollout:")
    assert described[start + 1 : start + 9] == [f"  {line}" for line in EXPECTED.splitlines()]


@pytest.mark.parametrize(
    ("words", "status", "command", "version"),
    [
        pytest.param(["pause", "bot"], rolling(), "pause", "bot-2", id="pause"),
        pytest.param(["resume", "bot"], rolling(phase="Paused"), "resume", "bot-2", id="resume"),
        pytest.param(["promote", "bot"], rolling(), "promote", "bot-2", id="promote"),
        pytest.param(["promote", "bot"], rolling(phase="Paused"), "promote", "bot-2", id="promote what is paused"),
        pytest.param(["abort", "bot"], rolling(), "abort", "bot-2", id="abort"),
        pytest.param(["undo", "bot"], rolling(), "undo", "bot-2", id="undo what goes on"),
        pytest.param(["undo", "bot"], rolling(phase="Promoted"), "undo", "bot-2", id="undo what was promoted"),
        pytest.param(["retry", "bot"], rolling(), "retry", "bot-0", id="retry the only one that was taken back"),
        pytest.param(["retry", "bot", "--version", "bot-0"], rolling(), "retry", "bot-0", id="retry a version by name"),
        pytest.param(
            ["retry", "bot"],
            rolling(phase="RolledBack").model_copy(update={"rolled_back_versions": ["bot-0", "bot-2"]}),
            "retry",
            "bot-2",
            id="retry the one that the spec asks for",
        ),
    ],
)
def test_a_command_is_left_on_the_model_for_one_version(
    run: Callable[..., Result], store: ResourceStore, model: Model, words: list[str], status: ModelStatus, command: str, version: str
) -> None:
    store.set_status(MODEL, status)
    result = run("rollout", *words)
    assert (result.exit_code, result.stdout) == (0, f"model/bot: {command} of {version} is asked for\n")
    found = store.get(*MODEL)
    request = read_request(found.metadata.annotations)
    assert request is not None and (request.command, request.version) == (command, version)
    assert found.metadata.generation == model.metadata.generation
    assert isinstance(found, Model) and found.status == status


def test_the_same_command_later_is_another_request(run: Callable[..., Result], store: ResourceStore, model: Model, world: Any) -> None:
    run("rollout", "retry", "bot")
    first = read_request(store.get(*MODEL).metadata.annotations)
    world.seconds = 1
    run("rollout", "retry", "bot")
    assert read_request(store.get(*MODEL).metadata.annotations) != first


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param(
            ["pause", "bot"],
            ModelStatus(),
            "model/bot has no rollout: no version has taken over from another yet; "
            "change the source or spec.fineTune, or `modelyard refresh` it after its rows changed: what comes of it is rolled out",
            id="no rollout yet",
        ),
        pytest.param(
            ["promote", "bot"],
            rolling(phase="RolledBack", message="error_rate 0.5 is above 0.01"),
            "the rollout of bot-2 is over: it is RolledBack (error_rate 0.5 is above 0.01); `modelyard rollout retry` tries it again",
            id="promote after a rollback",
        ),
        pytest.param(
            ["abort", "bot"],
            rolling(phase="Promoted", message="held 2 steps"),
            "the rollout of bot-2 is over: it is Promoted (held 2 steps); `modelyard rollout undo` takes it back",
            id="abort after the promotion",
        ),
        pytest.param(
            ["resume", "bot"],
            rolling(),
            "the rollout of bot-2 is not paused; it goes on by itself; see `modelyard rollout status`",
            id="resume what is not paused",
        ),
        pytest.param(
            ["undo", "bot"],
            rolling(phase="Aborted", message="aborted by hand at 10 %"),
            "bot-2 is Aborted already (aborted by hand at 10 %); `modelyard rollout retry` tries it again",
            id="undo twice",
        ),
        pytest.param(
            ["undo", "bot"],
            rolling(phase="Promoted", previous="bot-gone"),
            "the version before, bot-gone, is not kept any more; apply the spec that it was made of, and raise spec.retention.keepVersions",
            id="undo without a version to go back to",
        ),
        pytest.param(
            ["retry", "bot"], ModelStatus(), "no version of model/bot was taken back; there is nothing to try again", id="retry nothing"
        ),
        pytest.param(
            ["retry", "bot", "--version", "bot-9"],
            rolling(),
            "bot-9 was not taken back; add --version with one that was: bot-0",
            id="retry another",
        ),
        pytest.param(
            ["retry", "bot"],
            rolling().model_copy(update={"rolled_back_versions": ["bot-0", "bot-1"]}),
            "bot-2 was not taken back; add --version with one that was: bot-0, bot-1",
            id="retry one of several",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(
    run: Callable[..., Result], store: ResourceStore, model: Model, words: list[str], status: ModelStatus, message: str
) -> None:
    store.set_status(MODEL, status)
    result = run("rollout", *words)
    assert (result.exit_code, result.stderr) == (1, f"error: {message}\n")
    assert store.get(*MODEL).metadata.annotations == {}


def test_a_model_without_a_rollout_says_so(run: Callable[..., Result], store: ResourceStore, world: Any) -> None:
    world.add_model(store)
    assert run("rollout", "status", "bot").stdout == "no version has taken over from another yet\n"


def test_every_command_has_an_example(run: Callable[..., Result]) -> None:
    for command in ("status", "pause", "resume", "promote", "abort", "undo", "retry"):
        assert f"$ modelyard rollout {command}" in run("rollout", command, "--help").output
