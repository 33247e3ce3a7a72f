"""Damage to a checkpoint is found, and the one before it is taken."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from modelyard.training.integrity import count_workers, find_damage, sums_file, write_sums
from modelyard.training.recovery import choose_checkpoint


def checkpoint(folder: Path, workers: int = 2) -> Path:
    """As workers write it: each in a folder of its own, brought together afterwards."""
    folder.mkdir(parents=True)
    for rank in range(workers):
        part = folder.with_name(f"{folder.name}-part-{rank}")
        part.mkdir()
        (part / f"optimizer-{rank}").write_bytes(bytes(range(rank, 200)))
        write_sums(part, rank, workers)
        for file in part.iterdir():
            file.rename(folder / file.name)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


DAMAGES = [
    pytest.param(lambda folder: cut(folder / "optimizer-1"), "optimizer-1 has other bytes than were written", id="a file that was cut off"),
    pytest.param(lambda folder: flip(folder / "optimizer-0"), "optimizer-0 has other bytes than were written", id="one bit"),
    pytest.param(lambda folder: (folder / "optimizer-0").unlink(), "optimizer-0 is missing", id="a file that is gone"),
    pytest.param(lambda folder: (folder / sums_file(1, 2)).unlink(), f"{sums_file(1, 2)} is missing", id="a worker that had not ended"),
    pytest.param(
        lambda folder: (folder / sums_file(0, 2)).write_text("abc"), f"{sums_file(0, 2)} is missing", id="a list that was cut off"
    ),
    pytest.param(
        lambda folder: [(folder / sums_file(rank, 2)).unlink() for rank in range(2)], "it has no list of checksums", id="no list at all"
    ),
]


def test_a_whole_one_has_no_damage(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint_1")
    assert find_damage(folder) == ""
    assert count_workers(folder) == 2


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], object], words: str) -> None:
    folder = checkpoint(tmp_path / "checkpoint_1")
    damage(folder)
    assert find_damage(folder) == words


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_the_one_before_is_taken_and_the_damage_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object], words: str
) -> None:
    names = ["checkpoint_1", "checkpoint_2"]
    for name in names:
        checkpoint(tmp_path / name)
    damage(tmp_path / "checkpoint_2")
    with caplog.at_level(logging.WARNING):
        assert choose_checkpoint(names, lambda name: nullcontext(str(tmp_path / name))) == "checkpoint_1"
    assert caplog.messages == [f"checkpoint_2 is damaged and skipped for the one before: {words}"]


def test_where_all_are_damaged_the_run_begins_anew(tmp_path: Path) -> None:
    cut(checkpoint(tmp_path / "checkpoint_1") / "optimizer-0")
    assert choose_checkpoint(["checkpoint_1"], lambda name: nullcontext(str(tmp_path / name))) == ""
    assert choose_checkpoint([], lambda name: nullcontext(str(tmp_path / name))) == ""
