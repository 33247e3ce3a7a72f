"""Remove what a kill left among the checkpoints of a run."""

import json
import logging
from pathlib import PurePosixPath

from modelyard.artifacts.runs import RunFolder
from modelyard.training.layout import CHECKPOINT_LIST, CHECKPOINTS_FOLDER

logger = logging.getLogger(__name__)


def sweep_checkpoints(run: RunFolder) -> None:
    """Leave the checkpoints that Ray Train lists, and no others: it neither reads nor removes the rest.

    A checkpoint is unlisted when a kill came before all workers had reported it, or before an old one was removed. Only
    to be called while no worker writes one. A list that cannot be read, or that names a checkpoint which is gone, would
    fail every later attempt; then all go, and the run starts from its first step.
    """
    path = f"{run.path}/{CHECKPOINTS_FOLDER}"
    run.filesystem.invalidate_cache(path)  # fsspec remembers listings of remote stores, and others write there
    found = {PurePosixPath(folder).name: folder for folder in run.filesystem.glob(f"{path}/checkpoint_*/")}
    listed = listed_checkpoints(run)
    if listed is None or not listed.keys() <= found.keys():
        logger.warning("the list of checkpoints in %s/%s is damaged: the run starts from its first step", run.uri, CHECKPOINTS_FOLDER)
        run.remove(CHECKPOINT_LIST)
        listed = {}
    for name in sorted(found.keys() - listed.keys()):
        logger.info("removing %s, which a kill left", name)
        run.filesystem.rm(found[name], recursive=True)


def listed_checkpoints(run: RunFolder) -> dict[str, int] | None:
    """Step by folder name, oldest first, of the checkpoints that Ray Train knows; None if its list is no JSON."""
    text = run.read(CHECKPOINT_LIST)
    if text is None:
        return {}
    try:
        results = json.loads(text)["checkpoint_results"]
    except json.JSONDecodeError:
        return None
    return {result["checkpoint_dir_name"]: result["metrics"]["step"] for result in results}
