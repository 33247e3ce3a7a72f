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


def ray_list(**ages: int) -> str:
    """Ray's list, in the order of the scores; ages: the number of the report that each came with."""
    results = [{"checkpoint_dir_name": name, "metrics": {}} for name in ages]
    latest = max(results, key=lambda result: ages[str(result["checkpoint_dir_name"])])
    state = {"checkpoint_results": results, "checkpoint_report_indices": list(ages.values()), "latest_checkpoint_result": latest}
    return json.dumps(state)


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
        pytest.param(["checkpoint_1"], "{}", [], id="a list of another kind"),
        pytest.param(["checkpoint_1"], ray_list(checkpoint_1=2, checkpoint_2=4), ["checkpoint_1"], id="the latest that is listed is gone"),
        pytest.param(["checkpoint_1"], ray_list(checkpoint_2=4), [], id="all that are listed are gone"),
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


def test_what_ray_goes_on_from_is_the_latest_that_is_there(tmp_path: Path) -> None:
    run = run_with(tmp_path, "checkpoint_1", "checkpoint_2", listed=ray_list(checkpoint_2=2, checkpoint_1=1, checkpoint_3=3))
    sweep_checkpoints(run)
    assert json.loads(run.read("checkpoints/checkpoint_manager_snapshot.json") or "") == json.loads(
        ray_list(checkpoint_2=2, checkpoint_1=1)
    )


def test_checkpoints_are_listed_from_the_oldest_on_whatever_their_scores(tmp_path: Path) -> None:
    run = run_with(tmp_path, "checkpoint_a", "checkpoint_b", listed=ray_list(checkpoint_b=4, checkpoint_a=2))
    assert listed_checkpoints(run) == ["checkpoint_a", "checkpoint_b"]
