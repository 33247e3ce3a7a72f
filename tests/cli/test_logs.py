from collections.abc import Callable

import pytest
from typer.testing import Result

from modelyard.artifacts.runs import RunFolder
from modelyard.operator.attempts import Attempt, record_attempt
from modelyard.operator.runs import run_folder
from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")


@pytest.fixture
def train(store: ResourceStore, world) -> RunFolder:
    """The run of a model's last job, which ended."""
    world.add_model(store)
    store.set_status(MODEL, world.training())
    run = run_folder(world.settings, "train-1")
    record_attempt(run, Attempt(queued_at=1, ended_at=2))
    run.write("log.txt", "step 1\n")
    return run


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["model/bot"], id="of a resource"),
        pytest.param(["model", "bot", "-f"], id="followed to the end"),
        pytest.param(["model/other", "--job", "train-1"], id="of a job by its name"),
    ],
)
def test_the_output_of_a_job(run: Callable[..., Result], train: RunFolder, words: list[str]) -> None:
    assert run("logs", *words).output == "step 1\n"


def test_following_a_job_prints_what_comes_until_it_ends(run: Callable[..., Result], train: RunFolder, world) -> None:
    def go_on() -> None:
        train.write("log.txt", "step 1\nstep 2\n")
        record_attempt(train, Attempt(queued_at=3, ended_at=4))

    record_attempt(train, Attempt(queued_at=3))
    world.script = [go_on]
    assert run("logs", "model/bot", "-f").output == "step 1\nstep 2\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["model/bot", "--job", "nope"], "there is no job 'nope'; `modelyard events` names those that there were", id="no such job"
        ),
        pytest.param(["model/new"], "model/new has had no job yet; see `modelyard describe model/new`", id="no job yet"),
    ],
)
def test_what_is_not_there(
    run: Callable[..., Result], train: RunFolder, store: ResourceStore, world, words: list[str], message: str
) -> None:
    world.add_model(store, "new")
    result = run("logs", *words)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"error: {message}\n")
