from collections.abc import Callable

from typer.testing import Result

from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")


def test_events_name_their_resource(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.add_model(store, "other")
    store.record_event(MODEL, "Normal", "JobQueued", "train job train-1")
    store.record_event(("Model", "default", "other"), "Warning", "JobFailed", "no space [left]")
    world.seconds = 65
    assert [line.split() for line in run("events").output.splitlines()] == [
        ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"],
        ["65s", "Normal", "JobQueued", "model/bot", "1", "train", "job", "train-1"],
        ["65s", "Warning", "JobFailed", "model/other", "1", "no", "space", "[left]"],
    ]
    assert "model/other" not in run("events", "model/bot").output


def test_no_events(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    result = run("events", "model", "bot")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no events\n")
    assert run("events", "model/nope").exit_code == 1


def test_watching_prints_each_event_once(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.record_event(MODEL, "Normal", "First", "one")
    world.script = [
        lambda: store.record_event(MODEL, "Normal", "Second", "two"),
        lambda: store.record_event(MODEL, "Normal", "First", "one"),
    ]
    result = run("events", "-w")
    printed = [line.split()[2:5:2] for line in result.stdout.splitlines() if not line.startswith("LAST")]
    assert printed == [["First", "1"], ["Second", "1"], ["First", "2"]]
    assert result.exit_code == 130
