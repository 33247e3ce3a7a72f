"""Remove what a kill left among the checkpoints of a run."""

import json
import logging
from collections.abc import Set
from pathlib import PurePosixPath

from modelyard.artifacts.runs import RunFolder
from modelyard.training.layout import CHECKPOINT_LIST, CHECKPOINTS_FOLDER

logger = logging.getLogger(__name__)


def sweep_checkpoints(run: RunFolder) -> None:
    """Leave the checkpoints that Ray Train lists, and no others: it neither reads nor removes the rest.

    A checkpoint is unlisted when a kill came before all workers had reported it, or before an old one was removed. Only
    to be called while no worker writes one. A list that cannot be read would fail every later attempt; then all go, and
    the run starts from its first step. So would a list that names a checkpoint which is gone; that name is taken out.
    """
    path = f"{run.path}/{CHECKPOINTS_FOLDER}"
    run.filesystem.invalidate_cache(path)  # fsspec remembers listings of remote stores, and others write there
    found = {PurePosixPath(folder).name: folder for folder in run.filesystem.glob(f"{path}/checkpoint_*/")}
    listed = listed_checkpoints(run)
    if listed is not None and not set(listed) <= found.keys():
        logger.warning("a checkpoint that the list in %s/%s names is gone", run.uri, CHECKPOINTS_FOLDER)
        _unlist(run, set(listed) - found.keys())
        listed = [name for name in listed if name in found]
    if listed is None:
        logger.warning("the list of checkpoints in %s/%s is damaged: the run starts from its first step", run.uri, CHECKPOINTS_FOLDER)
        run.remove(CHECKPOINT_LIST)
        listed = []
    for name in sorted(found.keys() - set(listed)):
        logger.info("removing %s, which a kill left", name)
        run.filesystem.rm(found[name], recursive=True)


def listed_checkpoints(run: RunFolder) -> list[str] | None:
    """The folders' names, oldest first, of the checkpoints that Ray Train knows; None if its list is not one."""
    text = run.read(CHECKPOINT_LIST)
    if text is None:
        return []
    try:
        state = json.loads(text)
        names = [result["checkpoint_dir_name"] for result in state["checkpoint_results"]]
        ages = dict(zip(names, state["checkpoint_report_indices"], strict=True))
    except (ValueError, KeyError, TypeError):
        return None
    return sorted(names, key=ages.__getitem__)  # Ray has them in the order of their scores


def _unlist(run: RunFolder, gone: Set[str]) -> None:
    """Take checkpoints out of Ray's list; without a single one left, the list goes."""
    state = json.loads(run.read(CHECKPOINT_LIST) or "{}")
    kept = [
        (result, index)
        for result, index in zip(state["checkpoint_results"], state["checkpoint_report_indices"], strict=True)
        if result["checkpoint_dir_name"] not in gone
    ]
    if not kept:
        run.remove(CHECKPOINT_LIST)
        return
    state["checkpoint_results"] = [result for result, _ in kept]
    state["checkpoint_report_indices"] = [index for _, index in kept]
    state["latest_checkpoint_result"] = max(kept, key=lambda pair: pair[1])[0]
    run.write(CHECKPOINT_LIST, json.dumps(state))
