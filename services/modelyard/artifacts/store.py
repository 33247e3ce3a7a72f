"""A content-addressed store of artifacts: `ROOT/<digest>/…` with a `manifest.json`, written last.

A folder without a manifest is not an artifact; half-made ones live under `ROOT/.staging` until they are whole.
"""

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import fsspec
from pydantic import ValidationError

from modelyard.artifacts.formats import check_formats, refuse_pickles
from modelyard.artifacts.manifest import MANIFEST_FILE, Manifest, verify
from modelyard.artifacts.staging import MeasureDisk, exclusive, require_space, resumable, staged
from modelyard.domain.errors import IntegrityError, NotFoundError

DIGEST = re.compile(r"[0-9a-f]{64}")

logger = logging.getLogger(__name__)


class ArtifactStore:
    """Artifacts under one root URI (`file://`, `s3://`, `gs://`)."""

    def __init__(self, root_uri: str, cache: Path | None = None, measure: MeasureDisk = shutil.disk_usage) -> None:
        """`cache`: where remote artifacts are kept as local folders; by default below the temporary folder."""
        self.root_uri = root_uri
        self.filesystem, self.root = fsspec.core.url_to_fs(root_uri, use_listings_cache=False)
        self.is_local = "file" in self.filesystem.protocol
        self.cache = cache or Path(tempfile.gettempdir()) / "modelyard-artifacts"
        self.measure = measure

    def uri(self, digest: str) -> str:
        """Where an artifact is, for people and manifests."""
        return f"{self.root_uri.rstrip('/')}/{digest}"

    def manifest(self, digest: str) -> Manifest:
        """What an artifact is. Raises NotFoundError, and IntegrityError if it is not what its digest says."""
        try:
            manifest = Manifest.model_validate_json(self.filesystem.cat_file(f"{self._place(digest)}/{MANIFEST_FILE}"))
        except FileNotFoundError:
            raise NotFoundError(f"artifact {digest[:12]} is not in {self.root_uri}", "apply the resource again to make it anew") from None
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise IntegrityError(f"{self.uri(digest)}/{MANIFEST_FILE} is not a manifest: {problem}", self._remedy(digest)) from None
        if manifest.digest != digest:
            raise IntegrityError(
                f"{self.uri(digest)}/{MANIFEST_FILE} describes {manifest.digest[:12]}, not {digest[:12]}", self._remedy(digest)
            )
        return manifest

    def has(self, digest: str) -> bool:
        """Whether an artifact is there. Its bytes are compared by `open`."""
        return bool(DIGEST.fullmatch(digest)) and bool(self.filesystem.exists(f"{self._place(digest)}/{MANIFEST_FILE}"))

    def staging(self, needed_bytes: int) -> AbstractContextManager[Path]:
        """A local folder to make an artifact in, removed afterwards. Raises CapacityError before the first byte."""
        return staged(self._workplace, needed_bytes, self.measure)

    def resumable(self, key: str, needed_bytes: int) -> AbstractContextManager[Path]:
        """A local folder for a download: kept when it fails, for the next attempt with the same key, but for a day at most.

        Raises CapacityError before the first byte.
        """
        return resumable(self._workplace, key, needed_bytes, self.measure)

    def require_space(self, needed_bytes: int) -> None:
        """Raise CapacityError if the disk is too small."""
        require_space(self._workplace, needed_bytes, self.measure)

    def add(self, folder: Path, manifest: Manifest) -> str:
        """Store the files of a staged folder (which is used up) and return the digest. Twice is the same as once.

        An artifact of that digest which is no longer intact is replaced. Raises IntegrityError for files in unsafe formats.
        """
        check_formats(folder, (entry.path for entry in manifest.files))
        digest = manifest.digest
        for entry in manifest.files:
            (folder / entry.path).chmod(0o644)  # some writers go through private temporary files
        with self._alone(digest):
            if self.is_intact(digest):
                return digest
            document = json.dumps(manifest.wire(), indent=2) + "\n"
            if self.is_local:
                (folder / MANIFEST_FILE).write_text(document)
                self.delete(digest)
                folder.rename(self._place(digest))
            else:
                self.filesystem.put(f"{folder}/", f"{self._place(digest)}/", recursive=True)
                self.filesystem.pipe_file(f"{self._place(digest)}/{MANIFEST_FILE}", document.encode())
        return digest

    def open(self, digest: str) -> Path:
        """The artifact as a verified local folder. Raises NotFoundError, IntegrityError."""
        manifest = self.manifest(digest)
        refuse_pickles(entry.path for entry in manifest.files)
        if self.is_local:
            folder = Path(self._place(digest))
            verify(folder, manifest, self._remedy(digest))
            return folder
        return self._download(digest, manifest)

    def read(self, digest: str, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Some bytes of one file of an artifact, without a look at the rest and unverified. Raises NotFoundError."""
        try:
            return bytes(self.filesystem.cat_file(f"{self._place(digest)}/{path}", start=start, end=end))
        except FileNotFoundError:
            raise NotFoundError(f"artifact {digest[:12]} has no {path} in {self.root_uri}", self._remedy(digest)) from None

    def is_intact(self, digest: str) -> bool:
        """Whether an artifact is there with all its bytes; of a remote one the sizes are compared."""
        try:
            manifest = self.manifest(digest)
            if self.is_local:
                verify(Path(self._place(digest)), manifest, self._remedy(digest))
                return True
            sizes = {entry.path: self.filesystem.size(f"{self._place(digest)}/{entry.path}") for entry in manifest.files}
            return all(sizes[entry.path] == entry.size_bytes for entry in manifest.files)
        except (NotFoundError, FileNotFoundError):
            return False
        except IntegrityError as error:
            logger.warning("artifact %s is not intact: %s", digest[:12], error.problem)
            return False

    def delete(self, digest: str) -> None:
        """Remove an artifact; nothing happens when it is not there."""
        place = self._place(digest)
        if not self.filesystem.exists(place):
            return
        if self.filesystem.exists(f"{place}/{MANIFEST_FILE}"):
            self.filesystem.rm_file(f"{place}/{MANIFEST_FILE}")  # first: what is left by a kill is no artifact
        if self.filesystem.exists(place):
            self.filesystem.rm(place, recursive=True)

    @property
    def _workplace(self) -> Path:
        return (Path(self.root) if self.is_local else self.cache) / ".staging"

    def _place(self, digest: str) -> str:
        if not DIGEST.fullmatch(digest):
            raise NotFoundError(f"{digest!r} is not an artifact digest", "use the 64 hex digits that status or `modelyard get` shows")
        return f"{self.root}/{digest}"

    def _remedy(self, digest: str) -> str:
        return f"delete {self.uri(digest)} and apply again to make it anew"

    @contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        """Keep other processes of this machine from adding or downloading the same artifact meanwhile."""
        with exclusive(self._workplace.parent / ".locks" / digest):
            yield

    def _download(self, digest: str, manifest: Manifest) -> Path:
        target = self.cache / digest
        with self._alone(digest):
            if (target / MANIFEST_FILE).is_file():
                try:
                    verify(target, manifest)
                    return target
                except IntegrityError as error:
                    logger.warning("downloading artifact %s again: %s", digest[:12], error.problem)
            with self.staging(manifest.size_bytes) as folder:
                self.filesystem.get(f"{self._place(digest)}/", f"{folder}/", recursive=True)
                verify(folder, manifest, self._remedy(digest))
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
        return target
