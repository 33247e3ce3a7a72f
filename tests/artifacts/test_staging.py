import os
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from modelyard.artifacts.staging import LOCK_SUFFIX, RESUME_FOR_S, SPARE_BYTES, exclusive, resumable, staged
from modelyard.domain.errors import CapacityError, IntegrityError, UnavailableError

Usage = namedtuple("Usage", "free")

HOLD = """
import sys, time
from pathlib import Path
from modelyard.artifacts.staging import resumable, staged
root, key = Path(sys.argv[1]), sys.argv[2]
with (resumable(root, key, 0) if key else staged(root, 0)) as folder:
    (folder / "half").write_text("made")
    sys.stdout.write(folder.name + "\\n")
    sys.stdout.flush()
    time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def hold(root: Path, key: str = "") -> tuple[subprocess.Popen[str], str]:
    """Another process that works in a folder, and the name of that."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root), key], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_folder_is_gone_afterwards_whatever_happens(root: Path) -> None:
    with pytest.raises(KeyError), staged(root, 0) as folder:
        (folder / "half").write_text("made")
        raise KeyError
    assert list(root.iterdir()) == []


def test_a_folder_that_was_moved_away_leaves_nothing(root: Path, tmp_path: Path) -> None:
    with staged(root, 0) as folder:
        (folder / "whole").write_text("made")
        folder.rename(tmp_path / "kept")
    assert list(root.iterdir()) == []
    assert (tmp_path / "kept" / "whole").read_text() == "made"


def test_too_small_a_disk_is_refused_before_the_first_byte(root: Path) -> None:
    measure = lambda folder: Usage(free=SPARE_BYTES + 99)  # noqa: E731
    with staged(root, 99, measure):
        pass
    with pytest.raises(CapacityError, match="GiB free and .* GiB are needed; free some space"), staged(root, 100, measure):
        pytest.fail("got a folder")


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_makes_is_not(root: Path) -> None:
    dead, dead_name = hold(root)
    living, living_name = hold(root)
    kill(dead)
    try:
        assert (root / dead_name / "half").exists()
        with staged(root, 0) as folder:
            assert {path.name for path in root.iterdir() if path.is_dir()} == {living_name, folder.name}
        assert (root / living_name / "half").exists()
    finally:
        kill(living)
    with staged(root, 0):
        pass
    assert list(root.iterdir()) == []


def test_a_download_goes_on_after_a_kill(root: Path) -> None:
    process, name = hold(root, "key")
    kill(process)
    with resumable(root, "key", 0) as folder:
        assert folder.name == name
        assert (folder / "half").read_text() == "made"
    assert list(root.iterdir()) == []


def test_a_download_that_nobody_went_on_with_is_swept_after_a_day(root: Path) -> None:
    with pytest.raises(UnavailableError), resumable(root, "key", 0) as folder:
        (folder / "half").write_text("made")
        raise UnavailableError("the hub is away", "wait")
    with staged(root, 0):
        assert folder.exists()
    lock = root / f"{folder.name}{LOCK_SUFFIX}"
    os.utime(lock, (0, lock.stat().st_mtime - RESUME_FOR_S))
    with staged(root, 0):
        assert not folder.exists()


def test_a_download_of_unusable_bytes_is_not_kept(root: Path) -> None:
    with pytest.raises(IntegrityError), resumable(root, "key", 0) as folder:
        (folder / "half").write_text("made")
        raise IntegrityError("half is broken", "use another")
    assert list(root.iterdir()) == []


def test_what_is_there_already_needs_no_room(root: Path) -> None:
    with pytest.raises(UnavailableError), resumable(root, "key", 100) as folder:
        (folder / "part").write_bytes(bytes(60))
        raise UnavailableError("the hub is away", "wait")
    with resumable(root, "key", 100, lambda folder: Usage(free=SPARE_BYTES + 40)):
        pass


def test_one_at_a_time_is_inside(tmp_path: Path) -> None:
    lock, diary = tmp_path / "locks" / "one", tmp_path / "diary"
    code = """
import sys
from pathlib import Path
from modelyard.artifacts.staging import exclusive
sys.stdout.write("ready\\n")
sys.stdout.flush()
with exclusive(Path(sys.argv[1])), Path(sys.argv[2]).open("a") as diary:
    diary.write("second\\n")
"""
    with exclusive(lock):
        process = subprocess.Popen([sys.executable, "-c", code, str(lock), str(diary)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        with diary.open("a") as stream:
            stream.write("first\n")
    process.communicate()
    assert diary.read_text().split() == ["first", "second"]
