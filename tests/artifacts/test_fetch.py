import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from modelyard.artifacts.fetch import fetch_into
from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import CapacityError, IntegrityError, InvalidInputError, UnavailableError
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Source
from modelyard.domain.resource import Progress

# transformers imports torch, which warns of its own makings at first import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")

COMMIT = "c0ffee" + "0" * 34
Usage = namedtuple("Usage", "free")
Fetch = Callable[..., tuple[FetchResult, list[Progress]]]


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(store: ArtifactStore) -> list[str]:
    return [path.name for path in (Path(store.root) / ".staging").iterdir()]


def artifacts(store: ArtifactStore) -> set[str]:
    return {path.name for path in Path(store.root).iterdir() if len(path.name) == 64}


@pytest.fixture
def fetch(store: ArtifactStore) -> Fetch:
    def run(uri: str, role: str = "causal-lm", endpoint: str | None = None, into: ArtifactStore = store):
        reports: list[Progress] = []
        # model_construct: a bucket in memory is no source that a user may write.
        source = Source.model_construct(uri=uri, revision="main")
        job = FetchJob.model_construct(kind="fetch", store=into.root_uri, source=source, role=role)
        return fetch_into(into, job, reports.append, endpoint), reports

    return run


def test_a_folder_becomes_an_artifact_that_says_where_it_comes_from(fetch: Fetch, store: ArtifactStore, make_model) -> None:
    folder = make_model()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    result, reports = fetch(folder.as_uri())
    artifact = store.open(result.digest)
    assert {path.name for path in artifact.iterdir()} == {
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    }
    manifest = store.manifest(result.digest)
    assert (manifest.kind, manifest.source, manifest.licence) == ("causal-lm", folder.as_uri(), "apache-2.0")
    assert set(manifest.packages) >= {"modelyard", "safetensors"}
    assert result.weights_bytes == (folder / "model.safetensors").stat().st_size
    assert [report.stage for report in reports][0] == "looking up"
    assert [report.percent for report in reports if report.stage == "downloading"][-1] == 100.0
    assert leftovers(store) == []


def test_a_bucket_becomes_the_same_artifact(fetch: Fetch, make_model) -> None:
    folder, bucket = make_model(), f"memory://{uuid.uuid4().hex}/m"
    fsspec.filesystem("memory").put(f"{folder}/", f"{bucket}/", recursive=True)
    assert fetch(bucket)[0] == fetch(folder.as_uri())[0]


def test_a_store_in_a_bucket_serves_as_a_local_one_does(fetch: Fetch, make_model, tmp_path: Path) -> None:
    store = ArtifactStore(f"memory://{uuid.uuid4().hex}", cache=tmp_path / "cache")
    folder = make_model()
    result, _ = fetch(folder.as_uri(), into=store)
    assert fetch(folder.as_uri(), into=store)[0] == result
    assert (store.open(result.digest) / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_repository_is_pinned_to_its_commit(fetch: Fetch, store: ArtifactStore, make_model, start_hub) -> None:
    hub = start_hub(read(make_model()))
    result, _ = fetch("hf://org/tiny", endpoint=hub.endpoint)
    manifest = store.manifest(result.digest)
    assert (manifest.source, manifest.revision, manifest.licence) == ("hf://org/tiny", COMMIT, "mit")


def test_the_second_time_asks_for_the_commit_alone(fetch: Fetch, store: ArtifactStore, make_model, start_hub) -> None:
    hub = start_hub(read(make_model()))
    first, _ = fetch("hf://org/tiny", endpoint=hub.endpoint)
    hub.requests.clear()
    second, reports = fetch("hf://org/tiny", endpoint=hub.endpoint)
    assert second == first
    assert len(hub.requests) == 1
    assert [report.stage for report in reports] == ["looking up"]


def test_a_changed_source_is_another_artifact(fetch: Fetch, make_model) -> None:
    folder = make_model()
    first, _ = fetch(folder.as_uri())
    (folder / "tokenizer.json").write_text('{"changed": true}')
    assert fetch(folder.as_uri())[0].digest != first.digest


def test_a_damaged_artifact_is_fetched_anew(fetch: Fetch, store: ArtifactStore, make_model) -> None:
    folder = make_model()
    result, _ = fetch(folder.as_uri())
    weights = store.open(result.digest) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"model\.safetensors has \d+ bytes instead of"):
        store.open(result.digest)
    assert fetch(folder.as_uri())[0] == result
    store.open(result.digest)


def test_a_failed_download_goes_on_at_the_next_attempt(fetch: Fetch, store: ArtifactStore, make_model, start_hub, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    hub = start_hub(read(make_model(values=5000)))
    whole = len(hub.files["model.safetensors"])
    hub.served["model.safetensors"] = hub.files["model.safetensors"][:9000]
    with pytest.raises(UnavailableError, match=f"should be of size {whole}"):
        fetch("hf://org/tiny", endpoint=hub.endpoint)
    assert len(leftovers(store)) == 2  # a folder that waits for the next attempt, and its lock
    assert artifacts(store) == set()
    hub.served.clear()
    result, _ = fetch("hf://org/tiny", endpoint=hub.endpoint)
    assert hub.downloads("model.safetensors")[-1] == "bytes=9000-"
    assert result.weights_bytes == whole
    assert leftovers(store) == []


def test_the_wrong_kind_of_model_is_refused_before_its_weights_are_fetched(
    fetch: Fetch, store: ArtifactStore, make_model, start_hub
) -> None:
    hub = start_hub(read(make_model(architecture="BertModel")))
    with pytest.raises(InvalidInputError, match="hf://org/tiny is a BertModel, not a causal language model"):
        fetch("hf://org/tiny", endpoint=hub.endpoint)
    assert hub.downloads("model.safetensors") == []
    assert leftovers(store) == []
    fetch("hf://org/tiny", "embedding", hub.endpoint)


def test_too_small_a_disk_is_refused_before_the_first_byte(fetch: Fetch, make_model, start_hub, tmp_path: Path) -> None:
    hub = start_hub(read(make_model()))
    store = ArtifactStore((tmp_path / "small").as_uri(), measure=lambda folder: Usage(free=64 << 20))
    with pytest.raises(CapacityError, match="free some space"):
        fetch("hf://org/tiny", endpoint=hub.endpoint, into=store)
    assert hub.downloads("config.json") == []
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("model.safetensors", b"PK\x03\x04" + bytes(99), r"model\.safetensors is a zip archive", id="a zip in disguise"),
        pytest.param("model.safetensors", bytes(99), r"model\.safetensors is truncated or not safetensors", id="no safetensors"),
        pytest.param("tokenizer.json", b"{", r"tokenizer\.json is not JSON", id="no JSON"),
    ],
)
def test_unusable_files_are_refused_by_name(
    fetch: Fetch, store: ArtifactStore, make_model, name: str, content: bytes, problem: str
) -> None:
    folder = make_model()
    (folder / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=problem):
        fetch(folder.as_uri())
    assert leftovers(store) == []
    assert artifacts(store) == set()


def test_a_manifest_in_the_source_is_not_taken_for_ours(fetch: Fetch, store: ArtifactStore, make_model) -> None:
    folder = make_model()
    (folder / "manifest.json").write_text('{"somebody": "else\'s"}')
    result, _ = fetch(folder.as_uri())
    assert store.manifest(result.digest).source == folder.as_uri()


def test_a_killed_job_leaves_no_artifact_and_the_next_one_ends_it(store: ArtifactStore, make_model, start_hub, tmp_path: Path) -> None:
    """The whole command, against a hub that stops talking in the middle of the weights."""
    # A sentence-transformers folder, because its kind is seen without importing transformers.
    hub = start_hub(read(make_model()) | {"modules.json": b"[]"})
    hub.stall.add("model.safetensors")
    run = RunFolder((tmp_path / "run").as_uri())
    run.write("spec.json", json.dumps(FetchJob(store=store.root_uri, source=Source(uri="hf://org/tiny"), role="embedding").wire()))
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}  # noqa: TID251
    command = [sys.executable, "-m", "modelyard.artifacts", "--run", run.uri]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    assert hub.stalled.wait(120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert artifacts(store) == set()
    hub.stall.clear()
    hub.released.set()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    result = FetchResult.model_validate_json(run.read("result.json") or "")
    store.open(result.digest)
    assert leftovers(store) == []
    assert run.read_failure() is None


def test_an_artifact_outlives_its_source(fetch: Fetch, store: ArtifactStore, make_model) -> None:
    folder = make_model()
    result, _ = fetch(folder.as_uri())
    shutil.rmtree(folder)
    store.open(result.digest)
