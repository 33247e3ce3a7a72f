from pathlib import Path

import pytest

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.knowledge_base import DocumentSource
from modelyard.retrieval.parsing import read_documents


def write(folder: Path, files: dict[str, str | bytes]) -> DocumentSource:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DocumentSource(uri=str(folder))


def test_files_that_match_are_read_in_order(tmp_path: Path) -> None:
    source = write(tmp_path / "docs", {"b.txt": "b", "sub/deep/a.md": "# Title\n\na", "c.py": "no"})
    documents = list(read_documents([source]))
    assert [(d.file, d.title, d.text) for d in documents] == [("docs/b.txt", "b", "b"), ("docs/sub/deep/a.md", "Title", "# Title\n\na")]


def test_a_source_may_be_one_file_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"notes.log": "x"})
    (document,) = read_documents([DocumentSource(uri=(tmp_path / "notes.log").as_uri())])
    assert (document.file, document.title) == ("notes.log", "notes")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"a\r\nb\rc", "a\nb\nc", id="line ends become one"),
        pytest.param("\ufeffx".encode(), "x", id="a byte order mark is no text"),
        pytest.param("ü€".encode(), "ü€", id="UTF-8"),
    ],
)
def test_text_is_read_as_python_does(tmp_path: Path, data: bytes, text: str) -> None:
    (document,) = read_documents([write(tmp_path, {"a.txt": data})])
    assert document.text == text


def test_the_title_may_stand_in_front_matter(tmp_path: Path) -> None:
    (document,) = read_documents([write(tmp_path, {"a.md": '---\nlayout: page\ntitle: "My page"\n---\n\n# Other\n'})])
    assert document.title == "My page"


def test_documents_of_one_name_are_told_apart_and_none_is_read_twice(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1" / "docs", {"a.md": "1"}), write(tmp_path / "2" / "docs", {"a.md": "2"})
    files = [document.file for document in read_documents([one, two, one])]
    assert files == ["docs/a.md", (tmp_path / "2" / "docs" / "a.md").as_uri()]


@pytest.mark.parametrize(
    ("files", "include", "error", "words"),
    [
        pytest.param({"a.py": "x"}, ["*.md", "*.rst"], InvalidInputError, ["*.md, *.rst", "sources[].include"], id="nothing matches"),
        pytest.param({"a.md": b"ab\xff"}, ["*"], InvalidInputError, ["a.md is not UTF-8", "0xff at 2"], id="bytes that are no UTF-8"),
        pytest.param({"a.md": b"ab\0"}, ["*"], InvalidInputError, ["a.md is not text", "zero byte at 2"], id="a zero byte"),
        pytest.param({}, ["*"], NotFoundError, ["docs does not exist", "sources[].uri"], id="no such folder"),
    ],
)
def test_problems_name_the_file_and_the_remedy(
    tmp_path: Path, files: dict[str, str | bytes], include: list[str], error: type[Exception], words: list[str]
) -> None:
    source = write(tmp_path / "docs", files).model_copy(update={"include": include})
    with pytest.raises(error) as caught:
        list(read_documents([source]))
    assert all(word in str(caught.value) for word in words), str(caught.value)
