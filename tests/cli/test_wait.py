import io
from collections.abc import Callable

import pytest
from rich.console import Console
from typer.testing import Result

from modelyard.cli.session import Session
from modelyard.cli.wait import parse_goal, wait_for
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.resource import Metadata
from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")


def test_waiting_shows_progress_and_ends_when_ready(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.script = [
        lambda: store.set_status(MODEL, world.training(0)),
        lambda: store.set_status(MODEL, world.training(4)),
        lambda: store.set_status(MODEL, world.training(42)),
        lambda: store.set_status(MODEL, world.ended("Ready", "served as asked")),
    ]
    result = run("wait", "model/bot")
    assert (result.exit_code, result.stdout) == (0, "model/bot condition Ready met\n")
    assert result.stderr.splitlines() == [
        "model/bot Pending",
        "model/bot Training: training 0%, step 0/50, loss 1.250, 96 tokens/s, 3m20s left",
        "model/bot Training: training 42%, step 21/50, loss 1.250, 96 tokens/s, 3m20s left",
    ]


@pytest.mark.parametrize(
    ("phase", "message"),
    [pytest.param("Failed", "no space left", id="it failed"), pytest.param("Rejected", "score 0.6 misses 0.8", id="the gate refused")],
)
def test_what_cannot_come_any_more_fails_at_once(run: Callable[..., Result], store: ResourceStore, world, phase: str, message: str) -> None:
    world.add_model(store)
    world.script = [lambda: store.set_status(MODEL, world.ended(phase, message))]
    result = run("wait", "model", "bot", "--timeout", "1h")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"error: model/bot is {phase}: {message}; see `modelyard describe model/bot`"
    assert world.seconds < 2


def test_the_phase_that_is_asked_for_may_be_a_bad_one(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.set_status(MODEL, world.ended("Rejected", "score 0.6 misses 0.8"))
    result = run("wait", "model/bot", "--for", "phase=Rejected")
    assert (result.exit_code, result.stdout) == (0, "model/bot phase Rejected met\n")


@pytest.mark.parametrize("phase", ["Ready", "Failed"])
def test_a_status_of_the_spec_before_does_not_count(run: Callable[..., Result], store: ResourceStore, world, phase: str) -> None:
    model = world.add_model(store)
    store.set_status(MODEL, world.ended(phase, "of the first spec", generation=1))
    store.apply(Model(metadata=Metadata(name="bot"), spec=ModelSpec(source=Source(uri="hf://org/other"))))
    assert model.metadata.generation == 1
    world.script = [lambda: None, lambda: store.set_status(MODEL, world.ended("Ready", "of the second spec", generation=2))]
    assert run("wait", "model/bot").exit_code == 0
    assert world.seconds == 1.0


def test_time_runs_out(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.set_status(MODEL, world.training())
    world.endless = True
    result = run("wait", "model/bot", "--timeout", "1m30s")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "error: model/bot did not reach condition Ready in 90s: it is Training: job train-1 is running; "
        "wait longer with --timeout, or look closer with `modelyard describe model/bot`"
    )
    assert world.seconds == 90


def test_waiting_for_a_deletion(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.set_status(MODEL, world.ended("Failed", "does not matter"))
    world.script = [lambda: store.remove(MODEL)]
    assert run("wait", "model/bot", "--for", "delete").stdout == "model/bot deleted\n"
    assert run("wait", "model/bot", "--for", "delete").stdout == "model/bot deleted\n"


def test_a_resource_that_goes_meanwhile(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.script = [lambda: store.remove(MODEL)]
    result = run("wait", "model/bot")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "error: model/bot was deleted meanwhile; apply it again")


def test_a_resource_that_never_was(run: Callable[..., Result], store: ResourceStore) -> None:
    assert run("wait", "model/bot").stderr.startswith("error: there is no Model 'bot' in namespace 'default'")


def test_a_version_is_waited_for_by_its_phase(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    result = run("wait", "mv/bot-0123456789", "--for", "phase=Passed")
    assert result.stderr.splitlines()[-1] == (
        "error: modelversion/bot-0123456789 is Rejected: t.score 0.610 misses at least 0.8; "
        "see `modelyard describe modelversion/bot-0123456789`"
    )


@pytest.mark.parametrize(
    ("goal", "kind", "message"),
    [
        pytest.param(
            "ready",
            "Model",
            "--for ready is not understood; write condition=TYPE, condition=TYPE=False, phase=PHASE or delete",
            id="no goal",
        ),
        pytest.param(
            "phase=ready",
            "KnowledgeBase",
            "'ready' is no phase of a KnowledgeBase; did you mean Ready? "
            "there are Pending, Fetching, Ingesting, Deploying, Ready, Failed, Deleting",
            id="a mistyped phase",
        ),
        pytest.param(
            "condition=Ready", "ModelVersion", "a ModelVersion has no conditions; wait for a phase: --for phase=Passed", id="no conditions"
        ),
    ],
)
def test_goals_that_make_no_sense(goal: str, kind: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_goal(goal, kind)
    assert str(raised.value) == message


def test_a_bar_on_a_terminal(store: ResourceStore, world) -> None:
    screen = io.StringIO()
    session: Session = world.session()
    session.err = Console(file=screen, force_terminal=True, width=100)
    world.add_model(store)
    world.script = [
        lambda: store.set_status(MODEL, world.training(42)),
        lambda: store.set_status(MODEL, world.ended("Ready", "served as asked")),
    ]
    wait_for(session, MODEL, parse_goal("condition=Ready", "Model"), 60)
    session.close()
    for words in ("model/bot training", "42%", "loss 1.250  3m20s left"):
        assert words in screen.getvalue()


def test_a_platform_that_ends_meanwhile_is_not_waited_for(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.script = [lambda: setattr(world, "running", False)]
    result = run("wait", "model/bot")
    assert result.exit_code == 1
    assert "has ended; run `modelyard up` to go on" in result.stderr


def test_a_full_disk_is_told_while_waiting_since_the_platform_can_write_nothing(
    run: Callable[..., Result], store: ResourceStore, world
) -> None:
    world.add_model(store)
    world.script = [lambda: setattr(world, "free_bytes", 1000)]
    result = run("wait", "model/bot")
    assert result.exit_code == 1
    assert f"the disk of {world.settings.root} is full; free some space" in result.stderr


def test_a_platform_that_never_ran_is_waited_for_with_a_warning(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.running = False
    world.script = [lambda: store.set_status(MODEL, world.ended("Ready", "served as asked"))]
    result = run("wait", "model/bot")
    assert result.exit_code == 0
    assert "the platform is not running" in result.stderr
