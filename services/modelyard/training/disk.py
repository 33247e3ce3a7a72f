"""Refuse a checkpoint before its first byte where the disk has no room for it. Knows no Ray."""

import shutil
import tempfile
from pathlib import Path

from modelyard.artifacts.full_disk import explain_full_disk, local_places
from modelyard.artifacts.staging import SPARE_BYTES, MeasureDisk
from modelyard.domain.errors import CapacityError


def find_lack(run_uri: str, needed_bytes: int, measure: MeasureDisk = shutil.disk_usage) -> CapacityError | None:
    """The error to show if the run folder is on a disk of this machine with less room than is needed."""
    for place in local_places(run_uri):
        free = measure(place).free
        if free < needed_bytes + SPARE_BYTES:
            needed, left = (needed_bytes + SPARE_BYTES) / 2**20, free / 2**20
            return CapacityError(
                f"the disk of {place} has {left:.0f} MiB free and a checkpoint takes {needed:.0f} MiB",
                "free some space, or point MODELYARD_HOME at a larger disk; the checkpoint before it stays",
            )
    return None


def explain(error: Exception) -> CapacityError:
    """The error to show for what went wrong while a checkpoint was written. Raises it anew unless a disk is full."""
    full = explain_full_disk(error, [Path(tempfile.gettempdir())])
    if full is None:
        raise error
    return full
