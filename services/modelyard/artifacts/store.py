"""A content-addressed store of artifacts: `ROOT/<digest>/…` with a `manifest.json`, written last.

A folder without a manifest is not an artifact; half-made ones live under `ROOT/.staging` until they are whole.
"""

import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from modelyard.artifacts.manifest import MANIFEST_FILE, Manifest, verify
from modelyard.domain.errors import CapacityError, IntegrityError, NotFoundError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
SPARE_BYTES = 64 << 20


class ArtifactStore:
    """Artifacts under one root URI (`file://`, `s3://`, `gs://`)."""

    def __init__(self, root_uri: str, cache: Path | None = None) -> None:
        """`cache`: where remote artifacts are kept as local folders; by default below the temporary folder."""
        self.root_uri = root_uri
        self.filesystem, self.root = fsspec.core.url_to_fs(root_uri)
        self.is_local = "file" in self.filesystem.protocol
        self.cache = cache or Path(tempfile.gettempdir()) / "modelyard-artifacts"

    def uri(self, digest: str) -> str:
        """Where an artifact is, for people and manifests."""
        return f"{self.root_uri.rstrip('/')}/{digest}"

    def manifest(self, digest: str) -> Manifest:
        """What an artifact is. Raises NotFoundError."""
        try:
            return Manifest.model_validate_json(self.filesystem.cat_file(f"{self.root}/{digest}/{MANIFEST_FILE}"))
        except FileNotFoundError:
            raise NotFoundError(f"artifact {digest[:12]} is not in {self.root_uri}", "apply the resource again to make it anew") from None

    def has(self, digest: str) -> bool:
        """Whether an artifact is there, whole."""
        return bool(self.filesystem.exists(f"{self.root}/{digest}/{MANIFEST_FILE}"))

    @contextmanager
    def staging(self, needed_bytes: int) -> Iterator[Path]:
        """A local folder to make an artifact in, removed afterwards. Raises CapacityError before the first byte."""
        parent = Path(self.root) / ".staging" if self.is_local else self.cache / ".staging"
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < needed_bytes + SPARE_BYTES:
            raise CapacityError(
                f"{parent} has {free / 2**30:.2f} GiB free and {needed_bytes / 2**30:.2f} GiB are needed",
                "free some space or point MODELYARD_HOME at a larger disk",
            )
        folder = parent / uuid.uuid4().hex
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, folder: Path, manifest: Manifest) -> str:
        """Store the files of a staged folder (which is used up) and return the digest. Twice is the same as once."""
        refuse_pickles(entry.path for entry in manifest.files)
        digest = manifest.digest
        if self.has(digest):
            return digest
        document = json.dumps(manifest.wire(), indent=2) + "\n"
        if self.is_local:
            (folder / MANIFEST_FILE).write_text(document)
            target = Path(self.root) / digest
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
        else:
            self.filesystem.put(f"{folder}/", f"{self.root}/{digest}/", recursive=True)
            self.filesystem.pipe_file(f"{self.root}/{digest}/{MANIFEST_FILE}", document.encode())
        return digest

    def open(self, digest: str) -> Path:
        """The artifact as a verified local folder. Raises NotFoundError, IntegrityError."""
        manifest = self.manifest(digest)
        if manifest.digest != digest:
            raise IntegrityError(
                f"{self.uri(digest)}/{MANIFEST_FILE} describes {manifest.digest[:12]}, not {digest[:12]}",
                f"delete {self.uri(digest)} and apply again",
            )
        refuse_pickles(entry.path for entry in manifest.files)
        if self.is_local:
            folder = Path(self.root) / digest
        else:
            folder = self._download(digest)
        verify(folder, manifest)
        return folder

    def delete(self, digest: str) -> None:
        """Remove an artifact; nothing happens when it is not there."""
        if self.filesystem.exists(f"{self.root}/{digest}"):
            self.filesystem.rm(f"{self.root}/{digest}", recursive=True)

    def _download(self, digest: str) -> Path:
        target = self.cache / digest
        if not (target / MANIFEST_FILE).is_file():
            with self.staging(self.manifest(digest).size_bytes) as folder:
                self.filesystem.get(f"{self.root}/{digest}/", f"{folder}/", recursive=True)
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
        return target


def refuse_pickles(paths: Iterator[str] | list[str]) -> None:
    """Raise IntegrityError for a file whose format can run code when it is read."""
    for path in paths:
        if path.endswith(PICKLE_SUFFIXES):
            raise IntegrityError(f"{path} is a pickle, which can run code when it is read", "use the safetensors weights of this model")
