from hashlib import sha256
from pathlib import Path

import pytest

from modelyard.artifacts.supply import Advance, SourceFile, Supply
from modelyard.artifacts.transfer import Meter, StoppedError, download
from modelyard.domain.errors import UnavailableError
from modelyard.domain.resource import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def supply_of(content: bytes, sent: bytes | None = None, sha: str = "") -> tuple[Supply, list[int]]:
    """One file `sub/a`; the list tells how many bytes were there when it was asked for."""
    asked: list[int] = []

    def copy(file: SourceFile, target: Path, advance: Advance) -> None:
        with target.open("ab") as sink:
            asked.append(sink.tell())
            block = (content if sent is None else sent)[sink.tell() :]
            sink.write(block)
            advance(len(block))

    return Supply(uri="hf://org/tiny", files=[SourceFile("sub/a", len(content), sha256=sha)], copy=copy), asked


def test_rate_and_remaining_time_are_those_of_the_last_seconds() -> None:
    clock = Clock()
    meter = Meter(1000, clock)
    meter.skip(200)
    assert meter.progress() == Progress(stage="downloading", percent=20.0, bytes_per_second=0.0, eta_seconds=None)
    clock.now = 10
    meter.advance(100)
    assert meter.progress() == Progress(stage="downloading", percent=30.0, bytes_per_second=10.0, eta_seconds=70.0)
    clock.now = 100
    meter.progress()
    clock.now = 110
    meter.advance(500)
    assert meter.progress() == Progress(stage="downloading", percent=80.0, bytes_per_second=50.0, eta_seconds=4.0)


def test_nothing_to_fetch_is_all_of_it() -> None:
    assert Meter(0, Clock()).progress().percent == 100.0


def test_a_file_arrives_and_is_reported(tmp_path: Path) -> None:
    supply, _ = supply_of(b"0123456789")
    reports: list[Progress] = []
    download(supply, supply.files, tmp_path, Meter(10), reports.append)
    assert (tmp_path / "sub" / "a").read_bytes() == b"0123456789"
    assert reports[-1].percent == 100.0
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    supply, asked = supply_of(b"0123456789")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.part").write_bytes(b"012")
    meter = Meter(10)
    download(supply, supply.files, tmp_path, meter, lambda progress: None)
    download(supply, supply.files, tmp_path, Meter(10), lambda progress: None)
    assert asked == [3]
    assert meter.done_bytes == 10


def test_a_part_that_is_too_long_is_fetched_anew(tmp_path: Path) -> None:
    supply, asked = supply_of(b"0123456789")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.part").write_bytes(bytes(99))
    download(supply, supply.files, tmp_path, Meter(10), lambda progress: None)
    assert asked == [0]


@pytest.mark.parametrize(
    ("sent", "problem", "kept"),
    [
        pytest.param(b"0123", "sub/a arrived with 4 bytes instead of 10; the next attempt fetches the rest", 4, id="truncated"),
        pytest.param(b"0123456789!", "sub/a arrived with 11 bytes instead of 10", None, id="too long"),
        pytest.param(b"012345678!", "sub/a arrived altered: its sha256 is not", None, id="altered"),
    ],
)
def test_what_arrives_wrong_is_named_and_may_be_tried_again(tmp_path: Path, sent: bytes, problem: str, kept: int | None) -> None:
    supply, _ = supply_of(b"0123456789", sent, sha256(b"0123456789").hexdigest())
    with pytest.raises(UnavailableError, match=problem):
        download(supply, supply.files, tmp_path, Meter(10), lambda progress: None)
    part = tmp_path / "sub" / "a.part"
    assert (part.stat().st_size if part.exists() else None) == kept
    assert not (tmp_path / "sub" / "a").exists()


def test_a_stop_ends_copies_that_are_under_way(tmp_path: Path) -> None:
    seen: list[BaseException] = []

    def endless(file: SourceFile, target: Path, advance: Advance) -> None:
        try:
            while True:
                advance(1)
        except StoppedError as stop:
            seen.append(stop)
            raise

    def stop(progress: Progress) -> None:
        raise SystemExit(143)

    supply = Supply(uri="u", files=[SourceFile("a", 10), SourceFile("b", 10)], copy=endless)
    with pytest.raises(SystemExit):
        download(supply, supply.files, tmp_path, Meter(20), stop)
    assert len(seen) == 2
