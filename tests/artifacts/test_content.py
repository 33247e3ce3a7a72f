import os
import uuid
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from modelyard.artifacts import content
from modelyard.artifacts.content import content_digest, folder_digest, list_inputs
from modelyard.domain.errors import NotFoundError

ROWS = sha256(b"rows").hexdigest()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose bytes were read, in order."""
    seen: list[str] = []
    open_file = fsspec.implementations.local.LocalFileSystem._open

    def counted(self, path, *args, **options):
        seen.append(Path(path).name)
        return open_file(self, path, *args, **options)

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem._open", counted)
    content._read.cache_clear()
    return seen


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("a")
    (folder / "sub" / "b.md").write_text("b")
    (folder / "c.txt").write_text("c")
    return folder


def test_a_file_by_path_by_uri_and_in_a_bucket_has_one_digest(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"rows")
    bucket = f"memory://{uuid.uuid4().hex}/rows.jsonl"
    fsspec.filesystem("memory").pipe_file(bucket, b"rows")
    for uri in (str(tmp_path / "rows.jsonl"), (tmp_path / "rows.jsonl").as_uri(), bucket):
        assert content_digest(uri) == ROWS


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"rows")
    assert [content_digest(str(path)) for _ in range(3)] == [ROWS] * 3
    assert reads == ["rows.jsonl"]
    path.write_bytes(b"ROWS")
    os.utime(path, ns=(0, 1))
    assert content_digest(str(path)) == sha256(b"ROWS").hexdigest()
    assert reads == ["rows.jsonl"] * 2


def test_a_bucket_is_read_again_when_it_has_changed() -> None:
    memory, uri = fsspec.filesystem("memory"), f"memory://{uuid.uuid4().hex}/rows.jsonl"
    memory.pipe_file(uri, b"ROWS")
    assert content_digest(uri) == sha256(b"ROWS").hexdigest()
    memory.pipe_file(uri, b"rows")
    assert content_digest(uri) == ROWS


def test_only_matching_files_count(documents: Path) -> None:
    before = folder_digest(str(documents), ["**/*.md"])
    (documents / "c.txt").write_text("other")
    assert folder_digest(str(documents), ["**/*.md"]) == before
    assert folder_digest(str(documents), ["**/*.md", "**/*.txt"]) != before
    assert folder_digest(str(documents), ["*.md"]) != before


def test_names_and_bytes_both_count(documents: Path) -> None:
    digests = [folder_digest(str(documents), ["**/*.md"])]
    (documents / "sub" / "b.md").write_text("B")
    digests.append(folder_digest(str(documents), ["**/*.md"]))
    (documents / "sub" / "b.md").rename(documents / "sub" / "d.md")
    digests.append(folder_digest(str(documents), ["**/*.md"]))
    (documents / "e.md").write_text("e")
    digests.append(folder_digest(str(documents), ["**/*.md"]))
    assert len(set(digests)) == 4


def test_a_folder_has_the_same_digest_wherever_it_is(documents: Path) -> None:
    bucket = f"memory://{uuid.uuid4().hex}/docs"
    fsspec.filesystem("memory").put(f"{documents}/", f"{bucket}/", recursive=True)
    assert folder_digest(bucket, ["**/*.md"]) == folder_digest(documents.as_uri(), ["**/*.md"])


def test_a_file_may_stand_for_a_folder(documents: Path) -> None:
    assert folder_digest(str(documents / "c.txt"), ["**/*.md"]) == folder_digest((documents / "c.txt").as_uri(), ["**/*.txt"])


def test_what_is_missing_is_named(documents: Path) -> None:
    with pytest.raises(NotFoundError, match=r"rows\.jsonl does not exist; correct the path"):
        content_digest(str(documents / "rows.jsonl"))
    with pytest.raises(NotFoundError, match=r"docs has no file of rows \(\*.jsonl, .*\); correct the URI or put the files there"):
        content_digest(str(documents))
    with pytest.raises(NotFoundError, match=r"docs has no file that matches \*\*/\*.csv; correct the URI"):
        content_digest(f"{documents}/**/*.csv")
    with pytest.raises(NotFoundError, match="none does not exist; correct the path"):
        folder_digest(str(documents / "none"), ["*"])
    with pytest.raises(NotFoundError, match=r"docs has no file that matches \*\.pdf; correct the URI or its `include`"):
        folder_digest(str(documents), ["*.pdf"])


def test_a_folder_of_rows_is_the_digest_of_its_row_files_and_of_no_others(documents: Path) -> None:
    (documents / "b.jsonl").write_text("{}")
    (documents / "more").mkdir()
    (documents / "more" / "a.csv").write_text("text\n")
    uris = [str(documents / name) for name in ("b.jsonl", "more/a.csv")]
    assert content_digest(str(documents)) == folder_digest(str(documents), ["*.jsonl", "more/*"])
    assert list_inputs(str(documents)) == uris
    assert list_inputs(documents.as_uri()) == [Path(uri).as_uri() for uri in uris]


def test_a_pattern_stands_for_the_files_that_match(documents: Path) -> None:
    for name in ("1.jsonl", "2.jsonl", "other.jsonl"):
        (documents / name).write_text(name)
    pattern = f"{documents}/*.jsonl"
    assert content_digest(pattern) == folder_digest(str(documents), ["*.jsonl"])
    assert list_inputs(pattern) == [str(documents / name) for name in ("1.jsonl", "2.jsonl", "other.jsonl")]
    assert list_inputs(str(documents / "1.jsonl")) == [str(documents / "1.jsonl")]
