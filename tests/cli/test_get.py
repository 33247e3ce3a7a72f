import io
import json
from collections.abc import Callable

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from modelyard.cli.main import app
from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")


def cells(output: str) -> list[list[str]]:
    """The words of each line between two or more spaces."""
    return [[cell for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]


def rows(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line] for line in cells(output)]


def test_models_at_a_glance(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    store.set_status(MODEL, world.training())
    world.seconds = 75
    assert rows(run("get", "models").output) == [
        ["NAME", "PHASE", "PROGRESS", "VERSION", "ACTIVE", "SCORE", "AGE"],
        ["bot", "Training", "42% (3m20s)", "0123456789", "0.610", "75s"],
    ]


def test_wide_adds_what_few_want(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    store.set_status(MODEL, world.training())
    header, row = rows(run("get", "mdl", "-o", "wide").output)
    assert header[-3:] == ["METRIC", "SERVED", "MESSAGE"]
    assert row[-3:] == ["t.score", "bot:base", "job train-1 is running"]


def test_versions_at_a_glance(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    assert rows(run("get", "mv").output) == [
        ["NAME", "MODEL", "REVISION", "PHASE", "SCORE", "BASE", "AGE"],
        ["bot-0123456789", "bot", "1", "Rejected", "0.610", "0.500", "0s"],
    ]


def test_all_names_the_kinds(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    first = [row[0] for row in rows(run("get", "all").output) if row]
    assert first == ["NAME", "model/bot", "NAME", "modelversion/bot-0123456789"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param(["mv,models"], ["modelversion/bot-0123456789", "model/bot"], id="in the order asked for"),
        pytest.param(["models,mdl,Model"], ["bot"], id="a kind said twice is listed once"),
        pytest.param(["models,kb"], ["model/bot"], id="a kind without resources is left out"),
        pytest.param(["kb,all"], ["model/bot", "modelversion/bot-0123456789"], id="all beside a kind"),
    ],
)
def test_several_kinds_at_once(run: Callable[..., Result], store: ResourceStore, world, words: list[str], names: list[str]) -> None:
    world.add_version(store, world.add_model(store))
    assert [row[0] for row in rows(run("get", *words).output) if row and row[0] != "NAME"] == names


def test_a_name_is_looked_for_in_each_kind(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store, "bot-0123456789"))
    assert run("get", "mv,models", "bot-0123456789", "-o", "name").output == "model/bot-0123456789\nmodelversion/bot-0123456789\n"


def test_all_namespaces_are_told_apart(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.add_model(store, namespace="team")
    assert [row[:2] for row in rows(run("get", "models", "-A").output)] == [["NAMESPACE", "NAME"], ["default", "bot"], ["team", "bot"]]
    assert [row[0] for row in rows(run("get", "models", "-n", "team").output)] == ["NAME", "bot"]


def test_one_resource_prints_as_itself_and_many_as_a_list(run: Callable[..., Result], store: ResourceStore, world) -> None:
    model = world.add_model(store)
    assert yaml.safe_load(run("get", "model", "bot", "-o", "yaml").output) == model.wire()
    assert json.loads(run("get", "model/bot", "-o", "json").output) == model.wire()
    assert json.loads(run("get", "models", "-o", "json").output) == {"apiVersion": "v1", "kind": "List", "items": [model.wire()]}
    assert run("get", "models", "-o", "name").output == "model/bot\n"


def test_what_get_prints_can_be_applied(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.set_status(MODEL, world.training())
    assert run("apply", "-f", "-", input=run("get", "models", "-o", "yaml").output).output == "model/bot unchanged\n"


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        pytest.param("models", "models", id="one kind"),
        pytest.param("models,kb", "models or knowledgebases", id="two kinds"),
        pytest.param("all", "resources", id="all kinds"),
    ],
)
def test_nothing_is_said_beside_the_output(run: Callable[..., Result], store: ResourceStore, kinds: str, told: str) -> None:
    result = run("get", kinds)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"no {told} in namespace 'default'; make one with `modelyard apply -f FILE`\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["modle"],
            "'modle' is not a kind of resource; did you mean model? "
            "there are model (mdl), modelversion (mv), evaluation (eval), knowledgebase (kb)",
            id="a mistyped kind",
        ),
        pytest.param(
            ["models,"],
            "'' is not a kind of resource; there are model (mdl), modelversion (mv), evaluation (eval), knowledgebase (kb)",
            id="a comma too many",
        ),
        pytest.param(
            ["models,kb", "bot"],
            "there is no KnowledgeBase 'bot' in namespace 'default'; there is none at all; make one with `modelyard apply -f FILE`",
            id="a name that not every kind has",
        ),
        pytest.param(
            ["model", "bott"], "there is no Model 'bott' in namespace 'default'; did you mean bot? there is bot", id="a mistyped name"
        ),
        pytest.param(
            ["model", "bot", "kb/x"], "'model' does not name a resource; write KIND/NAME, or KIND NAME, not both", id="both ways mixed"
        ),
    ],
)
def test_what_is_not_there(run: Callable[..., Result], store: ResourceStore, words: list[str], message: str, world) -> None:
    world.add_model(store)
    result = run("get", *words)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"error: {message}\n")


def test_watching_prints_what_changes_until_interrupted(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.add_model(store, "other")
    world.script = [
        lambda: None,
        lambda: store.set_status(MODEL, world.training()),
        lambda: store.set_status(MODEL, world.ended("Ready", "served")),
    ]
    result = run("get", "models", "--watch")
    assert [row[:2] for row in rows(result.stdout)] == [
        ["NAME", "PHASE"],
        ["bot", "Pending"],
        ["other", "Pending"],
        ["NAME", "PHASE"],
        ["bot", "Training"],
        ["NAME", "PHASE"],
        ["bot", "Ready"],
    ]
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_deletion_shows_at_once(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.request_deletion(MODEL)
    assert rows(run("get", "models").output)[1][1] == "Deleting"


def test_messages_are_not_read_as_markup(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    store.set_status(MODEL, world.ended("Failed", "list index [0] of [red]rows[/red]"))
    assert "list index [0] of [red]rows[/red]" in run("get", "models", "-o", "wide").output


def test_a_narrow_terminal_loses_nothing(world, store: ResourceStore) -> None:
    screen = io.StringIO()
    session = world.session()
    session.out = Console(file=screen, force_terminal=True, color_system=None, width=40)
    world.add_version(store, world.add_model(store))
    store.set_status(MODEL, world.training())
    CliRunner().invoke(app, ["get", "models", "-o", "wide"], obj=session)
    for cell in ("Training", "42% (3m20s)", "0123456789", "t.score", "bot:base", "job train-1 is running"):
        assert cell in screen.getvalue()
