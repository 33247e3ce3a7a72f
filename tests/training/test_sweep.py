"""What a kill leaves among the checkpoints."""

import json
from pathlib import Path

import pytest

from modelyard.artifacts.runs import RunFolder
from modelyard.training.sweep import listed_checkpoints, sweep_checkpoints


def run_with(folder: Path, *names: str, listed: str | None) -> RunFolder:
    for name in names:
        (folder / "checkpoints" / name).mkdir(parents=True)
        (folder / "checkpoints" / name / "history.json").write_text("{}")
    if listed is not None:
        (folder / "checkpoints").mkdir(exist_ok=True)
        (folder / "checkpoints" / "checkpoint_manager_snapshot.json").write_text(listed)
    return RunFolder(str(folder))


def ray_list(**steps: int) -> str:
    return json.dumps({"checkpoint_results": [{"checkpoint_dir_name": name, "metrics": {"step": step}} for name, step in steps.items()]})


@pytest.mark.parametrize(
    ("names", "listed", "stay"),
    [
        pytest.param([], None, [], id="nothing yet"),
        pytest.param(["checkpoint_1"], None, [], id="killed before the first was listed"),
        pytest.param(["checkpoint_1", "checkpoint_2"], ray_list(checkpoint_1=2), ["checkpoint_1"], id="killed before the last was listed"),
        pytest.param(
            ["checkpoint_1", "checkpoint_2"], ray_list(checkpoint_2=4), ["checkpoint_2"], id="killed before an old one was removed"
        ),
        pytest.param(["checkpoint_1"], ray_list(checkpoint_1=2), ["checkpoint_1"], id="nothing left behind"),
        pytest.param(["checkpoint_1"], '{"checkpoint_res', [], id="a list that was cut off"),
        pytest.param(["checkpoint_1"], "", [], id="an empty list"),
        pytest.param(["checkpoint_1"], ray_list(checkpoint_1=2, checkpoint_2=4), [], id="a listed one is gone"),
    ],
)
def test_only_listed_checkpoints_stay(tmp_path: Path, names: list[str], listed: str | None, stay: list[str]) -> None:
    run = run_with(tmp_path, *names, listed=listed)
    sweep_checkpoints(run)
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("checkpoint_*/")) == stay
    assert sorted(listed_checkpoints(run) or {}) == stay
    sweep_checkpoints(run)
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("checkpoint_*/")) == stay


@pytest.mark.parametrize("damaged", ["", "{"])
def test_a_damaged_list_is_told_and_goes_too_or_ray_would_refuse_every_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    run = run_with(tmp_path, "checkpoint_1", listed=damaged)
    sweep_checkpoints(run)
    assert "starts from its first step" in caplog.text
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_steps_are_in_the_order_of_the_list(tmp_path: Path) -> None:
    run = run_with(tmp_path, "checkpoint_a", "checkpoint_b", listed=ray_list(checkpoint_b=2, checkpoint_a=4))
    assert list((listed_checkpoints(run) or {}).items()) == [("checkpoint_b", 2), ("checkpoint_a", 4)]
