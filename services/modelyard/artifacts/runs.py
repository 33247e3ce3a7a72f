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
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import fsspec
from pydantic import ValidationError

from modelyard.artifacts.full_disk import explain_full_disk, local_places
from modelyard.domain.base import Spec
from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, PreemptedError
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
        new = f"{self.path}/{name}.{uuid.uuid4().hex[:8]}.new"  # its own, since two may write at once
        self.filesystem.pipe_file(new, text.encode())
        self.filesystem.mv(new, f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a document; nothing happens when it is not there."""
        if self.filesystem.exists(f"{self.path}/{name}"):
            self.filesystem.rm_file(f"{self.path}/{name}")

    def read_spec(self) -> FetchJob | TrainJob | EvaluateJob | IngestJob:
        """What is asked. Raises NotFoundError, InvalidInputError."""
        text = self.read("spec.json")
        if text is None:
            raise NotFoundError(f"{self.uri}/spec.json is not there", "jobs are started by the platform; write one to start it by hand")
        try:
            return JOB_SPEC.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidInputError(
                f"{self.uri}/spec.json: {field or 'the document'}: {first['msg']}", "apply the resource again"
            ) from None

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

    Anything that `work` raises becomes `failure.json`: ModelyardErrors as they are, without a traceback; a full disk by
    its path. SIGTERM raises SystemExit inside `work`, so that its clean-up runs.
    """
    parser = argparse.ArgumentParser(description=(kind.__doc__ or "").strip())
    parser.add_argument("--run", required=True, metavar="URI", help="the run folder with spec.json")
    run = RunFolder(parser.parse_args(argv).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    former = signal.signal(signal.SIGTERM, _stop)
    places = [Path(tempfile.gettempdir()), *local_places(run.uri)]
    try:
        run.remove("failure.json")
        spec = run.read_spec()
        if not isinstance(spec, kind):
            raise InvalidInputError(f"{run.uri}/spec.json is a {spec.kind} job", f"start the service for {spec.kind} jobs on it")
        places += local_places(spec.store)
        result = work(spec, run)
        run.write("result.json", json.dumps(result.wire()))
        return 0
    except ModelyardError as error:
        return _fail(run, str(error), retryable=error.retryable, preempted=isinstance(error, PreemptedError))
    except (SystemExit, KeyboardInterrupt) as stop:
        preempted = stop.args == (128 + signal.SIGTERM,)
        _fail(run, "the job was stopped before its end; start it again to go on", retryable=True, preempted=preempted)
        return int(stop.code or 1) if isinstance(stop, SystemExit) and isinstance(stop.code, int | None) else 130
    except Exception as error:
        full = explain_full_disk(error, places)
        if full is not None:
            return _fail(run, str(full), retryable=full.retryable)
        logger.exception("%s failed", kind.__name__)
        return _fail(run, f"{type(error).__name__}: {error}; the log of this run has the details", retryable=True)
    finally:
        signal.signal(signal.SIGTERM, former)


def _fail(run: RunFolder, message: str, *, retryable: bool, preempted: bool = False) -> int:
    message = " ".join(message.split())
    logger.error(message)
    try:
        run.write("failure.json", json.dumps(JobFailure(message=message, retryable=retryable, preempted=preempted).wire()))
    except OSError as error:
        # The disk of the run folder itself may be the full one; the log and the exit code still tell.
        logger.error("failure.json could not be written: %s", error)
    return 1


def _stop(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # a second one would break into the clean-up
    raise SystemExit(128 + signum)
