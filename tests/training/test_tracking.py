"""Figures that reach MLflow, and an MLflow that cannot be reached."""

import logging
from pathlib import Path

import pytest
from mlflow import MlflowClient

from modelyard.training.history import History, Point
from modelyard.training.settings import TrackingSettings
from modelyard.training.tracking import Tracker

# MLflow warns of its own plans for its stores.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def history(steps: int) -> History:
    points = [
        Point(
            step=step,
            loss=1 / step,
            learning_rate=0.1,
            learned_tokens=10,
            tokens_per_second=100.0,
            seconds=2.0,
            accuracy=0.5,
            validation_loss=0.25 if step == 2 else None,
        )
        for step in range(1, steps + 1)
    ]
    return History(total_steps=9, rows={}, points=points)


def track(settings: TrackingSettings, steps: list[int], status: str) -> None:
    tracker = Tracker(settings, "file:///runs/tiny-1", "tiny-1", {"learningRate": 0.1})
    for step in steps:
        tracker.tell(history(step))
    tracker.end(status)


def test_a_run_that_is_resumed_goes_on_in_its_own_mlflow_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    settings = TrackingSettings(tracking_uri=(tmp_path / "mlflow").as_uri())
    track(settings, [1, 2], "KILLED")
    track(settings, [3, 4], "FINISHED")
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name("modelyard")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("tiny-1", "FINISHED")
    assert run.data.params == {"learningRate": "0.1"}
    assert {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "loss")} == {1: 1, 2: 0.5, 3: 1 / 3, 4: 0.25}
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "validation_loss")][0] == 2
    assert run.data.metrics["accuracy"] == 0.5


def test_an_mlflow_that_fails_is_told_once_and_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING, "modelyard.training.tracking"):
        track(TrackingSettings(tracking_uri=f"nothing://someone:hidden@{tmp_path}"), [1, 2], "FINISHED")
    (told,) = [record.message for record in caplog.records if "gets no more figures" in record.message]
    assert "hidden" not in told and str(tmp_path) in told


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    tracker = Tracker(TrackingSettings(), "file:///runs/tiny-1", "tiny-1", {})
    tracker.tell(history(2))
    tracker.end("FINISHED")
