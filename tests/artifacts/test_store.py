import threading
import uuid
from collections import namedtuple
from pathlib import Path

import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import CapacityError, IntegrityError, NotFoundError

Usage = namedtuple("Usage", "free")


@pytest.fixture(params=["file", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """On a local disk, and on something that is none."""
    uri = (tmp_path / "store").as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}"
    return ArtifactStore(uri, cache=tmp_path / "cache")


def put(store: ArtifactStore, text: str = "weights") -> str:
    with store.staging(1) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text(text)
        return store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))


def test_what_is_added_can_be_opened(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    assert any_store.has(digest)
    assert (any_store.open(digest) / "sub" / "a.txt").read_text() == "weights"
    assert any_store.manifest(digest).digest == digest
    assert any_store.uri(digest) == f"{any_store.root_uri}/{digest}"


def test_twice_is_the_same_as_once(any_store: ArtifactStore) -> None:
    assert put(any_store) == put(any_store)


def test_what_is_deleted_is_gone_and_deleting_again_is_nothing(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    any_store.delete(digest)
    any_store.delete(digest)
    assert not any_store.has(digest)
    with pytest.raises(NotFoundError, match=f"artifact {digest[:12]} is not in"):
        any_store.open(digest)


def test_an_altered_file_is_refused_by_name(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    any_store.filesystem.pipe_file(f"{any_store.root}/{digest}/sub/a.txt", b"we1ghts")
    with pytest.raises(IntegrityError, match=r"sub/a\.txt is altered.*; delete .* and apply again"):
        any_store.open(digest)


def test_an_artifact_that_is_not_intact_is_replaced(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    any_store.filesystem.pipe_file(f"{any_store.root}/{digest}/sub/a.txt", b"wei")
    assert not any_store.is_intact(digest)
    assert put(any_store) == digest
    assert (any_store.open(digest) / "sub" / "a.txt").read_text() == "weights"


def test_a_half_made_artifact_is_none_and_makes_room(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    any_store.filesystem.rm_file(f"{any_store.root}/{digest}/manifest.json")
    assert not any_store.has(digest)
    assert put(any_store) == digest
    any_store.open(digest)


def test_a_manifest_of_other_files_is_refused(any_store: ArtifactStore) -> None:
    digest, other = put(any_store), put(any_store, "others")
    document = any_store.filesystem.cat_file(f"{any_store.root}/{other}/manifest.json")
    any_store.filesystem.pipe_file(f"{any_store.root}/{digest}/manifest.json", document)
    with pytest.raises(IntegrityError, match=f"describes {other[:12]}, not {digest[:12]}"):
        any_store.open(digest)


def test_a_manifest_that_leaves_its_folder_is_refused(any_store: ArtifactStore) -> None:
    digest = put(any_store)
    place = f"{any_store.root}/{digest}/manifest.json"
    text = any_store.filesystem.cat_file(place).decode()
    any_store.filesystem.pipe_file(place, text.replace("sub/a.txt", "../../a.txt").encode())
    with pytest.raises(IntegrityError, match=r"is not a manifest: .*'\.\./\.\./a\.txt' leaves the artifact"):
        any_store.open(digest)


@pytest.mark.parametrize("digest", ["", "..", "a/../../b", "A" * 64, "0" * 63])
def test_only_digests_name_artifacts(store: ArtifactStore, digest: str) -> None:
    assert not store.has(digest)
    with pytest.raises(NotFoundError, match="is not an artifact digest"):
        store.delete(digest)


def test_pickles_are_not_added(any_store: ArtifactStore) -> None:
    with any_store.staging(1) as folder:
        (folder / "pytorch_model.bin").write_bytes(b"x")
        with pytest.raises(IntegrityError, match=r"pytorch_model\.bin is a pickle"):
            any_store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))


def test_files_from_private_temporary_files_become_readable(store: ArtifactStore) -> None:
    with store.staging(1) as folder:
        (folder / "a.txt").write_text("weights")
        (folder / "a.txt").chmod(0o600)
        digest = store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))
    assert (store.open(digest) / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    store = ArtifactStore((tmp_path / "store").as_uri(), measure=lambda folder: Usage(free=1 << 20))
    with pytest.raises(CapacityError, match=r"0\.00 GiB free and 1\.06 GiB are needed"), store.staging(1 << 30):
        pytest.fail("got a folder")


def test_many_may_add_the_same_at_once(any_store: ArtifactStore) -> None:
    digests: list[str] = []
    threads = [threading.Thread(target=lambda: digests.append(put(any_store))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert len(set(digests)) == 1
    any_store.open(digests[0])


def test_a_damaged_local_copy_of_a_remote_artifact_is_downloaded_again(tmp_path: Path) -> None:
    store = ArtifactStore(f"memory://{uuid.uuid4().hex}", cache=tmp_path / "cache")
    digest = put(store)
    (store.open(digest) / "sub" / "a.txt").write_text("damaged")
    assert (store.open(digest) / "sub" / "a.txt").read_text() == "weights"
