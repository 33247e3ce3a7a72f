from pathlib import Path

import pytest
from pydantic import ValidationError

from modelyard.artifacts.manifest import FileEntry, Manifest, list_files, verify
from modelyard.domain.errors import IntegrityError

SHA = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "sub" / "manifest.json").write_text("not ours")
    (tmp_path / "manifest.json").write_text("ours")
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../a", id="above"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("a/../../b", id="above on a detour"),
        pytest.param("a/..", id="ends above"),
        pytest.param("", id="empty"),
        pytest.param(".", id="the folder itself"),
        pytest.param("a\\..\\b", id="backslashes"),
        pytest.param("a//b", id="not in plain form"),
        pytest.param("a\0b", id="a null byte"),
    ],
)
def test_paths_stay_inside_the_artifact(path: str) -> None:
    with pytest.raises(ValidationError, match="use a relative path"):
        FileEntry(path=path, sha256=SHA, size_bytes=1)


def test_every_file_but_our_own_manifest_is_listed(folder: Path) -> None:
    assert [entry.path for entry in list_files(folder)] == ["a.json", "sub/manifest.json"]


def test_the_digest_depends_on_kind_and_files_alone() -> None:
    files = [FileEntry(path="a", sha256=SHA, size_bytes=1), FileEntry(path="b", sha256=SHA, size_bytes=2)]
    digest = Manifest(kind="causal-lm", files=files).digest
    assert Manifest(kind="causal-lm", files=files[::-1], source="s", licence="mit", packages={"p": "1"}).digest == digest
    assert Manifest(kind="embedding", files=files).digest != digest
    assert Manifest(kind="causal-lm", files=files[:1]).digest != digest
    assert Manifest(kind="causal-lm", files=files, base_digest="b").digest != digest


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "a.json is missing", id="removed"),
        pytest.param("", "a.json has 0 bytes instead of 2", id="truncated"),
        pytest.param("[]", "a.json is altered", id="altered, of the same size"),
    ],
)
def test_verify_names_the_file(folder: Path, content: str | None, problem: str) -> None:
    manifest = Manifest(kind="causal-lm", files=list_files(folder))
    verify(folder, manifest)
    (folder / "a.json").unlink()
    if content is not None:
        (folder / "a.json").write_text(content)
    with pytest.raises(IntegrityError, match=problem):
        verify(folder, manifest)


def test_a_link_is_no_file_of_an_artifact(folder: Path) -> None:
    manifest = Manifest(kind="causal-lm", files=list_files(folder))
    (folder / "a.json").rename(folder / "elsewhere.json")
    (folder / "a.json").symlink_to("elsewhere.json")
    with pytest.raises(IntegrityError, match=r"a\.json is a link to elsewhere\.json"):
        verify(folder, manifest)
