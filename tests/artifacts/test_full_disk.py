import errno
from collections import namedtuple
from pathlib import Path

import pytest

from modelyard.artifacts.full_disk import explain_full_disk, local_places

Usage = namedtuple("Usage", "free")


def measure(folder: Path) -> Usage:
    return Usage(free=(3 << 20) if "small" in folder.name else (9 << 30))


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    for name in ("large", "small"):
        (tmp_path / name).mkdir()
    return [tmp_path / "large", tmp_path / "small" / "not-made-yet"]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="from Python"),
        pytest.param(OSError(errno.EDQUOT, "Disk quota exceeded"), id="a quota"),
        pytest.param(RuntimeError("I/O error: No space left on device (os error 28)"), id="from a library in Rust"),
    ],
)
def test_the_place_with_the_least_room_is_named(places: list[Path], error: Exception) -> None:
    full = explain_full_disk(error, places, lambda folder: measure(folder))
    assert full
    assert str(full) == f"the disk of {places[1]} is full: 3 MiB are free; free some space, or point MODELYARD_HOME at a larger disk"


def test_the_file_that_the_error_names_decides(places: list[Path]) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(places[0] / "a"))
    full = explain_full_disk(error, places, measure)
    assert full
    assert f"the disk of {places[0] / 'a'} is full: 9216 MiB are free" in str(full)


def test_a_full_disk_behind_another_error_is_found(places: list[Path]) -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("could not save") from error
    except ValueError as error:
        assert explain_full_disk(error, places, measure)


def test_other_errors_are_other_errors(places: list[Path]) -> None:
    assert explain_full_disk(OSError(errno.EACCES, "Permission denied"), places, measure) is None


def test_only_local_places_count(tmp_path: Path) -> None:
    assert local_places(tmp_path.as_uri()) == [tmp_path]
    assert local_places("memory://bucket") == []
