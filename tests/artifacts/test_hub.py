from pathlib import Path

import pytest

from modelyard.artifacts.hub import explained, open_hub
from modelyard.artifacts.transfer import Meter, download
from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, UnavailableError
from modelyard.domain.model import Source

COMMIT = "c0ffee" + "0" * 34
SOURCE = Source(uri="hf://org/tiny")


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetch(hub, folder: Path) -> Meter:
    supply = open_hub(SOURCE, hub.endpoint)
    meter = Meter(supply.size_bytes)
    download(supply, supply.files, folder, meter, lambda progress: None)
    return meter


@pytest.fixture
def files(make_model) -> dict[str, bytes]:
    return read(make_model(values=5000))


def test_a_branch_is_pinned_to_its_commit(start_hub, files) -> None:
    hub = start_hub(files | {"pytorch_model.bin": b"x"})
    supply = open_hub(SOURCE, hub.endpoint)
    assert supply.revision == COMMIT
    assert supply.licence == "mit"
    assert {file.path for file in supply.files} == set(files)


def test_files_arrive_whole_and_are_counted(start_hub, files, tmp_path: Path) -> None:
    hub = start_hub(files)
    (tmp_path / "download").mkdir()
    meter = fetch(hub, tmp_path / "download")
    assert read(tmp_path / "download") == files
    assert meter.done_bytes == meter.total_bytes


def test_a_cut_connection_goes_on_with_a_range(start_hub, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # blocks of 10 MB are kept whole or not at all
    hub = start_hub(files)
    hub.cut["model.safetensors"] = [8192]
    (tmp_path / "download").mkdir()
    fetch(hub, tmp_path / "download")
    assert hub.downloads("model.safetensors") == ["", "bytes=8192-"]
    assert read(tmp_path / "download") == files


def test_the_next_attempt_goes_on_with_a_range(start_hub, files, tmp_path: Path) -> None:
    """What a killed process had fetched is not fetched again."""
    hub = start_hub(files)
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "model.safetensors.part").write_bytes(files["model.safetensors"][:7000])
    meter = fetch(hub, folder)
    assert hub.downloads("model.safetensors") == ["bytes=7000-"]
    assert read(folder) == files
    assert meter.done_bytes == meter.total_bytes


def test_altered_weights_are_refused_by_name(start_hub, files, tmp_path: Path) -> None:
    hub = start_hub(files)
    hub.served["model.safetensors"] = bytes(len(files["model.safetensors"]))
    (tmp_path / "download").mkdir()
    with pytest.raises(UnavailableError, match=r"model\.safetensors arrived altered"):
        fetch(hub, tmp_path / "download")


def test_one_file_of_a_repository_can_be_named(start_hub) -> None:
    hub = start_hub({"m.Q4_0.gguf": b"GGUF", "m.Q8_0.gguf": b"GGUF"})
    supply = open_hub(Source(uri="hf://org/tiny/m.Q8_0.gguf"), hub.endpoint)
    assert [file.path for file in supply.files] == ["m.Q8_0.gguf"]
    with pytest.raises(NotFoundError, match=r"m\.gguf is not in org/tiny; it has m\.Q4_0\.gguf, m\.Q8_0\.gguf"):
        open_hub(Source(uri="hf://org/tiny/m.gguf"), hub.endpoint)


def test_a_repository_of_pickles_is_refused(start_hub) -> None:
    hub = start_hub({"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(InvalidInputError, match=r"hf://org/tiny has its weights only as pickles \(pytorch_model\.bin\)"):
        open_hub(SOURCE, hub.endpoint)


@pytest.mark.parametrize(
    ("uri", "revision", "kind", "problem"),
    [
        pytest.param("hf://org/none", "main", NotFoundError, "hf://org/none is not on the hub, or is private", id="no such repository"),
        pytest.param("hf://org/tiny", "v9", NotFoundError, "hf://org/tiny has no revision 'v9'", id="no such revision"),
        pytest.param("hf://tiny", "main", InvalidInputError, "hf://tiny is not hf://ORG/NAME", id="no organization"),
        pytest.param(
            "hf://org/tiny@v1", "main", InvalidInputError, "give a branch, tag or commit as source.revision", id="revision in the URI"
        ),
    ],
)
def test_what_the_hub_does_not_have_is_named(start_hub, files, uri: str, revision: str, kind: type[ModelyardError], problem: str) -> None:
    with pytest.raises(kind, match=problem):
        open_hub(Source(uri=uri, revision=revision), start_hub(files).endpoint)


def test_a_gated_repository_says_what_to_do(start_hub, files) -> None:
    hub = start_hub(files)
    hub.gated = True
    with pytest.raises(InvalidInputError, match="hf://org/tiny is gated; accept its licence on the hub and set HF_TOKEN"):
        open_hub(SOURCE, hub.endpoint)


def test_a_hub_that_is_down_may_be_asked_again(start_hub, files) -> None:
    hub = start_hub(files)
    hub.broken = True
    with pytest.raises(UnavailableError, match="hf://org/tiny: the hub answered 503"):
        open_hub(SOURCE, hub.endpoint)


def test_a_hub_that_is_not_there_may_be_asked_again(start_hub, files) -> None:
    hub = start_hub(files)
    hub.server.shutdown()
    hub.server.server_close()
    with pytest.raises(UnavailableError, match="the connection to the hub failed .*; check the network"):
        open_hub(SOURCE, hub.endpoint)


def test_offline_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="cannot be fetched while HF_HUB_OFFLINE is set"):
        open_hub(SOURCE, "http://127.0.0.1:1")


def test_errors_of_our_own_making_are_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError), explained(SOURCE):
        raise ZeroDivisionError
