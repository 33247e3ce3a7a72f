"""Choose the checkpoint from which a run goes on. Knows no torch and no Ray: it is told how to open one."""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from modelyard.training.integrity import find_damage

logger = logging.getLogger(__name__)


def choose_checkpoint(names: Iterable[str], open_folder: Callable[[str], AbstractContextManager[str]]) -> str:
    """The newest checkpoint that is whole; empty if there is none, and the run begins anew.

    names: oldest first. open_folder: gives a folder on this machine with the files of one.
    """
    for name in reversed(list(names)):
        with open_folder(name) as folder:
            damage = find_damage(Path(folder))
        if not damage:
            return name
        logger.warning("%s is damaged and skipped for the one before: %s", name, damage)
    return ""
