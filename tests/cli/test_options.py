from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from modelyard.cli.main import app
from modelyard.operator.store import ResourceStore


@pytest.fixture
def complete(world) -> Callable[[str], list[str]]:
    """What a shell offers for a command line that ends where the cursor is."""

    def complete(line: str) -> list[str]:
        words = f"modelyard --home {world.settings.root} {line}"
        env = {"_MODELYARD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        return CliRunner().invoke(app, [], env=env, prog_name="modelyard").stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("get mod", ["model", "modelversion"], id="a kind"),
        pytest.param("get model,k", ["model,knowledgebase"], id="a kind behind a comma"),
        pytest.param("get model ", ["bot", "other"], id="a name after its kind"),
        pytest.param("describe model/b", ["model/bot"], id="a name behind a slash"),
        pytest.param("chat o", ["other"], id="a model to talk to"),
        pytest.param("get foo ", [], id="no kind"),
    ],
)
def test_completion(complete: Callable[[str], list[str]], store: ResourceStore, world, line: str, offered: list[str]) -> None:
    world.add_model(store)
    world.add_model(store, "other")
    assert complete(line) == offered


def test_nothing_is_completed_without_a_platform(complete: Callable[[str], list[str]]) -> None:
    assert complete("get model ") == []
