import sys
from pathlib import Path

import pytest

from modelyard.artifacts.packages import open_package
from modelyard.domain.errors import InvalidInputError, NotFoundError


@pytest.fixture
def installed(make_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution `tiny-weights` whose top folder is `tiny_weights`; importing it would fail."""
    site = tmp_path / "site"
    (site / "tiny_weights").mkdir(parents=True)
    make_model().rename(site / "tiny_weights" / "model")
    (site / "tiny_weights" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (site / "tiny_weights" / "deep").mkdir()
    (site / "tiny_weights" / "deep" / "tiny.Q4_0.gguf").write_bytes(b"GGUF")
    info = site / "tiny_weights-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\nLicense-Expression: MIT\n")
    paths = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*paths, "tiny_weights-1.2.dist-info/RECORD", "../../bin/tiny"]))
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    return site


@pytest.mark.parametrize(
    ("path", "files"),
    [
        pytest.param("model", {"README.md", "config.json", "model.safetensors", "tokenizer.json"}, id="a folder below the top folder"),
        pytest.param("deep/tiny.Q4_0.gguf", {"tiny.Q4_0.gguf"}, id="a file by its path"),
        pytest.param("tiny.Q4_0.gguf", {"tiny.Q4_0.gguf"}, id="a file by the end of its path"),
        pytest.param("tiny_weights/deep", {"tiny.Q4_0.gguf"}, id="a path that begins with the top folder"),
        pytest.param("model/", {"README.md", "config.json", "model.safetensors", "tokenizer.json"}, id="a slash at the end"),
    ],
)
def test_a_path_is_found(installed: Path, path: str, files: set[str]) -> None:
    supply = open_package(f"package://tiny-weights/{path}")
    assert {file.path for file in supply.files} == files
    assert (supply.revision, supply.licence, supply.packages) == ("1.2", "MIT", {"tiny-weights": "1.2"})
    assert "tiny_weights" not in sys.modules


def test_an_unknown_package_is_named_with_the_command_that_helps(installed: Path) -> None:
    with pytest.raises(NotFoundError, match=r"the package 'no-such-weights' is not installed; pip install no-such-weights"):
        open_package("package://no-such-weights/model")


def test_an_unknown_file_lists_what_there_is(installed: Path) -> None:
    with pytest.raises(NotFoundError, match=r"tiny-weights 1\.2 has no 'tiny\.gguf'; it has .*deep/tiny\.Q4_0\.gguf"):
        open_package("package://tiny-weights/tiny.gguf")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        pytest.param("package://tiny-weights", "names no file; write package://NAME/FILE", id="no file"),
        pytest.param("package://tiny-weights/../../etc", "leaves the package", id="outside"),
        pytest.param("package:///model", "is not installed", id="no name"),
    ],
)
def test_a_uri_that_makes_no_sense_is_refused(installed: Path, uri: str, problem: str) -> None:
    with pytest.raises((InvalidInputError, NotFoundError), match=problem):
        open_package(uri)
