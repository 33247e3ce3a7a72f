"""Collections of passages in Milvus, read through aliases. The only module that knows Milvus.

A collection belongs to the alias that its name begins with. It is built whole, then the alias is moved to it, then
the others of that alias are dropped: a reader sees the old passages or the new ones.
"""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException, MilvusUnavailableException

from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, UnavailableError
from modelyard.domain.passage import Passage

TIMEOUT_S = 30.0
EXACT_BELOW = 20_000
"""Passages up to which every vector is compared (FLAT); larger collections get an HNSW graph."""
HNSW = {"M": 16, "efConstruction": 200}
MIN_BEAM = 64
CONSISTENCY = "Strong"
"""A search sees everything that was written before it."""

METADATA = ("text", "title", "file", "heading", "start_char", "end_char")
TEXT_BYTES = 65_535
NAME_BYTES = 2_048

CHANNEL = {
    # A server hangs up on clients that ping an idle connection more often than every five minutes; pymilvus does every 10 s.
    "grpc.keepalive_time_ms": 360_000,
    "grpc.keepalive_permit_without_calls": 0,
    # A new client tries at once, however long the last one has waited for the server to come back.
    "grpc.use_local_subchannel_pool": 1,
}

NOT_CONNECTED = 2
NOT_FOUND = (100, 1600)
"""Collection or alias: Milvus and Milvus Lite; alias: Milvus."""


class VectorStore:
    """One Milvus, by its URI; connects on first use and again when the server was away."""

    def __init__(self, uri: str, token: str = "") -> None:
        self.uri, self._token = uri, token
        self._client: MilvusClient | None = None
        self._lock = threading.Lock()
        # What it logs is what it raises, and every caller here answers or raises that.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

    def create(self, collection: str, dimension: int, rows: int) -> None:
        """Make an empty collection for about so many rows; what a crashed build left under that name is dropped."""
        with self._connected(f"create collection {collection}") as client:
            if client.has_collection(collection, timeout=TIMEOUT_S):
                client.drop_collection(collection, timeout=TIMEOUT_S)
            index = client.prepare_index_params()
            exact = rows <= EXACT_BELOW
            index.add_index("vector", index_type="FLAT" if exact else "HNSW", metric_type="COSINE", params={} if exact else HNSW)
            client.create_collection(
                collection, schema=_schema(dimension), index_params=index, consistency_level=CONSISTENCY, timeout=TIMEOUT_S
            )

    def insert(self, collection: str, passages: Sequence[Passage], vectors: Sequence[Sequence[float]]) -> None:
        """Add passages with their vectors, in the same order; names that are too long for Milvus are cut."""
        rows = [
            {"chunk_id": passage.chunk_id, "vector": list(vector), **{name: _fit(getattr(passage, name), name) for name in METADATA}}
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        with self._connected(f"insert into collection {collection}") as client:
            client.insert(collection, rows, timeout=TIMEOUT_S)

    def publish(self, collection: str, alias: str) -> None:
        """Make a whole collection what readers of the alias see, and drop the others of that alias."""
        with self._connected(f"publish collection {collection}") as client:
            client.flush(collection, timeout=TIMEOUT_S)
            # Milvus Lite uses an index for the rows that it had when the collection was loaded.
            client.release_collection(collection, timeout=TIMEOUT_S)
            client.load_collection(collection, timeout=TIMEOUT_S)
            former = self._target(client, alias)
            if former is None:
                client.create_alias(collection, alias, timeout=TIMEOUT_S)
            elif former != collection:
                client.alter_alias(collection, alias, timeout=TIMEOUT_S)
            for other in self._collections(client, alias):
                if other != collection:
                    client.drop_collection(other, timeout=TIMEOUT_S)

    def published(self, alias: str) -> tuple[str, int] | None:
        """(the collection that readers of an alias see, its number of rows), or None where there is no such alias."""
        with self._connected(f"look up {alias}") as client:
            target = self._target(client, alias)
            if target is None:
                return None
            return target, int(client.get_collection_stats(target, timeout=TIMEOUT_S)["row_count"])

    def search(self, alias: str, vector: Sequence[float], top_k: int) -> list[Passage]:
        """The passages nearest to a vector by cosine, best first.

        Raises NotFoundError for an unknown alias, InvalidInputError for a vector of another length than the collection's.
        """
        with self._connected(f"search {alias}") as client:
            try:
                return _search(client, alias, vector, top_k)
            except MilvusException as error:
                self._explain(client, alias, len(vector), error)
                # The alias moved and its former collection went between look-up and search; or the server has started
                # anew: Milvus Lite forgets then what was loaded.
                client.load_collection(alias, timeout=TIMEOUT_S)
                return _search(client, alias, vector, top_k)

    def remove(self, alias: str) -> None:
        """Drop an alias and all of its collections; nothing happens where there are none."""
        with self._connected(f"remove {alias}") as client:
            if self._target(client, alias) is not None:
                client.drop_alias(alias, timeout=TIMEOUT_S)
            for collection in self._collections(client, alias):
                client.drop_collection(collection, timeout=TIMEOUT_S)

    def _explain(self, client: MilvusClient, alias: str, length: int, error: MilvusException) -> None:
        """Raise what the user can act on, if that is why a search failed."""
        if error.code == NOT_CONNECTED:
            raise error
        if self._target(client, alias) is None:
            raise NotFoundError(f"{alias} is not in {self.uri}", "apply the knowledge base, and wait until it is Ready") from error
        fields = client.describe_collection(alias, timeout=TIMEOUT_S)["fields"]
        dimension = next(int(field["params"]["dim"]) for field in fields if field["name"] == "vector")
        if dimension != length:
            raise InvalidInputError(
                f"{alias} holds vectors of {dimension} dimensions and the embedding model makes {length}",
                "apply the knowledge base again, so that its documents are embedded with this model",
            ) from error

    def _target(self, client: MilvusClient, alias: str) -> str | None:
        try:
            return str(client.describe_alias(alias, timeout=TIMEOUT_S)["collection_name"])
        except MilvusException as error:
            if error.code in NOT_FOUND:
                return None
            raise

    def _collections(self, client: MilvusClient, alias: str) -> list[str]:
        return [name for name in client.list_collections(timeout=TIMEOUT_S) if re.fullmatch(rf"{re.escape(alias)}_[0-9a-z]+", name)]

    @contextmanager
    def _connected(self, doing: str) -> Iterator[MilvusClient]:
        try:
            with self._lock:
                if self._client is None:
                    self._client = MilvusClient(uri=self.uri, token=self._token, timeout=TIMEOUT_S, grpc_options=CHANNEL)
            yield self._client
        except MilvusException as error:
            if error.code == NOT_CONNECTED:
                self._disconnect()
            raise self._translate(doing, error) from error

    def _disconnect(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _translate(self, doing: str, error: MilvusException) -> ModelyardError:
        if error.code == NOT_CONNECTED or isinstance(error, MilvusUnavailableException):
            return UnavailableError(f"Milvus at {self.uri} does not answer", "start it, or correct the URI")
        if error.code in NOT_FOUND:
            return NotFoundError(f"cannot {doing} in {self.uri}: {error.message}", "apply the knowledge base again")
        return UnavailableError(f"Milvus at {self.uri} could not {doing}: {error.message or type(error).__name__}", "see the log of Milvus")


def _search(client: MilvusClient, alias: str, vector: Sequence[float], top_k: int) -> list[Passage]:
    (hits,) = client.search(
        alias,
        data=[list(vector)],
        anns_field="vector",
        limit=top_k,
        output_fields=list(METADATA),
        search_params={"metric_type": "COSINE", "params": {"ef": max(MIN_BEAM, 2 * top_k)}},
        consistency_level=CONSISTENCY,
        timeout=TIMEOUT_S,
    )
    return [Passage(chunk_id=hit["chunk_id"], score=hit["distance"], **hit["entity"]) for hit in hits]


def _schema(dimension: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("chunk_id", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("text", DataType.VARCHAR, max_length=TEXT_BYTES)
    for name in ("title", "file", "heading"):
        schema.add_field(name, DataType.VARCHAR, max_length=NAME_BYTES)
    for name in ("start_char", "end_char"):
        schema.add_field(name, DataType.INT64)
    return schema


def _fit(value: Any, name: str) -> Any:
    if not isinstance(value, str) or name == "text":
        return value
    return value.encode()[:NAME_BYTES].decode(errors="ignore")
