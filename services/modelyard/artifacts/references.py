"""Which artifact a source was turned into, so that the work is not done twice: `ROOT/refs/<key>.json`."""

import json

from modelyard.artifacts.store import ArtifactStore


class References:
    """An index of a store. Losing it costs time, never correctness."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store

    def find(self, key: str) -> str | None:
        """The digest kept under a key, if that artifact is still there and intact."""
        try:
            text = self.store.filesystem.cat_file(self._path(key))
        except FileNotFoundError:
            return None
        try:
            digest = str(json.loads(text)["digest"])
        except (ValueError, KeyError, TypeError):
            return None
        return digest if self.store.has(digest) and self.store.is_intact(digest) else None

    def keep(self, key: str, digest: str, uri: str) -> None:
        """Remember a digest; `uri` is for people who look into the file."""
        self.store.filesystem.makedirs(f"{self.store.root}/refs", exist_ok=True)
        self.store.filesystem.pipe_file(self._path(key), json.dumps({"digest": digest, "source": uri}).encode())

    def _path(self, key: str) -> str:
        return f"{self.store.root}/refs/{key}.json"
