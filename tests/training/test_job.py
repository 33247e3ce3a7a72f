"""The real job, as the operator starts it, on a tiny model: it survives the end of a worker and the end of everything."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.runs import RunFolder
from modelyard.domain.dataset_statistics import DatasetStatistics
from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.job import TrainJob, TrainResult
from modelyard.training.history import read_history
from modelyard.training.job import KEPT_CHECKPOINTS, check
from modelyard.training.layout import CONFIG_FILE, WEIGHTS_FILE

Start = Callable[[RunFolder], subprocess.Popen[bytes]]


def test_a_sound_job_passes_the_check(yard: Any) -> None:
    check(yard.job(), yard.store)


def test_a_base_that_is_not_there_is_refused(yard: Any) -> None:
    with pytest.raises(NotFoundError, match="artifact 000000000000 is not in"):
        check(yard.job().model_copy(update={"base_digest": "0" * 64}), yard.store)


def test_a_base_that_does_not_generate_is_refused(yard: Any) -> None:
    with yard.store.staging(1 << 20) as folder:
        (folder / "config.json").write_text("{}")
        digest = yard.store.add(folder, Manifest(kind="embedding", files=list_files(folder)))
    with pytest.raises(InvalidInputError, match=f"base {digest[:12]} is 'embedding' weights; name a causal language model in source.uri"):
        check(yard.job().model_copy(update={"base_digest": digest}), yard.store)


def test_a_dataset_that_has_changed_is_refused(yard: Any) -> None:
    with pytest.raises(InvalidInputError, match="has changed"):
        check(yard.job().model_copy(update={"dataset_digest": "0" * 64}), yard.store)


LONG = {"max_steps": 300, "epochs": 100, "checkpoint_every": 20, "evaluate_every": 100}
"""Long enough to be killed on the way."""


def prepare(folder: Path, job: TrainJob) -> RunFolder:
    run = RunFolder(str(folder / "run"))
    run.write("spec.json", json.dumps(job.wire()))
    return run


def wait_for_step(run: RunFolder, process: subprocess.Popen[bytes], step: int) -> None:
    while True:
        try:
            process.wait(timeout=0.1)
            raise AssertionError(f"the job ended before step {step}: {run.read('failure.json')}")
        except subprocess.TimeoutExpired:
            progress = run.read_progress()
            if progress is not None and progress.step >= step:
                return


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Jobs that must not outlive their test."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            kill_all(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the driver, Ray and every worker."""
    relatives = family(process)
    process.kill()
    process.wait()
    for relative in relatives:
        try:
            relative.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(relatives)


@pytest.mark.slow
def test_a_run_survives_the_end_of_a_worker_and_of_the_whole_job(
    yard: Any, tmp_path: Path, start: Start, ended: list[subprocess.Popen[bytes]]
) -> None:
    run = prepare(tmp_path, yard.job({"workers": {"count": 2}}, **LONG))
    first = start(run)
    ended.append(first)
    wait_for_step(run, first, 30)
    workers = [process for process in family(first) if process.name().startswith("ray::RayTrainW")]
    assert len(workers) == 2
    workers[1].kill()
    wait_for_step(run, first, 100)
    kill_all(first)
    assert run.read("result.json") is None

    second = start(run)
    ended.append(second)
    assert second.wait(timeout=400) == 0, run.read("failure.json")
    result = TrainResult.model_validate_json(run.read("result.json") or "")
    assert result.steps == 300
    adapter = yard.store.open(result.digest)
    history = read_history(adapter)
    assert [point.step for point in history.points] == list(range(1, 301))
    assert history.points[-1].loss < history.points[0].loss - 0.5
    assert result.loss == pytest.approx(history.loss, abs=1e-6)
    assert result.validation_loss == history.validation_loss
    assert result.tokens == history.learned_tokens

    manifest = yard.store.manifest(result.digest)
    expected = ["README.md", CONFIG_FILE, WEIGHTS_FILE, "curve.html", "curve.png", "history.json"]
    assert sorted(entry.path for entry in manifest.files) == sorted(expected)
    assert (manifest.kind, manifest.base_digest) == ("adapter", yard.base_digest)
    counts = {"train": 54, "validation": 6, "truncated": 0, "dropped": 0, "duplicates": 0, "contaminated": 0}
    assert manifest.lineage["rows"] == counts
    assert DatasetStatistics.model_validate(manifest.lineage["data"]).rows == 60
    assert manifest.lineage["version"] == "tiny-1"
    assert manifest.packages.keys() == {"deepspeed", "peft", "ray", "torch", "transformers"}
    assert len(list(Path(run.path, "checkpoints").glob("checkpoint_*/"))) == KEPT_CHECKPOINTS, "what the kills left is swept"


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_past_a_damaged_checkpoint(
    yard: Any, tmp_path: Path, start: Start, ended: list[subprocess.Popen[bytes]]
) -> None:
    run = prepare(tmp_path, yard.job(**LONG, keep="best"))
    first = start(run)
    ended.append(first)
    wait_for_step(run, first, 45)
    first.terminate()
    assert first.wait(timeout=300) == 1
    failure = run.read_failure()
    assert failure is not None and failure.preempted and failure.retryable
    stopped = int(re.match(r"the run was preempted after step (\d+) of 300; it goes on from there", failure.message)[1])  # type: ignore[index]
    checkpoints = {read_history(folder).step: folder for folder in Path(run.path, "checkpoints").glob("checkpoint_*/")}
    assert max(checkpoints) == stopped

    cut = checkpoints[stopped] / "optimizer-0000.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1])
    before = max(step for step in checkpoints if step != stopped)
    second = start(run)
    ended.append(second)
    assert second.wait(timeout=400) == 0, run.read("failure.json")
    log = (tmp_path / "log.txt").read_text()
    assert "is damaged and skipped for the one before: optimizer-0000.safetensors has other bytes than were written" in log
    assert f"resumed after step={before}" in log
    result = TrainResult.model_validate_json(run.read("result.json") or "")
    history = read_history(yard.store.open(result.digest))
    assert history.points[-1] is history.best, "the best of the checkpoints is the version"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fine_tune", "knobs", "message"),
    [
        pytest.param({"workers": {"count": 2, "resources": {"CPU": 1000}}}, {}, "the Ray cluster has", id="more cores than there are"),
        pytest.param({"adapter": {"target_modules": ["query"]}}, {}, "adapter.targetModules names query", id="what only workers see"),
    ],
)
def test_refusals_are_one_line_in_the_run_folder(
    yard: Any, tmp_path: Path, start: Start, ended: list[subprocess.Popen[bytes]], fine_tune: Any, knobs: Any, message: str
) -> None:
    run = prepare(tmp_path, yard.job(fine_tune, **knobs))
    process = start(run)
    ended.append(process)
    assert process.wait(timeout=300) == 1
    failure = run.read_failure()
    assert failure is not None and not failure.retryable
    assert message in failure.message
    assert "\n" not in failure.message
