"""Send the figures of a run to MLflow, from a thread of its own: a slow or absent server neither holds a run up nor ends it."""

import logging
import queue
import re
import threading
import time
from typing import Any

from modelyard.training.history import History, Point
from modelyard.training.settings import TrackingSettings

logger = logging.getLogger(__name__)

RUN_TAG = "modelyard.run"
"""Marks MLflow's run as that of a run folder, so that a resumed run goes on in the same one."""
CREDENTIALS = re.compile(r"//[^/@\s]+@")
"""User and password in a URI, which no log may show."""
WAIT_S = 20.0
"""How long the end of a run waits for what has not been sent yet."""


class Tracker:
    """One run's figures on their way to MLflow. Sends nothing where no tracking URI is set."""

    def __init__(self, settings: TrackingSettings, run_uri: str, name: str, parameters: dict[str, Any]) -> None:
        """run_uri: of the run folder. name: for people. parameters: what the run was asked, by name."""
        self._settings, self._run_uri, self._name, self._parameters = settings, run_uri, name, parameters
        self._points: queue.SimpleQueue[Point | str] = queue.SimpleQueue()
        self._told = 0
        self._thread: threading.Thread | None = None
        if settings.tracking_uri:
            self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
            self._thread.start()

    def tell(self, history: History) -> None:
        """Hand over the points that are new; the first call of a resumed run hands over all, which MLflow takes twice."""
        for point in history.points[self._told :] if self._thread else ():
            self._points.put(point)
        self._told = len(history.points)

    def end(self, status: str) -> None:
        """Close MLflow's run: `FINISHED`, `FAILED` or `KILLED`. Waits a moment for what is under way."""
        if self._thread:
            self._points.put(status)
            self._thread.join(WAIT_S)

    def _work(self) -> None:
        try:
            self._send()
        except Exception as error:  # whatever it is, training goes on
            words = CREDENTIALS.sub("//", " ".join(str(error).split()))[:300]
            logger.warning("MLflow at %s gets no more figures: %s", CREDENTIALS.sub("//", self._settings.tracking_uri), words)

    def _send(self) -> None:
        # Here and not above: the import takes a second, and most runs need none of it.
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        client = MlflowClient(tracking_uri=self._settings.tracking_uri)
        run_id = self._open(client)
        while True:
            point = self._points.get()
            if isinstance(point, str):
                client.set_terminated(run_id, point)
                return
            at = int(time.time() * 1000)
            client.log_batch(run_id, metrics=[Metric(name, value, at, point.step) for name, value in figures(point).items()])

    def _open(self, client: Any) -> str:
        experiment = client.get_experiment_by_name(self._settings.experiment_name)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(self._settings.experiment_name)
        former = client.search_runs([experiment_id], filter_string=f"tags.`{RUN_TAG}` = '{self._run_uri}'", max_results=1)
        if former:
            client.update_run(former[0].info.run_id, status="RUNNING")
            return str(former[0].info.run_id)
        run = client.create_run(experiment_id, run_name=self._name, tags={RUN_TAG: self._run_uri})
        for name, value in self._parameters.items():
            client.log_param(run.info.run_id, name, value)
        return str(run.info.run_id)


def figures(point: Point) -> dict[str, float]:
    """The numbers of a step by name, without those that are not known."""
    known = point.model_dump(exclude={"step"}, exclude_none=True)
    return {name: float(value) for name, value in known.items()}
