"""What a laptop brings beside jobs and serving: a place to serve from, reading inputs, removing leftovers."""

import subprocess
import sys
from collections.abc import Mapping

from modelyard.artifacts.content import content_digest, folder_digest
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import UnavailableError
from modelyard.operator.manifests import Place, shared_options

REMOVE_TIMEOUT_S = 60


def local_place(store: str, milvus_uri: str, port: int, threads: int) -> Place:
    """One machine, reached over loopback only. threads: for the compute of each engine and embedding replica."""
    return Place(
        store=store,
        milvus_uri=milvus_uri,
        http_host="127.0.0.1",
        http_port=port,
        proxy_location="HeadOnly",
        gateway_options=shared_options(1),
        retrieval_options=shared_options(threads),
        engine_options=lambda profile: shared_options(threads),
    )


class LocalInputs:
    """Reads through fsspec."""

    def digest(self, uri: str, include: tuple[str, ...]) -> str:
        """The digest of a file, or of the files of a folder that match. Raises ModelyardError."""
        return folder_digest(uri, list(include)) if include else content_digest(uri)


class LocalLeftovers:
    """Removes artifacts and indexes."""

    def __init__(self, store: ArtifactStore, milvus_uri: str, environment: Mapping[str, str]) -> None:
        self.store, self.milvus_uri, self.environment = store, milvus_uri, dict(environment)

    def remove_index(self, alias: str) -> None:
        """Remove a Milvus alias and its collections. The Milvus client stays in retrieval, so this asks its command."""
        command = [sys.executable, "-m", "modelyard.retrieval.remove", "--milvus-uri", self.milvus_uri, "--alias", alias]
        try:
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=REMOVE_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"removing index {alias} took over {REMOVE_TIMEOUT_S} s", "it is tried again") from None
        if done.returncode:
            cause = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise UnavailableError(f"index {alias} was not removed: {cause}", "it is tried again")

    def remove_artifact(self, digest: str) -> None:
        """Remove an artifact."""
        self.store.delete(digest)
