import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.references import References
from modelyard.artifacts.store import ArtifactStore

KEY = "k" * 64


@pytest.fixture
def digest(store: ArtifactStore) -> str:
    with store.staging(1) as folder:
        (folder / "a.txt").write_text("weights")
        return store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))


def test_what_is_kept_is_found_by_others(store: ArtifactStore, digest: str) -> None:
    assert References(store).find(KEY) is None
    References(store).keep(KEY, digest, "hf://o/m")
    assert References(store).find(KEY) == digest


def test_an_artifact_that_is_gone_is_not_found(store: ArtifactStore, digest: str) -> None:
    References(store).keep(KEY, digest, "hf://o/m")
    store.delete(digest)
    assert References(store).find(KEY) is None


def test_an_artifact_that_was_altered_is_not_found(store: ArtifactStore, digest: str) -> None:
    References(store).keep(KEY, digest, "hf://o/m")
    (store.open(digest) / "a.txt").write_text("others")
    assert References(store).find(KEY) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"digest": "../x"}'])
def test_a_damaged_entry_is_no_entry(store: ArtifactStore, digest: str, text: str) -> None:
    References(store).keep(KEY, digest, "hf://o/m")
    store.filesystem.pipe_file(f"{store.root}/refs/{KEY}.json", text.encode())
    assert References(store).find(KEY) is None
