"""A disk without room for a checkpoint is one error on all workers, and the checkpoint before it stays."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.errors import CapacityError
from modelyard.training.disk import explain, find_lack
from modelyard.training.worker import save

# DeepSpeed, which the engine imports, still uses names that PyTorch has renamed.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def free(mib: int) -> Any:
    return lambda path: SimpleNamespace(free=mib << 20)


def test_a_disk_with_room_has_nothing_to_tell(tmp_path: Path) -> None:
    assert find_lack(tmp_path.as_uri(), 100 << 20, free(165)) is None


def test_a_disk_without_room_is_named_with_what_is_needed(tmp_path: Path) -> None:
    lack = find_lack(tmp_path.as_uri(), 100 << 20, free(163))
    assert str(lack) == (
        f"the disk of {tmp_path} has 163 MiB free and a checkpoint takes 164 MiB;"
        " free some space, or point MODELYARD_HOME at a larger disk; the checkpoint before it stays"
    )


def test_a_store_elsewhere_is_not_measured() -> None:
    assert find_lack("memory://runs/one", 1 << 60, free(0)) is None


def test_only_a_full_disk_is_explained() -> None:
    with pytest.raises(KeyError):
        explain(KeyError("weights"))


class FakeEngine:
    """Whose state cannot be written; the others say how many workers met the like."""

    def __init__(self, error: Exception, lacking: float) -> None:
        self.error, self.lacking = error, lacking
        self.place = SimpleNamespace(rank=0, world=2)

    def optimizer_state(self) -> Any:
        raise self.error

    def sum(self, *values: float) -> list[float]:
        return [values[0] + self.lacking]


def test_a_disk_that_fills_up_while_it_is_written_is_met_by_all_workers_and_nothing_is_handed_on(tmp_path: Path) -> None:
    handed: list[Path] = []
    loop: Any = SimpleNamespace(engine=FakeEngine(OSError(errno.ENOSPC, "No space left on device"), 0.0), place=SimpleNamespace(world=2))
    loop.history = SimpleNamespace()
    with pytest.raises(CapacityError, match="is full"):
        save(loop, RunFolder(tmp_path.as_uri()), "b" * 64, lambda metrics, folder: handed.append(folder))
    assert handed == []
