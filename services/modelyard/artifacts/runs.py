"""The run folder that the operator and a job share, and the main function around every job.

spec.json       what is asked            written by the operator before the start
progress.json   how far it is            written by the job, replaced whole
result.json     what came out            written by the job as its last act
failure.json    why it ended without     written by the job
log.txt         its output               written by the operator after the end
checkpoints/    whatever the job needs to go on after a kill
"""

import argparse
import json
import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import fsspec

from modelyard.domain.base import Spec
from modelyard.domain.errors import ModelyardError
from modelyard.domain.job import JOB_SPEC, EvaluateJob, FetchJob, IngestJob, JobFailure, TrainJob
from modelyard.domain.resource import Progress

PROGRESS_INTERVAL_S = 0.5

logger = logging.getLogger(__name__)
S = TypeVar("S", bound=Spec)


class RunFolder:
    """One run's documents under a URI that survives retries."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.filesystem, self.path = fsspec.core.url_to_fs(self.uri)
        self._reported_at = 0.0
        self._stage = ""

    def read(self, name: str) -> str | None:
        """A document, or None where there is none yet."""
        try:
            return str(self.filesystem.cat_file(f"{self.path}/{name}").decode())
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Replace a document whole: a reader sees the old one or the new one."""
        self.filesystem.makedirs(self.path, exist_ok=True)
        self.filesystem.pipe_file(f"{self.path}/{name}.new", text.encode())
        self.filesystem.mv(f"{self.path}/{name}.new", f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a document; nothing happens when it is not there."""
        if self.filesystem.exists(f"{self.path}/{name}"):
            self.filesystem.rm_file(f"{self.path}/{name}")

    def read_spec(self) -> FetchJob | TrainJob | EvaluateJob | IngestJob:
        """What is asked."""
        text = self.read("spec.json")
        if text is None:
            raise FileNotFoundError(f"{self.uri}/spec.json")
        return JOB_SPEC.validate_json(text)

    def report(self, progress: Progress, *, force: bool = False) -> None:
        """Say how far the job is; calls within half a second of the last one are dropped unless forced or of another stage."""
        now = time.monotonic()
        if force or progress.stage != self._stage or now - self._reported_at >= PROGRESS_INTERVAL_S:
            self._reported_at, self._stage = now, progress.stage
            self.write("progress.json", json.dumps(progress.wire()))

    def read_progress(self) -> Progress | None:
        """How far the job is."""
        text = self.read("progress.json")
        return Progress.model_validate_json(text) if text else None

    def read_failure(self) -> JobFailure | None:
        """Why the job ended without a result."""
        text = self.read("failure.json")
        return JobFailure.model_validate_json(text) if text else None


def run_job(argv: list[str], kind: type[S], work: Callable[[S, RunFolder], Spec]) -> int:
    """Run a job on the folder named by `--run URI`; returns the exit code.

    Anything that `work` raises becomes `failure.json`: ModelyardErrors as they are, without a traceback.
    SIGTERM raises SystemExit inside `work`, so that its clean-up runs.
    """
    parser = argparse.ArgumentParser(description=(kind.__doc__ or "").strip())
    parser.add_argument("--run", required=True, metavar="URI", help="the run folder with spec.json")
    run = RunFolder(parser.parse_args(argv).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, _stop)
    run.remove("failure.json")
    try:
        spec = run.read_spec()
        if not isinstance(spec, kind):
            raise TypeError(f"{run.uri}/spec.json is a {spec.kind} job")
        result = work(spec, run)
    except ModelyardError as error:
        return _fail(run, str(error), retryable=error.retryable)
    except Exception as error:
        logger.exception("%s failed", kind.__name__)
        return _fail(run, f"{type(error).__name__}: {error}", retryable=True)
    run.write("result.json", json.dumps(result.wire()))
    return 0


def _fail(run: RunFolder, message: str, *, retryable: bool) -> int:
    logger.error(message)
    run.write("failure.json", json.dumps(JobFailure(message=message, retryable=retryable).wire()))
    return 1


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)
