import os
import uuid
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry, known_implementations

from modelyard.artifacts.files import copy_file, filesystem_of, open_files, open_storage, version_of
from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError


def test_a_folder_is_listed_with_sizes(make_model) -> None:
    folder = make_model()
    (folder / "pytorch_model.bin").write_bytes(b"x")
    supply = open_files(folder.as_uri())
    assert {file.path for file in supply.files} == {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert supply.size_bytes == sum((folder / file.path).stat().st_size for file in supply.files)


def test_a_bucket_is_read_as_a_folder_is(make_model, tmp_path: Path) -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    filesystem = fsspec.filesystem("memory")
    filesystem.put(f"{make_model()}/", f"{bucket}/m/", recursive=True)
    supply = open_files(f"{bucket}/m")
    assert "model.safetensors" in {file.path for file in supply.files}
    config = next(file for file in supply.files if file.path == "config.json")
    counts: list[int] = []
    supply.copy(config, tmp_path / "copy", counts.append)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "model" / "config.json").read_bytes()
    assert sum(counts) == config.size_bytes


def test_one_file_is_a_supply_of_one(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert [file.path for file in open_files((tmp_path / "m.gguf").as_uri()).files] == ["m.gguf"]


def test_links_count_as_what_they_lead_to(make_model, tmp_path: Path) -> None:
    """The cache of huggingface_hub and mounted ConfigMaps are folders of links."""
    folder = make_model()
    links = tmp_path / "links"
    links.mkdir()
    for path in folder.iterdir():
        (links / path.name).symlink_to(path)
    before = open_files(links.as_uri())
    assert {file.path for file in before.files} == {path.name for path in folder.iterdir()}
    (folder / "config.json").write_text('{"architectures": ["Other"]}')
    assert open_files(links.as_uri()).identity != before.identity


def test_a_copy_goes_on_after_the_bytes_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"0123456789")
    (tmp_path / "part").write_bytes(b"abc")  # recognizable: these bytes are not fetched again
    counts: list[int] = []
    copy_file(fsspec.filesystem("file"), str(tmp_path / "whole"), tmp_path / "part", counts.append)
    assert (tmp_path / "part").read_bytes() == b"abc3456789"
    assert counts == [7]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere does not exist; correct the path; it is read on the machine"):
        open_files((tmp_path / "nowhere").as_uri())


def test_a_missing_bucket_is_named() -> None:
    with pytest.raises(NotFoundError, match="memory://nowhere/m does not exist; correct the bucket and path"):
        open_files("memory://nowhere/m")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_implementations, "s3", {"class": "absent_driver.S3", "err": "install it"})
    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(InvalidInputError, match=r"s3://bucket/m needs the package s3fs, which is not installed; pip install s3fs"):
        filesystem_of("s3://bucket/m")


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"tape://m cannot be opened: .*; use file://, s3:// or gs://"):
        filesystem_of("tape://m")


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        pytest.param(PermissionError("Forbidden"), "s3://b may not be read: Forbidden; check the permissions", id="missing rights"),
        pytest.param(ConnectionResetError("reset"), "s3://b cannot be reached: reset; check the network", id="no network"),
        pytest.param(TimeoutError("late"), "s3://b cannot be reached: late", id="no answer in time"),
    ],
)
def test_a_storage_that_does_not_answer_may_be_asked_again(raised: Exception, problem: str) -> None:
    with pytest.raises(UnavailableError, match=problem), open_storage("s3://b", fsspec.filesystem("memory")):
        raise raised


def test_a_content_hash_tells_more_than_a_time() -> None:
    memory = fsspec.filesystem("memory")
    assert version_of(memory, {"ETag": '"e"', "LastModified": "today"}) == '"e"'
    assert version_of(memory, {"LastModified": "today"}) == "today"
    assert version_of(memory, {}) == ""


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_another(tmp_path: Path) -> None:
    local, path = fsspec.filesystem("file"), tmp_path / "a"
    path.write_text("one")
    before = version_of(local, local.info(str(path)))
    (tmp_path / "b").write_text("two")
    os.utime(tmp_path / "b", ns=(0, path.stat().st_mtime_ns))
    (tmp_path / "b").rename(path)
    assert version_of(local, local.info(str(path))) != before
